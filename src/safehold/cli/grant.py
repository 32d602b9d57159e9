"""``safehold grant``: what was granted, what was done under it, and its review."""

from __future__ import annotations

from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    Key,
    Seat,
    existing,
    keeper,
    put,
)

group = typer.Typer(no_args_is_help=True, help="Grants: list, show, revoke, review.")

Name = Annotated[str, typer.Argument(help="The grant's id.")]


@group.command(name="list")
def listing(
    *,
    due: Annotated[bool, typer.Option("--due", help="Only those that wait for a review.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """List the grants with their use so far."""
    with keeper(home) as client:
        put(client.call("grant.due" if due else "grant.list"), as_json=as_json)


@group.command()
def show(grant: Name, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Hold what was asked against every action under it, and name the differences."""
    with keeper(home) as client:
        put(client.call("grant.show", grant=grant), as_json=as_json)


@group.command()
def revoke(
    grant: Name,
    *,
    token: Annotated[
        str | None,
        typer.Option(help="Only this token and what was narrowed from it: one id of grant show."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End a grant at once, or one token of it."""
    if not yes:
        typer.confirm("This cannot be undone. Go on?", abort=True)
    with keeper(home) as client:
        put(client.call("grant.revoke", grant=grant, block=token), as_json=as_json)


@group.command()
def review(
    grant: Name,
    *,
    seat: Seat,
    key: Key,
    outcome: Annotated[
        str, typer.Option(help="as_stated, differs or misuse; misuse opens an incident.")
    ],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Sign what was done under a grant as one seat that neither asked nor approved."""
    from safehold.app.requests import review_grant

    with keeper(home) as client:
        put(
            review_grant(client, home, grant, seat=seat, key=existing(key), outcome=outcome),
            as_json=as_json,
        )
