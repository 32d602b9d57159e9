"""The main job: ``safehold run``, and ``safehold demo`` that makes its own people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HolderOption,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    progress_bar,
    put,
)


def register(root: typer.Typer) -> None:
    """Add the commands to the command line."""
    root.command()(run)
    root.command()(demo)


def run(
    *,
    source: Annotated[
        list[Path],
        typer.Option(help="A file to take in, or a folder of JSON; may be given many times."),
    ],
    charter: Annotated[
        Path | None, typer.Option(help="The signed charter; default: the one in force.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option(
            help="Mapping of each source in turn: a name or a file. Default: recognised by its columns."
        ),
    ] = None,
    person: Annotated[
        str | None,
        typer.Option(help="Whose events these are, for formats that do not say (needs --mapping)."),
    ] = None,
    tolerate: Annotated[
        float | None,
        typer.Option(help="Share of rows that may be refused before a source is refused whole."),
    ] = None,
    purpose: Annotated[str, typer.Option(help="Purpose of the training.")] = "train_ui_agent",
    grant: Annotated[
        Path | None, typer.Option(help="An approved request; without it nothing is trained.")
    ] = None,
    holder: HolderOption = None,
    seats: Annotated[
        Path | None,
        typer.Option(
            help="Folder of seat keys: sign charter and grant with all of them. For trying out only."
        ),
    ] = None,
    roster: Annotated[
        Path | None,
        typer.Option(
            help="CSV of the people who work here (name, or given and family; also, email): masked, kept nowhere."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take sources in, build features, train a private model, and verify the ledger."""
    from safehold.app.plan import Plan
    from safehold.app.run import run_job
    from safehold.cli.summary import show_run

    plan = Plan(
        sources=tuple(existing(one) for one in source),
        mappings=tuple(mapping or ()),
        person=person,
        charter=charter,
        tolerate=tolerate,
        roster=None if roster is None else existing(roster),
        purpose=purpose,
        grant=grant,
        holder=holder,
        seats=seats,
    )
    with keeper(home) as client, progress_bar("taking in", quiet=as_json) as progress:
        result = run_job(client, home, plan, progress)
    if as_json:
        put(result, as_json=True)
    else:
        show_run(result)


def demo(
    *,
    people: Annotated[int, typer.Option(min=2, help="How many made-up people.")] = 300,
    days: Annotated[int, typer.Option(min=1, help="How many working days.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the made-up people; noise never has one.")] = 7,
    truth: Annotated[
        Path | None,
        typer.Option(help="Write what was planted to this Parquet file, outside the home."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a workforce, keep every promise about it, and show the result."""
    from safehold.app.demo import run_demo
    from safehold.cli.summary import show_demo

    with progress_bar("preparing", quiet=as_json) as progress:
        result = run_demo(
            home, people=people, days=days, seed=seed, truth_file=truth, progress=progress
        )
    if as_json:
        put(result, as_json=True)
    else:
        show_demo(result)
