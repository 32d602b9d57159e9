"""``safehold backup``: copies of a home that may travel."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    SettingsOption,
    existing,
    places_of,
    put,
)

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
    to: Annotated[
        str | None,
        typer.Option(
            help="Where its parts go: server or embedded; where its outside says by default."
        ),
    ] = None,
    database: DatabaseOption = None,
    settings: SettingsOption = None,
    objects: Annotated[
        str | None, typer.Option(help="Bucket: s3://BUCKET/PREFIX?endpoint=https://HOST.")
    ] = None,
    back: Annotated[
        bool, typer.Option("--back", help="Take back a restore that broke off before its end.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Put a checked backup where a home was; a keeper starts on it only if its witnesses saw nothing newer."""
    from safehold.app.backup import restore as put_back
    from safehold.app.backup import take_back
    from safehold.errors import InvalidError

    if back:
        put(take_back(existing(place)), as_json=as_json)
        return
    places = None
    if to is not None:
        places = places_of(
            to, settings=settings, database=database, journal=None, control=None, objects=objects
        )
    elif (database, settings, objects) != (None, None, None):
        raise InvalidError(
            "--database, --settings and --objects go with --to server",
            rule="cli.options",
            fix="safehold backup restore --help",
        )
    put(put_back(existing(place), home, places), as_json=as_json)
