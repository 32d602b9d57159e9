"""Who used somebody's data is told by name only as the board decides, and what it withholds it says that it withholds."""

from __future__ import annotations

from typing import Any

import pytest
from tests.keeper_desk import Bench, chunk
from tests.voices import STREAMS, Voice
from tests.world import PURPOSE, raised

from safehold.app.occasion import facts_of
from safehold.app.signable import prepare
from safehold.app.signature import complete, gather
from safehold.clock import DAY_US
from safehold_verify.package import PackageReport, Use, verify_package
from safehold_verify.words import in_words

FIVE = ("privacy", "employee_representative", "legal", "hr", "security")


@pytest.fixture
def bench(voices_bench: Bench, ana: Voice) -> Bench:
    """Somebody's data was used once."""
    ana.choose("consent", streams=STREAMS)
    voices_bench.take("ana", name="b")
    voices_bench.call("feature", purpose=PURPOSE)
    assert chunk
    return voices_bench


def _report(ana: Voice) -> PackageReport:
    file = ana.bench.path / "package.json"
    file.write_text(ana.ask("people.trail")["package"], "utf-8")
    return verify_package(file, ana.bench.home.policy_file)


def _use(ana: Voice) -> Use:
    (use,) = [one for one in _report(ana).uses if one.kind == "access.intent"]
    return use


def _decide(bench: Bench, what: str, *seats: str, **changes: Any) -> dict[str, Any]:
    now = bench.clock.now_us()
    named = {
        "what": what, "person": "ana", "reason": "a test", "until_us": now + DAY_US, "at_us": now,
    } | changes  # fmt: skip
    facts = facts_of(bench.call, "disclose", named, now_us=now)
    calls = []
    for seat in seats or FIVE:
        draft = prepare("disclose", facts | {"seat": seat})
        key = bench.seats[seat]
        calls.append(
            complete(draft, key=key.public.text(), value=key.sign(draft.domain, draft.message))
        )
    made = gather(calls)
    return bench.call(made.verb, **made.arguments)


def test_role_purpose_and_time_are_told_and_no_name(bench: Bench, ana: Voice) -> None:
    use = _use(ana)
    assert use.purpose == PURPOSE
    assert set(use.told) == {"obj", "det"}
    actor = bench.desk.ledger.detail(use.index)["actor"]
    assert f'"{actor}"' not in use.told["det"]


def test_the_board_lets_a_name_be_told_until_it_ends(bench: Bench, ana: Voice) -> None:
    index = _use(ana).index
    decided = _decide(bench, "identity", entries=[index])
    use = _use(ana)
    assert bench.desk.ledger.detail(index)["actor"] in use.told["act"]
    assert any("who was" in line for line in in_words(_report(ana)))
    assert decided["entry"] in {one.index for one in _report(ana).uses if one.kind == "disclosure"}
    bench.restart()
    assert "act" in _use(ana).told
    bench.clock.advance(DAY_US)
    assert "act" not in _use(ana).told


def test_a_delay_withholds_what_it_was_and_never_that_it_was(bench: Bench, ana: Voice) -> None:
    index = _use(ana).index
    _decide(bench, "identity", entries=[index])
    _decide(bench, "delay", entries=[index])
    use, report = _use(ana), _report(ana)
    assert (use.index, use.purpose, dict(use.told)) == (index, PURPOSE, {})
    assert any("withheld for a time" in line for line in in_words(report))
    found = [
        leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "disclosure"
    ]
    assert found == ["identity", "delay"]
    bench.clock.advance(DAY_US)
    assert set(_use(ana).told) == {"obj", "det"}


REFUSED: list[tuple[str, tuple[str, ...], dict[str, Any]]] = [
    ("disclosure.quorum", FIVE[:4], {}),
    ("disclosure.quorum", ("legal", "hr", "security", "ml_lead", "privacy"), {}),
    ("disclosure.until", FIVE, {"until_us": 1}),
    ("disclosure.until", FIVE, {"until_us": 1 << 52}),
    ("disclosure.time", FIVE, {"at_us": 1}),
    ("disclosure.entry", FIVE, {"entries": [0]}),
    ("disclosure.entry", FIVE, {"entries": [99999]}),
    ("disclosure.order", FIVE, {"entries": []}),
    ("disclosure.order", FIVE, {"entries": [-1]}),
    ("disclosure.order", FIVE, {"what": "everything"}),
    ("disclosure.order", FIVE, {"reason": ""}),
    ("subjects.find", FIVE, {"person": "nobody"}),
]


def test_what_is_not_such_a_decision(bench: Bench, ana: Voice) -> None:
    index = _use(ana).index
    for rule, seats, changes in REFUSED:
        said = {"what": "identity", "entries": [index]} | changes
        refused = raised(
            lambda seats=seats, said=said: _decide(bench, said.pop("what"), *seats, **said)
        )
        assert refused.rule == rule, (rule, changes)
    assert "disclosure" not in bench.leaves()


def test_a_decision_counts_once_and_for_one_person(bench: Bench, ana: Voice) -> None:
    index, at = _use(ana).index, bench.clock.now_us()
    _decide(bench, "identity", entries=[index], at_us=at)
    again = raised(lambda: _decide(bench, "identity", entries=[index], at_us=at))
    assert again.rule == "disclosure.again"
    bench.clock.advance(DAY_US)
    _decide(bench, "identity", entries=[index], person="bo")
    assert "act" not in _use(ana).told
