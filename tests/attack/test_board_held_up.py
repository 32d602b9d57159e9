"""One key against the board: whoever edits the list of witnesses, rotates without end, refuses to go, or blinds the watch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.seated import (
    DAY_S,
    asked,
    changed,
    founding,
    rotate,
    say,
    stated,
    stated_roster,
    wider,
)
from tests.world import outside, raised

from safehold import canonical
from safehold.app import witnesses
from safehold.charter.board import VETO
from safehold.charter.proposal import Question, vote
from safehold.charter.turnover import next_roster
from safehold.charter.vocabulary import SEATS
from safehold.clock import DAY_US, SECOND_US, FixedClock
from safehold.errors import QuorumError, UnavailableError
from safehold.keeper.panel import pinned_of
from safehold.ledger import Entry, Panel, Witness
from safehold.ledger.panel import Remote
from safehold.ledger.web import WebServer
from safehold.ledger.witness_server import WitnessService
from safehold.signing import SigningKey
from safehold_verify import VerificationError, verify_log

FIVE = ("privacy", "employee_representative", "legal", "hr", "security")
FRESH = SigningKey(b"f" * 32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    charter = founding(notice_s=14 * DAY_S)
    return found_bench(tmp_path_factory.mktemp("made"), charter=charter, people=("ana",))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def propose(bench: Bench, charter: Any, seat: str = "hr") -> dict[str, Any]:
    trust = bench.desk.trust
    said = stated(
        charter,
        home=bench.home.id,
        base=trust.digest(),
        roster=trust.roster,
        seat=seat,
        key=bench.seats[seat],
        at_us=bench.clock.now_us(),
    )
    return bench.call("charter.propose", **said)


def propose_change(bench: Bench, by: str, **change: Any) -> dict[str, Any]:
    present = bench.desk.trust.roster
    said = stated_roster(
        next_roster(present, **change),
        old=present,
        seat=by,
        key=bench.seats[by],
        at_us=bench.clock.now_us(),
    )
    return bench.call("board.propose", **said)


def agree(bench: Bench, proposal: dict[str, Any], *seats: str, decision: str = "sign") -> None:
    for seat in seats:
        say(bench.call, proposal["question"], seat, bench.seats[seat], decision)


def enact(bench: Bench, proposal: dict[str, Any]) -> dict[str, Any]:
    verb = "charter.enact" if proposal["about"] == "charter" else "board.enact"
    return bench.call(verb, proposal=proposal["proposal"])


# -- whose clocks count -----------------------------------------------------------------------------


@contextmanager
def accomplice(bench: Bench, path: Path) -> Iterator[Remote]:
    """Keep a witness whose clock runs thirty days ahead, and yield how it is reached."""
    log = bench.desk.ledger.policy_keys[0]
    clock = FixedClock(bench.clock.now_us() + 30 * DAY_US)
    witness = Witness.create(path / "own", name="own.example", logs=[log], clock=clock)
    with WebServer(WitnessService(witness), "127.0.0.1:0").running() as url:
        yield Remote(name="own", url=url, vkeys=witness.vkeys, seat="employee_representative")


def slip_in(bench: Bench, one: Remote) -> None:
    """Write a list of witnesses as whoever runs the machine can, and start the keeper again."""
    bench.stop()
    Panel(remote=(one,), quorum=1).write(bench.home.witnesses_file)
    bench.start()


def test_a_witness_of_ones_own_counts_no_notice(bench: Bench, tmp_path: Path) -> None:
    proposal = propose(bench, wider(bench.charter()))
    agree(bench, proposal, *FIVE)
    with accomplice(bench, tmp_path) as own:
        slip_in(bench, own)
        later = propose(bench, wider(bench.charter(), days=40), seat="legal")
        agree(bench, later, *FIVE)
        assert "audit.witnesses" in [one.clause for one in bench.verbs.drift.check()]
        deliberation = bench.desk.trust.deliberation
        for one in (proposal["proposal"], later["proposal"]):
            error = raised(lambda one=one: bench.call("charter.enact", proposal=one))
            assert error.rule == "drift.audit.witnesses"
            # and were nobody to compare the lists: the witnesses that the board named say what time it is
            now_s = deliberation.time_for(one)
            error = raised(lambda one=one, now_s=now_s: deliberation.enact(one, now_s))
            assert error.rule == "proposal.notice"
        bench.stop()


def test_a_witness_of_ones_own_lets_nothing_be_opened(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Strict mode: the witness that the board named gets no head, and the accomplice would cosign anything."""
    bench.take("ana")
    real = Witness.add_checkpoint

    def cut(witness: Witness, *arguments: Any) -> Any:
        if witness.name.startswith("local-witness/"):
            raise UnavailableError("the line is cut", rule="test")
        return real(witness, *arguments)

    with accomplice(bench, tmp_path) as own:
        slip_in(bench, own)
        monkeypatch.setattr(Witness, "add_checkpoint", cut)
        before = len(bench.workshop.packed)
        error = raised(lambda: bench.call("feature", purpose="train_ui_agent"))
        assert (error.rule, error.message) == (
            "ledger.strict",
            "other witnesses than those that the board named have cosigned",
        )
        assert len(bench.workshop.packed) == before
        bench.stop()


