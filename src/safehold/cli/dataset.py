"""``safehold dataset``: what exists, what it was made from, and when it ends."""

from __future__ import annotations

from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, date_of, keeper, put

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
        put(
            f"{item['id'][:24]:26}{item['kind']:9}{label['people']:>7,} people  "
            f"{','.join(label['purposes'])}  until {date_of(label['expires'])}",
            as_json=False,
        )


@group.command()
def lineage(
    dataset: Annotated[str, typer.Argument(help="The dataset, or the beginning of its id.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what a dataset was made from."""
    with keeper(home) as client:
        put(client.call("dataset.lineage", dataset=dataset), as_json=as_json)


@group.command()
def sweep(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """End what is past its retention now: keys destroyed, epochs rotated, objects removed."""
    with keeper(home) as client:
        put(client.call("dataset.sweep"), as_json=as_json)
