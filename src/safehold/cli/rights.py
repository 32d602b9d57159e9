"""``safehold rights``: what people asked for, until when they are owed an answer, and the answers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

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
)

group = typer.Typer(
    no_args_is_help=True, help="Objections, restrictions, corrections: what waits, and answers."
)

Case = Annotated[str, typer.Argument(help="The request, from safehold rights list.")]


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List what waits for an answer, the most urgent first; not whose it is."""
    with keeper(home) as client:
        put(client.call("rights.list"), as_json=as_json)


@group.command()
def read(
    case: Case,
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Read a request as a seat of the board; the person sees that you did."""
    from safehold.app.answering import read_request
    from safehold.settings import Home
    from safehold.signing import SigningKey

    with keeper(home) as client:
        put(
            read_request(
                Home.open(home), client, case, seat=seat, key=SigningKey.read(existing(key))
            ),
            as_json=as_json,
        )


@group.command()
def answer(
    case: Case,
    outcome: Annotated[
        str,
        typer.Argument(
            help="upheld, refused (objection); kept, lifted (restriction); corrected, annotated, refused."
        ),
    ],
    *,
    text: Annotated[str, typer.Option(help="The answer to the person, at most 500 characters.")],
    sign: Annotated[
        list[str] | None,
        typer.Option(help="SEAT=KEYFILE; one seat for the person, privacy and employees against."),
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Answer a request. Against the person it takes the seats that every widening takes."""
    from safehold.app.answering import answer_request
    from safehold.errors import InvalidError
    from safehold.settings import Home
    from safehold.signing import SigningKey

    keys = {}
    for one in sign or []:
        seat, found, file = one.partition("=")
        if not found:
            raise InvalidError("a signature is SEAT=KEYFILE", field="sign", rule="cli.options")
        keys[seat] = SigningKey.read(existing(Path(file)))
    with keeper(home) as client:
        put(
            answer_request(Home.open(home), client, case, outcome=outcome, text=text, keys=keys),
            as_json=as_json,
        )


def register(people: typer.Typer) -> None:
    """Add what operators enter about people, and what is released of all of them."""
    people.command()(invite)
    people.command()(move)
    people.command()(symmetry)


def invite(
    person: Annotated[str, typer.Argument(help="The person, by the company's name for them.")],
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Make a one-time code by which a person sets their key; hand it to them and to nobody else."""
    with keeper(home) as client:
        put(client.call("people.invite", person=person), as_json=as_json)


def move(
    person: Annotated[str, typer.Argument(help="The person, by the company's name for them.")],
    *,
    jurisdiction: Annotated[str | None, typer.Option(help="Where they work now.")] = None,
    level: Annotated[str | None, typer.Option(help="staff, manager or executive.")] = None,
    since: Annotated[
        str | None, typer.Option(help="The day (2026-11-02) since when the old place was wrong.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Enter where a person works from now on; where the charter collects nothing, recording ends at once."""
    from safehold.app.me import day_of_text

    given: dict[str, Any] = {
        "jurisdiction": jurisdiction,
        "level": level,
        "since_day": None if since is None else day_of_text(since),
    }
    with keeper(home) as client:
        put(
            client.call(
                "people.move",
                person=person,
                **{name: value for name, value in given.items() if value is not None},
            ),
            as_json=as_json,
        )


def symmetry(
    *,
    purpose: Annotated[str, typer.Option(help="A purpose that releases aggregates.")],
    epsilon: Annotated[float, typer.Option(help="What it may cost of the purpose's budget.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Release how many of each level take part, with noise; the price is in the ledger first."""
    with keeper(home) as client:
        put(
            client.call(
                "people.symmetry", purpose=purpose, epsilon_micro=round(epsilon * 1_000_000)
            ),
            as_json=as_json,
        )
