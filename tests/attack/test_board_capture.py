"""Capture of the board: seats that collude, with somebody who can write every file and the control database.

Two seats and that somebody must not widen anything, replace anybody, or bring back what was signed before.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.debating import agree, propose
from tests.devices import keep_control, put_back
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.seated import (
    DAY_S,
    changed,
    founding,
    rotate,
    say,
    signed_roster,
    stated_roster,
    voted,
    wider,
)
from tests.world import raised

from safehold import canonical
from safehold.charter import Charter, Roster, Rosters, load, parse, shipped, sign
from safehold.charter.proposal import Question, vote
from safehold.charter.roster import LIFE_S
from safehold.charter.succession import Terms
from safehold.charter.turnover import next_roster
from safehold.charter.vocabulary import SEATS
from safehold.clock import DAY_US
from safehold.errors import DeniedError, InvalidError, QuorumError, SafeholdError, TamperedError
from safehold.signing import SigningKey

FIVE = ("privacy", "employee_representative", "legal", "hr", "security")
TWO = ("hr", "security")
MALLORY = {seat: SigningKey(bytes([200 + number]) * 32) for number, seat in enumerate(SEATS)}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    charter = founding(notice_s=14 * DAY_S)
    return found_bench(tmp_path_factory.mktemp("made"), charter=charter, people=("ana",))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def enact(bench: Bench, proposal: dict[str, Any]) -> dict[str, Any]:
    return bench.call("charter.enact", proposal=proposal["proposal"])


def rewrite(path: Path, how: Callable[[Any], Any]) -> None:
    tree = canonical.decode(path.read_bytes())
    path.write_bytes(canonical.encode(how(tree) or tree))


def stays_shut(bench: Bench) -> None:
    """Check that a keeper does not start on what lies there now."""
    bench.stop()
    assert isinstance(raised(bench.start), TamperedError | QuorumError)


# -- two seats at the front door ------------------------------------------------------------------


def test_two_seats_cannot_widen_with_whatever_signatures_they_make(bench: Bench) -> None:
    proposal = propose(bench, wider(bench.charter()))
    agree(bench, proposal, *TWO)
    asked = Question.from_json(proposal["question"])
    for seat in SEATS:
        for key in (MALLORY[seat], bench.seats["hr"], bench.seats["security"]):
            if key is not bench.seats[seat]:
                forged = vote(asked, seat, key).to_json()
                error = raised(lambda forged=forged: bench.call("charter.vote", vote=forged))
                assert isinstance(error, TamperedError)
    stranger = vote(asked, "king", MALLORY["hr"]).to_json()
    assert raised(lambda: bench.call("charter.vote", vote=stranger)).rule == "roster.seat"
    bench.clock.advance(20 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)


def test_signatures_over_the_text_alone_change_no_charter(bench: Bench) -> None:
    """What suffices for the first charter of a home is worth nothing for the next, even by all six."""
    new = wider(bench.charter())
    signatures = [
        sign(new, seat, key, home=bench.home.id).to_json() for seat, key in bench.seats.items()
    ]
    error = raised(
        lambda: bench.call("charter.enact", charter=new.to_json(), signatures=signatures)
    )
    assert error.rule == "charter.proposal"


def test_two_seats_replace_nobody(bench: Bench) -> None:
    for seat in SEATS:
        if seat in TWO:
            continue
        present = bench.desk.trust.roster
        new = next_roster(present, seat=seat, person="mallory", key=MALLORY[seat].public)
        signed = signed_roster(new, bench.seats, (seat, MALLORY[seat]))
        error = raised(lambda new=signed: bench.call("board.rotate", roster=new.to_json()))
        assert error.rule == "roster.proposal"  # all of their signatures over the text are none
        said = stated_roster(
            new, old=present, seat="hr", key=bench.seats["hr"], at_us=bench.clock.now_us()
        )
        proposal = bench.call("board.propose", **said)
        agree(bench, proposal, *TWO)
        say(bench.call, proposal["question"], seat, MALLORY[seat])
        for name in SEATS:
            if name not in {*TWO, seat}:
                error = raised(
                    lambda name=name, one=proposal: say(
                        bench.call, one["question"], name, MALLORY[name]
                    )
                )
                assert isinstance(error, TamperedError)
        bench.clock.advance(20 * DAY_US)
        error = raised(lambda one=proposal: bench.call("board.enact", proposal=one["proposal"]))
        assert isinstance(error, QuorumError)
        bench.clock.advance(-20 * DAY_US)
        agree(
            bench,
            proposal,
            "privacy" if seat != "privacy" else "employee_representative",
            decision="refuse",
        )
    assert bench.desk.trust.roster.version == 1


# -- replays --------------------------------------------------------------------------------------


def test_an_old_signed_charter_is_not_replayed(bench: Bench) -> None:
    first = bench.charter()
    second = wider(first)
    proposal = propose(bench, second)
    agree(bench, proposal, *FIVE)
    old_votes = [
        vote(Question.from_json(proposal["question"]), seat, bench.seats[seat]).to_json()
        for seat in FIVE
    ]
    bench.clock.advance(15 * DAY_US)
    enact(bench, proposal)
    bench.desk.trust.deliberation._asks.direction_of = lambda _old, _new: "narrow"
    third = propose(bench, changed(second))  # the board turns back, with one seat
    agree(bench, third, "hr")
    enact(bench, third)
    # the second charter was once signed by all who must: handed in again, it is none of these
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.open"
    for one in old_votes:
        error = raised(lambda one=one: bench.call("charter.vote", vote=one))
        assert error.rule == "proposal.open"
    for old in (first, second):
        error = raised(lambda old=old: propose(bench, old))
        assert error.rule == "charter.version"
        signatures = [
            sign(old, seat, key, home=bench.home.id).to_json() for seat, key in bench.seats.items()
        ]
        error = raised(
            lambda old=old, signatures=signatures: bench.call(
                "charter.enact", charter=old.to_json(), signatures=signatures
            )
        )
        assert isinstance(error, DeniedError)


def test_votes_on_a_lapsed_proposal_do_not_count_for_the_same_text(bench: Bench) -> None:
    new = wider(bench.charter())
    proposal = propose(bench, new)
    agree(bench, proposal, *FIVE)
    old = [vote(Question.from_json(proposal["question"]), seat, bench.seats[seat]) for seat in FIVE]
    bench.clock.advance(80 * DAY_US)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.lapsed"
    again = propose(bench, new)
    for made in old:
        tree = made.to_json()
        tree["question"]["proposal"] = again["proposal"]  # the signature is over the other leaf
        tree["question"]["leaf"] = again["question"]["leaf"]
        error = raised(lambda tree=tree: bench.call("charter.vote", vote=tree))
        assert isinstance(error, TamperedError)
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, again)), QuorumError)


@pytest.mark.parametrize("part", ["home", "leaf", "digest", "base", "roster"])
def test_a_vote_about_anything_else_does_not_count(bench: Bench, part: str) -> None:
    proposal = propose(bench, wider(bench.charter()))
    tree = proposal["question"] | {part: "00" * 32}
    made = vote(Question.from_json(tree), "hr", bench.seats["hr"]).to_json()
    error = raised(lambda: bench.call("charter.vote", vote=made))
    assert error.rule == "proposal.question"


def test_what_another_home_s_board_signed_counts_nothing_here(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same people with the same keys sit on two boards."""
    place = tmp_path_factory.mktemp("other")
    _write_keys(bench, place / "seats")
    other = found_bench(place, charter=founding(notice_s=14 * DAY_S), people=("ana",)).start()
    try:
        there = propose(other, wider(other.charter()))
        votes = [
            vote(Question.from_json(there["question"]), seat, key).to_json()
            for seat, key in other.seats.items()
        ]
        fresh = SigningKey(b"f" * 32)
        rotated = next_roster(other.desk.trust.roster, seat="hr", key=fresh.public)
        rotated = signed_roster(rotated, {"hr": other.seats["hr"]}, ("hr", fresh))
    finally:
        other.stop()
    assert other.seats["hr"].public == bench.seats["hr"].public
    propose(bench, wider(bench.charter()))
    for made in votes:
        assert isinstance(
            raised(lambda made=made: bench.call("charter.vote", vote=made)), SafeholdError
        )
    error = raised(lambda: bench.call("board.rotate", roster=rotated.to_json()))
    assert error.rule == "roster.version"
    bench.stop()
    shutil.copy(other.home.roster_file, bench.home.roster_file)
    assert isinstance(raised(bench.start), TamperedError)
    shutil.copy(other.home.charter_file, bench.home.charter_file)
    assert isinstance(raised(bench.start), TamperedError)


