"""The plan: how many machines for so many people, what waits where, what is full first, where one keeper ends.

Two queues follow each other: files before sandboxes, which work side by side, and chunks before the one keeper that
leads. Everything else takes a share of the same cores: of the keeper's, leases and pages at the same hours, and at
night what has no hurry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from safehold.app.capacity.costs import Costs
from safehold.app.capacity.day import MINUTES, Curve, Day, at_work
from safehold.app.capacity.price import Prices, bill
from safehold.app.capacity.queues import Waited, arrivals, serve, times
from safehold.app.capacity.work import (
    File,
    Habits,
    Nightly,
    Work,
    calls_of,
    nightly_of,
    work_of,
)
from safehold.errors import InvalidError
from safehold.ingest.network.front import (
    LEASES_EVERY_S,
    MOST_LEASES,
    MOST_NONCES,
    NONCES_EVERY_S,
)

GATEWAYS: Final = "gateways"
DEVICES: Final = "devices"
KEEPER_CORES: Final = 1.0  # one process, one interpreter: a second core helps it little
SPREAD: Final = 0.3  # of service times about their mean: coefficient of variation, as measured
STEP_S: Final = 300
LARGEST: Final = 20_000_000  # people for whom a home is looked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a company is set up.

    Args:
        batch_minutes: How long a gateway gathers before it hands a file over.
        gateway_people: Of one gateway.
        way: ``gateways``: files of many people; ``devices``: each device hands in its own under its lease.
        limit: How busy a part may be at the busiest minute.
        node_cores: Of a machine.
        node_gb: Memory of a machine.
        retention_days: How long blocks stay.
        fronts: Between devices and the keeper; each asks for the leases of all who come to it in the same moment.
        together: Whether they do; otherwise each device costs a call.
        habits: What is done beside.
        seed: Of the simulation.
    """

    batch_minutes: float = 15.0
    gateway_people: int = 1_000
    way: str = GATEWAYS
    limit: float = 0.6
    node_cores: int = 8
    node_gb: int = 32
    retention_days: int = 30
    fronts: int = 2
    together: bool = True
    habits: Habits = field(default_factory=Habits)
    seed: int = 7

    def __post_init__(self) -> None:
        if (
            self.way not in {GATEWAYS, DEVICES}
            or not 0.05 <= self.limit <= 0.95
            or not 0.1 <= self.batch_minutes <= 24 * 60
            or min(
                self.gateway_people,
                self.node_cores,
                self.node_gb,
                self.retention_days,
                self.fronts,
            )
            < 1
        ):
            raise InvalidError("nobody can be set up like that", rule="capacity.setting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How busy a company keeps its parts, minute by minute.

    Args:
        sandbox: Cores of sandboxes, at the way in.
        keeper: Cores of the keeper: chunks, leases, pages.
        portal: Cores of portals.
        parts: The keeper's, at the busiest minute, by what it does.
        files: A second.
        blocks: A day.
        chunks: A day.
        sealed: Bytes a day.
        entries: A day.
        ledger: Bytes of it, a day.
    """

    sandbox: Curve
    keeper: Curve
    portal: Curve
    parts: dict[str, float]
    files: dict[str, Curve]
    sizes: dict[str, list[Work]]
    blocks: float
    chunks: float
    sealed: float
    entries: float
    ledger: float


def load_of(costs: Costs, day: Day, setting: Setting) -> Load:
    """Return how busy a company keeps its parts; nothing is drawn at random here."""
    rates, working = day.rates(), at_work(day)
    each = 1 if setting.way == DEVICES else min(setting.gateway_people, day.people)
    handed = (
        day.people / each / (setting.batch_minutes * 60)
    )  # files a second of one stream, at most
    sandbox, keeper = np.zeros(MINUTES), np.zeros(MINUTES)
    files: dict[str, Curve] = {}
    sizes: dict[str, list[Work]] = {}
    blocks = chunks = sealed = entries = 0.0
    total = sum(count for _, count in day.events)
    for stream, count in day.events:
        files[stream] = np.zeros(MINUTES)
        sizes[stream] = []
        for minute in range(MINUTES):
            active = working[minute] / day.people
            # devices hand in when there is something; a gateway always has somebody
            rate = handed * (active if each == 1 else min(1.0, active * each))
            events = rates[minute] * count / total / rate if rate else 0.0
            one = work_of(
                costs,
                File(stream=stream, people=max(1, round(active * each)), events=round(events)),
            )
            files[stream][minute], seconds = rate, rate * 60
            sizes[stream].append(one)
            sandbox[minute] += rate * one.sandbox_s
            keeper[minute] += rate * one.keeper_s
            blocks += seconds * one.blocks
            chunks += seconds * one.chunks
            sealed += seconds * one.sealed
            entries += seconds * one.entries
    share = working / working.sum()
    leases = working * setting.habits.leases / 3600
    pages = share * day.people * setting.habits.pages / 60
    calls = _calls(leases, setting, every_s=LEASES_EVERY_S, most=MOST_LEASES)
    nonces = _calls(leases, setting, every_s=NONCES_EVERY_S, most=MOST_NONCES)
    lease_cores = (
        leases * costs["keeper.lease_s"]
        + calls * costs["keeper.lease_call_s"]
        + nonces * costs["keeper.nonce_call_s"]
    )
    page_cores = pages * costs["keeper.page_s"]
    entries += float(calls.sum()) * 60 * costs["ledger.lease_call_entries"]
    busiest = int(np.argmax(keeper + lease_cores + page_cores))
    return Load(
        sandbox=sandbox,
        keeper=keeper + lease_cores + page_cores,
        portal=pages * costs["portal.page_s"],
        parts={
            "chunks": float(keeper[busiest]),
            "leases": float(lease_cores[busiest]),
            "pages": float(page_cores[busiest]),
        },
        files=files,
        sizes=sizes,
        blocks=blocks,
        chunks=chunks,
        sealed=sealed,
        entries=entries,
        ledger=entries * costs["ledger.entry_bytes"]
        + float(leases.sum()) * 60 * costs["ledger.lease_bytes"],
    )


def _calls(asked: Curve, setting: Setting, *, every_s: float, most: int) -> Curve:
    """Return the calls a second that all fronts make for so many requests a second."""
    every = every_s if setting.together else 0.0
    each = [calls_of(float(one) / setting.fronts, every_s=every, most=most) for one in asked]
    return setting.fronts * np.array(each)


def servers_of(load: Load, setting: Setting) -> int:
    """Return how many sandboxes work side by side at the way in, for the busiest minute."""
    return max(1, math.ceil(float(load.sandbox.max()) / setting.limit))


def follow(load: Load, setting: Setting, servers: int) -> tuple[Waited, Waited]:
    """Return what waited before sandboxes, and before the keeper: a day drawn at random, file by file."""
    chance = np.random.default_rng(setting.seed)
    came, took, parts, keeper = [], [], [], []
    for stream, rates in load.files.items():
        moments = arrivals(rates, 60.0, chance)
        minute = np.minimum((moments // 60).astype(int), MINUTES - 1)
        sizes = load.sizes[stream]
        came.append(moments)
        took.append(np.array([one.sandbox_s for one in sizes])[minute])
        parts.append(np.array([one.chunks for one in sizes])[minute])
        keeper.append(np.array([one.keeper_s / one.chunks for one in sizes])[minute])
    order = np.argsort(np.concatenate(came), kind="stable")
    moments, means = np.concatenate(came)[order], np.concatenate(took)[order]
    count, each = np.concatenate(parts)[order], np.concatenate(keeper)[order]
    before = serve(moments, means * times(1.0, SPREAD, len(means), chance), servers)
    # a sandbox hands its chunks over one after the other
    file = np.repeat(np.arange(len(count)), count)
    number = np.arange(len(file)) - np.repeat(np.cumsum(count) - count, count) + 1
    length = (before.ended - before.begun)[file]
    ready = before.begun[file] + length * number / count[file]
    order = np.argsort(ready, kind="stable")
    # what else the keeper does in that minute takes its share
    minute = np.minimum((ready[order] // 60).astype(int), MINUTES - 1)
    own = np.zeros(MINUTES)
    for stream, rates in load.files.items():
        own += rates * np.array([one.keeper_s for one in load.sizes[stream]])
    beside = np.minimum(load.keeper - own, 0.95)[minute]
    took_s = each[file][order] * times(1.0, SPREAD, len(file), chance) / (1 - beside)
    return before, serve(ready[order], took_s, 1)


def people_of_one_keeper(costs: Costs, day: Day, setting: Setting) -> int:
    """Return with how many people the one keeper that leads is as busy as it may be."""

    def busy(people: int) -> float:
        tried = Day(people=people, events=day.events, zones=day.zones, peak=day.peak)
        return float(load_of(costs, tried, setting).keeper.max()) / KEEPER_CORES

    low, high = 1, 1_000
    while busy(high) < setting.limit:
        low, high = high, high * 2
        if high > LARGEST:
            return LARGEST
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (middle, high) if busy(middle) < setting.limit else (low, middle)
    return low


def plan(costs: Costs, day: Day, setting: Setting, prices: Prices) -> dict[str, Any]:
    """Return the plan for a company: what is full first, machines by role, what waits, what rests, what it costs."""
    load = load_of(costs, day, setting)
    servers = servers_of(load, setting)
    night = nightly_of(
        costs, setting.habits, people=day.people, sealed=load.sealed, entries=load.entries
    )
    before, keeper = follow(load, setting, servers)
    moments = np.arange(0, 86_400 + STEP_S, STEP_S, dtype=np.float64)
    most = people_of_one_keeper(costs, day, setting)
    homes = max(1, math.ceil(day.people / most))
    roles = _roles(costs, load, setting, servers, night)
    busy = {name: float(one["busy"]) for name, one in roles.items()}
    storage = {f"days_{days}_gb": load.sealed * days / 1e9 for days in (1, 30, 90)} | {
        "ledger_gb_a_year": load.ledger * 365 / 1e9
    }
    return {
        "people": day.people,
        "measured": {
            "date": costs.date,
            "machine": costs.machine,
            "assumed": sorted(
                name for name, origin in costs.origins.items() if origin == "assumed"
            ),
        },
        "full_first": max(busy, key=lambda name: busy[name]),
        "one_keeper": {
            "busy": busy["keeper"],
            "does": load.parts,
            "people_at_limit": most,
            "homes": homes,
        },
        "arrivals": {
            "events_a_day": day.total,
            "mean_a_second": day.total / 86_400,
            "peak_a_second": float(day.rates().max()),
            "files": len(before.came),
            "chunks": load.chunks,
            "blocks": load.blocks,
        },
        "roles": roles,
        "waits": {
            "sandbox": _told(before, moments),
            "keeper": _told(keeper, moments),
        },
        "night": {"sandbox_cpu_s": night.sandbox, "keeper_cpu_s": night.keeper},
        "storage": storage,
        "price": bill(
            prices,
            roles,
            storage,
            node_cores=setting.node_cores,
            node_gb=setting.node_gb,
            objects=load.chunks,
            days=setting.retention_days,
        ),
        "curves": {
            "minute": list(range(0, MINUTES, 5)),
            "events_a_second": [round(float(one)) for one in day.rates()[::5]],
            "sandbox_busy": [float(one) / servers for one in load.sandbox[::5]],
            "keeper_busy": [float(one) / KEEPER_CORES for one in load.keeper[::5]],
            "portal_busy": [float(one) for one in load.portal[::5]],
            "files_waiting": [float(one) for one in before.backlog(moments)[:-1]],
            "chunks_waiting": [float(one) for one in keeper.backlog(moments)[:-1]],
        },
    }


def _roles(
    costs: Costs, load: Load, setting: Setting, servers: int, night: Nightly
) -> dict[str, dict[str, float]]:
    nightly = sum(night.sandbox.values()) / (8 * 3600)  # from evening to morning
    cores = {
        "receive": _receive(costs, load),
        "sandbox": max(float(load.sandbox.max()), nightly),
        "keeper": max(float(load.keeper.max()), sum(night.keeper.values()) / (8 * 3600)),
        "portal": float(load.portal.max()),
        "store": _puts(costs, load),
    }
    memory = {
        "receive": 2.0,
        "sandbox": servers * costs["sandbox.gb"],
        "keeper": 2 * costs["keeper.gb"],
        "portal": 2 * costs["portal.gb"],
        "store": 4.0,
    }
    told = {}
    for name, used in cores.items():
        wanted = max(1, math.ceil(used / setting.limit))
        # one leads and one stands by; two portals behind a balancer; three machines keep what rests
        least = {"keeper": 2, "portal": 2, "store": 3, "receive": 2}.get(name, 1)
        by_cores = max(least, wanted if name in {"keeper", "portal"} else 1)
        nodes = max(
            by_cores,
            math.ceil(wanted / setting.node_cores) if name != "keeper" else least,
            math.ceil(memory[name] / setting.node_gb),
        )
        room = KEEPER_CORES if name == "keeper" else float(max(wanted, 1))
        told[name] = {
            "peak_cores": used,
            "busy": used / room,
            "nodes": float(nodes),
            "memory_gb": memory[name],
        }
    return told


def _receive(costs: Costs, load: Load) -> float:
    return (
        max(
            sum(float(rates[minute]) for rates in load.files.values()) * costs["receive.file_s"]
            for minute in range(MINUTES)
        )
        + float(load.sandbox.max()) * costs["receive.share_of_sandbox"]
    )


def _puts(costs: Costs, load: Load) -> float:
    return (
        max(
            sum(
                float(rates[minute]) * load.sizes[stream][minute].chunks
                for stream, rates in load.files.items()
            )
            for minute in range(MINUTES)
        )
        * costs["store.put_s"]
    )


def _told(waited: Waited, moments: Curve) -> dict[str, float]:
    backlog = waited.backlog(moments)
    return {
        "p50_s": waited.quantile(0.5),
        "p99_s": waited.quantile(0.99),
        "longest_s": waited.quantile(1.0),
        "backlog": float(backlog.max()),
    }