def test_a_home_whose_list_was_edited_records_nothing_though_it_is_made_up(
    tmp_path: Path,
) -> None:
    bench = found_bench(tmp_path, synthetic=True, people=("ana",)).start()
    try:
        bench.verbs.drift.require_none()
        with accomplice(bench, tmp_path) as own:
            slip_in(bench, own)
            assert raised(bench.verbs.drift.require_none).rule == "drift.audit.witnesses"
            bench.stop()
    finally:
        bench.stop()


def test_a_list_that_is_edited_while_the_keeper_runs_is_noticed(bench: Bench) -> None:
    proposal = propose(bench, wider(bench.charter()))
    agree(bench, proposal, *FIVE)
    bench.clock.advance(15 * DAY_US)
    bench.home.witnesses_file.write_bytes(b"{}")
    assert "audit.witnesses" in [one.clause for one in bench.verbs.drift.check()]
    assert raised(lambda: enact(bench, proposal)).rule == "drift.audit.witnesses"
    bench.home.witnesses_file.unlink()
    assert enact(bench, proposal)["direction"] == "widen"


def test_narrowing_asks_no_witness(bench: Bench) -> None:
    bench.home.witnesses_file.write_bytes(b"{}")
    narrower = propose(bench, wider(bench.charter(), days=2), seat="ml_lead")
    agree(bench, narrower, "ml_lead")
    assert enact(bench, narrower)["direction"] == "narrow"


def test_another_local_witness_is_not_the_one_that_the_board_named(bench: Bench) -> None:
    """Whoever can write outside the home makes its witness anew, with a clock of their own."""
    proposal = propose(bench, wider(bench.charter()))
    agree(bench, proposal, *FIVE)
    named = bench.desk.trust.roster.pinned
    assert pinned_of(bench.desk.panel, bench.desk.local) == named
    bench.desk.local = ("another", "key")
    assert raised(lambda: enact(bench, proposal)).rule == "drift.audit.witnesses"


def test_a_notice_counts_by_the_witnesses_of_its_own_time(bench: Bench, tmp_path: Path) -> None:
    """Five name a witness that lies; what was proposed before is still counted by those that were named then."""
    with accomplice(bench, tmp_path) as own:
        panel = Panel(remote=(own,), quorum=1)
        named = pinned_of(panel, bench.desk.local)
        change = propose_change(bench, "legal", pinned=named)
        agree(bench, change, *FIVE)
        assert raised(lambda: enact(bench, change)).rule == "proposal.notice"
        bench.clock.advance(10 * DAY_US)
        before = propose(bench, wider(bench.charter()))
        agree(bench, before, *FIVE)
        bench.clock.advance(5 * DAY_US)
        assert enact(bench, change)["change"] == "witnesses"
        assert "audit.witnesses" in [one.clause for one in bench.verbs.drift.check()]
        with outside(bench.path):
            witnesses.add(bench.home, own)
            witnesses.require(bench.home, quorum=1, strict=None)
        bench.restart()  # the list follows what the board has named
        assert "audit.witnesses" not in [one.clause for one in bench.verbs.drift.check()]
        assert raised(lambda: enact(bench, before)).rule == "proposal.notice"
        after = propose(bench, wider(bench.charter(), days=40), seat="legal")
        agree(bench, after, *FIVE)
        assert enact(bench, after)["direction"] == "widen"  # what the board asked for
        bench.stop()


@pytest.mark.parametrize("seats", [FIVE[:4], [seat for seat in SEATS if seat != "privacy"]])
def test_too_few_name_no_witnesses(bench: Bench, seats: list[str]) -> None:
    """Not even a quorum that only gets stricter."""
    local = Witness(bench.home.witness).vkeys
    own = Remote(name="own", url="https://own.example", vkeys=("k", "l"))
    named = pinned_of(Panel(remote=(own,), quorum=2), local)
    change = propose_change(bench, "legal", pinned=named)
    agree(bench, change, *seats)
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, change)), QuorumError)


