"""``safehold dataset``: what exists, what it was made from, and when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, keeper, progress_bar, put
from safehold.clock import date_of

group = typer.Typer(no_args_is_help=True, help="Datasets: list, lineage, retention.")


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List every dataset with its kind, people, purposes and end."""
    with keeper(home) as client:
        answer = client.call("dataset.list")
    if as_json:
        put(answer, as_json=True)
        return
    for item in answer["datasets"]:
        label = item["label"]
        if label is None:
            put(f"{item['id'][:24]:26}{item['kind']:9}its row was changed", as_json=False)
            continue
        put(
            f"{item['id'][:24]:26}{item['kind']:9}{label['people']:>7,} people  "
            f"{','.join(label['purposes'])}  until {date_of(label['expires'])}",
            as_json=False,
        )


@group.command()
def lineage(
    dataset: Annotated[
        str | None,
        typer.Argument(help="The dataset, or the beginning of its id; all of them without it."),
    ] = None,
    *,
    svg: Annotated[Path | None, typer.Option(help="New file for a picture of it.")] = None,
    openlineage: Annotated[
        Path | None, typer.Option(help="New file for OpenLineage events, one a line.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what a dataset was made from, and what was made from it: as a tree, a picture, or OpenLineage events.

    Nothing in it is about one person, and of real people small numbers are not told.
    """
    from safehold.app.lineage import write_openlineage, write_picture

    with keeper(home) as client:
        answer = client.call("dataset.lineage", dataset=dataset)
        name = client.call("hello")["home"]
    nodes = [*answer["lineage"], *answer["below"]]
    start = "" if dataset is None else str(nodes[0]["id"])
    if svg is not None:
        write_picture(svg, nodes, start=start)
    if openlineage is not None:
        write_openlineage(openlineage, nodes, home=name)
    if as_json:
        put(answer, as_json=True)
        return
    from safehold.cli.tree import draw_tree

    for line in draw_tree(nodes, start=start):
        put(line, as_json=False)


@group.command()
def build(
    *,
    purpose: Annotated[str, typer.Option(help="The purpose.")] = "train_ui_agent",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Build the features of a purpose from all that came in, anew, and train nothing."""
    with keeper(home) as client, progress_bar("building features", quiet=as_json) as progress:
        answer = client.call("feature", progress=progress, purpose=purpose)
    put(answer, as_json=as_json)


@group.command()
def sweep(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """End what is past its retention now: keys destroyed, epochs rotated, objects removed."""
    with keeper(home) as client:
        put(client.call("dataset.sweep"), as_json=as_json)


@group.command()
def compact(
    *,
    segment: Annotated[
        str | None, typer.Option(help="One segment, such as us-ca.key; all of them without it.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be joined; open nothing.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Join small blocks of one person, stream, day and label into larger ones; the rows stay the same.

    A keeper that serves does it by itself, a little at a time.
    """
    with keeper(home) as client, progress_bar("joining blocks", quiet=as_json) as progress:
        answer = client.call("dataset.compact", progress=progress, segment=segment, dry_run=dry_run)
    put(answer, as_json=as_json)
