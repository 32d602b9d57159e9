"""Each promise is a measurement: what is kept, what is broken, what could not be measured; each result is a leaf."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench

from safehold.assurance import exposed, measure
from safehold.assurance.measure import Measured
from safehold.assurance.milestone import judge, measure_all, newest
from safehold.charter.compile import build
from safehold.charter.value import MICRO, Threshold
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import MissingError

PEOPLE = ("ana", "bo", "cy")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"), people=PEOPLE)


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def states(bench: Bench) -> dict[str, str]:
    return {one.promise: one.state for one in measure_all(bench.verbs)}


@pytest.mark.parametrize(
    ("op", "micro", "state"),
    [
        ("<=", 1_000_000, "kept"),
        ("<=", 1_000_001, "broken"),
        ("==", 1_000_000, "kept"),
        ("==", 999_999, "broken"),
        (">=", 999_999, "broken"),
        ("<", 1_000_000, "broken"),
        (">", 1_000_000, "broken"),
        (">", 1_000_001, "kept"),
        ("==", None, "unmeasured"),
    ],
)
def test_a_promise_is_kept_at_its_bound_and_not_beyond(
    op: str, micro: int | None, state: str
) -> None:
    assert judge(Threshold(op=op, micro=MICRO), Measured(micro=micro, sentence="")) == state


def test_every_promise_of_a_day_is_a_leaf_and_the_same_result_is_one(bench: Bench) -> None:
    promises = [one.id for one in bench.charter().promises]
    assert not any(one.at_ms for one in newest(bench.verbs))
    first = measure_all(bench.verbs)
    assert [one.promise for one in first] == promises
    assert bench.leaves().count("milestone") == len(promises)
    again = measure_all(bench.verbs)
    assert [one.entry for one in again] == [one.entry for one in first]
    bench.clock.at_us += DAY_US
    measure_all(bench.verbs)
    assert bench.leaves().count("milestone") == 2 * len(promises)
    shown = newest(bench.verbs)
    assert [one.state for one in shown] == [one.state for one in first]
    assert all(one.entry > first[-1].entry for one in shown)
    tree = bench.call("milestones")["milestones"]
    assert [one["promise"] for one in tree] == promises


def test_what_broke_again_is_not_shown_as_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same figure on the same day, with another one in between, is another leaf."""
    for figure, state in ((3, "broken"), (0, "kept"), (3, "broken"), (3, "broken"), (0, "kept")):
        found = Measured(micro=figure * MICRO, sentence="")
        monkeypatch.setitem(measure.MEASURES, "drift.unapproved_config", lambda _verbs, f=found: f)
        measure_all(bench.verbs)
        shown = {one.promise: one.state for one in newest(bench.verbs)}
        assert shown["no-drift"] == state
    said = [
        leaf["pub"]["state"]
        for _, leaf in bench.desk.ledger.leaves()
        if leaf["k"] == "milestone" and leaf["pub"]["promise"] == "no-drift"
    ]
    assert said == ["broken", "kept", "broken", "kept"]


def test_what_was_kept_before_a_stop_is_measured_again_after_it(bench: Bench) -> None:
    measure_all(bench.verbs)
    bench.call("stop", **bench.order("stop", "privacy"))
    stop = len(bench.leaves()) - 1
    assert all(one.entry > stop for one in measure_all(bench.verbs))


def test_what_was_measured_under_another_charter_is_not_shown_as_kept(bench: Bench) -> None:
    measure_all(bench.verbs)
    assert {one.state for one in newest(bench.verbs)} != {"unmeasured"}
    trust = bench.desk.trust
    other = replace(trust.charter(), version=trust.charter().version + 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trust, "charter", lambda: other)
        patch.setattr(trust, "digest", other.digest)
        assert {one.state for one in newest(bench.verbs)} == {"unmeasured"}


def test_an_erasure_that_was_asked_for_and_not_begun_counts(bench: Bench) -> None:
    class PowerCutError(Exception):
        pass

    def cut(step: str) -> None:
        if step == "begin":
            raise PowerCutError

    bench.call("people.erase", person="bo", evidence="a letter")
    bench.verbs.erasure.reached = cut
    with pytest.raises(PowerCutError):
        bench.call("people.erase", person="ana", evidence="a letter")
    bench.clock.at_us += 5 * DAY_US
    found = measure.time_erasures(bench.verbs)
    assert found.micro is not None
    assert found.micro >= 5 * 24 * MICRO
    assert "2 people left" in found.sentence