# -- a vote is about one proposal ---------------------------------------------------------------------


def replacing(bench: Bench, gone: str, *seats: str, fresh: SigningKey = FRESH) -> dict[str, Any]:
    proposal = propose_change(bench, seats[0], seat=gone, person="eve", key=fresh.public)
    agree(bench, proposal, *seats)
    say(bench.call, proposal["question"], gone, fresh)
    return proposal


def test_who_signed_and_then_refused_counts_no_longer(bench: Bench) -> None:
    four = ("privacy", "employee_representative", "legal", "ml_lead")
    proposal = replacing(bench, "security", *four)
    agree(bench, proposal, "legal", decision="refuse")
    assert "legal" not in asked(bench.call, proposal["proposal"])["signed"]
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)
    agree(bench, proposal, "hr")
    assert enact(bench, proposal)["change"] == "replace"


def test_what_was_said_to_one_proposal_counts_for_no_later_one(bench: Bench) -> None:
    four = ("privacy", "employee_representative", "legal", "ml_lead")
    old = replacing(bench, "security", *four)
    agree(bench, old, "privacy", decision="refuse")  # that ends it
    bench.clock.advance(SECOND_US)
    again = propose_change(bench, "legal", seat="security", person="eve", key=FRESH.public)
    assert (again["digest"], again["signed"]) == (old["digest"], [])
    assert not again["newcomer_signed"]
    earlier = Question.from_json(old["question"])
    for moved in (earlier, replace(earlier, proposal=again["proposal"])):
        for seat, key in ((seat, bench.seats[seat]) for seat in four):
            said = vote(moved, seat, key).to_json()
            error = raised(lambda said=said: bench.call("charter.vote", vote=said))
            assert error.rule in {"proposal.open", "proposal.question"}
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, again)), QuorumError)


def test_a_chain_that_names_another_proposal_is_not_opened(bench: Bench) -> None:
    """The votes on a lapsed proposal of the same text, put into the file in place of those that counted."""
    five = ("privacy", "employee_representative", "legal", "ml_lead", "hr")
    old = replacing(bench, "security", *five[:4])
    votes = list(
        bench.desk.trust.deliberation._proposals.votes(
            bench.desk.trust.deliberation._proposals.get(old["proposal"])
        )
    )
    agree(bench, old, "privacy", decision="refuse")
    bench.clock.advance(SECOND_US)
    enact(bench, replacing(bench, "security", *five))
    bench.stop()
    tree = canonical.decode(bench.home.roster_file.read_bytes())
    tree["rosters"][1]["votes"] = [one.to_json() for one in votes]
    bench.home.roster_file.write_bytes(canonical.encode(tree))
    assert raised(bench.start).rule == "trust.roster"


# -- a key that is rotated without end ----------------------------------------------------------------


def spin(bench: Bench, seat: str, times: int = 2) -> None:
    """Rotate a seat's key again and again, as a thief of it can."""
    for number in range(times):
        fresh = SigningKey(bytes([200 + number]) * 32)
        rotate(bench.call, bench.desk.trust, seat, bench.seats[seat], fresh)
        bench.seats[seat] = fresh


@pytest.mark.parametrize("thief", ["hr", "security", "privacy"])
def test_rotating_neither_ends_nor_delays_what_is_proposed(bench: Bench, thief: str) -> None:
    others = ("privacy", "employee_representative", "legal", "ml_lead", "hr")
    four = [seat for seat in others if seat != thief][:4]
    proposal = propose_change(bench, "legal", seat=thief, person="eve", key=FRESH.public)
    drawn = next_roster(bench.desk.trust.roster, expires_s=bench.today * DAY_S + 380 * DAY_S)
    said = stated_roster(
        drawn,
        old=bench.desk.trust.roster,
        seat="ml_lead",
        key=bench.seats["ml_lead"],
        at_us=bench.clock.now_us(),
    )
    agree(bench, proposal, *four[:2])
    spin(bench, thief)
    agree(bench, proposal, *four[2:])  # signed before the rotation, handed in after it
    say(bench.call, proposal["question"], thief, FRESH)
    renewal = bench.call("board.propose", **said)  # drawn up before, proposed after
    assert renewal["proposal"] in [
        one["proposal"] for one in bench.call("charter.proposals")["proposals"]
    ]
    bench.clock.advance(14 * DAY_US + 60 * SECOND_US)
    bench.restart()
    assert enact(bench, proposal)["change"] == "replace"
    assert bench.desk.trust.roster.seat(thief).person == "eve"


