"""``safehold migrate``: a home moves from files to PostgreSQL and a bucket, or back."""

from __future__ import annotations

from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    SettingsOption,
    places_of,
    progress_bar,
    put,
    secret_of,
)


def register(root: typer.Typer) -> None:
    """Add the command to the command line."""
    root.command()(migrate)


def migrate(
    *,
    to: Annotated[
        str | None,
        typer.Option(help="Where the home goes: server (PostgreSQL and a bucket) or embedded."),
    ] = None,
    database: DatabaseOption = None,
    settings: SettingsOption = None,
    objects: Annotated[
        str | None, typer.Option(help="Bucket: s3://BUCKET/PREFIX?endpoint=https://HOST.")
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="Do it, or finish what broke off. Without it, only the plan."),
    ] = False,
    back: Annotated[
        bool, typer.Option("--back", help="Take back a move that has not switched yet.")
    ] = False,
    remove: Annotated[
        bool, typer.Option("--remove-old", help="Remove the places that a move left behind.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Move a stopped home to servers, or back: the plan first; with --yes it is copied, proved and switched."""
    from safehold.app import relocation
    from safehold.app.hardening import clear_environment, harden
    from safehold.errors import InvalidError, UnavailableError
    from safehold.settings import Home

    place = Home.open(home)
    match (to, yes, back, remove):
        case (None, False, True, False):
            put(relocation.go_back(place), as_json=as_json)
            return
        case (None, False, False, True):
            put(relocation.remove_old(place), as_json=as_json)
            return
        case (str(), _, False, False) | (None, True, False, False):
            pass
        case _:
            raise InvalidError(
                "give --to, with --yes to do it; or --yes alone to finish; or --back, or --remove-old",
                rule="cli.options",
                fix="safehold migrate --help",
            )
    new = None
    if to is not None:
        new = places_of(
            to, settings=settings, database=database, journal=None, control=None, objects=objects
        )
    if not yes and new is not None:
        put(
            {**relocation.plan(place, new), "done": False, "next": "the same with --yes"},
            as_json=as_json,
        )
        return
    secret = secret_of(place)
    if secret is None:
        raise UnavailableError(
            "nothing was given to open the root",
            rule="keeper.locked",
            fix="set SAFEHOLD_PASSPHRASE_FILE, or SAFEHOLD_UNLOCK_FILE for a root elsewhere",
        )
    harden()
    clear_environment("SAFEHOLD_PASSPHRASE")
    with progress_bar("moving", quiet=as_json) as progress:
        done = relocation.move(place, secret, new, progress=progress)
    put({**done, "done": True}, as_json=as_json)
