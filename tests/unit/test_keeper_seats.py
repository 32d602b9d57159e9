"""Seats change and what was stopped goes on: keys rotated, seats replaced, and a restart after a published cause."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.debating import agree
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.proposal_desk import FIVE, NOTICE_DAYS, enact, narrows, propose
from tests.seated import (
    DAY_S,
    asked,
    founding,
    milestone,
    rotate,
    say,
    signed_roster,
    stated_roster,
    wider,
)
from tests.world import raised

from safehold.charter.turnover import next_roster
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import QuorumError, TamperedError
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    charter = founding(notice_s=NOTICE_DAYS * DAY_S, needs=True)
    return found_bench(tmp_path_factory.mktemp("made"), charter=charter, people=("ana",))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def test_a_rotated_key_is_dead_and_its_votes_with_it(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, *FIVE)
    fresh = SigningKey(b"f" * 32)
    assert (
        rotate(bench.call, bench.desk.trust, "hr", bench.seats["hr"], fresh)["change"] == "rotate"
    )
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)
    again = asked(bench.call, proposal["proposal"])
    assert "hr" not in again["signed"]
    old_key = raised(lambda: say(bench.call, again["question"], "hr", bench.seats["hr"]))
    assert isinstance(old_key, TamperedError)
    assert isinstance(raised(lambda: bench.call("stop", **bench.order("stop", "hr"))), QuorumError)
    say(bench.call, again["question"], "hr", fresh)
    assert enact(bench, proposal)["new"]
    bench.restart()  # the charter in force was signed under the second roster, the first one under the first
    assert bench.charter().version == 2


def test_a_grant_that_a_dead_key_approved_is_used_no_more(bench: Bench) -> None:
    holder = bench.pass_()
    rotate(bench.call, bench.desk.trust, "privacy", bench.seats["privacy"], SigningKey(b"f" * 32))
    error = raised(lambda: bench.call("train", **bench.use(holder)))
    assert error.rule == "approval.quorum"


def test_a_charter_stays_in_force_when_its_signers_go(bench: Bench) -> None:
    trust, digest = bench.desk.trust, bench.desk.trust.digest()
    for number, seat in enumerate(FIVE):
        rotate(bench.call, trust, seat, bench.seats[seat], SigningKey(bytes([100 + number]) * 32))
    bench.restart()
    assert bench.desk.trust.digest() == digest
    assert bench.desk.trust.roster.version == 6


def propose_change(
    bench: Bench, seat: str = "legal", gone: str = "", **change: Any
) -> dict[str, Any]:
    present = bench.desk.trust.roster
    new = next_roster(present, seat=gone, **change)
    said = stated_roster(
        new, old=present, seat=seat, key=bench.seats[seat], at_us=bench.clock.now_us()
    )
    return bench.call("board.propose", **said)


def replacing(bench: Bench, gone: str, *seats: str, fresh: SigningKey) -> dict[str, Any]:
    """Propose that eve holds a seat, with the agreement of these seats and her own."""
    proposal = propose_change(bench, seat=seats[0], person="eve", key=fresh.public, gone=gone)
    agree(bench, proposal, *seats)
    say(bench.call, proposal["question"], gone, fresh)
    return proposal


def enact_change(bench: Bench, proposal: dict[str, Any]) -> dict[str, Any]:
    return bench.call("board.enact", proposal=proposal["proposal"])


def test_a_lost_seat_is_replaced_by_threshold_and_its_key_is_dead(bench: Bench) -> None:
    fresh = SigningKey(b"f" * 32)
    four = ("privacy", "security", "legal", "ml_lead")
    proposal = replacing(bench, "employee_representative", *four, fresh=fresh)
    bench.clock.advance(13 * DAY_US)
    assert raised(lambda: enact_change(bench, proposal)).rule == "proposal.notice"
    bench.clock.advance(DAY_US + 60 * SECOND_US)
    assert enact_change(bench, proposal)["change"] == "replace"
    dead = bench.order("stop", "employee_representative")
    assert isinstance(raised(lambda: bench.call("stop", **dead)), QuorumError)
    bench.restart()
    bench.seats["employee_representative"] = fresh
    assert bench.call("stop", **bench.order("stop", "employee_representative"))["entry"]


def test_five_replace_a_seat_without_a_veto_at_once(bench: Bench) -> None:
    five = ("privacy", "employee_representative", "legal", "ml_lead", "hr")
    proposal = replacing(bench, "security", *five, fresh=SigningKey(b"f" * 32))
    assert asked(bench.call, proposal["proposal"])["notice_s"] == 0
    assert enact_change(bench, proposal)["change"] == "replace"
    bench.restart()
    assert bench.desk.trust.roster.seat("security").person == "eve"


def test_nobody_is_replaced_without_a_proposal(bench: Bench) -> None:
    fresh = SigningKey(b"f" * 32)
    new = next_roster(bench.desk.trust.roster, seat="hr", person="eve", key=fresh.public)
    signed = signed_roster(new, bench.seats, ("hr", fresh))
    error = raised(lambda: bench.call("board.rotate", roster=signed.to_json()))
    assert error.rule == "roster.proposal"
    assert bench.desk.trust.roster.version == 1


def test_a_key_is_rotated_and_not_proposed(bench: Bench) -> None:
    key = SigningKey(b"f" * 32).public
    assert raised(lambda: propose_change(bench, gone="hr", key=key)).rule == "roster.change"


def test_a_key_that_spoke_before_is_not_proposed(bench: Bench) -> None:
    key = bench.seats["ml_lead"].public
    error = raised(lambda: propose_change(bench, gone="hr", person="eve", key=key))
    assert error.rule in {"roster.shared_key", "roster.old_key"}


def test_an_expired_roster_stops_and_narrows_and_does_not_widen(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, *FIVE)
    life = bench.desk.trust.roster.expires_s * SECOND_US - bench.clock.now_us()
    bench.clock.advance(life - 10 * DAY_US)
    fresh = propose(bench, wider(bench.charter(), days=33), seat="legal")
    agree(bench, fresh, *FIVE)
    bench.clock.advance(15 * DAY_US)
    assert bench.call("board.show")["expired"]
    assert raised(lambda: enact(bench, fresh)).rule == "roster.expired"
    error = raised(lambda: propose(bench, wider(bench.charter(), days=34), seat="security"))
    assert error.rule == "roster.expired"
    bench.call("stop", **bench.order("stop", "hr"))
    bench.clock.advance(SECOND_US)
    assert raised(lambda: bench.call("resume", **bench.order("resume"))).rule == "roster.expired"
    narrows(bench)
    narrower = propose(bench, wider(bench.charter(), days=2), seat="security")
    agree(bench, narrower, "security")
    assert enact(bench, narrower)["direction"] == "narrow"
    later = bench.clock.now_us() // SECOND_US + 390 * DAY_S
    too_late = propose_change(bench, expires_s=later + 20 * DAY_S)
    agree(bench, too_late, *FIVE[:4])
    assert raised(lambda: enact_change(bench, too_late)).rule == "roster.expires"
    renewed = propose_change(bench, expires_s=later)
    agree(bench, renewed, *FIVE[:4])
    enact_change(bench, renewed)
    assert not bench.call("board.show")["expired"]


def resume(bench: Bench, cause: str | None = None, *, text: str | None = None) -> dict[str, Any]:
    return bench.call("resume", **bench.order("resume", cause=cause), cause=text or cause)


def test_a_restart_takes_a_published_cause_and_a_green_replay(bench: Bench) -> None:
    milestone(bench.desk.ledger)  # before the stop: says nothing
    bench.call("stop", **bench.order("stop", "hr"))
    bench.clock.advance(SECOND_US)
    error = raised(lambda: resume(bench))
    assert error.rule == "oversight.restart"
    assert "root cause" in error.message
    assert "blast-radius" in error.message
    milestone(bench.desk.ledger)
    bench.clock.advance(SECOND_US)
    assert "root cause" in raised(lambda: resume(bench)).message
    error = raised(lambda: resume(bench, "an ACL was wrong", text="nothing happened"))
    assert error.rule == "oversight.cause"
    milestone(bench.desk.ledger, state="broken")
    assert "blast-radius" in raised(lambda: resume(bench, "an ACL was wrong")).message
    milestone(bench.desk.ledger)
    answer = resume(bench, "an ACL was wrong")
    assert bench.leaves()[-2:] == ["document", "resume"]
    assert "waived" not in answer
    bench.restart()
    assert not bench.desk.trust.stopped


def test_a_replay_under_another_charter_is_not_enough(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.call("stop", **bench.order("stop", "hr"))
    bench.clock.advance(SECOND_US)
    milestone(bench.desk.ledger)
    charter = bench.charter()
    other = replace(charter, version=charter.version + 1)
    with monkeypatch.context() as patch:
        patch.setattr(bench.desk.trust, "charter", lambda: other)
        said = raised(lambda: resume(bench, "an ACL was wrong"))
    assert "blast-radius" in said.message
    resume(bench, "an ACL was wrong")


def test_a_cause_of_an_earlier_stop_is_not_enough(bench: Bench) -> None:
    bench.call("stop", **bench.order("stop", "hr"))
    bench.clock.advance(SECOND_US)
    milestone(bench.desk.ledger)
    resume(bench, "an ACL was wrong")
    bench.clock.advance(SECOND_US)
    bench.call("stop", **bench.order("stop", "hr"))
    bench.clock.advance(SECOND_US)
    milestone(bench.desk.ledger)
    order = bench.order("resume", cause="an ACL was wrong")
    assert raised(lambda: bench.call("resume", **order)).rule == "oversight.restart"


def test_a_made_up_home_resumes_without_and_says_so(tmp_path: Path) -> None:
    charter = founding(needs=True)
    bench = found_bench(tmp_path, synthetic=True, people=("ana",), charter=charter).start()
    try:
        bench.call("stop", **bench.order("stop", "hr"))
        bench.clock.advance(SECOND_US)
        assert len(resume(bench)["waived"]) == 2
    finally:
        bench.stop()