def _write_keys(bench: Bench, folder: Path) -> None:
    folder.mkdir()
    for seat, key in bench.seats.items():
        key.write(folder / f"{seat}.key")


# -- files edited at rest -------------------------------------------------------------------------


def test_a_charter_file_that_two_seats_wrote_is_not_opened(bench: Bench) -> None:
    new = wider(bench.charter())

    def forged(tree: Any) -> Any:
        keys = {**MALLORY, **{seat: bench.seats[seat] for seat in TWO}}
        signatures = [
            sign(new, seat, key, home=bench.home.id).to_json() for seat, key in keys.items()
        ]
        return tree | {"charter": new.to_json(), "signatures": signatures}

    rewrite(bench.home.charter_file, forged)
    stays_shut(bench)


@pytest.mark.parametrize("beside", [False, True])
def test_a_roster_file_that_two_seats_wrote_is_not_opened(bench: Bench, *, beside: bool) -> None:
    present = bench.desk.trust.roster
    new = next_roster(present, seat="privacy", person="mallory", key=MALLORY["privacy"].public)
    mine_and_theirs = MALLORY | {seat: bench.seats[seat] for seat in TWO}
    votes = [one.to_json() for one in voted(present, new, *mine_and_theirs.items())]
    mine = {seat: (f"m-{seat}", key.public) for seat, key in MALLORY.items()}
    board = Roster.draft(mine, home=bench.home.id, now_s=present.expires_s - LIFE_S)
    board = signed_roster(board, MALLORY)
    whole = bench.home.roster_file.read_bytes()
    target = bench.home.roster_file.with_suffix(".next" if beside else ".json")
    for rosters in ([present, new], [board], [board, new], []):
        tree = {
            "v": "safehold-rosters/2",
            "rosters": [
                {"roster": one.to_json(), "votes": votes if one is new else []} for one in rosters
            ],
        }
        target.write_bytes(canonical.encode(tree))
        if beside and rosters == [board]:  # sound by itself, but not what the ledger names: no harm
            bench.restart()
            assert bench.desk.trust.roster.digest() == present.digest()
        else:
            stays_shut(bench)
    target.unlink()
    bench.home.roster_file.write_bytes(whole)
    bench.start()


