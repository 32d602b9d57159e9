"""What the command line does with the board itself; seat keys stay on this side.

A change of the board is drawn up in a paper. Once it is proposed, the paper says what the seats are asked, and goes
from seat to seat: each adds its vote on a machine of its own, which needs the paper and the key, and no home.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.charters import roster_of
from safehold.app.paper import write_paper
from safehold.app.witnesses import NEXT, drawn_up, settle
from safehold.canonical import b64
from safehold.charter import Roster, Signature
from safehold.charter.proposal import Proposal, Question, Vote, propose, vote
from safehold.charter.roster import DAY_S, ROSTER_DOMAIN
from safehold.charter.turnover import Change, change_of, follow_up, next_roster
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import InvalidError, MissingError
from safehold.keeper.client import KeeperClient
from safehold.keeper.panel import pinned_of
from safehold.ledger import Witness
from safehold.settings import Home
from safehold.signing import SigningKey, speaking_key

PAPER_VERSION: Final = "safehold-roster-paper/2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A change of the board on paper.

    Args:
        home: Id of the home.
        change: What changes.
        question: What the seats are asked, once it is proposed.
        votes: What they said.
    """

    home: str
    change: Change
    question: Question | None = None
    votes: tuple[Vote, ...] = ()

    def asked(self) -> Question:
        """Return what the seats are asked.

        Raises:
            MissingError: It was not proposed.
        """
        if self.question is None:
            raise MissingError(
                "this change was not proposed yet", rule="board.paper", fix="safehold board propose"
            )
        return self.question


def new_key(file: Path) -> dict[str, Any]:
    """Make a key for a seat and return its public half; the file is its holder's alone.

    Raises:
        InvalidError: There is a file of that name.
    """
    if file.exists():
        raise InvalidError(
            "there is such a file already",
            file=file.name,
            rule="board.key",
            fix="choose another name",
        )
    SigningKey.generate().write(file)
    key = SigningKey.read(file).public
    return {"file": file.name, "public": key.text(), "key": key.key_id}


def rotate(client: KeeperClient, home: Path, *, seat: str, old: Path, new: Path) -> dict[str, Any]:
    """Give a seat another key, signed by the old one and the new one; the old one is dead at once."""
    present = roster_of(Home.open(home))
    keys = [SigningKey.read(old), SigningKey.read(new)]
    made = next_roster(present, seat=seat, key=keys[1].public)
    for key in keys:
        made = made.add(Signature(seat=seat, value=key.sign(ROSTER_DOMAIN, made.message())))
    return client.call("board.rotate", roster=made.to_json())


def draw_replacement(
    home: Path, file: Path, *, seat: str, person: str, public: str
) -> dict[str, Any]:
    """Draw up that somebody else holds a seat, with a key of their own."""
    present = roster_of(Home.open(home))
    made = next_roster(present, seat=seat, person=person, key=speaking_key(public))
    return _draw(file, present, made)


def draw_renewal(home: Path, file: Path, *, days: int) -> dict[str, Any]:
    """Draw up that the roster expires so many days from now."""
    present = roster_of(Home.open(home))
    expires = SystemClock().now_us() // SECOND_US + days * DAY_S
    return _draw(file, present, next_roster(present, expires_s=expires))


def draw_witnesses(home: Path, file: Path) -> dict[str, Any]:
    """Draw up that a notice counts by the witnesses that the home's list has now.

    Raises:
        InvalidError: The board has named these already.
    """
    place = Home.open(home)
    present = roster_of(place)
    named = pinned_of(drawn_up(place), Witness(place.witness).vkeys)
    if named == present.pinned:
        raise InvalidError(
            "the board has named these witnesses already",
            rule="board.witnesses",
            fix="draw up others first: safehold ledger witness add",
        )
    return _draw(file, present, next_roster(present, pinned=named))


def propose_roster(
    client: KeeperClient, home: Path, file: Path, *, seat: str, key: Path
) -> dict[str, Any]:
    """Propose a change of the board and agree to it with that seat; if it has a notice, that begins."""
    place = Home.open(home)
    present, signer = roster_of(place), SigningKey.read(key)
    paper = read_paper(file)
    _check_key(present, paper.change, seat, signer)
    follow_up(present, paper.change)
    said = Proposal(
        home=place.id,
        about="roster",
        digest=paper.change.digest(place.id).hex(),
        version=present.version + 1,
        base=present.standing().hex(),
        roster=present.digest().hex(),
        seat=seat,
        at_us=SystemClock().now_us(),
    )
    answer = client.call(
        "board.propose",
        change=paper.change.to_json(),
        proposal=said.to_json(),
        signature=b64(propose(said, signer)),
    )
    question = Question.from_json(answer["question"])
    write(file, replace(paper, question=question, votes=()))
    if seat != paper.change.seat:  # the seat that is replaced does not decide about itself
        answer = client.call("charter.vote", vote=vote(question, seat, signer).to_json())
    return {**answer, "file": file.name}


