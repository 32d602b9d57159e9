"""S07: how long a stop takes. Workers and agents are in the middle of runs when one seat says stop.

What counts is the last run that ended well: whatever begins after the leaf of the stop, or ends as if nothing had
been, went on. Workers ask queries, which open everybody's rows, or take files in; agents ask under grants of their
own below that of a person.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from safehold.access import Grant
from safehold.app.draft import Limits, draft_grant
from safehold.app.drill.cases.s06_pause import write_clicks
from safehold.app.drill.company import PURPOSE, Company, draft_figures, take_file, use
from safehold.app.drill.place import Place
from safehold.app.drill.twin import sign_in
from safehold.app.drill.unguarded import replace
from safehold.app.query import use_query
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.keeper.recipes import ATTACK_VERB, REIDENTIFY
from safehold.privacy.query import write_query
from safehold.signing import SigningKey

WHOLE: Final = (32, 8)  # workers and agents
SHORT: Final = (4, 2)
LONGEST_S: Final = 60.0
BEGIN_S: Final = 120.0  # at most until all are at work
RUNS: Final = 10_000
ROWS: Final = 20_000  # of a file that is taken in
TEXT: Final = write_query("SELECT x AS v FROM pointer", {"release": "people", "epsilon": 0.0001})


@dataclass
class _Crew:
    """Runs that go on until something ends them."""

    over: threading.Event = field(default_factory=threading.Event)
    good: list[float] = field(default_factory=list)  # when runs ended well
    ended: list[float] = field(default_factory=list)
    rules: list[str] = field(default_factory=list)
    begun: int = 0

    def work(self, run: Callable[[], object]) -> None:
        """Run again and again until it is refused."""
        try:
            while not self.over.is_set():
                self.begun += 1
                run()
                self.good.append(time.monotonic())
        except SafeholdError as error:
            self.rules.append(error.rule or error.code)
        finally:
            self.ended.append(time.monotonic())


def attempt(place: Place) -> Findings:
    """Stop a company at work."""
    company = place.company("s07")
    with company.keeper() as client:
        return Findings(live=_attack(company, client, *(SHORT if place.quick else WHOLE)))


def control(place: Place) -> Findings:
    """The same where nobody looks whether a stop is in force, and nothing that runs is ended."""
    company = place.company("s07-control")
    with company.keeper(off=[f"{__name__}:without_stop"]) as client:
        return Findings(live=_attack(company, client, *SHORT))


def without_stop() -> None:
    """Let a stop be a word."""
    replace("safehold.keeper.trust:Trust.require_running", lambda *_: None)
    replace("safehold.keeper.desk:Desk.halt", lambda *_: 0)


def lake(place: Place) -> Findings:
    """Readers of tables that are open already: the order is to close the folder, and they read on."""
    folder, workers = place.bin("s07-lake"), SHORT[0]
    names = [folder / f"{number}.parquet" for number in range(workers)]
    for name in names:
        pq.write_table(pa.table({"person": ["a"] * 1000, "t": list(range(1000))}), name)
    crew, rows = _Crew(), [0]
    opened = [pq.ParquetFile(name) for name in names]

    def read(number: int) -> None:
        rows[0] += opened[number].read().num_rows
        time.sleep(0.01)

    with ThreadPoolExecutor(workers) as pool:
        for number in range(workers):
            pool.submit(crew.work, lambda number=number: read(number))  # type: ignore[misc]
        time.sleep(0.2)
        began, before = time.monotonic(), rows[0]
        folder.chmod(0)  # "access was locked down"
        time.sleep(1.0)
        crew.over.set()
    folder.chmod(0o700)
    last = max((one for one in crew.good if one > began), default=began) - began
    wrong = (
        () if last < 1 - 0.2 else ("readers that had a table open read on until they chose to end",)
    )
    return Findings(
        live=Exposure(
            people=1,
            records=rows[0] - before,
            segments=workers,
            wrong=wrong,
            told={"watched_s": 1.0},
        )
    )


def _attack(company: Company, client: KeeperClient, workers: int, agents: int) -> Exposure:
    crew, now = _Crew(), SystemClock().now_us()
    runs = _workers(company, client, workers, now) + _agents(company, client, agents)
    threads = [threading.Thread(target=crew.work, args=(run,), daemon=True) for run in runs]
    size = client.call("status")["ledger"]["size"]
    for thread in threads:
        thread.start()
    _until_busy(client, crew, len(runs), size)
    began = time.monotonic()
    stopped = client.call("stop", **company.order("stop", "employee_representative"))
    said = time.monotonic()
    deadline = began + LONGEST_S + (30 if stopped["jobs_ended"] else 0)
    while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
        # who was not stopped has shown it when one more run ends well
        if not stopped["jobs_ended"] and crew.good and crew.good[-1] > said:
            break
        time.sleep(0.05)
    crew.over.set()
    on = sum(thread.is_alive() for thread in threads)
    late = [one for one in crew.good if one > said]
    last = max([one - began for one in crew.ended] or [0.0])
    wrong = []
    if not (stopped["jobs_ended"] or late or on or "oversight.stop" in crew.rules):
        wrong.append("nothing ran when the stop came")
    if on or late:
        wrong.append(f"{on + len(late)} runs went on after the stop")
    others = sorted(set(crew.rules) - {"oversight.stop"})
    for thread in threads:
        thread.join(120)
    return Exposure(
        people=len(company.people) if late else 0,
        records=len(late) * client.call("status")["counts"]["rows"],
        segments=1 if late else 0,
        contain_s=None if on or late else round(last, 3),
        wrong=tuple(wrong),
        told={
            "workers": workers, "agents": agents, "begun": crew.begun, "ended well before": len(crew.good) - len(late),
            "ended_by_stop": stopped["jobs_ended"],
            "order_s": round(said - began, 3), "other_rules": others,
        },
    )  # fmt: skip


def _until_busy(client: KeeperClient, crew: _Crew, runs: int, size: int) -> None:
    """Wait until everybody has begun, and as many uses and sources have their first entry in the ledger."""
    deadline = time.monotonic() + BEGIN_S
    while time.monotonic() < deadline and (
        crew.begun < runs or client.call("status")["ledger"]["size"] < size + runs
    ):
        time.sleep(0.05)


def _workers(
    company: Company, client: KeeperClient, workers: int, now: int
) -> list[Callable[[], object]]:
    key = SigningKey.generate()
    grant = draft_figures(company.charter, key, TEXT, runs=RUNS)
    holder = company.permit(client, grant, key)
    runs: list[Callable[[], object]] = []
    for number in range(workers):
        if number % 4 == 3:  # takes files in
            runs.append(_files(company, client, number, now))
        else:
            runs.append(lambda: use_query(client, grant, holder, TEXT, lambda _: None))
    return runs


def _files(company: Company, client: KeeperClient, number: int, now: int) -> Callable[[], object]:
    person, made = list(company.people)[number % len(company.people)], [0]

    def take() -> object:
        made[0] += 1
        name = f"work-{number}-{made[0]}"
        file = company.temporary / f"{name}.jsonl"
        write_clicks(
            file, person, count=ROWS, from_us=now - 600 * SECOND_US, to_us=now, session=name
        )
        return take_file(client, file)

    return take


def _agents(company: Company, client: KeeperClient, agents: int) -> list[Callable[[], object]]:
    """Return what agents do, each under a grant of its own below that of the person it acts for."""
    if not agents:
        return []
    key, name = SigningKey.generate(), "drill-operator"
    client.call(
        "principal.enrol", principal=name, kind="human", role="data_scientist", names=[f"key:{key.public.text()}"],
    )  # fmt: skip
    line = sign_in(client, key)
    client.call("feature", purpose=PURPOSE)  # what the agents attack
    parent = draft_grant(
        company.charter, requester=name, purpose=PURPOSE, reason="ticket 1: a drill", holder=key, minutes=60,
        recipe=REIDENTIFY, limits=Limits(runs=RUNS, per_hour=RUNS),
    )  # fmt: skip
    company.permit(line, parent, key)
    return [_agent(company, client, parent, name, number) for number in range(agents)]


def _agent(
    company: Company, client: KeeperClient, parent: Grant, operator: str, number: int
) -> Callable[[], object]:
    key = SigningKey.generate()
    policy: dict[str, Any] = {
        "purposes": [PURPOSE], "recipes": [REIDENTIFY], "rows": 10**9, "bytes": 64_000_000, "runs": 1000, "calls": 60,
    }  # fmt: skip
    client.call(
        "agent.enrol", principal=f"drill-agent-{number}", operator=operator, names=[f"key:{key.public.text()}"],
        via="", policy=policy,
    )  # fmt: skip
    line = sign_in(client, key)
    drafted = line.call(
        "agent.draft", parent=parent.id, recipe=REIDENTIFY, minutes=15, reason="a drill", holder=key.public.text()
    )  # fmt: skip
    holder = company.permit(line, Grant.from_json(drafted["grant"]), key)
    return lambda: use(line, holder, ATTACK_VERB, PURPOSE, stage="feature", dataset=None)


__all__ = ["attempt", "control", "lake", "without_stop"]
