"""``safehold paper``: what is signed elsewhere: prepared here, signed by a passkey or on another machine, handed in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put

group = typer.Typer(
    no_args_is_help=True,
    help="Papers: prepare what is signed elsewhere, sign it, and hand it in.",
)

Paper = Annotated[Path, typer.Argument(help="The paper.")]


OtherSeat = Annotated[
    str | None,
    typer.Option(help="Sign as this seat, where the paper is an order or answer of several."),
]


@group.command()
def kinds(*, as_json: JsonOption = False) -> None:
    """List what can be prepared for signing."""
    from safehold.app.signable import KINDS

    put({"kinds": sorted(KINDS)}, as_json=as_json)


@group.command()
def new(
    kind: Annotated[str, typer.Argument(help="What is signed: vote, decision, stop, choice, ...")],
    file: Annotated[Path, typer.Argument(help="Where the paper goes.")],
    *,
    fact: Annotated[
        list[str] | None,
        typer.Option("--fact", help="What it says: NAME=TEXT, or NAME:=JSON; may be repeated."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Prepare the exact bytes that somebody signs, and the challenge of a passkey for them."""
    from safehold.app.occasion import facts_of
    from safehold.app.papers import facts_from, write_draft
    from safehold.app.signable import prepare
    from safehold.clock import SystemClock

    named = facts_from(fact or [])
    with keeper(home) as client:
        facts = facts_of(client.call, kind, named, now_us=SystemClock().now_us())
    put(write_draft(file, prepare(kind, facts)), as_json=as_json)


@group.command()
def sign(
    file: Paper,
    *,
    key: Annotated[Path, typer.Option(help="Your key file.")],
    out: Annotated[Path, typer.Option(help="Where the signed paper goes.")],
    seat: OtherSeat = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a paper with a key file; no home is needed."""
    from safehold.app.papers import read_draft, write_signed
    from safehold.canonical import b64
    from safehold.signing import SigningKey

    draft, signer = read_draft(existing(file), seat), SigningKey.read(existing(key))
    value = signer.sign(draft.domain, draft.message)
    put(write_signed(out, draft, key=signer.public.text(), value=b64(value)), as_json=as_json)


@group.command()
def add(
    file: Paper,
    *,
    passkey: Annotated[str, typer.Option(help="The passkey: passkey:RPID:BASE64.")],
    answer: Annotated[Path, typer.Option(help="The browser's answer, as JSON.")],
    out: Annotated[Path, typer.Option(help="Where the signed paper goes.")],
    seat: OtherSeat = None,
    as_json: JsonOption = False,
) -> None:
    """Add what a passkey signed in a browser."""
    from safehold.app.papers import read_answer, read_draft, write_signed
    from safehold.canonical import b64

    value = read_answer(existing(answer))
    put(
        write_signed(out, read_draft(existing(file), seat), key=passkey, value=b64(value)),
        as_json=as_json,
    )


@group.command(name="hand-in")
def hand_in(
    files: Annotated[list[Path], typer.Argument(help="Signed papers, about one thing.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Verify signed papers, and ask the keeper for what they say; those of several seats count together."""
    from safehold.app.papers import read_signed
    from safehold.app.signature import gather

    made = gather([read_signed(existing(one)) for one in files])
    arguments: dict[str, Any] = dict(made.arguments)
    with keeper(home) as client:
        put(client.call(made.verb, **arguments), as_json=as_json)