def test_rotating_delays_no_charter(bench: Bench) -> None:
    proposal = propose(bench, wider(bench.charter()), seat="legal")
    spin(bench, "ml_lead")
    agree(bench, proposal, *FIVE)
    bench.clock.advance(15 * DAY_US)
    assert enact(bench, proposal)["direction"] == "widen"


def test_a_vote_under_a_roster_of_before_the_proposal_or_of_nobody_counts_for_nothing(
    bench: Bench,
) -> None:
    first = bench.desk.trust.roster.digest().hex()
    spin(bench, "ml_lead")
    proposal = propose(bench, wider(bench.charter()))
    for digest in (first, "11" * 32):
        moved = replace(Question.from_json(proposal["question"]), roster=digest)
        said = vote(moved, "hr", bench.seats["hr"]).to_json()
        error = raised(lambda said=said: bench.call("charter.vote", vote=said))
        assert error.rule == "proposal.question"


# -- a holder, or a thief of the key, who refuses to go -------------------------------------------------


@pytest.mark.parametrize("seat", VETO)
def test_a_thief_of_a_seat_with_a_veto_does_not_keep_it(bench: Bench, seat: str) -> None:
    others = [name for name in SEATS if name != seat]
    proposal = replacing(bench, seat, *others[:4])
    agree(bench, proposal, seat, decision="refuse")
    spin(bench, seat)
    again = asked(bench.call, proposal["proposal"])
    assert (again["contested"], again["needed"], again["notice_s"]) == (True, 5, 28 * DAY_S)
    bench.clock.advance(29 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)
    agree(bench, proposal, others[4])
    bench.restart()
    assert enact(bench, proposal)["change"] == "replace"


@pytest.mark.parametrize("seat", ["employee_representative", "hr"])
def test_a_holder_who_refuses_is_not_removed_by_four_nor_in_two_weeks(
    bench: Bench, seat: str
) -> None:
    others = [name for name in SEATS if name != seat]
    proposal = replacing(bench, seat, *others)
    agree(bench, proposal, seat, decision="refuse")
    bench.clock.advance(15 * DAY_US)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.notice"
    agree(bench, proposal, next(name for name in others if name not in VETO), decision="refuse")
    bench.clock.advance(15 * DAY_US)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.open"  # nobody else is left


# -- who watches -------------------------------------------------------------------------------------


def unwatched(bench: Bench, how: str) -> Any:
    def purposes(tree: dict[str, Any]) -> dict[str, Any]:
        if how == "gone":
            return {name: one for name, one in tree.items() if name != "secure_the_pipeline"}
        watch = dict(tree["secure_the_pipeline"])
        watch[how] = []
        return {**tree, "secure_the_pipeline": watch}

    return changed(bench.charter(), purposes=purposes)


@pytest.mark.parametrize("how", ["gone", "sources", "stages", "releases"])
def test_one_seat_does_not_end_the_watch(bench: Bench, how: str) -> None:
    proposal = propose(bench, unwatched(bench, how), seat="ml_lead")
    assert proposal["direction"] == "widen"
    assert "watched" in proposal["allows"][0]
    agree(bench, proposal, "ml_lead")
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)


# -- what others see of it -----------------------------------------------------------------------------


def test_what_the_board_did_holds_offline_and_what_it_could_not_do_does_not(bench: Bench) -> None:
    enact(
        bench,
        replacing(
            bench, "security", "privacy", "employee_representative", "legal", "ml_lead", "hr"
        ),
    )
    bench.seats["security"] = FRESH
    widening = propose(bench, wider(bench.charter()))
    agree(bench, widening, *FIVE[:3])
    spin(bench, "ml_lead")
    agree(bench, widening, *FIVE[3:])
    bench.clock.advance(15 * DAY_US)
    enact(bench, widening)
    narrower = propose(bench, wider(bench.charter(), days=2), seat="legal")
    agree(bench, narrower, "legal")
    enact(bench, narrower)
    bench.desk.ledger.publish()
    assert verify_log(bench.home.ledger, bench.home.policy_file).kinds["roster"] == 4
    # a keeper that was exchanged writes a roster that nobody agreed to: the ledger shows it to everybody
    bench.desk.ledger.append(
        [
            Entry(
                kind="roster",
                actor="board",
                object="hr",
                detail={},
                charter=b"m" * 32,
                public={"version": 5, "change": "replace", "seat": "hr"},
            )
        ]
    )
    bench.desk.ledger.publish()
    with pytest.raises(VerificationError, match="not proposed"):
        verify_log(bench.home.ledger, bench.home.policy_file)
