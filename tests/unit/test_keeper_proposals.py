"""Proposals to change the charter and the roster: quorum by direction, notice, refusals, expiry."""

from __future__ import annotations

from collections.abc import Iterator
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
    milestone,
    rotate,
    say,
    signed_roster,
    stated,
    stated_roster,
    wider,
)
from tests.world import raised

from safehold.charter import Charter
from safehold.charter.turnover import next_roster
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, QuorumError, TamperedError
from safehold.keeper.proposals import MOST_OPEN
from safehold.ledger import Timekeepers
from safehold.signing import SigningKey

NOTICE_DAYS = 14
FIVE = ("privacy", "employee_representative", "legal", "hr", "security")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    charter = founding(notice_s=NOTICE_DAYS * DAY_S, needs=True)
    return found_bench(tmp_path_factory.mktemp("made"), charter=charter, people=("ana",))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def narrows(bench: Bench) -> None:
    bench.desk.trust.deliberation._asks.direction_of = lambda _old, _new: "narrow"


def statement(bench: Bench, charter: Charter, seat: str = "hr", **changes: Any) -> dict[str, Any]:
    trust = bench.desk.trust
    facts = {
        "home": bench.home.id,
        "base": trust.digest(),
        "roster": trust.roster,
        "seat": seat,
        "key": bench.seats[seat],
        "at_us": bench.clock.now_us(),
    } | changes
    return stated(charter, **facts)


def propose(bench: Bench, charter: Charter | None = None, seat: str = "hr") -> dict[str, Any]:
    new = charter or wider(bench.charter())
    return bench.call("charter.propose", **statement(bench, new, seat))


def agree(bench: Bench, proposal: dict[str, Any], *seats: str, decision: str = "sign") -> None:
    for seat in seats:
        say(bench.call, proposal["question"], seat, bench.seats[seat], decision)


def enact(bench: Bench, proposal: dict[str, Any]) -> dict[str, Any]:
    return bench.call("charter.enact", proposal=proposal["proposal"])


def states(bench: Bench) -> list[str]:
    return [
        leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "proposal"
    ]


# -- widening -------------------------------------------------------------------------------------


def test_five_seats_widen_after_the_notice(bench: Bench) -> None:
    new = wider(bench.charter())
    proposal = propose(bench, new)
    assert proposal["direction"] == "widen"
    agree(bench, proposal, *FIVE)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.notice"
    bench.clock.advance(NOTICE_DAYS * DAY_US - 60 * SECOND_US)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.notice"
    bench.clock.advance(61 * SECOND_US)
    answer = enact(bench, proposal)
    assert answer["direction"] == "widen"
    assert answer["seats"] == sorted(FIVE)
    assert bench.desk.trust.digest() == new.digest()
    bench.restart()
    assert bench.desk.trust.digest() == new.digest()
    assert states(bench)[-1] == "enacted"


def test_four_of_six_seats_cannot_widen(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, *FIVE[:4])
    bench.clock.advance(20 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)
    assert bench.charter().version == 1


@pytest.mark.parametrize("missing", ["privacy", "employee_representative"])
def test_five_without_a_seat_that_must_agree_cannot_widen(bench: Bench, missing: str) -> None:
    proposal = propose(bench)
    agree(bench, proposal, *(seat for seat in bench.seats if seat != missing))
    bench.clock.advance(20 * DAY_US)
    assert missing in raised(lambda: enact(bench, proposal)).message


def test_a_proposal_lapses(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, *FIVE)
    bench.clock.advance((NOTICE_DAYS + 61) * DAY_US)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.lapsed"
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.open"
    bench.restart()
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.open"


def test_the_notice_counts_by_the_witness_not_by_the_keeper(bench: Bench) -> None:
    """The keeper's clock runs ahead; the witness of another clock does not believe it."""
    proposal = propose(bench)
    agree(bench, proposal, *FIVE)
    bench.desk.ledger.publish()
    quorum = bench.desk.ledger._publisher.quorum
    real = quorum.times
    behind: list[int] = []

    def slow(note: bytes, by: Timekeepers | None = None) -> tuple[int, int] | None:
        found = real(note, by)
        behind.append(1)
        return None if found is None else (found[0] - 15 * DAY_S, found[1])

    bench.clock.advance(15 * DAY_US)
    quorum.times = slow
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.notice"
    assert behind
    quorum.times = real
    assert enact(bench, proposal)["new"]


def test_asking_for_the_time_does_not_begin_the_notice_anew(bench: Bench) -> None:
    proposal = propose(bench)
    begins = asked(bench.call, proposal["proposal"])["enact_from_us"]
    agree(bench, proposal, *FIVE)
    bench.clock.advance(3 * DAY_US)
    bench.desk.ledger.witnessed_now()
    raised(lambda: enact(bench, proposal))
    bench.restart()
    assert asked(bench.call, proposal["proposal"])["enact_from_us"] == begins


