"""``safehold enclave``: what isolation this machine offers, and training inside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from safehold.cli import embedding
from safehold.cli.sql import sql
from safehold.cli.surface import (
    DEFAULT_HOME,
    GrantSeatsOption,
    HolderOption,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    progress_bar,
    put,
    say,
)
from safehold.errors import InvalidError

group = typer.Typer(
    no_args_is_help=True, help="Enclaves: probe the isolation of this machine, train inside it."
)


group.command(name="sql")(sql)


@group.command()
def probe(*, as_json: JsonOption = False) -> None:
    """Try each mechanism and report the assurance level, E0 to E3."""
    from safehold.app.doctor import probe_sandbox

    put(probe_sandbox(), as_json=as_json)


@group.command()
def train(
    *,
    purpose: Annotated[str, typer.Option(help="Purpose of the training.")] = "train_ui_agent",
    grant: Annotated[Path | None, typer.Option(help="An approved request.")] = None,
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            help="Sandboxes among which people are divided; more than one needs a lead beside.",
        ),
    ] = 1,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Train on the features that there are; `safehold run` builds them, and anew each time.

    A charter with a gate on re-identification refuses it until the dataset has passed: safehold attack dataset.
    """
    from safehold.app.grants import demand_pass

    with keeper(home) as client, progress_bar("training", quiet=as_json) as progress:
        permit = demand_pass(client, home, purpose=purpose, grant=grant, holder=holder, seats=seats)
        put(permit.train(client, purpose, progress, workers=workers), as_json=as_json)


def warn_below(level: str) -> None:
    """Say loudly that a sandbox is weaker than it could be."""
    if level < "E3":
        say(
            f"WARNING: this machine isolates at {level} only; what a script may do here is less bounded than at E3."
            " Real data is refused as the charter says: safehold enclave probe"
        )


@group.command()
def run(
    script: Annotated[Path, typer.Argument(help="A Python script; it imports safehold_enclave.")],
    *,
    grant: Annotated[
        Path | None,
        typer.Option(help="An approved request for this script: runs over the home's data."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            metavar="FILE.arrow",
            help="Run over this file of your own; nothing of the home is opened.",
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Show what it prints; only with data of your own.")
    ] = False,
    purpose: Annotated[str, typer.Option(help="With --seats: the purpose.")] = "train_ui_agent",
    holder: HolderOption = None,
    seats: GrantSeatsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Run a script of your own where the data is; typed messages come out and nothing else.

    With --grant it runs over the home's data, and is the script that the grant names. With --input it runs over a
    file of your own, and nothing of the home is opened or charged. Without --holder the key is looked for beside the
    grant.
    """
    from safehold.access.code import read_code
    from safehold.app.own_code import run_granted, run_own

    source = read_code(existing(script))
    if file is None and (grant is not None or seats is not None):
        if show:
            raise InvalidError(
                "what a script prints over the home's data is shown to nobody",
                rule="cli.options",
                fix="try it over a file of your own: --input FILE.arrow --show",
            )
        with keeper(home) as client, progress_bar("running", quiet=as_json) as progress:
            found = run_granted(
                client, home, source, grant=grant, holder=holder, seats=seats, purpose=purpose,
                progress=progress,
            )  # fmt: skip
    else:
        found = run_own(source, None if file is None else existing(file), show=show)
        if text := found.pop("printed", ""):
            say(text.rstrip("\n"))
    warn_below(found["level"])
    put(found, as_json=as_json)
    if not found["ok"]:
        raise typer.Exit(1)


@group.command()
def kernel(
    *,
    file: Annotated[
        Path | None,
        typer.Option(
            "--input", metavar="FILE.arrow", help="A file of your own; else no data at all."
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Answer with what a cell prints.")] = False,
) -> None:
    """Run cells in one sandbox that lives until the input ends: {"code": ...} lines in, one JSON line a cell out."""
    import orjson

    from safehold.app.cells import Cells

    with Cells(None if file is None else existing(file), show=show) as cells:
        warn_below(cells.level)
        for line in sys.stdin:
            try:
                code = orjson.loads(line)["code"]
            except (ValueError, KeyError, TypeError):
                code = None
            if not isinstance(code, str):
                raise InvalidError('a cell is {"code": "..."}', rule="cells.line")
            put(cells.run(code), as_json=True)
            sys.stdout.flush()


embedding.add_to(group)
