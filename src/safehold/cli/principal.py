"""``safehold principal``: who is who, and what proves them; ``safehold sign-in`` and ``sign-out``."""

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
    no_args_is_help=True, help="Principals: enrol, suspend, restore; identity providers."
)

Who = Annotated[str, typer.Argument(help="Their id.")]


def register(root: typer.Typer) -> None:
    """Add the commands that stand by themselves."""
    root.command(name="sign-in")(sign_in)
    root.command(name="sign-out")(sign_out)


def sign_in(
    *,
    key: Annotated[
        Path | None, typer.Option(help="A key of your own, instead of a provider.")
    ] = None,
    issuer: Annotated[
        str | None, typer.Option(help="Identity provider, if the home has several.")
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="A workload's X.509-SVID (PEM); with --key its key.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Trust domain of that certificate.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Prove who you are; for an hour the commands here are yours. Whoever is signed out gets exit code 4."""
    from safehold.app.signing_in import (
        sign_in_as_workload,
        sign_in_at_provider,
        sign_in_with_key,
    )
    from safehold.errors import InvalidError
    from safehold.settings import Home
    from safehold.signing import SigningKey

    place = Home.open(home)
    with keeper(home, bare=True) as client:
        match (certificate, domain, key):
            case (Path() as chain, str() as name, Path() as file):
                answer = sign_in_as_workload(
                    client, place, domain=name, certificate=existing(chain), key=existing(file)
                )
            case (None, None, Path() as file):
                answer = sign_in_with_key(client, place, SigningKey.read(existing(file)))
            case (None, None, None):
                answer = sign_in_at_provider(
                    client,
                    place,
                    issuer=issuer,
                    show=lambda url: say(f"sign in at this address:\n{url}"),
                )
            case _:
                raise InvalidError(
                    "a certificate goes with its --domain and --key",
                    rule="cli.options",
                    fix="safehold sign-in --help",
                )
    put(answer, as_json=as_json)


def sign_out(
    *,
    off: Annotated[
        bool, typer.Option(help="Sign off: agents that act for you rest until you are back.")
    ] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """End the session of this machine."""
    from safehold.app.signing_in import sign_out as end
    from safehold.settings import Home

    place = Home.open(home)
    with keeper(home, bare=True) as client:
        put(end(client, place, off=off), as_json=as_json)


@group.command()
def enrol(
    who: Who,
    *,
    kind: Annotated[str, typer.Option(help="human or workload.")] = "human",
    role: Annotated[str, typer.Option(help="Their role in the charter; a workload may have none.")],
    name: Annotated[
        list[str] | None,
        typer.Option(help="What proves them: oidc:ISSUER#SUBJECT or spiffe://DOMAIN/PATH."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="Their key file; made if it does not exist.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Enrol a person or a workload. That opens nothing; it says who may prove to be them."""
    from safehold.app.agents import name_of_key

    names = [*(name or []), *([] if key is None else [name_of_key(key)])]
    with keeper(home) as client:
        put(
            client.call("principal.enrol", principal=who, kind=kind, role=role, names=names),
            as_json=as_json,
        )


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List who is enrolled, in which role, by whom, and what proves them."""
    with keeper(home) as client:
        put(client.call("principal.list"), as_json=as_json)


@group.command()
def show(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show who the keeper takes you for; exit code 4 when you are signed out."""
    with keeper(home) as client:
        put(client.call("session.show"), as_json=as_json)


@group.command()
def suspend(who: Who, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Suspend somebody at once, with every agent that acts for them."""
    with keeper(home) as client:
        put(client.call("principal.suspend", principal=who), as_json=as_json)


@group.command()
def restore(who: Who, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """End a suspension; nobody ends their own."""
    with keeper(home) as client:
        put(client.call("principal.restore", principal=who), as_json=as_json)


@group.command()
def remove(who: Who, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Let somebody leave for good; their id is never another's."""
    with keeper(home) as client:
        put(client.call("principal.remove", principal=who), as_json=as_json)


@group.command()
def provider(
    issuer: Annotated[str, typer.Argument(help="Address of its issuer.")],
    *,
    client_id: Annotated[str, typer.Option(help="Our client id with it.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Believe an OpenID provider; the keeper reads how it describes itself, and its keys, now and when they change."""
    with keeper(home) as client:
        put(client.call("principal.provider", issuer=issuer, client=client_id), as_json=as_json)


@group.command()
def bundle(
    domain: Annotated[str, typer.Argument(help="The trust domain.")],
    file: Annotated[Path, typer.Argument(help="Its SPIFFE trust bundle, JSON.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Believe a SPIFFE trust domain by its bundle."""
    import json

    from safehold.errors import InvalidError

    try:
        document = json.loads(existing(file).read_bytes())
    except ValueError as error:
        raise InvalidError("not JSON", file=file.name, rule="spiffe.bundle") from error
    with keeper(home) as client:
        put(client.call("principal.bundle", domain=domain, bundle=document), as_json=as_json)


@group.command()
def identify(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """From now on nobody operates this home who has not signed in. There is no way back."""
    with keeper(home) as client:
        put(client.call("principal.identify"), as_json=as_json)
