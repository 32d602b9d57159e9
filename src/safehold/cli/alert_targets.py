"""``safehold alert targets | send``: who is told what the sentinel says, outside Safehold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, keeper, put


def register(group: typer.Typer) -> None:
    """Add both commands to ``safehold alert``."""
    group.command()(targets)
    group.command()(send)


def targets(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List where findings are sent, in which form, how many wait, and what stops them."""
    from safehold.app import exports
    from safehold.settings import Home

    put({"targets": exports.show_targets(Home.open(home))}, as_json=as_json)


def send(
    *,
    to: Annotated[str, typer.Option(help="The target, as targets.toml names it.")],
    since: Annotated[
        int | None,
        typer.Option(
            min=0, help="From this entry on, also what was sent before; else what is new."
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="Alerts as lines of JSON, instead of those of the home."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Send alerts to a target, with all that waits for it; exit 6 if it does not take them: nothing is lost."""
    from safehold.app import exports, findings
    from safehold.settings import Home

    opened = Home.open(home)
    if file is not None:
        records, names = findings.read_file(file)
    else:
        with keeper(home) as client:
            records, names = findings.read_keeper(client)
    said = exports.send(opened, to, records, principals=names, since=since)
    put(said, as_json=as_json)
