"""``safehold portal``: the windows of people on a home, and what they sign at their own desk for it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put, say

group = typer.Typer(no_args_is_help=True, help="Portal: pages and API for people.")


@group.callback()
def portal() -> None:
    """Portal: pages and API for people."""


@group.command()
def serve(
    *,
    origin: Annotated[
        str, typer.Option(help="What people type: https://HOST, or http://localhost:PORT.")
    ] = "http://localhost:7480",
    bind: Annotated[str, typer.Option(help="host:port to listen at.")] = "127.0.0.1:7480",
    state: Annotated[
        Path, typer.Option(help="Folder of the portal's own: its keys and its journal.")
    ] = Path("safehold-portal"),
    keys: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the keys that all portals of this home share; --state if left out."
        ),
    ] = None,
    keeper_name: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a keeper that stands by, where this account may not list the home's outside."
        ),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            help="Seconds between the signal to end and the last request, for a balancer.",
            min=0,
            max=600,
        ),
    ] = 0.0,
    certificate: Annotated[Path | None, typer.Option(help="Certificate chain, PEM.")] = None,
    certificate_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    behind: Annotated[
        list[str] | None,
        typer.Option(help="Address of a proxy whose word on where clients are is taken."),
    ] = None,
    figures: Annotated[
        str, typer.Option(help="host:port for figures (Prometheus); keep it from people.")
    ] = "",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Serve the pages and the API of a home; a keeper must serve it (safehold serve)."""
    from safehold.portal.settings import PortalSettings, check_origin
    from safehold.portal.site import serve as listen
    from safehold.settings import Home

    settings = PortalSettings(
        home=Home.open(home),
        origin=check_origin(origin),
        state=state,
        keys=keys,
        keepers=tuple(keeper_name or ()),
        drain_s=drain,
        behind=tuple(behind or ()),
    )
    say(f"the portal is at {origin}")
    listen(
        settings,
        bind=bind,
        certificate=None if certificate is None else existing(certificate),
        key=None if certificate_key is None else existing(certificate_key),
        figures=figures,
    )


@group.command("try")
def try_(
    *,
    port: Annotated[int, typer.Option(help="Of this machine.", min=1, max=65_535)] = 7480,
    state: Annotated[Path, typer.Option(help="Folder of the portal's own.")] = Path(
        "safehold-portal"
    ),
    person: Annotated[str, typer.Option(help="Whom the employee is.")] = "emp-00000",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Look at the pages of a home of made-up people as each of a small cast; nothing to set up."""
    from safehold.app.cast import put_on_stage
    from safehold.portal.settings import PortalSettings
    from safehold.portal.site import serve as listen
    from safehold.settings import Home

    place = Home.open(home)
    with keeper(home, bare=True) as client:
        cast = put_on_stage(place, client, state=state, person=person)
        origin = f"http://localhost:{port}"
        say(f"look at {origin} (made-up people; sign in as any of {', '.join(cast)})")
        listen(
            PortalSettings(home=place, origin=origin, state=state, cast=cast),
            bind=f"127.0.0.1:{port}",
            certificate=None,
            key=None,
        )


@group.command()
def journal(
    *,
    state: Annotated[Path, typer.Option(help="Folder of the portal's own.")] = Path(
        "safehold-portal"
    ),
    verify: Annotated[
        bool, typer.Option("--verify", help="Check it, line by line and against the ledger.")
    ] = False,
    count: Annotated[int, typer.Option("-n", help="How many lines to show.", min=1)] = 20,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show the newest lines of the portal's own journal, or check it; exit 5 if it does not hold."""
    from safehold.app.verification import leaves
    from safehold.portal.check import check_journal
    from safehold.portal.journal import read_lines

    folder = existing(state)
    if verify:
        put(check_journal(folder, leaves(home, 1 << 40)), as_json=as_json)
        return
    put({"lines": read_lines(folder, count)}, as_json=as_json)


@group.command()
def answer(
    code: Annotated[str, typer.Argument(help="The question that the sign-in page shows.")],
    *,
    key: Annotated[Path, typer.Option(help="Your key file.")],
) -> None:
    """Print what signs you in at a portal: the answer of your key to its question."""
    from safehold.app.signing_in import answer_question
    from safehold.signing import SigningKey

    put(answer_question(code, SigningKey.read(existing(key))), as_json=False)


@group.command()
def sign(
    file: Annotated[
        Path, typer.Argument(help="The text that a page asked you to keep, as it stands there.")
    ],
    *,
    key: Annotated[Path, typer.Option(help="Your key file.")],
) -> None:
    """Print what you hand in at a portal: one line with the signature of your key. What you sign is shown first."""
    from safehold.app.papers import read_draft, signed_line
    from safehold.signing import SigningKey

    draft = read_draft(existing(file))
    say(f"you sign, under {draft.domain}: {draft.message.decode('utf-8', 'replace')}")
    put(signed_line(draft, SigningKey.read(existing(key))), as_json=False)
