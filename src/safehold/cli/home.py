"""Commands about a whole home: init, serve, status, stop, resume, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    DatabaseOption,
    HomeOption,
    JsonOption,
    Key,
    Seat,
    SettingsOption,
    existing,
    keeper,
    places_of,
    put,
    root_elsewhere,
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
    root: Annotated[
        str | None,
        typer.Option(
            help="Keep the root elsewhere: pkcs11:..., aws-kms://... or hcvault://...; never with a PIN in it."
        ),
    ] = None,
    unlock: Annotated[
        str | None,
        typer.Option(
            help="File with its PIN, token or credentials, readable by its owner alone; - for standard input."
        ),
    ] = None,
    make_key: Annotated[
        bool, typer.Option("--make-key", help="Make the key there; otherwise it must exist.")
    ] = False,
    ledger_url: Annotated[
        str | None,
        typer.Option(
            help="Keep the ledger's journal in PostgreSQL: postgresql://user@host/database, without a password."
        ),
    ] = None,
    objects: Annotated[
        str | None,
        typer.Option(
            help="Keep sealed objects in a bucket: s3://BUCKET/PREFIX?endpoint=https://HOST, without credentials."
        ),
    ] = None,
    control: Annotated[
        str | None,
        typer.Option(
            help="Keep people, catalogue, keys and grants in PostgreSQL: postgresql://user@host/database,"
            " without a password."
        ),
    ] = None,
    profile: Annotated[
        str,
        typer.Option(
            help="server: PostgreSQL and a bucket, from --database and --objects, --settings or the environment."
        ),
    ] = "embedded",
    database: DatabaseOption = None,
    settings: SettingsOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a home: root key, board, ledger, witness. Nothing is collected before a charter is signed."""
    from safehold.app.setup import create

    places = places_of(
        profile,
        settings=settings,
        database=database,
        journal=ledger_url,
        control=control,
        objects=objects,
    )
    made = create(
        home,
        seats=seats,
        charter=charter,
        shares=shares,
        ledger_url=places.journal,
        objects_url=places.objects,
        root=root_elsewhere(root, unlock, make=make_key),
        control_url=places.control,
    )
    put(made, as_json=as_json)


def serve(
    *,
    account: Annotated[
        str | None,
        typer.Option("--as", help="Account of the keeper's own; started by root: level K2."),
    ] = None,
    caller: Annotated[
        list[str] | None,
        typer.Option(help="With --as: account that may speak to it besides root; repeatable."),
    ] = None,
    name: Annotated[
        str,
        typer.Option(help="Name of a further keeper: it stands by, hands on, and takes over."),
    ] = "",
    drills: Annotated[
        str,
        typer.Option(
            "--drill",
            help="weekly: a few attacks each night, all each week. nightly: never all. off: none.",
        ),
    ] = "weekly",
    sentinel: Annotated[
        bool,
        typer.Option(help="Let a process beside the keeper watch who asks for data."),
    ] = True,
    ray: Annotated[
        str,
        typer.Option(
            help="Run sandboxes on Ray, for this keeper: local:N starts N workers here, host:port joins a cluster."
        ),
    ] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Run the keeper and its periodic work in the foreground, until interrupted."""
    from safehold.app.hardening import bound_heaps

    bound_heaps()  # before what follows loads Arrow, and whatever starts threads

    from safehold.app.drill.nightly import HOW
    from safehold.app.serve import run
    from safehold.errors import InvalidError, UnavailableError
    from safehold.settings import Home

    if drills not in HOW:
        raise InvalidError("no such way to drill", rule="drill.how", fix=", ".join(HOW))
    place = Home.open(home)
    secret = secret_of(place)
    if secret is None:
        raise UnavailableError(
            "nothing was given to open the root",
            rule="keeper.locked",
            fix="set SAFEHOLD_PASSPHRASE_FILE, or SAFEHOLD_UNLOCK_FILE for a root elsewhere",
        )
    run(
        place,
        secret,
        name=name,
        account=account,
        callers=caller or (),
        drill=drills,
        sentinel=sentinel,
        ray=ray,
    )


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
    paper: Annotated[
        Path | None,
        typer.Option(
            help="File of the order, which goes from seat to seat: drawn up with --reason,"
            " signed with --seat and --key, handed in with neither."
        ),
    ] = None,
    seat: Annotated[str | None, typer.Option(help="Your seat on the board.")] = None,
    key: Annotated[Path | None, typer.Option(help="Your seat's key file.")] = None,
    seats: Annotated[
        Path | None,
        typer.Option(
            help="A folder of seat keys; resumes as all of them. For trying things out only."
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="What was found and mended.")] = None,
    cause: Annotated[
        Path | None,
        typer.Option(help="Text that says what had happened; published with the order."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Resume after a stop; the charter says how many seats must agree, and what else it takes."""
    from safehold.app import restart
    from safehold.app.charters import keys_in, sign_order
    from safehold.errors import InvalidError

    text = None if cause is None else existing(cause)
    match (paper, seats, reason, seat, key):
        case (None, Path() as folder, str() as why, None, None):
            order = sign_order(home, "resume", reason=why, keys=keys_in(folder), cause=text)
            with keeper(home) as client:
                put(client.call("resume", **order), as_json=as_json)
        case (Path() as file, None, str() as why, None, None):
            put(restart.draw_up(home, file, reason=why, cause=text), as_json=as_json)
        case (Path() as file, None, None, str() as name, Path() as mine) if text is None:
            put(restart.sign_paper(file, seat=name, key=existing(mine)), as_json=as_json)
        case (Path() as file, None, None, None, None) if text is None:
            with keeper(home) as client:
                put(restart.hand_in(client, file), as_json=as_json)
        case _:
            raise InvalidError(
                "give --paper with --reason (draw up), with --seat and --key (sign) or alone (hand in);"
                " or --seats with --reason",
                rule="cli.options",
                fix="safehold resume --help",
            )


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
