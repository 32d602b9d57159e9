"""The plan for a company: queues agree with formulas, a day with its figures, and what is full first is named first."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.world import raised

from safehold.app.capacity.costs import Costs, read_costs
from safehold.app.capacity.day import MINUTES, Day
from safehold.app.capacity.plan import Setting, load_of, people_of_one_keeper, plan
from safehold.app.capacity.price import Prices, bill, read_prices
from safehold.app.capacity.queues import arrivals, serve, times
from safehold.app.capacity.work import CHUNK, File, calls_of, work_of
from safehold.ingest.limits import Limits

COSTS = read_costs()


def erlang_wait(rate: float, took: float, servers: int) -> float:
    """Return the mean wait before so many servers with exponential times (Erlang C)."""
    load = rate * took
    top = load**servers / math.factorial(servers) * servers / (servers - load)
    below = sum(load**number / math.factorial(number) for number in range(servers)) + top
    return top / below * took / (servers - load)


@pytest.mark.parametrize("servers", [1, 2, 5])
def test_the_queue_waits_as_erlang_says(servers: int) -> None:
    chance = np.random.default_rng(3)
    rate, took = 0.7 * servers, 1.0
    came = arrivals(np.full(300_000 // servers, rate), 1.0, chance)
    found = serve(came, chance.exponential(took, len(came)), servers).waits.mean()
    assert found == pytest.approx(erlang_wait(rate, took, servers), rel=0.08)


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.5])
def test_one_server_waits_as_pollaczek_and_khinchine_say(spread: float) -> None:
    chance = np.random.default_rng(5)
    rate, took = 0.6, 1.0
    came = arrivals(np.full(400_000, rate), 1.0, chance)
    found = serve(came, times(took, spread, len(came), chance), 1).waits.mean()
    said = rate * took**2 * (1 + spread**2) / 2 / (1 - rate * took)
    assert found == pytest.approx(said, rel=0.1)


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 5)), max_size=40), st.integers(1, 4))
def test_nobody_is_served_early_twice_or_by_too_many(
    jobs: list[tuple[float, float]], servers: int
) -> None:
    came = np.sort(np.array([one for one, _ in jobs], dtype=np.float64))
    took = np.array([one for _, one in jobs], dtype=np.float64)
    waited = serve(came, took, servers)
    assert (waited.begun >= came).all()
    assert (np.diff(waited.begun) >= 0).all()  # first come, first served
    for moment in waited.begun:
        at_work = (waited.begun <= moment) & (waited.ended > moment)
        assert at_work.sum() <= servers
    more = serve(came, took, servers + 1)
    assert (more.begun <= waited.begun).all()


def test_a_day_of_the_design_point_is_that_day() -> None:
    day = Day(people=80_000)
    assert day.total == pytest.approx(14e9)
    assert day.rates().mean() == pytest.approx(14e9 / 86_400, rel=1e-6)
    assert day.rates().max() == pytest.approx(600_000, rel=0.01)
    assert len(day.rates()) == MINUTES
    assert day.weights().sum() == pytest.approx(1)


def test_a_chunk_here_is_a_chunk_there() -> None:
    assert Limits().chunk_rows == CHUNK


@given(st.integers(1, 500), st.integers(1, 3_000_000))
def test_more_never_takes_less(people: int, events: int) -> None:
    one = work_of(COSTS, File(stream="key", people=people, events=events))
    for more in (
        File(stream="key", people=people + 1, events=events),
        File(stream="key", people=people, events=events + CHUNK),
    ):
        two = work_of(COSTS, more)
        assert two.keeper_s >= one.keeper_s
        assert two.sealed >= one.sealed
        assert two.chunks >= one.chunks


def test_what_is_full_first_is_named_and_one_keeper_ends_where_it_says() -> None:
    day, setting = Day(people=80_000), Setting()
    told = plan(COSTS, day, setting, Prices())
    assert told["full_first"] == max(told["roles"], key=lambda name: told["roles"][name]["busy"])
    most = told["one_keeper"]["people_at_limit"]
    for people, over in ((round(most * 0.97), False), (round(most * 1.05), True)):
        busy = load_of(COSTS, Day(people=people), setting).keeper.max()
        assert bool(busy > setting.limit) is over
    assert told["one_keeper"]["homes"] == math.ceil(80_000 / most)
    assert sum(told["one_keeper"]["does"].values()) == pytest.approx(
        told["one_keeper"]["busy"], rel=1e-6
    )
    assert len(told["curves"]["keeper_busy"]) == len(told["curves"]["minute"])


def test_devices_that_hand_in_by_themselves_fill_a_keeper_sooner_than_gateways() -> None:
    day = Day(people=80_000)
    found = {
        way: people_of_one_keeper(COSTS, day, Setting(way=way)) for way in ("gateways", "devices")
    }
    assert found["devices"] < found["gateways"] / 2


def test_gathering_longer_takes_less_of_the_keeper() -> None:
    day = Day(people=20_000)
    busy = [
        float(load_of(COSTS, day, Setting(batch_minutes=minutes)).keeper.max())
        for minutes in (2, 15, 60)
    ]
    assert busy == sorted(busy, reverse=True)


@pytest.mark.parametrize(
    ("rate", "every_s", "most"),
    [(0.3, 0.25, 256), (4.0, 0.25, 256), (38.0, 0.25, 256), (38.0, 0.1, 32), (900.0, 0.25, 32), (5.0, 0.0, 9)],
)  # fmt: skip
def test_so_many_calls_bring_requests_that_come_by_chance(
    rate: float, every_s: float, most: int
) -> None:
    """As the front gathers them: at once if nobody went just before, else with everybody who came since."""
    came = np.cumsum(np.random.default_rng(3).exponential(1 / rate, 20_000))
    calls, begun, at = 0, -every_s, 0
    while at < len(came):
        free = begun + every_s
        full = came[min(at + most, len(came)) - 1] if at + most <= len(came) else np.inf
        begun = max(float(came[at]), min(free, float(full)))
        waiting = int(np.searchsorted(came, begun, side="right"))
        at = min(max(waiting, at + 1), at + most)
        calls += 1
    said = calls_of(rate, every_s=every_s, most=most)
    assert calls / float(came[-1]) == pytest.approx(said, rel=0.05)


def test_leases_together_take_less_and_fewer_fronts_gather_more() -> None:
    day = Day(people=80_000)
    settings = (Setting(fronts=1), Setting(), Setting(fronts=20), Setting(together=False))
    loads = [load_of(COSTS, day, one) for one in settings]
    cores = [one.parts["leases"] for one in loads]
    assert cores == sorted(cores)
    assert cores[1] < cores[3] / 3
    assert [one.entries for one in loads] == sorted(one.entries for one in loads)
    assert [one.ledger for one in loads] == sorted(one.ledger for one in loads)
    assert calls_of(0.0, every_s=0.25, most=9) == 0.0
    assert raised(lambda: Setting(fronts=0)).rule == "capacity.setting"


def test_a_bill_is_the_sum_of_its_parts_and_follows_the_table(tmp_path: Path) -> None:
    roles = {"keeper": {"nodes": 2.0}, "sandbox": {"nodes": 3.0}}
    storage = {"days_1_gb": 10.0, "ledger_gb_a_year": 100.0}
    given = {
        "core_hour": 1,
        "gb_hour": 0,
        "stored_gb_month": 2,
        "disk_gb_month": 0,
        "thousand_puts": 0,
        "currency": "EUR",
    }
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(given))
    prices = read_prices(file)
    told = bill(prices, roles, storage, node_cores=4, node_gb=8, objects=1_000, days=30)
    assert told["machines"] == 5 * 720 * 4
    assert told["objects"] == 10 * 30 * 2
    assert told["month"] == told["machines"] + told["objects"]
    assert (told["currency"], told["assumed"], Prices().assumed) == ("EUR", False, True)


@pytest.mark.parametrize(
    ("text", "rule"),
    [("{", "capacity.prices"), ("[]", "capacity.prices"), ('{"gold": 1}', "capacity.prices"),
     ('{"core_hour": -1}', "capacity.prices"), ('{"core_hour": "x"}', "capacity.prices")],
)  # fmt: skip
def test_what_is_no_table_of_prices_is_refused(tmp_path: Path, text: str, rule: str) -> None:
    file = tmp_path / "prices.json"
    file.write_text(text)
    assert raised(lambda: read_prices(file)).rule == rule


@pytest.mark.parametrize(
    "text",
    ["{", "{}", '{"version": "safehold-costs/1", "date": "d", "machine": "m", "figures": {"x": {"value": -1, "from": "measured"}}}',
     '{"version": "safehold-costs/1", "date": "d", "machine": "m", "figures": {"x": {"value": 1, "from": "heard"}}}'],
)  # fmt: skip
def test_what_is_no_file_of_costs_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "costs.json"
    file.write_text(text)
    assert raised(lambda: read_costs(file)).rule == "capacity.costs"


def test_a_measurement_that_lacks_a_figure_says_which() -> None:
    short = Costs(COSTS.date, COSTS.machine, {}, {})
    error = raised(lambda: work_of(short, File(stream="key", people=1, events=1)))
    assert "sandbox.file_s" in error.message


def test_each_figure_says_where_it_comes_from() -> None:
    assert set(COSTS.origins.values()) == {"measured", "recorded", "assumed"}
    measured = {name for name, origin in COSTS.origins.items() if origin == "measured"}
    assert {
        "keeper.file_s",
        "keeper.chunk_s",
        "keeper.block_s",
        "keeper.lease_call_s",
        "keeper.lease_s",
        "keeper.nonce_call_s",
        "sandbox.file_s",
    } <= measured
