"""A scaled day on the real path, against what the model says of it from other measurements."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tests.capacity_desk import SEED_OF_DAY, STREAMS, Spent, path_at, tables
from tests.lease_desk import keeper_at

from safehold.app.capacity.costs import read_costs
from safehold.app.capacity.queues import serve
from safehold.app.capacity.work import File, Work, calls_of, work_of
from safehold.ingest.network.front import LEASES_EVERY_S, MOST_LEASES

# of 80,000 people; each makes as many events as there, and the day is sent hour by hour
PEOPLE = int(os.environ.get("SAFEHOLD_DAY_PEOPLE", "40"))
# figure by figure: what the model may be off. CPU of a machine that others share varies that much between two runs
TOLERANCE = {
    "sandbox": 0.30,
    "keeper": 0.35,
    "sealed": 0.35,
    "chunks": 0.10,
    "entries": 0.10,
    "leases": 0.35,
    "ledger": 0.10,
    "p50": 0.5,
    "p99": 0.35,
}


@dataclass
class Compared:
    """A scaled day.

    Args:
        done: What each file took.
        said: What the model says that it takes.
        came: When each came, on the clock of the simulation.
    """

    done: list[Spent]
    said: list[Work]
    came: list[float]

    def table(self) -> dict[str, tuple[float, float]]:
        """Return what was and what was said, figure by figure."""
        rows = {
            "sandbox": (
                sum(one.sandbox_s for one in self.done),
                sum(one.sandbox_s for one in self.said),
            ),
            "keeper": (
                sum(one.keeper_s for one in self.done),
                sum(one.keeper_s for one in self.said),
            ),
            "sealed": (
                float(sum(one.sealed for one in self.done)),
                sum(one.sealed for one in self.said),
            ),
            "entries": (
                float(sum(one.entries for one in self.done)),
                sum(one.entries for one in self.said),
            ),
        }
        came = np.array(self.came)
        # one place at which files are taken in, in CPU-seconds: what other processes do on this machine is not in it
        was = serve(came, np.array([one.sandbox_s + one.keeper_s for one in self.done]), 1)
        said = serve(came, np.array([one.sandbox_s + one.keeper_s for one in self.said]), 1)
        rows["p50"] = (was.quantile(0.5), said.quantile(0.5))
        rows["p99"] = (was.quantile(0.99), said.quantile(0.99))
        return rows


def scaled_day(
    folder: Path, *, people: int, pace: int, seconds: float, step_h: int = 1
) -> Compared:
    """Send a day of some people hour by hour, and compare.

    Args:
        folder: Of the home.
        people: Of the made-up company.
        pace: Events each makes.
        seconds: How long the day is on the clock of the simulation.
        step_h: Hours that are gathered in a file.
    """
    costs, made = read_costs(), tables(SEED_OF_DAY, people, pace=pace)
    first = min(pc.min(table.column("t")).cast(pa.int64()).as_py() for table in made.values())
    files: list[tuple[float, str, pa.Table]] = []
    hour = step_h * 3_600_000_000
    for stream in STREAMS:
        table = made[stream]
        at = pc.divide(pc.subtract(table.column("t").cast(pa.int64()), first), hour)
        files += [
            (number * step_h * seconds / 24, stream, table.filter(pc.equal(at, number)))
            for number in sorted(pc.unique(at).to_pylist())
        ]
    files.sort(key=lambda one: one[:2])
    done, said = [], []
    with path_at(folder) as road:
        road.take("key", made["key"].slice(0, 100).set_column(
            0, made["key"].schema.field(0), pa.repeat("warm", 100)))  # fmt: skip
        for _, stream, table in files:
            people_in = len(pc.unique(table.column("person")))
            said.append(work_of(costs, File(stream=stream, people=people_in, events=len(table))))
            done.append(road.take(stream, table))
    return Compared(done, said, [at for at, _, _ in files])


def compare(found: Compared, *, slack: float = 0.0) -> None:
    for name, (was, said) in found.table().items():
        off = abs(said - was) / was if was else abs(said)
        print(
            f"{name:8} was {was:14,.3f}  said {said:14,.3f}  off {(said - was) / was if was else 0:+.0%}"
        )
        assert off <= TOLERANCE[name] + slack, name


@pytest.mark.proof
def test_a_scaled_day_takes_what_the_model_says(tmp_path: Path) -> None:
    found = scaled_day(tmp_path, people=PEOPLE, pace=175_000, seconds=40.0)
    print(f"{sum(one.events for one in found.done):,} events in {len(found.done)} files, "
          f"{sum(one.wall_s for one in found.done):.0f} s on the clock")  # fmt: skip
    compare(found)


@pytest.mark.proof
def test_an_hour_of_leases_takes_what_the_model_says(tmp_path: Path) -> None:
    """Renewals of the busiest minute of 80,000 people, in calls of as many as meet at one of two fronts then."""
    costs, rate = read_costs(), 38.0
    calls = calls_of(rate, every_s=LEASES_EVERY_S, most=MOST_LEASES)
    with keeper_at(tmp_path, people=100) as keeper:
        keeper.renewals(1, batch=100)  # the first of each device is another thing
        was = keeper.renewals(20, batch=round(rate / calls))
    in_call = calls / rate
    said = {
        "leases": costs["keeper.lease_s"] + in_call * costs["keeper.lease_call_s"],
        "entries": in_call * costs["ledger.lease_call_entries"],
        "ledger": costs["ledger.lease_bytes"] + in_call * costs["ledger.entry_bytes"],
    }
    found = {"leases": was.cpu_ms / 1_000, "entries": was.entries, "ledger": was.bytes}
    for name, one in found.items():
        off = (said[name] - one) / one
        print(f"{name:8} was {one:10.5f}  said {said[name]:10.5f}  off {off:+.0%}")
        assert abs(off) <= TOLERANCE[name], name


def test_a_few_hours_of_a_few_people_take_what_the_model_says(tmp_path: Path) -> None:
    """Short, so the start of sandboxes is most of it; and on a busy machine."""
    found = scaled_day(tmp_path, people=2, pace=20_000, seconds=24.0, step_h=8)
    table = found.table()
    for name in ("sealed", "entries"):
        was, said = table[name]
        assert abs(said - was) / was <= TOLERANCE[name] + 0.15, (name, was, said)
    # the figures come from another day or machine, so what holds here is how much more one takes than the other
    sandbox, keeper = (table[name][1] / table[name][0] for name in ("sandbox", "keeper"))
    assert 0.33 < sandbox / keeper < 3.0, (table["sandbox"], table["keeper"])
