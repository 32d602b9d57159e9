"""``safehold entrance``: by which workloads on other machines reach a keeper."""

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
    put,
    say,
)

group = typer.Typer(
    no_args_is_help=True,
    help="Entrance for workloads on other machines: TLS, both ends prove who they are.",
)


@group.command()
def serve(
    *,
    key: Annotated[Path, typer.Option(help="Key file of the workload that the entrance is.")],
    domain: Annotated[str, typer.Option(help="The trust domain whose workloads may come in.")],
    bundle: Annotated[Path, typer.Option(help="Its SPIFFE trust bundle, JSON.")],
    certificate: Annotated[Path, typer.Option(help="The entrance's own X.509-SVID, PEM.")],
    certificate_key: Annotated[Path, typer.Option(help="The key of that certificate, PEM.")],
    bind: Annotated[str, typer.Option(help="host:port")] = "127.0.0.1:7450",
    health: Annotated[
        str,
        typer.Option(
            help="host:port where a balancer asks, without TLS, whether a keeper leads here."
        ),
    ] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Let workloads on other machines ask the keeper, over TLS on which both ends prove who they are."""
    import threading

    from safehold.app.entrance import open_entrance
    from safehold.ledger.web import WebServer
    from safehold.signing import SigningKey

    with keeper(home, bare=True) as client:
        made = open_entrance(
            client,
            SigningKey.read(existing(key)),
            domain=domain,
            bundle=existing(bundle),
            bind=bind,
            certificate=existing(certificate),
            certificate_key=existing(certificate_key),
        )
        say(f"workloads of {domain} come in at {made.web.url}")
        if health:
            asked = WebServer(made.health, health)
            threading.Thread(target=asked.serve, name="health", daemon=True).start()
        made.web.serve()


@group.command()
def ask(
    verb: Annotated[str, typer.Argument(help="What to ask the keeper for, for example status.")],
    *,
    at: Annotated[
        str,
        typer.Option(
            help="host:port of the entrance; several with commas: the one whose keeper leads is asked."
        ),
    ],
    server: Annotated[str, typer.Option(help="The SPIFFE id that the entrance must have.")],
    domain: Annotated[str, typer.Option(help="The trust domain of both.")],
    bundle: Annotated[Path, typer.Option(help="Its SPIFFE trust bundle, JSON.")],
    certificate: Annotated[Path, typer.Option(help="Our X.509-SVID, PEM.")],
    certificate_key: Annotated[Path, typer.Option(help="The key of that certificate, PEM.")],
    arguments: Annotated[str, typer.Option(help="Arguments of the verb, a JSON object.")] = "{}",
    as_json: JsonOption = False,
) -> None:
    """Ask a keeper on another machine for one thing, as a workload; no home is needed here."""
    from safehold.app.entrance import ask_from_afar

    put(
        ask_from_afar(
            verb,
            arguments,
            at=at,
            server=server,
            domain=domain,
            bundle=existing(bundle),
            certificate=existing(certificate),
            certificate_key=existing(certificate_key),
        ),
        as_json=as_json,
    )
