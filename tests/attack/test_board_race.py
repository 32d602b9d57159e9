"""Two at once: enactments against each other, against refusals, stops, rotations and looks for drift.

Whatever the order in which the keeper takes them, at most one of two that exclude each other counts, and the ledger
tells the same story as the keeper that starts from it. Where the order matters, the other one is put between two
steps of the first, so that nothing depends on how threads are scheduled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.seated import DAY_S, founding, say, signed_roster, stated, wider
from tests.world import raised

from safehold.charter import Charter
from safehold.charter.turnover import next_roster
from safehold.clock import DAY_US
from safehold.errors import SafeholdError
from safehold.signing import SigningKey

FIVE = ("privacy", "employee_representative", "legal", "hr", "security")
FRESH = SigningKey(b"r" * 32)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    charter = founding(notice_s=14 * DAY_S)
    return found_bench(tmp_path_factory.mktemp("made"), charter=charter, people=("ana",))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def propose(bench: Bench, charter: Charter, seat: str = "hr") -> dict[str, Any]:
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


def agree(bench: Bench, proposal: dict[str, Any], *seats: str, decision: str = "sign") -> None:
    for seat in seats:
        say(bench.call, proposal["question"], seat, bench.seats[seat], decision)


def ready(bench: Bench) -> dict[str, Any]:
    """Return a wider proposal that five have signed and whose notice is over."""
    proposal = propose(bench, wider(bench.charter()))
    agree(bench, proposal, *FIVE)
    bench.clock.advance(15 * DAY_US)
    return proposal


def enact(bench: Bench, proposal: dict[str, Any]) -> dict[str, Any]:
    return bench.call("charter.enact", proposal=proposal["proposal"])


def rotate(bench: Bench) -> dict[str, Any]:
    new = next_roster(bench.desk.trust.roster, seat="hr", key=FRESH.public)
    new = signed_roster(new, {"hr": bench.seats["hr"]}, ("hr", FRESH))
    return bench.call("board.rotate", roster=new.to_json())


def at_once(*acts: Callable[[], object]) -> list[str]:
    """Do several things in threads that start together, and return how each ended: its rule, or nothing."""
    start, ends = threading.Barrier(len(acts)), [""] * len(acts)

    def one(number: int, act: Callable[[], object]) -> None:
        start.wait(60)
        try:
            act()
        except SafeholdError as error:
            ends[number] = error.rule or error.code

    threads = [threading.Thread(target=one, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive()
    return ends


def charters(bench: Bench) -> int:
    return bench.leaves().count("charter")


def told_alike(bench: Bench) -> None:
    """Check that a keeper that starts from the ledger holds what this one does."""

    def held() -> tuple[Any, ...]:
        trust = bench.desk.trust
        return trust.digest(), trust.roster.digest(), trust.stopped, trust.deliberation.open()

    before = held()
    bench.restart()
    assert held() == before
    assert bench.call("drift")["ok"]


def test_one_proposal_is_enacted_once(bench: Bench) -> None:
    proposal = ready(bench)
    ends = at_once(*[lambda: enact(bench, proposal)] * 3)
    assert sorted(ends) == ["", "proposal.open", "proposal.open"]
    assert charters(bench) == 2
    told_alike(bench)


def test_of_two_proposals_one_is_enacted_and_ends_the_other(bench: Bench) -> None:
    both = [propose(bench, wider(bench.charter(), days=days), "legal") for days in (2, 3)]
    for one in both:
        agree(bench, one, "legal")
    ends = at_once(*[lambda one=one: enact(bench, one) for one in both])  # type: ignore[misc]
    assert sorted(ends) == ["", "proposal.open"]
    assert charters(bench) == 2
    told_alike(bench)


@pytest.mark.parametrize("turn", range(3))
def test_a_veto_and_an_enactment_never_both_count(bench: Bench, turn: int) -> None:
    proposal = ready(bench)
    acts = [
        lambda: enact(bench, proposal),
        lambda: agree(bench, proposal, "privacy", decision="refuse"),
    ]
    ends = at_once(*(acts if turn % 2 else reversed(acts)))
    assert sorted(ends) == ["", "proposal.open"]
    enacted = bench.charter().version == 2
    assert (
        "refused" in {leaf.get("pub", {}).get("state") for _, leaf in bench.desk.ledger.leaves()}
    ) != enacted
    told_alike(bench)


def between(bench: Bench, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something after the witnesses were asked for the time and before the keeper enacts."""
    deliberation = bench.desk.trust.deliberation
    real, done = deliberation.time_for, []

    def asked(index: object) -> int | None:
        now_s = real(index)
        if not done:
            done.append(True)
            act()
        return now_s

    monkeypatch.setattr(deliberation, "time_for", asked)


