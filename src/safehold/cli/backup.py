"""``safehold backup``: copies of a home that may travel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, put

group = typer.Typer(
    no_args_is_help=True,
    help="Backups of a home: ciphertext and the ledger, never what lies outside it.",
)
Place = Annotated[Path, typer.Argument(help="The folder of one backup.")]


@group.command()
def create(
    *,
    out: Annotated[Path, typer.Option(help="Folder of backups; the new one gets a name in it.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Copy a home as it stands at one moment; a keeper may work meanwhile. Epoch secrets are not in it."""
    from safehold.app.backup import create as copy
    from safehold.settings import Home

    put(copy(Home.open(home), out), as_json=as_json)


@group.command()
def verify(place: Place, *, as_json: JsonOption = False) -> None:
    """Check that a backup is whole: every file as it was copied, and no other."""
    from safehold.app.backup import verify as check

    put(check(existing(place)), as_json=as_json)


@group.command()
def restore(
    place: Place,
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put a checked backup where a home was; a keeper starts on it only if its witnesses saw nothing newer."""
    from safehold.app.backup import restore as put_back

    put(put_back(existing(place), home), as_json=as_json)
