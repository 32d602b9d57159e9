"""Proposals to change the charter and the roster: quorum by direction, notice, refusals, expiry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.debating import agree, statement
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.proposal_desk import FIVE, NOTICE_DAYS, enact, narrows, propose, states
from tests.seated import (
    DAY_S,
    asked,
    changed,
    founding,
    wider,
)
from tests.world import raised

from safehold.charter import Charter
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, QuorumError
from safehold.keeper.proposals import MOST_OPEN
from safehold.ledger import Timekeepers
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
