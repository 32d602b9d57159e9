"""Withdrawal, pause and stop: nothing succeeds after them. Order in the ledger decides here, no clock does.

The proof form, with 32 real sandboxes and the figures, is ``tests/proof/test_stop_latency.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.stopping import Crew, WaitingWorkshop, use
from tests.world import outside, raised

from safehold.errors import SafeholdError

WORKERS = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("stop"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    with outside(tmp_path):
        one = copy_bench(made, tmp_path).start()
        one.take()
        yield one
        one.stop()


def test_a_stop_ends_every_run_that_goes_on_and_lets_none_begin(bench: Bench) -> None:
    bench.stop()
    bench.workshop = WaitingWorkshop()
    bench.start()
    crew = Crew(bench, bench.workshop)
    crew.begin(WORKERS)
    stopped = bench.call("stop", **bench.order("stop", "privacy"))
    crew.wait()
    assert stopped["jobs_ended"] == WORKERS
    assert {error.rule for error in crew.errors} == {"oversight.stop"}
    assert len(crew.errors) == WORKERS
    assert raised(lambda: use(bench, spec={})).rule == "oversight.stop"
    leaves = list(bench.desk.ledger.leaves(stopped["entry"] + 1))
    assert not [leaf for _, leaf in leaves if leaf["k"] in {"access.intent", "ingest"}]
    results = [leaf["pub"]["outcome"] for _, leaf in leaves if leaf["k"] == "access.result"]
    assert results == ["stopped"] * (WORKERS // 2)
    assert bench.blocks() == {"ana": 1, "bo": 1, "cy": 1}, "and nothing more came in"


@pytest.mark.parametrize("choice", ["withdraw", "pause", "restrict"])
def test_no_release_names_somebody_after_their_choice_whatever_runs_beside_it(
    bench: Bench, choice: str
) -> None:
    """Workers use data as fast as they can while somebody leaves; the order of leaves shows who came first."""
    bench.workshop.scripts["feature"] = lambda _spec: iter(())
    go_on = threading.Event()
    counts = [0] * WORKERS
    failed: list[SafeholdError] = []

    def work(number: int) -> None:
        while not go_on.is_set():
            try:
                use(bench, spec={})
            except SafeholdError as error:
                failed.append(error)
                return
            counts[number] += 1

    threads = [threading.Thread(target=work, args=(one,), daemon=True) for one in range(WORKERS)]
    for thread in threads:
        thread.start()
    while sum(counts) < WORKERS:  # they are under way
        assert not failed
    entry = bench.call("people.choose", person="ana", choice=choice)["entry"]
    seen = sum(counts)
    while sum(counts) < seen + WORKERS:  # and go on without her
        assert not failed
    go_on.set()
    for thread in threads:
        thread.join()
    ledger = bench.desk.ledger
    (subject,) = bench.desk.subjects([bench.desk.people.find("ana")])
    from safehold.ledger.subjects import epoch_key

    named = []
    for index, leaf in ledger.leaves():
        if leaf["k"] == "access.intent":
            opening = ledger.opening(index)
            own = epoch_key(subject.key, ledger.epochs.current)
            if opening.people.find(own) is not None:
                named.append(index)
    assert named, "she was in some before"
    assert max(named) < entry
