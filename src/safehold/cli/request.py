"""``safehold request``: ask for a use of data, and approve one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, put, say

group = typer.Typer(no_args_is_help=True, help="Requests: ask, show, approve.")

File = Annotated[Path, typer.Argument(help="The request file.")]


@group.command()
def new(
    file: File,
    *,
    requester: Annotated[str, typer.Option(help="Who asks.")],
    purpose: Annotated[str, typer.Option(help="The one purpose, from the charter.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence; a ticket number.")],
    holder: Annotated[Path, typer.Option(help="The holder's key file; made if it does not exist.")],
    minutes: Annotated[int, typer.Option(help="How long the grant may last.")] = 60,
    recipe: Annotated[
        str, typer.Option(help="train, or reidentify: attack what a dataset was made from.")
    ] = "train",
    role: Annotated[str, typer.Option(help="The role that asks.")] = "data_scientist",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Write a request for one holder, one purpose and one recipe."""
    from safehold.app.grants import write_request

    put(
        write_request(
            home,
            file,
            requester=requester,
            purpose=purpose,
            reason=reason,
            holder=holder,
            minutes=minutes,
            recipe=recipe,
            role=role,
        ),
        as_json=as_json,
    )


@group.command()
def show(file: File, *, as_json: JsonOption = False) -> None:
    """Show a request and who approved it."""
    from safehold.app.grants import show_request

    put(show_request(existing(file)), as_json=as_json)


@group.command()
def approve(
    file: File,
    *,
    seat: Annotated[str, typer.Option(help="Your seat on the board.")],
    key: Annotated[Path, typer.Option(help="Your seat's key file.")],
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Sign the request as one seat; the signature covers every field."""
    from safehold.app.grants import approve_request

    approve_request(home, existing(file), seat=seat, key=existing(key))
    say(f"approved as {seat}")