def test_without_the_details_of_uses_nothing_is_called_complete(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take("ana", "bo", "cy")
    bench.call("feature", purpose="train_ui_agent")

    def gone(*_arguments: Any) -> Any:
        raise MissingError("the side-car is gone", rule="test")

    monkeypatch.setattr(type(bench.desk.ledger), "detail", gone)
    assert measure.count_missing(bench.verbs).micro is None


def test_what_never_happened_is_not_called_kept(bench: Bench) -> None:
    found = states(bench)
    assert found["stop"] == "unmeasured"
    assert found["erasure"] == "unmeasured"
    assert found["your-trail"] == "kept"


def test_a_stop_and_an_erasure_are_timed(bench: Bench) -> None:
    bench.take("ana", "bo")
    bench.call("people.erase", person="ana", evidence="a letter")
    bench.call("stop", **bench.order("stop", "privacy"))
    found = {one.promise: one for one in measure_all(bench.verbs)}
    assert found["stop"].state == found["erasure"].state == "kept"
    assert found["erasure"].figure == 0


def test_work_that_ends_long_after_a_stop_breaks_the_promise(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.call("stop", **bench.order("stop", "privacy"))
    stop = len(bench.leaves()) - 1
    real = type(bench.desk.ledger).leaves

    def late(ledger: Any, *span: int) -> Iterator[tuple[int, dict[str, Any]]]:
        yield from real(ledger, *span)
        if not span:
            (at,) = [leaf["t"] for index, leaf in real(ledger, stop, stop + 1)]
            yield ledger.size, {"k": "access.result", "t": at + 61_000, "ref": 0, "pub": {}}

    monkeypatch.setattr(type(bench.desk.ledger), "leaves", late)
    found = measure.time_stops(bench.verbs)
    assert found.micro == 61 * MICRO


def test_an_erasure_that_never_ends_breaks_the_promise(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(bench.desk.ledger),
        "leaves",
        lambda *_, began=bench.clock.at_us // 1000: iter([(0, {"k": "erasure", "t": began})]),
    )
    bench.clock.at_us += 25 * 3600 * SECOND_US
    found = measure.time_erasures(bench.verbs)
    assert found.micro is not None
    assert found.micro >= 25 * MICRO


def test_drift_is_counted(bench: Bench) -> None:
    trust = bench.desk.trust
    charter = trust.charter()
    item = replace(charter.collect[0], keep_days=99)
    wider = replace(charter, collect=(item, *charter.collect[1:]))
    trust._enacted._signed = replace(trust.signed(), charter=wider)
    assert (measure.count_drift(bench.verbs).micro or 0) >= MICRO


def test_a_use_without_a_result_is_missing_after_an_hour(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.desk.trust, "unanswered", lambda: [1])
    assert measure.count_missing(bench.verbs).micro == 0
    bench.clock.at_us += 2 * measure.PATIENCE_US
    assert measure.count_missing(bench.verbs).micro == MICRO


def test_something_derived_without_an_entry_is_missing(bench: Bench) -> None:
    bench.take("ana", "bo", "cy")
    bench.call("feature", purpose="train_ui_agent")
    assert measure.count_missing(bench.verbs).micro == 0
    known = bench.desk.lineage.show()[0]["id"]
    bench.desk.lineage.add(
        "slipped-in",
        kind="feature",
        label=bench.desk.lineage.label(known),
        parents=[known],
        created_us=bench.desk.now_us(),
    )
    assert measure.count_missing(bench.verbs).micro == MICRO


def test_an_index_that_leaves_somebody_out_is_missing(bench: Bench) -> None:
    bench.call("ledger.close-epoch")
    assert measure.count_missing(bench.verbs).micro == 0
    for file in bench.home.index.iterdir():
        file.write_bytes(file.read_bytes()[:-1] + b"\0\0")
    assert (measure.count_missing(bench.verbs).micro or 0) >= MICRO


def test_a_stored_file_that_can_be_read_is_found(bench: Bench) -> None:
    bench.take("ana")
    assert exposed.count_open_records(bench.verbs).micro == 0
    bench.home.objects.joinpath("left").write_text("one\ntwo\n")
    assert (exposed.count_open_records(bench.verbs).micro or 0) >= 2 * MICRO


@contextmanager
def open_home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp())
    try:
        place.chmod(0o755)
        place.joinpath("table").write_text("1")
        place.joinpath("table").chmod(0o644)
        yield place
    finally:
        shutil.rmtree(place)


def test_a_home_that_others_may_read_is_found(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_home() as place:
        monkeypatch.setattr(bench.desk, "home", replace(bench.home, path=place))
        reached, how = exposed._reach_as_nobody(bench.desk)
    assert reached == 1, how


def test_rows_that_a_grant_would_show_are_found(bench: Bench) -> None:
    assert exposed.count_open_segments(bench.verbs).micro == 0
    trust = bench.desk.trust
    rules = [
        replace(rule, head="permit(principal, action, resource)", terms=())
        if rule.id == "permit.1"
        else rule
        for rule in trust.policy().rules
        if not rule.id.startswith(("red_line.", "guard."))
    ]
    trust._enacted._policy = build(trust.charter(), rules)
    found = exposed.count_open_segments(bench.verbs)
    charter = bench.charter()
    assert found.micro == MICRO * len(charter.jurisdictions) * len(charter.collect)


def test_a_measure_that_nobody_can_take_is_not_kept(bench: Bench) -> None:
    assert measure.take("something.else", bench.verbs).micro is None


def test_every_measure_of_the_shipped_charters_can_be_taken() -> None:
    from safehold.charter import load, shipped
    from safehold.charter.vocabulary import MEASURES

    assert set(MEASURES) == set(measure.names())
    for name in ("demo", "example"):
        for promise in load(shipped(name)).promises:
            assert promise.measure in measure.names()


def test_a_trial_that_failed_is_no_zero(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(exposed, "_REACH", "raise SystemExit(3)")
    found = exposed.count_open_records(bench.verbs)
    assert found.micro is None
    assert "nothing could be tried" in found.sentence
    assert states(bench)["company-wide"] == "unmeasured"
    # what was found on another way counts all the same
    bench.home.objects.joinpath("left").write_text("one\ntwo\n")
    assert (exposed.count_open_records(bench.verbs).micro or 0) >= 2 * MICRO


def test_a_keeper_that_is_not_root_reads_the_modes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    found = exposed.count_open_records(bench.verbs)
    assert found.micro == 0
    assert "modes" in found.sentence
    with open_home() as place:
        monkeypatch.setattr(bench.desk, "home", replace(bench.home, path=place))
        assert exposed._reach_as_nobody(bench.desk)[0] == 1
