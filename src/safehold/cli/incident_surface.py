"""What the commands about incidents share: their options, and how a seat signs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import existing
from safehold.errors import InvalidError

Number = Annotated[int, typer.Argument(help="The incident: the entry that opened it.", min=0)]
Text = Annotated[str, typer.Option("--text", help="In your words; sealed.")]
SeatOption = Annotated[str | None, typer.Option("--seat", help="Your seat on the board.")]
KeyOption = Annotated[Path | None, typer.Option("--key", help="Your seat's key file.")]


def sign_as(
    client: Any, home: Path, incident: int, what: str, facts: dict[str, Any], *by: Any
) -> Any:
    """Let a seat sign something about an incident, and hand it in.

    Raises:
        InvalidError: No seat and key were named.
    """
    from safehold.app.incidents import sign

    seat, key = by
    if seat is None or key is None:
        raise InvalidError("a seat signs this", rule="cli.seat", fix="give --seat and --key")
    return sign(client, home, incident, what, facts, seat=seat, key=existing(key))
