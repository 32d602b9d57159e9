"""``safehold ingest``: by which enrolled devices hand in over the network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    progress_bar,
    put,
    say,
)

group = typer.Typer(
    no_args_is_help=True, help="Ingestion over the network: HTTP for devices, and a queue (NATS)."
)
NatsOption = Annotated[
    str, typer.Option(help="The queue: tls://host:port, or nats://127.0.0.1:port.")
]


@group.command()
def serve(
    *,
    bind: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:7460",
    certificate: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    rate: Annotated[
        int, typer.Option(help="Requests that one address may make in a minute; 0: no limit.")
    ] = 600,
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Let enrolled devices ask for leases and hand in over HTTP; a keeper must serve the home."""
    from safehold.app.network import open_front

    made = open_front(
        home,
        bind=bind,
        certificate=None if certificate is None else existing(certificate),
        certificate_key=None if certificate_key is None else existing(certificate_key),
        a_minute=rate,
    )
    say(f"devices hand in at {made.web.url}")
    made.web.serve()


@group.command()
def consume(
    *,
    queue: NatsOption,
    key: Annotated[
        Path, typer.Option(help="The key that opens covers; made if it is not there, with .pub.")
    ],
    name: Annotated[str, typer.Option(help="Of the queue.")] = "safehold",
    authority: Annotated[
        Path | None, typer.Option(help="Certificates that the server's must come from, PEM.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="Our certificate for the queue, PEM.")
    ] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    size: Annotated[int, typer.Option(help="MiB that the queue holds at most.", min=1)] = 4_096,
    most: Annotated[int, typer.Option(help="Envelopes in one batch.", min=1, max=256)] = 256,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Take what devices put into a queue to the keeper, until a signal ends it; print what was counted."""
    from safehold.app.network import take_from_queue
    from safehold.ingest.network.queue import Limits, Place

    place = Place(
        url=queue, name=name, authority=authority, certificate=certificate, key=certificate_key
    )
    counted = take_from_queue(
        home,
        place,
        key=key,
        limits=Limits(bytes=size << 20),
        most=most,
        ready=lambda: say(f"taking from the queue {name}"),
    )
    put(counted, as_json=as_json)


@group.command()
def aside(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show how many malformed messages are set aside, by rule, stream and day; of nobody, and nothing of them."""
    with keeper(home) as client:
        put(client.call("ingest.aside"), as_json=as_json)


@group.command()
def repair(
    *,
    grant: Annotated[Path, typer.Option(help="An approved request for the recipe repair.")],
    holder: Annotated[Path, typer.Option(help="The holder's key.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Judge again what was set aside: what holds now is stored, the rest stays sealed until its day."""
    from safehold.app.grants import demand_pass

    with keeper(home) as client, progress_bar("judging", quiet=as_json) as progress:
        permit = demand_pass(client, home, purpose="repair", grant=grant, holder=holder)
        put(permit.repair(client, progress), as_json=as_json)
