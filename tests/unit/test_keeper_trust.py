"""Charter, board and stop: what is in force, and who may change it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.devices import keep_control, put_back
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.world import PURPOSE, raised

from safehold import canonical
from safehold.charter import Roster
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError, QuorumError
from safehold.ledger import Entry
from safehold.privacy.budget import Charge
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def _widen(tree: Any, approve: int) -> Any:
    tree["widen"]["approve"] = approve
    return tree


def test_a_charter_does_not_lower_the_bar_for_itself(bench: Bench) -> None:
    """The board that the charter in force asks for decides, not the one that the new text asks for."""
    usual = bench.charter().oversight.widen.approve
    bench.enact(bench.changed(oversight=lambda tree: _widen(tree, len(bench.seats))))
    lower = bench.changed(oversight=lambda tree: _widen(tree, usual))
    few = ("privacy", "legal", "works_council", "ethics", "security", "executive")
    names = [name for name in bench.seats if name in few][: len(bench.seats) - 1] or list(
        bench.seats
    )[:-1]
    must = [n for n in bench.charter().oversight.widen.must_include if n not in names]
    names = [*names[: len(bench.seats) - 1 - len(must)], *must]
    assert isinstance(raised(lambda: bench.enact(lower, *names)), QuorumError)
    assert bench.enact(lower)["new"]


def test_a_signed_resumption_does_not_lift_a_later_stop(bench: Bench) -> None:
    bench.call("stop", **bench.order("stop"))
    bench.clock.advance(SECOND_US)
    resume = bench.order("resume")
    bench.call("resume", **resume)
    bench.clock.advance(SECOND_US)
    bench.call("stop", **bench.order("stop"))
    assert raised(lambda: bench.call("resume", **resume)).rule == "oversight.order"
    bench.restart()
    assert raised(lambda: bench.call("resume", **resume)).rule == "oversight.order"
    assert bench.call("status")["stopped"]


def test_nothing_that_uses_data_is_logged_after_a_stop(bench: Bench) -> None:
    bench.call("stop", **bench.order("stop"))
    trust, size = bench.desk.trust, bench.desk.ledger.size
    entry = Entry(kind="ingest", actor="a", object="b", detail={})
    assert raised(lambda: trust.log_running(entry)).rule == "oversight.stop"
    intent = Entry(kind="access.intent", actor="a", object="b", detail={})
    assert raised(lambda: trust.log_charged(intent, None)).rule == "oversight.stop"
    assert bench.desk.ledger.size == size


def test_a_purpose_without_privacy_releases_nothing(bench: Bench) -> None:
    trust = bench.desk.trust
    silent = [name for name, one in trust.charter().purposes.items() if one.privacy is None]
    assert silent
    for name in silent:
        assert raised(lambda name=name: trust.allowed(name)).rule == "purpose.privacy"
        assert raised(lambda name=name: trust.least_people(name)).rule == "purpose.privacy"


def test_a_stop_that_comes_while_a_resumption_is_counted_holds(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.call("stop", **bench.order("stop"))
    bench.clock.advance(SECOND_US)
    resume = bench.order("resume")
    count = Roster.count

    def slow(self: Roster, domain: str, *rest: Any) -> Any:
        found = count(self, domain, *rest)
        if "resume" in domain:
            bench.clock.advance(SECOND_US)
            bench.call("stop", **bench.order("stop"))
        return found

    monkeypatch.setattr(Roster, "count", slow)
    assert raised(lambda: bench.call("resume", **resume)).rule == "oversight.order"
    assert bench.call("status")["stopped"]


def test_another_key_than_the_one_outside_the_home_is_noticed(bench: Bench) -> None:
    pinned = bench.home.keeper_key
    pinned.write_text(SigningKey.generate().public.text() + "\n", "ascii")
    bench.stop()
    assert raised(bench.start).rule == "keeper.key"


@pytest.mark.parametrize("text", ["{}", "[]", "nope", "1"])
def test_an_order_is_an_order(bench: Bench, text: str) -> None:
    error = raised(lambda: bench.call("stop", order=text, signatures=[]))
    assert isinstance(error, InvalidError)


def test_a_long_reason_is_refused(bench: Bench) -> None:
    order = canonical.decode(bench.order("stop")["order"].encode()) | {"reason": "x" * 2000}
    text = canonical.encode(order).decode()
    assert raised(lambda: bench.call("stop", order=text, signatures=[])).rule == "oversight.order"


def test_an_older_charter_is_not_enacted(bench: Bench) -> None:
    first = bench.charter()
    assert not bench.enact(first)["new"]
    bench.enact(bench.changed())
    assert isinstance(raised(lambda: bench.enact(first)), DeniedError)


@pytest.mark.parametrize(
    "people",
    [
        "ana",
        [1],
        [{"person": "x"}],
        [{"person": "x", "jurisdiction": "US-CA", "consent": True}],
        [{"person": "x", "jurisdiction": "US-CA", "streams": "key"}],
        [{"person": "x", "jurisdiction": "US-CA", "streams": [["key"]]}],
        [{"person": "x", "jurisdiction": "US-CA", "pauses": [[5, 1]]}],
        [{"person": "x", "jurisdiction": "US-CA", "pauses": [[5, None]]}],
        [{"person": "x", "jurisdiction": "US-CA"}] * 2,
        [{"person": "x\n", "jurisdiction": "US-CA"}],
    ],
)
def test_a_malformed_enrolment_enrols_nobody(bench: Bench, people: Any) -> None:
    size = bench.desk.ledger.size
    error = raised(lambda: bench.call("people.enrol", people=people, evidence="e"))
    assert isinstance(error, InvalidError)
    assert bench.desk.ledger.size == size
    assert not bench.desk.people.knows("x")


def test_files_of_a_home_are_its_owner_s_alone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    bench = found_bench(tmp_path)
    assert bench.home.path.stat().st_mode & 0o777 == 0o700
    assert bench.home.outside.stat().st_mode & 0o777 == 0o700


def test_an_older_control_database_refunds_nothing(bench: Bench, tmp_path: Path) -> None:
    """What was spent is a fold over leaves; the database has no say in it."""
    bench.stop()
    old = keep_control(bench, tmp_path / "old.db")
    bench.start()
    before = bench.desk.trust.left(PURPOSE)
    intent = Entry(
        kind="access.intent", actor="a", object="b", detail={}, public={"purpose": PURPOSE}
    )
    charge = Charge(purpose=PURPOSE, epsilon_micro=1_000, delta_e12=0)
    bench.desk.trust.log_charged(intent, charge)
    spent = bench.desk.trust.left(PURPOSE)
    assert before.epsilon_micro - spent.epsilon_micro == 1_000
    bench.stop()
    put_back(bench, old)
    bench.start()
    assert bench.desk.trust.left(PURPOSE) == spent
