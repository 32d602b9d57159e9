"""What the command line does with proposals to change the charter; seat keys stay on this side.

A proposal has a paper beside the charter: what the seats are asked, and where that stands in the ledger. A seat signs
on a machine of its own, which needs charter, paper and key, and no home; handing a vote in is a step of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.paper import write_paper
from safehold.canonical import b64
from safehold.charter import Charter, Roster, Rosters, load
from safehold.charter.proposal import Proposal, Question, Vote, propose, vote
from safehold.clock import SystemClock
from safehold.errors import InvalidError, MissingError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.signing import SigningKey

PAPER_VERSION: Final = "safehold-proposal-paper/1"
VOTES_VERSION: Final = "safehold-votes/1"


def propose_charter(
    client: KeeperClient, home: Path, path: Path, *, seat: str, key: Path
) -> dict[str, Any]:
    """Propose a charter as a seat, agree to it with that seat, and write the paper beside it.

    Raises:
        DeniedError: It is not newer than the one in force, or that one has changed.
    """
    place, charter, signer = Home.open(home), load(path), SigningKey.read(key)
    base, roster = _in_force(place), _roster(place)
    _check_key(roster, seat, signer)
    said = Proposal(
        home=place.id,
        about="charter",
        digest=charter.digest().hex(),
        version=charter.version,
        base=base.digest().hex(),
        roster=roster.digest().hex(),
        seat=seat,
        at_us=SystemClock().now_us(),
    )
    answer = client.call(
        "charter.propose",
        charter=charter.to_json(),
        proposal=said.to_json(),
        signature=b64(propose(said, signer)),
    )
    question = Question.from_json(answer["question"])
    write_paper(
        paper_file(path),
        canonical.encode(
            {
                "v": PAPER_VERSION,
                "question": question.to_json(),
            }
        )
        + b"\n",
    )
    return {
        **client.call("charter.vote", vote=vote(question, seat, signer).to_json()),
        "file": paper_file(path).name,
    }


def sign_votes(
    home: Home, path: Path, charter: Charter, roster: Roster, keys: Mapping[str, SigningKey]
) -> dict[str, Any]:
    """Add votes to the file beside a charter, without asking a keeper.

    Raises:
        MissingError: It was not proposed, or its paper is not here.
        InvalidError: A key does not speak for its seat.
    """
    for name, key in keys.items():
        _check_key(roster, name, key)
    return _add_votes(path, charter, _question(home, path, charter, roster), keys)


def sign_by_paper(path: Path, charter: Charter, keys: Mapping[str, SigningKey]) -> dict[str, Any]:
    """Add votes to the file beside a charter where there is no home, as the paper asks.

    Whether a key speaks for its seat is seen when the vote is handed in.

    Raises:
        MissingError: Its paper is not here.
    """
    return _add_votes(path, charter, _asked(path, charter), keys)


def _add_votes(
    path: Path, charter: Charter, asked: Question, keys: Mapping[str, SigningKey]
) -> dict[str, Any]:
    held = {one.seat: one for one in read_votes(votes_file(path), asked)}
    held |= {name: vote(asked, name, key) for name, key in keys.items()}
    write_votes(votes_file(path), list(held.values()))
    return {
        "charter": charter.id,
        "version": charter.version,
        "proposal": asked.proposal,
        "signed": sorted(held),
        "file": votes_file(path).name,
    }


def refuse_charter(
    client: KeeperClient, home: Path, path: Path, *, seat: str, key: Path
) -> dict[str, Any]:
    """Refuse a proposal as a seat; it counts at once, and stands."""
    place, charter, signer = Home.open(home), load(path), SigningKey.read(key)
    roster = _roster(place)
    _check_key(roster, seat, signer)
    said = vote(_question(place, path, charter, roster), seat, signer, decision="refuse")
    return client.call("charter.vote", vote=said.to_json())


def hand_in(client: KeeperClient, home: Path, path: Path) -> dict[str, Any]:
    """Hand the votes beside a charter to the keeper; those it has already count once.

    Raises:
        MissingError: It was not proposed, or nobody has signed.
    """
    place, charter = Home.open(home), load(path)
    asked = _question(place, path, charter, _roster(place))
    votes = read_votes(votes_file(path), asked)
    if not votes:
        raise MissingError(
            "no votes lie beside this charter", rule="charter.votes", fix="safehold charter sign"
        )
    answer: dict[str, Any] = {}
    for one in votes:
        answer = client.call("charter.vote", vote=one.to_json())
    return answer


def enact_proposal(client: KeeperClient, home: Path, path: Path) -> dict[str, Any]:
    """Hand in what lies beside a charter, and put it in force.

    Raises:
        QuorumError: Too few seats agree.
        DeniedError: Its notice is not over, or it has lapsed.
    """
    place, charter = Home.open(home), load(path)
    asked = _question(place, path, charter, _roster(place))
    if read_votes(votes_file(path), asked):
        hand_in(client, home, path)
    return client.call("charter.enact", proposal=asked.proposal)


def paper_file(path: Path) -> Path:
    """Return the file beside a charter that says where its proposal stands."""
    return path.with_name(path.name + ".proposal.json")


def votes_file(path: Path) -> Path:
    """Return the file beside a charter that gathers votes."""
    return path.with_name(path.name + ".votes.json")


def read_votes(file: Path, asked: Question) -> list[Vote]:
    """Return the gathered votes on this very question; those on another are left out.

    Raises:
        InvalidError: It is no file of votes.
    """
    if not file.exists():
        return []
    match canonical.decode(file.read_bytes().strip()):
        case {"v": "safehold-votes/1", "votes": list(votes)}:
            found = [Vote.from_json(one) for one in votes]
            return [one for one in found if one.question == asked]
        case _:
            raise InvalidError("not a file of votes", file=file.name, rule="charter.votes")


def write_votes(file: Path, votes: list[Vote]) -> None:
    """Write the gathered votes."""
    record = {
        "v": VOTES_VERSION,
        "votes": [one.to_json() for one in sorted(votes, key=lambda one: one.seat)],
    }
    write_paper(file, canonical.encode(record) + b"\n")


def _question(home: Home, path: Path, charter: Charter, roster: Roster) -> Question:
    """Return what the seats are asked now; the board may have changed since the paper was written."""
    asked = _asked(path, charter)
    return replace(
        asked,
        home=home.id,
        base=_in_force(home).digest().hex(),
        roster=roster.digest().hex(),
    )


def _asked(path: Path, charter: Charter) -> Question:
    """Return what the paper beside a charter asks."""
    paper = paper_file(path)
    if not paper.exists():
        raise MissingError(
            "another charter is in force, and this one was not proposed",
            rule="charter.proposal",
            fix="safehold charter propose; seats elsewhere need the paper it writes beside the charter",
        )
    match canonical.decode(paper.read_bytes().strip()):
        case {"v": "safehold-proposal-paper/1", "question": question}:
            asked = Question.from_json(question)
        case _:
            raise InvalidError(
                "not a paper of a proposal", file=paper.name, rule="charter.proposal"
            )
    if asked.digest != charter.digest().hex():
        raise InvalidError(
            "the paper is about another text of this charter",
            file=paper.name,
            rule="charter.proposal",
            fix="propose this text: safehold charter propose",
        )
    return asked


def _in_force(home: Home) -> Charter:
    if not home.charter_file.exists():
        raise MissingError(
            "no charter is in force; the first one is signed and enacted without a proposal",
            rule="charter.unsigned",
            fix="safehold charter sign, then safehold run --charter",
        )
    return Charter.from_json(canonical.decode(home.charter_file.read_bytes())["charter"])


def _roster(home: Home) -> Roster:
    return Rosters.open(canonical.decode(home.roster_file.read_bytes())).present


def _check_key(roster: Roster, seat: str, key: SigningKey) -> None:
    if roster.seat(seat).key != key.public:
        raise InvalidError(
            f"this key does not speak for {seat}",
            rule="charter.seat",
            fix="sign with the key that the roster names: safehold board show",
        )
