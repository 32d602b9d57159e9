"""Drive one whole run: people and load onto a site, a plan carried out, everything ended, opened and judged."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.chaos.faults import Havoc
from tests.chaos.growth import Growth, grown, growth_of
from tests.chaos.judge import Finding, judge
from tests.chaos.lines import ways
from tests.chaos.loads import Crew, Load, Reads
from tests.chaos.look import look, readable
from tests.chaos.people_loads import Beating, Choosing, Erasing, Using
from tests.chaos.plan import Plan
from tests.chaos.planted import Words
from tests.chaos.record import Record, Sample
from tests.chaos.site import READERS, Site, hears, site_at
from tests.chaos.table import figures, markdown, never_back
from tests.chaos.telemetry_loads import Collecting, Files

from safehold.errors import SafeholdError

WAYS = ("collectors", "http", "queue")
SETTLE_S = 120.0  # for everything to work again after the last fault
STREAMS = ["key", "pointer", "chat", "ai", "focus"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is of everything.

    Args:
        collectors: People who are recorded by a device each, for every way to the keeper.
        files: People whose events come in files, in groups of four.
        choosers: People who pause and resume.
        erased: People who are erased.
        erase_s: Between two erasures.
        sample_s: Between two looks at the processes.
        grows: Whether it lasts long enough to tell whether anything grows.
    """

    collectors: int
    files: int
    choosers: int
    erased: int
    erase_s: float
    sample_s: float
    grows: bool = True


