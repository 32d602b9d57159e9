"""``safehold board``: who holds which seat, and how that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, keeper, put

group = typer.Typer(no_args_is_help=True, help="The board: seats, their keys, how they change.")

Paper = Annotated[Path, typer.Argument(help="File of the drawn-up change.")]
Seat = Annotated[str, typer.Option(help="A seat of the board.")]
Key = Annotated[Path, typer.Option(help="The seat's key file.")]


@group.command()
def show(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show seats, thresholds, expiry, open proposals, and what nobody can promise about them."""
    with keeper(home) as client:
        put(client.call("board.show"), as_json=as_json)


@group.command()
def key(
    file: Annotated[Path, typer.Argument(help="Where the key goes.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a key for a seat; whoever draws up the roster needs only its public half."""
    from safehold.app.board import new_key

    put(new_key(file), as_json=as_json)


@group.command()
def rotate(
    *,
    seat: Seat,
    key: Annotated[Path, typer.Option(help="The seat's present key file.")],
    new: Annotated[Path, typer.Option(help="The seat's new key file: safehold board key.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Give your seat a new key; the old one is dead at once."""
    from safehold.app.board import rotate

    with keeper(home) as client:
        put(rotate(client, home, seat=seat, old=existing(key), new=existing(new)), as_json=as_json)


@group.command()
def replace(
    paper: Paper,
    *,
    seat: Seat,
    person: Annotated[str, typer.Option(help="Who takes the seat.")],
    public: Annotated[str, typer.Option(help="Their public key: safehold board key.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw up that somebody else holds a seat; then propose, sign, enact."""
    from safehold.app.board import draw_replacement

    put(draw_replacement(home, paper, seat=seat, person=person, public=public), as_json=as_json)


@group.command()
def renew(
    paper: Paper,
    *,
    days: Annotated[int, typer.Option(help="Days from now until it expires.", min=1)] = 365,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Draw up that the roster expires later; then propose, sign, enact."""
    from safehold.app.board import draw_renewal

    put(draw_renewal(home, paper, days=days), as_json=as_json)


@group.command()
def witnesses(
    paper: Paper, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False
) -> None:
    """Draw up that a notice counts by the witnesses of the home's list; then propose, sign, enact."""
    from safehold.app.board import draw_witnesses

    put(draw_witnesses(home, paper), as_json=as_json)


@group.command()
def sign(
    paper: Paper,
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Agree to a proposed change, as a seat of the present board or as whoever takes a seat."""
    from safehold.app.board import sign_paper

    put(sign_paper(home, existing(paper), seat=seat, key=existing(key)), as_json=as_json)


@group.command()
def propose(
    paper: Paper,
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Propose a drawn-up change; if it has a notice, that begins."""
    from safehold.app.board import propose_roster

    with keeper(home) as client:
        put(
            propose_roster(client, home, existing(paper), seat=seat, key=existing(key)),
            as_json=as_json,
        )


@group.command("hand-in")
def hand_in_(paper: Paper, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Hand in the votes on a paper; each becomes an entry."""
    from safehold.app.board import hand_in

    with keeper(home) as client:
        put(hand_in(client, existing(paper)), as_json=as_json)


@group.command()
def refuse(
    proposal: Annotated[str, typer.Argument(help="The paper, or the entry of its proposal.")],
    *,
    seat: Seat,
    key: Key,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Refuse a proposed change as a seat; a holder who refuses to be replaced makes it take everybody else."""
    from safehold.app.board import read_paper, refuse_roster

    index = int(proposal) if proposal.isdecimal() else None
    if index is None:
        index = read_paper(existing(Path(proposal))).asked().proposal
    with keeper(home) as client:
        put(refuse_roster(client, index, seat=seat, key=existing(key)), as_json=as_json)


@group.command()
def enact(paper: Paper, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Hand in the votes on a paper, and let its change take effect."""
    from safehold.app.board import enact_roster

    with keeper(home) as client:
        put(enact_roster(client, home, existing(paper)), as_json=as_json)
