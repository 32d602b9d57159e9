"""``safehold artifact`` and ``safehold budget``: the models that were made, and what they cost in privacy."""

from __future__ import annotations

from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, keeper, put

group = typer.Typer(no_args_is_help=True, help="Model artifacts: list, show.")
budget = typer.Typer(no_args_is_help=True, help="Privacy budgets: show.")

Artifact = Annotated[str, typer.Argument(help="Id of the artifact.")]


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the artifacts."""
    with keeper(home) as client:
        put(client.call("artifact.list"), as_json=as_json)


@group.command()
def show(
    artifact: Artifact, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Check an artifact against its signed provenance and show both; never its weights."""
    with keeper(home) as client:
        put(client.call("artifact.show", artifact=artifact), as_json=as_json)


@budget.command(name="show")
def budget_show(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what each purpose may spend, has spent and has left."""
    with keeper(home) as client:
        put(client.call("budget.show"), as_json=as_json)


@budget.callback()
def _noun() -> None:
    """Keep the noun a group while it has one verb."""
