"""Must show 4 of part 5: the last successful release after a withdrawal, a pause and a stop, measured.

Goals: one second for a withdrawal and a pause, sixty for a stop with 32 workers. 32 real sandboxes, half of which hold
opened data and half take a source in; the stop has to end them. Figures are printed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import found_bench
from tests.stopping import Crew, SandboxWaiting, use
from tests.world import outside

from safehold.errors import SafeholdError
from safehold.vault import SealedBlock

WORKERS = 32
STOP_S, CHOICE_S = 60.0, 1.0


@pytest.mark.proof
def test_a_stop_with_32_sandboxes(tmp_path: Path) -> None:
    with outside(tmp_path):
        made = found_bench(tmp_path)
        bench = made.start()
        bench.take()
        bench.stop()
        bench.workshop = SandboxWaiting()  # type: ignore[assignment]
        bench.start()
        try:
            crew = Crew(bench, bench.workshop)
            crew.begin(WORKERS)
            began = time.monotonic()
            stopped = bench.call("stop", **bench.order("stop", "privacy"))
            said = time.monotonic()
            crew.wait()
            last = max(crew.ended) - began
            print(
                f"\nstop with {WORKERS} sandboxes: order carried out after {said - began:.3f} s, "
                f"last run ended after {last:.3f} s; {stopped['jobs_ended']} sandboxes killed"
            )
            assert stopped["jobs_ended"] == WORKERS
            assert {error.rule for error in crew.errors} == {"oversight.stop"}
            after = bench.leaves(stopped["entry"] + 1)
            assert not {"access.intent", "ingest", "lease"} & set(after)
            assert last <= STOP_S
        finally:
            bench.stop()


@pytest.mark.proof
@pytest.mark.parametrize("choice", ["withdraw", "pause"])
def test_a_choice_beside_32_workers(tmp_path: Path, choice: str) -> None:
    """Each worker decides, opens, runs in a sandbox and begins again, for as long as the test lasts."""
    with outside(tmp_path):
        bench = found_bench(tmp_path).start()
        bench.take()
        bench.stop()
        bench.workshop = SandboxWaiting("empty")  # type: ignore[assignment]
        bench.start()
        opened: list[float] = []  # when a block of hers was opened
        done: list[int] = []
        go_on = threading.Event()
        her = bench.desk.people.find("ana")
        read = bench.desk.vault.read

        def watched(blocks: Sequence[SealedBlock]) -> Iterator[tuple[SealedBlock, Any]]:
            for block, table in read(blocks):
                if block.person == her:
                    opened.append(time.monotonic())
                yield block, table

        bench.desk.vault.read = watched  # type: ignore[method-assign]

        def work() -> None:
            while not go_on.is_set():
                try:
                    done.append(use(bench, spec={}))
                except SafeholdError:
                    return

        threads = [threading.Thread(target=work, daemon=True) for _ in range(WORKERS)]
        try:
            for thread in threads:
                thread.start()
            while len(done) < 2 * WORKERS:
                time.sleep(0.01)
            began = time.monotonic()
            bench.call("people.choose", person="ana", choice=choice)
            said = time.monotonic() - began
            seen = len(done)
            while len(done) < seen + 2 * WORKERS:
                time.sleep(0.01)
            go_on.set()
            for thread in threads:
                thread.join()
            assert opened, "she was in some before"
            last = max(opened[-1] - began, 0)
            print(
                f"\n{choice} beside {WORKERS} workers: the last block of the person was opened "
                f"{last:.3f} s after it was asked for; answered, with a receipt, after {said:.3f} s"
            )
            assert last <= CHOICE_S
        finally:
            go_on.set()
            bench.stop()
