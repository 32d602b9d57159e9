"""``safehold containment``: hold one thing back at once, see what that reaches, and lift it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put
from safehold.errors import InvalidError

group = typer.Typer(
    no_args_is_help=True,
    help="Containment: hold one thing back at once; the board lifts it.",
)

What = Annotated[
    str,
    typer.Argument(
        help="grant, capability, principal, segment, purpose, artifact, dataset, run or collection."
    ),
]
Target = Annotated[str, typer.Argument(help="Which one: its id or name.")]
Seat = Annotated[str | None, typer.Option(help="Your seat on the board.")]
Key = Annotated[Path | None, typer.Option(help="Your seat's key file.")]


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show what is contained now, by whom and why, and what it takes to lift each."""
    with keeper(home) as client:
        put(client.call("containment.list"), as_json=as_json)


@group.command()
def preview(
    what: What,
    target: Target,
    *,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Show what containing something would reach: runs, grants, data, models, people as a number. Nothing happens."""
    with keeper(home) as client:
        put(client.call("containment.preview", what=what, target=target), as_json=as_json)


@group.command()
def begin(
    what: What,
    target: Target,
    *,
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")],
    seat: Seat = None,
    key: Key = None,
    of: Annotated[
        int | None, typer.Option(help="Entry of the alert or incident that it answers.", min=0)
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Contain something: from its entry on nothing opens for it, and what runs with it ends.

    One seat suffices for anything. Without a seat it is done on behalf of whoever operates or checks this home; they
    cannot hold back collection. Everything at once: safehold stop.
    """
    from safehold.app import containment

    if (seat is None) != (key is None):
        raise InvalidError(
            "a seat and its key go together", rule="cli.options", fix="--seat and --key"
        )
    wish: dict[str, Any] = {"what": what, "target": target, "reason": reason}
    if of is not None:
        wish["of"] = of
    file = None if key is None else existing(key)
    with keeper(home) as client:
        put(containment.begin(client, home, wish, seat=seat, key=file), as_json=as_json)


@group.command()
def lift(
    entry: Annotated[
        int | None, typer.Argument(help="Entry of the containment, to draw an order up.")
    ] = None,
    *,
    paper: Annotated[
        Path | None,
        typer.Option(
            help="File of the order, which goes from seat to seat: drawn up with ENTRY and --reason,"
            " signed with --seat and --key, handed in with neither."
        ),
    ] = None,
    seat: Seat = None,
    key: Key = None,
    seats: Annotated[
        Path | None,
        typer.Option(
            help="A folder of seat keys; lifts as all of them. For trying things out only."
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="What was found and mended.")] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Lift a containment.

    A grant, a token or a principal takes two people, one of them security or privacy; all else takes as many as
    widening does.
    """
    from safehold.app import containment
    from safehold.app.charters import keys_in

    match (entry, paper, seats, reason, seat, key):
        case (int() as index, None, Path() as folder, str() as why, None, None):
            with keeper(home) as client:
                done = containment.lift(client, home, index, reason=why, keys=keys_in(folder))
        case (int() as index, Path() as file, None, str() as why, None, None):
            with keeper(home) as client:
                done = containment.draw_up(client, home, file, index, reason=why)
        case (None, Path() as file, None, None, str() as name, Path() as mine):
            done = containment.sign_paper(file, seat=name, key=existing(mine))
        case (None, Path() as file, None, None, None, None):
            with keeper(home) as client:
                done = containment.hand_in(client, file)
        case _:
            raise InvalidError(
                "draw an order up, sign it, or hand it in",
                rule="cli.options",
                fix="safehold containment lift ENTRY --paper FILE --reason WORDS",
            )
    put(done, as_json=as_json)