def test_a_veto_while_the_witnesses_are_asked_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = ready(bench)
    between(bench, monkeypatch, lambda: agree(bench, proposal, "privacy", decision="refuse"))
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.open"
    assert charters(bench) == 1
    told_alike(bench)


def test_a_key_that_is_rotated_while_the_witnesses_are_asked_is_dead(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five had signed, one of them with a key that is no longer theirs when it counts."""
    proposal = ready(bench)
    between(bench, monkeypatch, lambda: rotate(bench))
    assert raised(lambda: enact(bench, proposal)).rule == "charter.quorum.widen"
    assert charters(bench) == 1
    told_alike(bench)


def test_another_charter_that_comes_meanwhile_ends_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = propose(bench, wider(bench.charter(), days=2), "legal")
    agree(bench, other, "legal")
    proposal = ready(bench)
    between(bench, monkeypatch, lambda: bench.call("charter.enact", proposal=other["proposal"]))
    assert raised(lambda: enact(bench, proposal)).rule == "proposal.open"
    assert bench.charter().collect[0].keep_days == 2
    told_alike(bench)


def test_a_stop_and_an_enactment_both_count(bench: Bench) -> None:
    """A stop waits for nobody's enactment, and is not undone by it."""
    proposal, order = ready(bench), {}
    order |= bench.order("stop", "hr")
    assert at_once(lambda: enact(bench, proposal), lambda: bench.call("stop", **order)) == ["", ""]
    assert bench.desk.trust.stopped
    assert bench.charter().version == 2
    assert raised(lambda: bench.take("ana")).rule == "oversight.stop"
    told_alike(bench)


def test_two_that_rotate_the_same_key_end_with_one_roster(bench: Bench) -> None:
    ends = at_once(lambda: rotate(bench), lambda: rotate(bench))
    assert ends.count("") == 1
    assert bench.leaves().count("roster") == 2
    told_alike(bench)


def test_looks_for_drift_never_see_half_a_change(bench: Bench) -> None:
    """A look at any moment of an enactment or a rotation finds nothing: each is whole or not there."""
    proposal, over = ready(bench), threading.Event()
    seen: list[Any] = []

    def watch() -> None:
        while not over.is_set():
            seen.extend(bench.verbs.drift.check())

    def change() -> None:
        try:
            enact(bench, proposal)
            rotate(bench)
        finally:
            over.set()

    assert at_once(watch, change) == ["", ""]
    assert seen == []
    assert "drift" not in bench.leaves()
    told_alike(bench)


def test_a_look_in_the_middle_of_an_enactment_waits_for_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The leaf of the charter is durable, and the keeper does not yet decide by it: the one moment that differs."""
    proposal = ready(bench)
    enacted, looked = bench.desk.trust._enacted, threading.Event()
    real: Callable[..., None] = enacted._take
    found: list[Any] = []

    def look() -> None:
        found.extend(bench.verbs.drift.check())
        looked.set()

    watcher = threading.Thread(target=look)

    def take(*arguments: Any) -> None:
        watcher.start()
        assert not looked.wait(0.2), "a look was taken in the middle"
        real(*arguments)

    monkeypatch.setattr(enacted, "_take", take)
    enact(bench, proposal)
    watcher.join(60)
    assert looked.is_set()
    assert found == []