SHORT = Size(collectors=1, files=4, choosers=2, erased=3, erase_s=8, sample_s=0.5, grows=False)
LONG = Size(collectors=3, files=8, choosers=4, erased=40, erase_s=40, sample_s=2)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run.

    Args:
        findings: What is wrong; none in a good one.
        growth: How every part grew.
        figures: All of it, for machines.
    """

    findings: list[Finding]
    growth: list[Growth]
    figures: dict[str, Any]


def drive(folder: Path, plan: Plan, size: Size) -> Outcome:
    """Do a whole run.

    Args:
        folder: A new one for the site; ``record.jsonl``, ``plan.json``, ``figures.json`` and ``table.md`` are left
            beside it.
        plan: What is done to it.
        size: How much there is.
    """
    beside = folder.parent
    beside.mkdir(parents=True, exist_ok=True)
    plan.write(beside / "plan.json")
    record = Record(beside / "record.jsonl")
    words, since = Words(random.Random(plan.seed)), time.time()
    findings: list[Finding] = []
    with site_at(folder) as site, ExitStack() as undo:
        site.start()
        people = _enrol(site, size)
        loads = _loads(site, record, words, size, people, undo)
        _say(
            f"site and people are there, {len(loads)} loads, {len(plan.faults)} faults, seed {plan.seed}"
        )
        crew, watch = Crew(record, loads), _Watch(site, record, every=size.sample_s)
        watch.start()
        crew.start()
        havoc = Havoc(site, record, plan)
        havoc.run()
        findings += _settle(site, crew, havoc)
        crew.stop()
        watch.stop()
        findings += _finish_files(loads)
        findings += _end(site)
        held = look(site)
        findings += judge(record, held)
        findings += [
            Finding("readable", "a planted word, or the name of somebody, lies readable somewhere")
            for _ in readable(
                site, words.all | {*people["choosers"], *people["erased"]}, since=since
            )
        ]
    growth = growth_of(record.samples)
    findings += never_back(record)
    findings += [Finding("growth", one) for one in (grown(growth) if size.grows else ())]
    told = figures(plan, record, held, growth, findings)
    (beside / "figures.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    (beside / "table.md").write_text(markdown(told), "utf-8")
    return Outcome(findings, growth, told)


def _enrol(site: Site, size: Size) -> dict[str, list[str]]:
    people = {
        **{way: [f"{way}{one:02}" for one in range(size.collectors)] for way in WAYS},
        "files": [f"filed{one:02}" for one in range(size.files)],
        "choosers": [f"chooser{one:02}" for one in range(size.choosers)],
        "erased": [f"erased{one:02}" for one in range(size.erased)],
        "beat": ["beating"],
    }
    site.line().call(
        "people.enrol",
        people=[
            {"person": one, "jurisdiction": "US-CA", "streams": STREAMS}
            for group in people.values()
            for one in group
        ],
        evidence="made-up people",
    )
    return people


def _loads(
    site: Site,
    record: Record,
    words: Words,
    size: Size,
    people: dict[str, list[str]],
    undo: ExitStack,
) -> list[Load]:
    """Return all loads; people who choose or are erased have something to lose before it begins."""
    for group in ("choosers", "erased"):
        for start in range(0, len(people[group]), 3):
            files = Files(site, record, people[group][start : start + 3], words)
            for _ in range(2):
                files.one()
    loads: list[Load] = []
    for name, way in ways(site, undo).items():
        for person in people[name]:
            line, key = way(person)
            loads.append(Collecting(record, person, words, line=line, key=key, name=name))
    groups = [people["files"][at : at + 4] for at in range(0, size.files, 4)]
    loads += [Files(site, record, one, words, first="b") for one in groups]
    beat = Beating(site, "beating")
    beat.enrol()
    loads += [
        beat,
        Choosing(site, record, people["choosers"]),
        Erasing(site, record, people["erased"], pause_s=size.erase_s),
        Using(site, record),
        *(Reads(site, name) for name in READERS),
    ]
    return loads


def _settle(site: Site, crew: Crew, havoc: Havoc) -> list[Finding]:
    """Wait until every load succeeds again, and every part is there."""
    since = time.monotonic()
    late: list[str] = []
    while time.monotonic() - since < SETTLE_S:
        late = [one for one in crew.late(since) if one != "erasures"]  # of these few are left
        if not late and all(one.alive for one in site.programs.values()):
            return []
        havoc.supervise()
        time.sleep(0.1)
    dead = [name for name, one in site.programs.items() if not one.alive]
    return [Finding("broken", f"does not work again: {one}") for one in [*sorted(late), *dead]]


def _finish_files(loads: list[Load]) -> list[Finding]:
    """Hand in again what was not answered for."""
    for one in loads:
        if isinstance(one, Files) and one.waits:
            try:
                one.one()
            except SafeholdError as error:
                return [Finding("broken", f"a file is not taken in the end: {error.rule}")]
    return []


def _end(site: Site) -> list[Finding]:
    """End the product's processes as whoever runs them does, and let the ledger be verified and watched once more."""
    found = []
    site.line().call("ledger.publish")
    if not hears(site.line()):
        found.append(Finding("broken", "no keeper answers in the end"))
    for name, code in site.stop().items():
        # what follows a log ends by a signal, and a web server hands the one on that ended it
        if code not in ((0, -signal.SIGTERM) if name in ("monitor", "portal", "front") else (0,)):
            found.append(Finding("broken", f"{name} ended with {code}"))
    done = site.world.try_run("ledger", "verify", "--json")
    if done.code != 0 or done.json["verified"] is not True:
        found.append(Finding("ledger", f"the ledger does not verify: {done.err[-300:]}"))
    words = ("--policy", site.home.policy_file, "--state", site.root / "watched")
    seen = site.world.try_run("ledger", "monitor", site.world.home / "ledger", *words, "--json")
    if seen.code != 0:
        found.append(Finding("ledger", f"the monitor ends with {seen.code}: {seen.err[-300:]}{seen.out[-300:]}"))  # fmt: skip
    own = site.world.try_run("ledger", "monitor", "--json")
    if own.code != 0:
        found.append(Finding("ledger", f"the home's own monitor ends with {own.code}: {own.err[-300:]}{own.out[-300:]}"))  # fmt: skip
    return found


class _Watch(threading.Thread):
    """Looks at every part's first process now and then."""

    def __init__(self, site: Site, record: Record, *, every: float) -> None:
        super().__init__(daemon=True)
        self._site, self._record, self._every = site, record, every
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(self._every):
            leader = self._site.leader()
            for part, pids in self._site.families().items():
                with contextlib.suppress(psutil.Error, IndexError):
                    one = psutil.Process(pids[0])
                    with one.oneshot():
                        self._record.saw(
                            Sample(
                                time.monotonic(),
                                part,
                                one.pid,
                                one.memory_info().rss,
                                one.num_fds(),
                                one.num_threads(),
                                part == leader,
                            )
                        )

    def stop(self) -> None:
        self._over.set()
        self.join()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
