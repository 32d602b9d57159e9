"""``safehold evidence``: what shows that promises are kept."""

from __future__ import annotations

from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, keeper, put

group = typer.Typer(no_args_is_help=True, help="Evidence: how the promises stand.")


@group.callback()
def evidence() -> None:
    """Evidence: how the promises stand."""


@group.command()
def milestones(
    *,
    measure: Annotated[bool, typer.Option("--measure", help="Measure every promise now.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show each promise of the charter with its newest measurement; exit 1 if one is broken."""
    with keeper(home) as client:
        found = client.call("milestones", measure=measure)["milestones"]
    put({"promises": found}, as_json=as_json)
    if any(one["state"] == "broken" for one in found):
        raise typer.Exit(1)
