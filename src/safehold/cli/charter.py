"""``safehold charter``: check, prove, show, compare, explain, propose, sign and enact the promise."""

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
    progress_bar,
    put,
    say,
)

group = typer.Typer(
    no_args_is_help=True,
    help="The charter: check, prove, show, compare, explain, propose, sign, enact.",
)

File = Annotated[Path, typer.Argument(help="The charter, a YAML file.")]


@group.command()
def check(file: File, *, as_json: JsonOption = False) -> None:
    """Load a charter, compile it to policy, and try to cross each of its red lines."""
    from safehold.app.charters import check_charter

    put(check_charter(existing(file)), as_json=as_json)


@group.command()
def prove(
    file: File,
    *,
    policy: Annotated[
        Path | None,
        typer.Option(help="Cedar policies to prove instead of those the charter compiles to."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove that no request can break a promise of a charter; if one can, say which."""
    from safehold.app.proving import prove_charter

    other = existing(policy) if policy is not None else None
    with progress_bar("proving", quiet=as_json) as progress:
        found = prove_charter(existing(file), other, progress=progress)
    put(found, as_json=as_json)


@group.command()
def show(
    file: Annotated[
        Path | None, typer.Argument(help="A charter; default: the one in force.")
    ] = None,
    *,
    policy: Annotated[bool, typer.Option(help="Show the compiled Cedar policy instead.")] = False,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show a charter in its canonical form, or the policy it compiles to."""
    from safehold.app.charters import show_charter

    put(show_charter(home, file, policy=policy), as_json=as_json)


@group.command()
def diff(
    first: Annotated[Path, typer.Argument(help="The charter before; alone: the charter after.")],
    second: Annotated[
        Path | None,
        typer.Argument(help="The charter after; without it, the one in force is the one before."),
    ] = None,
    *,
    language: Annotated[str, typer.Option("--lang", help="en or de.")] = "en",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell in plain sentences what becomes possible and what ends from one charter to the next."""
    from safehold.app.difference import compare_charters, in_lines

    new = existing(first if second is None else second)
    old = None if second is None else existing(first)
    found = compare_charters(old, new, home=home, language=language)
    put(found if as_json else in_lines(found), as_json=as_json)


@group.command()
def sign(
    file: File,
    *,
    seat: Annotated[str | None, typer.Option(help="Your seat on the board.")] = None,
    key: Annotated[Path | None, typer.Option(help="Your seat's key file.")] = None,
    seats: Annotated[
        Path | None,
        typer.Option(
            help="A folder of seat keys; signs as all of them. For trying things out only."
        ),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Sign a charter as a seat; signatures gather in a file beside it until the quorum is reached."""
    from safehold.app.charters import sign_charter

    put(sign_charter(home, existing(file), seat=seat, key=key, seats=seats), as_json=as_json)


@group.command()
def propose(
    file: File,
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Propose a charter in place of the one in force; what it allows more is computed by the keeper."""
    from safehold.app.proposals import propose_charter

    with keeper(home) as client:
        put(
            propose_charter(client, home, existing(file), seat=seat, key=existing(key)),
            as_json=as_json,
        )


@group.command()
def refuse(
    file: File,
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Refuse a proposal as a seat; it counts at once and stands."""
    from safehold.app.proposals import refuse_charter

    with keeper(home) as client:
        put(
            refuse_charter(client, home, existing(file), seat=seat, key=existing(key)),
            as_json=as_json,
        )


@group.command("hand-in")
def hand_in(file: File, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Hand in the votes that were signed beside a proposed charter."""
    from safehold.app.proposals import hand_in

    with keeper(home) as client:
        put(hand_in(client, home, existing(file)), as_json=as_json)


@group.command()
def enact(file: File, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Put a signed charter in force: the first of a home, or a proposed one after its notice."""
    from safehold.app.charters import enact_charter

    with keeper(home) as client:
        put(enact_charter(client, home, existing(file)), as_json=as_json)


@group.command()
def proposals(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show the open proposals: what, who agreed, how many more it takes, and from when."""
    with keeper(home) as client:
        put(client.call("charter.proposals"), as_json=as_json)


@group.command()
def log(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what the board did, step by step, with the ledger entry and who is behind it."""
    with keeper(home) as client:
        put(client.call("charter.log"), as_json=as_json)


@group.command()
def schema() -> None:
    """Print the JSON Schema of the charter language, for editors."""
    import json

    from safehold.charter.jsonschema import schema as schema_of_charter

    typer.echo(json.dumps(schema_of_charter(), indent=1, ensure_ascii=False))


DocumentName = Annotated[
    str,
    typer.Argument(help="record (Art. 30), notice (13/14), dpia (35), risk (CCPA) or balance."),
]


@group.command()
def document(
    name: DocumentName,
    file: Annotated[
        Path | None, typer.Argument(help="A charter; default: the one in force.")
    ] = None,
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Print a text that the law asks for, made from the charter. It is a draft; gaps are marked."""
    from safehold.app.charters import write_document

    text = write_document(home, name, file)
    if as_json:
        put({"document": name, "text": text}, as_json=True)
    else:
        typer.echo(text, nl=False)


@group.command()
def documents(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the published texts: current, stale because the charter moved, changed, or missing."""
    with keeper(home) as client:
        put(client.call("document.list"), as_json=as_json)


@group.command()
def publish(
    name: DocumentName,
    *,
    file: Annotated[
        Path | None,
        typer.Option(help="The completed text; default: as made from the charter in force."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Publish a text: it lies in the home, and its hash is an entry of the ledger."""
    text = None if file is None else existing(file).read_text("utf-8")
    with keeper(home) as client:
        put(client.call("document.publish", name=name, text=text), as_json=as_json)


@group.command()
def explain(
    file: Annotated[
        Path | None, typer.Argument(help="A charter; default: the one in force.")
    ] = None,
    *,
    language: Annotated[str, typer.Option("--lang", help="en or de.")] = "en",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Tell the whole promise in plain words, and how easy they are to read."""
    from safehold.app.charters import explain_charter

    told = explain_charter(home, file, language=language)
    if as_json:
        put(told, as_json=True)
        return
    typer.echo(told["text"], nl=False)
    say(f"reading ease {told['reading_ease']:.0f} of 100; 60 and more is plain language")
