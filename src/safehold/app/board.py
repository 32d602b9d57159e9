"""What the command line does with the board itself; seat keys stay on this side.

A new roster is drawn up in a file that goes from seat to seat until enough have signed it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.charters import roster_of
from safehold.app.paper import write_paper
from safehold.canonical import b64
from safehold.charter import Roster, Signature
from safehold.charter.board import count
from safehold.charter.proposal import Proposal, Question, propose, vote
from safehold.charter.roster import DAY_S, ROSTER_DOMAIN
from safehold.charter.succession import change_of, next_roster
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import InvalidError, MissingError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.signing import SigningKey, VerifyKey

PAPER_VERSION: Final = "safehold-roster-paper/1"


def new_key(file: Path) -> dict[str, Any]:
    """Make a key for a seat and return its public half; the file is its holder's alone.

    Raises:
        InvalidError: There is a file of that name.
    """
    if file.exists():
        raise InvalidError("there is such a file already", file=file.name, rule="board.key")
    SigningKey.generate().write(file)
    key = SigningKey.read(file).public
    return {"file": file.name, "public": key.text(), "key": key.key_id}


def rotate(client: KeeperClient, home: Path, *, seat: str, old: Path, new: Path) -> dict[str, Any]:
    """Give a seat another key, signed by the old one and the new one; the old one is dead at once."""
    present = roster_of(Home.open(home))
    keys = [SigningKey.read(old), SigningKey.read(new)]
    made = next_roster(present, seat=seat, key=keys[1].public)
    for key in keys:
        made = _signed(made, seat, key)
    return client.call("board.enact", roster=made.to_json())


def draw_replacement(
    home: Path, file: Path, *, seat: str, person: str, public: str
) -> dict[str, Any]:
    """Draw up a roster in which somebody else holds a seat, with a key of their own."""
    present = roster_of(Home.open(home))
    made = next_roster(present, seat=seat, person=person, key=VerifyKey.from_text(public))
    return _put(file, present, made, None)


def draw_renewal(home: Path, file: Path, *, days: int) -> dict[str, Any]:
    """Draw up a roster that expires so many days from now."""
    present = roster_of(Home.open(home))
    expires = SystemClock().now_us() // SECOND_US + days * DAY_S
    return _put(file, present, next_roster(present, expires_s=expires), None)


def sign_roster(home: Path, file: Path, *, seat: str, key: Path) -> dict[str, Any]:
    """Sign a drawn-up roster as a seat of the present board, or as the one who takes a seat.

    Raises:
        InvalidError: The key speaks for the seat on neither board.
    """
    present = roster_of(Home.open(home))
    made, proposal = read_roster(file)
    signer = SigningKey.read(key)
    if signer.public not in {present.seat(seat).key, made.seat(seat).key}:
        raise InvalidError(
            f"this key does not speak for {seat}",
            rule="charter.seat",
            fix="sign with the key that the roster names: safehold board show",
        )
    return _put(file, present, _signed(made, seat, signer), proposal)


def propose_roster(
    client: KeeperClient, home: Path, file: Path, *, seat: str, key: Path
) -> dict[str, Any]:
    """Propose to replace a seat: from then on its notice counts, in which its holder can refuse."""
    place = Home.open(home)
    present, signer = roster_of(place), SigningKey.read(key)
    made, _ = read_roster(file)
    said = Proposal(
        home=place.id,
        about="roster",
        digest=made.digest().hex(),
        version=made.version,
        base=present.digest().hex(),
        roster=present.digest().hex(),
        seat=seat,
        at_us=SystemClock().now_us(),
    )
    answer = client.call(
        "board.propose",
        roster=made.to_json(),
        proposal=said.to_json(),
        signature=b64(propose(said, signer)),
    )
    _put(file, present, made, answer["proposal"])
    return answer


def refuse_roster(client: KeeperClient, index: int, *, seat: str, key: Path) -> dict[str, Any]:
    """Refuse a proposed roster as a seat; its holder's refusal ends the replacement of a seat.

    Raises:
        MissingError: There is no such open proposal.
    """
    for one in client.call("charter.proposals")["proposals"]:
        if one["proposal"] == index and "question" in one:
            asked = Question.from_json(one["question"])
            said = vote(asked, seat, SigningKey.read(key), decision="refuse")
            return client.call("charter.vote", vote=said.to_json())
    raise MissingError("no such open proposal", rule="proposal.open", fix="safehold board show")


def enact_roster(client: KeeperClient, file: Path) -> dict[str, Any]:
    """Let a signed roster follow the present one."""
    made, proposal = read_roster(file)
    return client.call("board.enact", roster=made.to_json(), proposal=proposal)


def read_roster(file: Path) -> tuple[Roster, int | None]:
    """Return the roster in a file, and the leaf of its proposal if it was proposed.

    Raises:
        InvalidError: It is no such file.
    """
    match canonical.decode(file.read_bytes().strip()):
        case {
            "v": "safehold-roster-paper/1",
            "roster": roster,
            "proposal": (int() | None) as proposal,
        }:
            return Roster.from_json(roster), proposal
        case _:
            raise InvalidError("not a drawn-up roster", file=file.name, rule="board.paper")


def _put(file: Path, present: Roster, made: Roster, proposal: int | None) -> dict[str, Any]:
    record = {"v": PAPER_VERSION, "roster": made.to_json(), "proposal": proposal}
    write_paper(file, canonical.encode(record) + b"\n")
    change = change_of(present, made)
    message = made.message()
    before, _ = count(present.seats, ROSTER_DOMAIN, message, made.signatures)
    after, _ = count(made.seats, ROSTER_DOMAIN, message, made.signatures)
    return {
        "file": file.name,
        "version": made.version,
        "change": change.kind,
        "seat": change.seat,
        "signed": sorted(seat.name for seat in before),
        "newcomer_signed": change.seat in {seat.name for seat in after},
        "proposal": proposal,
    }


def _signed(made: Roster, seat: str, key: SigningKey) -> Roster:
    return made.add(Signature(seat=seat, value=key.sign(ROSTER_DOMAIN, made.message())))