def sign_paper(home: Path, file: Path, *, seat: str, key: Path) -> dict[str, Any]:
    """Agree to a proposed change as a seat of the present board, or as the one who takes a seat.

    Without a home here, whether a key speaks for its seat is seen when the vote is handed in.

    Raises:
        InvalidError: The key speaks for the seat on neither board.
        MissingError: The change was not proposed.
    """
    paper, signer = read_paper(file), SigningKey.read(key)
    if (home / "home.json").exists():
        _check_key(roster_of(Home.open(home)), paper.change, seat, signer)
    made = vote(paper.asked(), seat, signer)
    votes = [one for one in paper.votes if one.seat != seat]
    write(file, replace(paper, votes=(*votes, made)))
    return {
        "file": file.name,
        "change": paper.change.kind,
        "seat": paper.change.seat,
        "proposal": paper.asked().proposal,
        "signed": sorted({one.seat for one in votes} | {seat}),
    }


def hand_in(client: KeeperClient, file: Path) -> dict[str, Any]:
    """Hand the votes on a paper to the keeper; those it has already count once.

    Raises:
        MissingError: It was not proposed, or nobody has signed.
    """
    paper = read_paper(file)
    if not paper.votes:
        raise MissingError(
            "nobody has signed this paper", rule="board.paper", fix="safehold board sign"
        )
    return _hand_in(client, paper.votes)


def refuse_roster(client: KeeperClient, index: int, *, seat: str, key: Path) -> dict[str, Any]:
    """Refuse a proposed change as a seat; a holder who refuses to be replaced makes it take everybody else.

    Raises:
        MissingError: There is no such open proposal.
    """
    for one in client.call("charter.proposals")["proposals"]:
        if one["proposal"] == index and "question" in one:
            asked = Question.from_json(one["question"])
            said = vote(asked, seat, SigningKey.read(key), decision="refuse")
            return client.call("charter.vote", vote=said.to_json())
    raise MissingError("no such open proposal", rule="proposal.open", fix="safehold board show")


def enact_roster(client: KeeperClient, home: Path, file: Path) -> dict[str, Any]:
    """Hand in the votes on a paper, and let its change take effect; witnesses that were named are asked from then on.

    Raises:
        QuorumError: Too few seats agree.
        DeniedError: Its notice is not over, or it has lapsed.
    """
    paper = read_paper(file)
    _hand_in(client, paper.votes)
    answer = client.call("board.enact", proposal=paper.asked().proposal)
    if paper.change.kind == "witnesses":
        settle(Home.open(home))
        answer["next"] = NEXT
    return answer


def read_paper(file: Path) -> Paper:
    """Return what is on a paper.

    Raises:
        InvalidError: It is no such file.
    """
    match canonical.decode(file.read_bytes().strip()):
        case {
            "v": "safehold-roster-paper/2",
            "home": str(home),
            "change": change,
            "question": question,
            "votes": list(votes),
        }:
            paper = Paper(
                home=home,
                change=Change.from_json(change),
                question=None if question is None else Question.from_json(question),
                votes=tuple(Vote.from_json(one) for one in votes),
            )
        case _:
            raise InvalidError(
                "not a drawn-up change of the board",
                file=file.name,
                rule="board.paper",
                fix="safehold board replace, renew or witnesses",
            )
    if paper.question is not None and paper.question.digest != paper.change.digest(home).hex():
        raise InvalidError(
            "the paper asks about another change than it shows",
            file=file.name,
            rule="board.paper",
            fix="ask whoever proposed it for the paper",
        )
    return paper


def write(file: Path, paper: Paper) -> None:
    """Write a paper."""
    record = {
        "v": PAPER_VERSION,
        "home": paper.home,
        "change": paper.change.to_json(),
        "question": None if paper.question is None else paper.question.to_json(),
        "votes": [one.to_json() for one in sorted(paper.votes, key=lambda one: one.seat)],
    }
    write_paper(file, canonical.encode(record) + b"\n")


def _draw(file: Path, present: Roster, made: Roster) -> dict[str, Any]:
    change = change_of(present, made)
    write(file, Paper(home=present.home, change=change))
    return {
        "file": file.name,
        "version": made.version,
        "change": change.kind,
        "seat": change.seat,
        "next": "safehold board propose",
    }


def _hand_in(client: KeeperClient, votes: Sequence[Vote]) -> dict[str, Any]:
    answer: dict[str, Any] = {}
    for one in votes:
        answer = client.call("charter.vote", vote=one.to_json())
    return answer


def _check_key(present: Roster, change: Change, seat: str, key: SigningKey) -> None:
    newcomer = change.newcomer()
    known = {present.seat(seat).key}
    if newcomer is not None and newcomer.name == seat:
        known.add(newcomer.key)
    if key.public not in known:
        raise InvalidError(
            f"this key does not speak for {seat}",
            rule="charter.seat",
            fix="sign with the key that the roster names: safehold board show",
        )