def test_the_longer_notice_counts(bench: Bench) -> None:
    """A charter that asks for no notice takes the notice of the one it replaces."""

    def none(tree: Any) -> Any:
        tree["widen"]["notice_s"] = 0
        return tree

    proposal = propose(bench, changed(bench.charter(), oversight=none))
    agree(bench, proposal, *bench.seats)
    bench.clock.advance(DAY_US)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.notice"


def test_the_stricter_quorum_of_both_charters_counts(bench: Bench) -> None:
    def six(tree: Any) -> Any:
        tree["widen"]["approve"] = 6
        return tree

    stricter = changed(bench.charter(), oversight=six)
    proposal = propose(bench, stricter)
    agree(bench, proposal, *FIVE)
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)
    agree(bench, proposal, "ml_lead")
    assert enact(bench, proposal)["new"]
    proposal = propose(bench, changed(founding(), version=3))  # back to five: the six still count
    agree(bench, proposal, *FIVE)
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)


# -- narrowing ------------------------------------------------------------------------------------


def test_one_seat_narrows_at_once(bench: Bench) -> None:
    proposal = propose(bench, wider(bench.charter(), days=2), seat="ml_lead")
    assert proposal["direction"] == "narrow"
    assert (proposal["allows"], len(proposal["ends"])) == ([], 1)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)
    agree(bench, proposal, "ml_lead")
    assert enact(bench, proposal)["direction"] == "narrow"
    bench.restart()
    assert bench.charter().version == 2


def test_what_is_not_known_to_narrow_widens(bench: Bench) -> None:
    bench.desk.trust.deliberation._asks.direction_of = lambda _old, _new: "sideways"
    assert propose(bench)["direction"] == "widen"


def test_only_the_version_may_change_by_one_seat(bench: Bench) -> None:
    proposal = propose(bench, changed(bench.charter()))
    assert proposal["direction"] == "narrow"


def test_a_change_that_narrows_and_widens_is_wider(bench: Bench) -> None:
    def both(collect: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [collect[0] | {"keep_days": 2}, collect[1] | {"keep_days": 300}, *collect[2:]]

    proposal = propose(bench, changed(bench.charter(), collect=both))
    assert proposal["direction"] == "widen"
    assert len(proposal["allows"]) >= 1
    assert len(proposal["ends"]) >= 1


def test_one_seat_does_not_tighten_the_quorum_until_nothing_passes_without_it(bench: Bench) -> None:
    def all_of_them(tree: Any) -> Any:
        tree["widen"] |= {"approve": 6, "must_include": [*tree["widen"]["must_include"], "hr"]}
        return tree

    proposal = propose(bench, changed(bench.charter(), oversight=all_of_them))
    assert proposal["direction"] == "widen"
    agree(bench, proposal, "hr")
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)


def test_a_direction_that_is_seen_otherwise_at_the_end_is_refused(bench: Bench) -> None:
    narrows(bench)
    proposal = propose(bench)
    agree(bench, proposal, "hr")
    bench.restart()  # a keeper that takes everything for wider
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.direction"


# -- refusing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("seat", ["privacy", "employee_representative"])
def test_a_veto_ends_a_proposal(bench: Bench, seat: str) -> None:
    proposal = propose(bench)
    agree(bench, proposal, *(name for name in FIVE if name != seat))
    agree(bench, proposal, seat, decision="refuse")
    assert states(bench)[-2:] == ["refused", "lapsed"]
    bench.clock.advance(15 * DAY_US)
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.open"
    assert raised(lambda: agree(bench, proposal, seat)).rule == "proposal.open"


def test_so_many_refusals_that_no_quorum_is_left_end_a_proposal(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, "hr", decision="refuse")
    assert states(bench)[-1] == "refused"
    assert raised(lambda: agree(bench, proposal, "hr")).rule == "proposal.refused"
    agree(bench, proposal, "legal", decision="refuse")
    assert states(bench)[-1] == "lapsed"


def test_a_seat_that_signed_can_still_refuse(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, *FIVE)
    agree(bench, proposal, "legal", decision="refuse")
    bench.clock.advance(15 * DAY_US)
    assert isinstance(raised(lambda: enact(bench, proposal)), QuorumError)
    agree(bench, proposal, "ml_lead")
    assert "legal" not in enact(bench, proposal)["seats"]


def test_a_vote_counts_once_and_changes_nothing_the_second_time(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, "hr")
    size = bench.desk.ledger.size
    agree(bench, proposal, "hr")
    assert bench.desk.ledger.size == size


