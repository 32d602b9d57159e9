"""Made-up access logs of a maker of consumer software that learns from how its people work."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

from tests.access_loom import machines, odd_long, odd_quick, people, turns
from tests.access_loom.book import Desk, finish, save
from tests.access_loom.firm import Firm, Machine, found
from tests.access_loom.stage import NoRoomError, Stage

KINDS = {
    "slow": "table_in_slices exports_each_day vectors_by_page agent_drip",
    "scope": "department_by_department purpose_stretch borrowed_grants agent_widens",
    "off_hours": "small_hours weekend_night three_nights agent_alone",
    "runaway": "loop_over_one refused_and_again walks_the_catalogue job_spins",
    "export": "vectors_pulled_whole search_returns_all table_to_file agent_shares_out",
    "join": "reviews_with_streams one_department_laid_open roster_with_vectors agent_joins_wide",
    "artifact": "checkpoints_of_others adapters_gathered job_takes_weights desk_takes_model",
    "first_time": "people_files_opened closed_department agent_new_ground job_new_ground",
}


def company(seed: int, learn_days: int = 25) -> Firm:
    """The company of a seed, with all that is settled beforehand."""
    firm = found(seed, learn_days)
    turns.plan(firm, Random(f"loom/turns/{seed}"))
    machines.equip(firm, Random(f"loom/machines/{seed}"))
    return firm


def _ordinary(firm: Firm) -> Desk:
    """The ordinary life of the company, day by day."""
    r = Random(f"loom/life/{firm.seed}")
    desk = Desk(firm, r)
    pool = next(m for m in firm.machines if m.task == "train_on_demand")
    agents: dict[str, list[Machine]] = {}
    for m in firm.machines:
        if m.operator is not None and m.manner in ("beside", "morning"):
            agents.setdefault(m.operator.name, []).append(m)
    redo = {r.randint(2, firm.clock.days - 4) for _ in range(r.randint(1, 3))}
    for d in range(firm.clock.days):
        for p in firm.people:
            sat = people.day(desk, p, d)
            people.calls(desk, p, d)
            for m in agents.get(p.name, []):
                machines.beside(desk, m, d, sat)
        for t, project in desk.started:
            machines.train(desk, pool, t, project)
        desk.started.clear()
        for m in firm.machines:
            if m.manner == "queue":
                machines.queue(desk, m, d)
            elif m.manner == "beat":
                machines.beat(desk, m, d)
            elif m.kind == "workload":
                machines.run(desk, m, d)
        if d in redo:
            machines.backfill(desk, d, r)
        if r.random() < 0.15:
            machines.withdrawals(desk, d, r)
    turns.happen(desk)
    return desk


def _odd(desk: Desk, r: Random) -> Stage:
    """Five attacks of each kind: each variant once, and one of them twice."""
    desk.rows.sort(key=lambda x: (x[0], x[1]))
    stage = Stage(desk, r)
    for kind, names in KINDS.items():
        module = odd_long if kind in ("slow", "scope", "off_hours") else odd_quick
        variants = [getattr(module, name) for name in names.split()]
        order: list[Callable[[Stage], None]] = r.sample(variants, len(variants))
        done, tries = 0, 0
        while done < 5:
            variant = order[tries % len(order)]
            stage.now = (kind, variant.__name__)
            tries += 1
            with suppress(NoRoomError):
                variant(stage)
                done += 1
            if tries > 60:
                raise RuntimeError(f"no room for {kind} in seed {desk.firm.seed}")
    return stage


@contextmanager
def _unswept() -> Iterator[None]:
    """No sweeping for cycles while many small things are made: there are none, and it is slow."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def live(seed: int, learn_days: int = 25) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The events of a company, and what is true of its attacks."""
    with _unswept():
        desk = _ordinary(company(seed, learn_days))
        stage = _odd(desk, Random(f"loom/odd/{seed}"))
        return finish(desk, stage.attacks)


def write(seed: int, folder: Path, learn_days: int = 25) -> tuple[Path, Path]:
    """Writes `events.jsonl` and `truth.jsonl` into a folder."""
    events, truth = live(seed, learn_days)
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "events.jsonl", events)
    save(folder / "truth.jsonl", truth)
    return folder / "events.jsonl", folder / "truth.jsonl"