def test_a_sound_chain_that_the_ledger_does_not_name_is_not_opened(bench: Bench) -> None:
    """A holder can sign a rotation; without its leaf, a file says nothing."""
    fresh = SigningKey(b"f" * 32)
    new = next_roster(bench.desk.trust.roster, seat="hr", key=fresh.public)
    new = signed_roster(new, {"hr": bench.seats["hr"]}, ("hr", fresh))
    chain, _ = bench.desk.trust.board.rosters.follow(new, terms=Terms(notice=False))
    bench.home.roster_file.write_bytes(canonical.encode(chain.to_json()))
    stays_shut(bench)


def test_older_files_are_not_put_back(bench: Bench) -> None:
    old_roster = bench.home.roster_file.read_bytes()
    old_charter = bench.home.charter_file.read_bytes()
    rotate(bench.call, bench.desk.trust, "hr", bench.seats["hr"], SigningKey(b"f" * 32))
    bench.desk.trust.deliberation._asks.direction_of = lambda _old, _new: "narrow"
    proposal = propose(bench, wider(bench.charter()), seat="legal")
    agree(bench, proposal, "legal")
    enact(bench, proposal)
    bench.stop()
    roster, charter = bench.home.roster_file.read_bytes(), bench.home.charter_file.read_bytes()
    bench.home.roster_file.write_bytes(old_roster)  # would bring the old key of hr back
    assert raised(bench.start).rule == "trust.roster"
    bench.home.roster_file.write_bytes(roster)
    bench.home.charter_file.write_bytes(old_charter)
    assert raised(bench.start).rule == "trust.charter"
    bench.home.charter_file.write_bytes(charter)
    bench.start()
    assert bench.charter().version == 2