# -- proposing ------------------------------------------------------------------------------------


def test_a_proposal_is_opened_once(bench: Bench) -> None:
    said = statement(bench, wider(bench.charter()))
    first = bench.call("charter.propose", **said)
    assert bench.call("charter.propose", **said)["proposal"] == first["proposal"]
    agree(bench, first, "privacy", decision="refuse")
    assert raised(lambda: bench.call("charter.propose", **said)).rule == "proposal.ended"


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"home": "home_of_others"}, "proposal.home"),
        ({"base": b"x" * 32}, "proposal.base"),
        ({"at_us": 0}, "proposal.time"),
        ({"key": SigningKey(b"x" * 32)}, "signing.safehold.proposal.v1"),
    ],
)
def test_a_proposal_is_about_what_is_in_force_here_now(
    bench: Bench, changes: dict[str, Any], rule: str
) -> None:
    said = statement(bench, wider(bench.charter()), **changes)
    assert raised(lambda: bench.call("charter.propose", **said)).rule == rule
    assert "proposed" not in states(bench)


def test_a_proposal_is_of_a_newer_charter_and_of_this_text(bench: Bench) -> None:
    old = statement(bench, bench.charter())
    assert raised(lambda: bench.call("charter.propose", **old)).rule == "charter.version"
    said = statement(bench, wider(bench.charter()))
    said["charter"] = wider(bench.charter(), days=300).to_json()
    assert raised(lambda: bench.call("charter.propose", **said)).rule == "proposal.digest"


def test_a_seat_has_few_open_proposals(bench: Bench) -> None:
    for number in range(MOST_OPEN):
        propose(bench, wider(bench.charter(), days=40 + number))
    error = raised(lambda: propose(bench, wider(bench.charter(), days=50)))
    assert error.rule == "proposal.many"
    assert propose(bench, wider(bench.charter(), days=50), seat="legal")


def test_enacting_one_ends_the_others(bench: Bench) -> None:
    other = propose(bench, wider(bench.charter(), days=60), seat="legal")
    agree(bench, other, *FIVE)
    narrows(bench)
    one = propose(bench, wider(bench.charter(), days=40))
    agree(bench, one, "hr")
    enact(bench, one)
    bench.restart()
    bench.clock.advance(15 * DAY_US)
    assert raised(lambda: enact(bench, other)).rule == "proposal.open"


def test_a_charter_that_may_not_be_signed_is_not_proposed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safehold.errors import RedLineError
    from safehold.keeper import deliberation

    def crossed(_charter: Charter) -> None:
        raise RedLineError("a red line can be crossed", rule="charter.red_line.test")

    proposal = propose(bench)
    agree(bench, proposal, *FIVE)
    bench.clock.advance(15 * DAY_US)
    monkeypatch.setattr(deliberation, "admit", crossed)
    assert isinstance(raised(lambda: enact(bench, proposal)), RedLineError)
    assert isinstance(raised(lambda: propose(bench, wider(bench.charter(), days=99))), RedLineError)


# -- the roster -----------------------------------------------------------------------------------


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


# -- restart --------------------------------------------------------------------------------------


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


# -- what is shown --------------------------------------------------------------------------------


def test_the_log_says_who_is_behind_each_step(bench: Bench) -> None:
    proposal = propose(bench)
    agree(bench, proposal, "privacy")
    agree(bench, proposal, "employee_representative", decision="refuse")
    bench.call("stop", **bench.order("stop", "hr"))
    steps = bench.call("charter.log")["log"]
    told = [
        (one["what"], one.get("state"), one.get("by")) for one in steps if one["what"] == "proposal"
    ]
    assert told == [
        ("proposal", "proposed", "hr"),
        ("proposal", "signed", "privacy"),
        ("proposal", "refused", "employee_representative"),
        ("proposal", "lapsed", "keeper"),
    ]
    assert steps[-1]["seats"] == ["hr"]
    assert all(one["of"] == proposal["proposal"] for one in steps if one.get("state") == "signed")
    assert isinstance(raised(lambda: bench.call("charter.enact", proposal=True)), Exception)


def test_the_board_page_says_what_root_can_do(bench: Bench) -> None:
    shown = bench.call("board.show")
    assert {one["seat"] for one in shown["seats"]} == set(bench.seats)
    assert any(line.startswith("K1") for line in shown["limits"])
    assert any(line.startswith("K2") for line in shown["limits"])
    assert isinstance(
        raised(
            lambda: bench.call(
                "charter.enact", charter=wider(bench.charter()).to_json(), signatures=[]
            )
        ),
        DeniedError,
    )
