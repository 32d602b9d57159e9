"""Commands about a whole home: init, serve, status, stop, resume, doctor."""

from __future__ import annotations

from pathlib import Path
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
    secret_of,
)


def register(root: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (init, serve, status, stop, resume, drift, doctor):
        root.command()(command)


def init(
    *,
    seats: Annotated[Path, typer.Option(help="Folder for the six seat keys, outside the home.")],
    charter: Annotated[
        Path | None,
        typer.Option(help="Sign this charter with all seats and enact it. For trying out."),
    ] = None,
    shares: Annotated[
        str | None, typer.Option(help="Seal the root by k-of-n shares instead, such as 3-of-5.")
    ] = None,
    ledger_url: Annotated[
        str | None,
        typer.Option(
            help="Keep the ledger's journal in PostgreSQL: postgresql://user@host/database, without a password."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a home: root key, board, ledger, witness. Nothing is collected before a charter is signed."""
    from safehold.app.setup import create

    made = create(home, seats=seats, charter=charter, shares=shares, ledger_url=ledger_url)
    put(made, as_json=as_json)


def serve(*, home: HomeOption = DEFAULT_HOME) -> None:
    """Run the keeper and its periodic work in the foreground, until interrupted."""
    from safehold.app.serve import run
    from safehold.errors import UnavailableError
    from safehold.settings import Home

    place = Home.open(home)
    secret = secret_of(place)
    if secret is None:
        raise UnavailableError("no passphrase", rule="keeper.locked", fix="set SAFEHOLD_PASSPHRASE")
    run(place, secret)


def status(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what is in force, how much there is, and what is limited."""
    with keeper(home) as client:
        put(client.call("status"), as_json=as_json)


def stop(
    *,
    seat: Seat,
    key: Key,
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Stop everything: one seat suffices. Leases die, running work ends, nothing is released."""
    from safehold.app.charters import sign_order

    order = sign_order(home, "stop", reason=reason, keys={seat: existing(key)})
    with keeper(home) as client:
        put(client.call("stop", **order), as_json=as_json)


def resume(
    *,
    seats: Annotated[Path, typer.Option(help="Folder with the keys of the seats that agree.")],
    reason: Annotated[str, typer.Option(help="What was found and mended.")],
    cause: Annotated[
        Path | None,
        typer.Option(help="Text that says what had happened; published with the order."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Resume after a stop; the charter says how many seats must agree."""
    from safehold.app.charters import keys_in, sign_order

    order = sign_order(
        home,
        "resume",
        reason=reason,
        keys=keys_in(seats),
        cause=None if cause is None else existing(cause),
    )
    with keeper(home) as client:
        put(client.call("resume", **order), as_json=as_json)


def drift(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Compare what runs with the charter that the board signed; while they differ nothing is recorded."""
    with keeper(home) as client:
        found = client.call("drift")
    put(found, as_json=as_json)
    if not found["ok"]:
        raise typer.Exit(1)


def doctor(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Check this machine and this home, and say what is missing or limited."""
    from safehold.app.doctor import examine

    found = examine(home)
    put(found, as_json=as_json)
    if not found["ok"]:
        raise typer.Exit(1)