def test_a_backup_of_the_whole_home_does_not_undo_a_decision(bench: Bench, tmp_path: Path) -> None:
    """The ledger and every file from before a narrowing; the witness outside knows more."""
    bench.stop()
    shutil.copytree(bench.home.path, tmp_path / "backup")
    bench.start()
    bench.desk.trust.deliberation._asks.direction_of = lambda _old, _new: "narrow"
    proposal = propose(bench, wider(bench.charter()), seat="legal")
    agree(bench, proposal, "legal")
    enact(bench, proposal)
    bench.stop()
    shutil.rmtree(bench.home.path)
    shutil.copytree(tmp_path / "backup", bench.home.path)
    assert isinstance(raised(bench.start), TamperedError)


# -- the control database -------------------------------------------------------------------------


def test_the_control_database_has_no_say_in_the_board(bench: Bench, tmp_path: Path) -> None:
    bench.stop()
    old = keep_control(bench, tmp_path / "old.db")
    bench.start()
    proposal = propose(bench, wider(bench.charter()))
    agree(bench, proposal, *FIVE[:4])
    before = bench.call("charter.proposals")
    bench.stop()
    put_back(bench, old)  # from before the proposal
    bench.start()
    assert bench.call("charter.proposals") == before
    bench.stop()
    with sqlite3.connect(bench.home.control) as base:
        told = "\n".join(base.iterdump()).encode()
    base.close()
    for word in (b"proposal", b"roster", b"employee_representative"):
        assert word not in told
    bench.start()
    bench.clock.advance(20 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)


# -- no exception for anybody (S13) -----------------------------------------------------------------


def test_no_charter_exempts_a_person_or_a_level(bench: Bench) -> None:
    text = shipped("demo").read_text("utf-8")
    for line in ("exempt: [ceo]", "except_for: [executives]", "opt_out_for: {executives: true}"):
        spoilt = text.replace("participation:\n", f"participation:\n  {line}\n", 1)
        assert spoilt != text
        with pytest.raises(InvalidError):
            parse(spoilt)
        with pytest.raises(InvalidError):
            parse(f"{text}\n{line}\n")
    tree = load(shipped("demo")).to_json()
    tree["participation"]["exempt"] = ["ceo"]
    with pytest.raises(InvalidError):
        Charter.from_json(tree)
    assert bench.charter().participation.applies_equally_to


def test_no_verb_sets_a_person_apart(bench: Bench) -> None:
    """Whoever asks for an exception in the words of an enrolment or a choice is refused, and nothing is written."""
    size = bench.desk.ledger.size
    base = {"person": "ceo", "jurisdiction": "US-CA", "streams": ["key"]}
    # an executive is counted as one, and recorded like everybody: no other word of rank is taken
    for more in (
        {"exempt": True},
        {"override": "never"},
        {"level": "owner"},
        {"rank": "executive"},
    ):
        error = raised(
            lambda more=more: bench.call("people.enrol", people=[base | more], evidence="e")
        )
        assert isinstance(error, InvalidError)
    for choice in ("exempt", "override", "hide"):
        error = raised(
            lambda choice=choice: bench.call("people.choose", person="ana", choice=choice)
        )
        assert isinstance(error, SafeholdError)
    assert bench.desk.ledger.size == size
    assert not [name for name in bench.verbs.table() if "exempt" in name or "override" in name]


def test_the_chain_alone_proves_itself(bench: Bench) -> None:
    """Whoever has the roster file can check it without this keeper."""
    tree = canonical.decode(bench.home.roster_file.read_bytes())
    assert Rosters.open(tree).present.digest() == bench.desk.trust.roster.digest()
