"""Devices that hand sealed envelopes in, and a keeper behind them whose ingestion recipe is the real one.

The recipe runs in this process: what a sandbox adds has tests of its own.
"""

from __future__ import annotations

import functools
import http.client
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from tests.ingest_job import key_rows
from tests.keeper_desk import Bench, ScriptedJob, ScriptedWorkshop, found_bench

from safehold.access import prove_device
from safehold.access.envelope import seal_envelope
from safehold.access.lease import Lease, read_lease
from safehold.canonical import b64, unb64
from safehold.clock import DAY_US
from safehold.dlp import Rules
from safehold.errors import (
    UnavailableError,
)
from safehold.ingest import recipe
from safehold.ingest.collector import Collector
from safehold.ingest.network.front import (
    JSON,
    Front,
)
from safehold.ingest.network.line import HttpLine
from safehold.ingest.rest import pack
from safehold.keeper.messages import obtain_message
from safehold.keeper.ports import Frame
from safehold.signing import SigningKey, VerifyKey

PEOPLE = ("ana", "bo", "cy")
TEXT = "good morning all of you"


class RecipeWorkshop(ScriptedWorkshop):
    """Carries the ingestion recipe out in this process; ``during`` is called when it has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def during(self, spec: Mapping[str, Any]) -> None:
        """Do nothing; tests put something in its place."""

    @contextmanager
    def start(self, name: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        if name != "ingest" or spec["source"].get("kind") != "leased":
            with super().start(name, spec, inputs, least=least) as job:
                yield job
            return
        self.runs += 1

        def frames() -> Iterator[Frame]:
            self.during(spec)
            made: list[Frame] = []
            recipe.main(
                dict(spec),
                list(inputs),
                lambda header, body=b"": made.append(Frame(dict(header), memoryview(bytes(body)))),
            )
            yield from made

        yield ScriptedJob(frames())


class Line:
    """A bench's verbs, as a line to the keeper; what is asked is counted, and it may be cut."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.asked: list[str] = []
        self.lock = threading.Lock()

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        with self.lock:
            self.asked.append(verb)
        return self.bench.call(verb, **arguments)


def found_stream(path: Path) -> Bench:
    """Make a home whose people are recorded as they type and point."""
    return found_bench(path, people=PEOPLE)


def begin(bench: Bench) -> Bench:
    """Start a copy of it with the real recipe."""
    bench.workshop = RecipeWorkshop()
    return bench.start()


class Device:
    """One person's device.

    Args:
        line: To the keeper.
        bench: Whose clock it goes by.
        person: Whom it records.
        key: The device's key.
    """

    def __init__(
        self, line: Any, bench: Bench, person: str = "ana", key: SigningKey | None = None
    ) -> None:
        self.line, self.bench, self.person = line, bench, person
        self.key = key or SigningKey.generate()
        bench.call("source.add", person=person, device=self.key.public.text(), evidence="a form")
        self.number = 0
        self.first = 0
        self.renew()

    def renew(self) -> Lease:
        """Obtain a new lease."""
        nonce = unb64(self.line.call("nonce")["nonce"])
        said = self.line.call(
            "lease.obtain",
            person=self.person,
            device=self.key.public.text(),
            nonce=b64(nonce),
            proof=b64(prove_device(self.key, nonce, obtain_message(self.person))),
        )
        self.keeper = VerifyKey.from_text(said["keeper"])
        self.rules = said["rules"]
        self.lease = read_lease(said["lease"].encode(), keeper=self.keeper)
        self.number = 0
        return self.lease

    def table(self, first: int | None = None, **columns: Any) -> pa.Table:
        """Return rows as the collector seals them, numbered from ``first``; some columns may be spoilt."""
        table = _minimised(orjson.dumps(self.rules, option=orjson.OPT_SORT_KEYS))
        start = self.first if first is None else first
        given = {
            "person": [self.person] * len(table),
            "seq": np.arange(start, start + len(table)),
            "t": self.bench.today * DAY_US,  # of a time that was taken out the day is left
            **columns,
        }
        for name, values in given.items():
            index = table.schema.get_field_index(name)
            kind = table.schema.field(index).type
            many = values if isinstance(values, list | np.ndarray) else [values] * len(table)
            table = table.set_column(index, table.schema.field(index), pa.array(many, kind))
        return table

    def seal(self, table: pa.Table | None = None, **header: Any) -> bytes:
        """Return an envelope with the next number; parts of its header may be spoilt."""
        if table is None:
            table = self.table()
            if header.keys() <= {"number"}:  # of what is spoilt nothing is taken
                self.first += len(table)
        body = header.pop("body", None)
        to = header.pop("to", self.lease.sealing)
        device = header.pop("by", self.key)
        made = seal_envelope(
            {
                "lease": self.lease.id,
                "number": self.number,
                "stream": "key",
                "rows": len(table),
                "sealed_us": self.bench.clock.now_us(),
                **header,
            },
            bytes(pack(table)) if body is None else body,
            to=unb64(to),
            device=device,
        )
        self.number += 1
        return made


class Faulty(Line):
    """A line that fails when told: before the keeper hears of it, or after it has done it."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.fails: list[str] = []

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        how = self.fails.pop(0) if verb == "lease.hand-in" and self.fails else ""
        if how == "before":
            raise UnavailableError("no keeper answers", rule="keeper.reachable")
        answer = super().call(verb, **arguments)
        if how == "after":
            raise UnavailableError("the keeper went away", rule="keeper.reachable")
        return answer


@contextmanager
def front(bench: Bench, **changes: Any) -> Iterator[tuple[str, Front, Faulty]]:
    line = changes.pop("line", None) or Faulty(bench)
    made = Front(line, bind="127.0.0.1:0", **changes)
    with made.web.running() as url:
        yield url, made, line
    made.close()


class Recorder:
    """The reference collector of one person, over HTTP, on the keeper's own clock."""

    def __init__(self, bench: Bench, url: str, person: str = "ana", **changes: Any) -> None:
        self.bench, self.person = bench, person
        self.key = SigningKey.generate()
        bench.call("source.add", person=person, device=self.key.public.text(), evidence="a form")
        self.line = HttpLine(
            url, person=person, device=self.key, clock=bench.clock, sleep=self.sleep, **changes
        )
        self.slept: list[float] = []
        first = self.line.ask()
        self.keeper = VerifyKey.from_text(first["keeper"])
        self.rules = {name: Rules.from_spec(spec) for name, spec in first["rules"].items()}
        self.collector = self.made()
        self.number = 0

    def made(self, **changes: Any) -> Collector:
        return Collector(
            self.line, person=self.person, device=self.key, keeper=self.keeper, rules=self.rules,
            clock=self.bench.clock, **changes,
        )  # fmt: skip

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.bench.clock.advance(round(seconds * 1_000_000))

    def type(self, text: str = "good morning all of you") -> None:
        for row in key_rows(text, person=self.person):
            self.bench.clock.advance(50_000)
            self.number += 1
            at = {"t": self.bench.clock.now_us(), "mono": self.number * 1000, "seq": self.number}
            self.collector.feed(orjson.dumps({"stream": "key", **row, **at}))
        self.collector.flush()

    @property
    def sealed(self) -> int:
        return sum(self.collector.counters.sealed.values())


@functools.cache
def _minimised(rules: bytes) -> pa.Table:
    """Return the rows of one flush, as the reference collector makes them of some typing."""
    caught: list[pa.Table] = []

    class Catching(Collector):
        def _hand_in(self, lease: Any, stream: str, table: pa.Table, event_us: int) -> bool:
            caught.append(table)
            return True

    from tests.collector_desk import DEVICE, KEEPER, World

    world = World()
    given = {name: Rules.from_spec(spec) for name, spec in orjson.loads(rules).items()}
    hashes = {name: rule.version for name, rule in given.items()}
    world.obtain = lambda: world.lessor.grant(  # type: ignore[method-assign]
        person="ann", device=DEVICE.public, charter=bytes(32), streams=hashes
    )
    world.collector = Catching(
        world,
        person="ann",
        device=DEVICE,
        keeper=KEEPER.public,
        rules=given,
        clock=world.clock,
    )
    world.type(TEXT)
    world.collector.flush()
    (table,) = caught
    return table


def rows_of(bench: Bench) -> int:
    """Return how many rows are live."""
    return int(bench.call("status")["counts"]["rows"])


def events_of(bench: Bench) -> list[tuple[str, int]]:
    """Return person and number of every event at rest, opened, in order."""
    desk = bench.desk
    blocks = list(desk.catalog.blocks(kind="telemetry", streams=("key",), after_day=0))
    return sorted(
        (desk.people.standing(block.person).external, int(seq))
        for block, table in desk.vault.read(blocks)
        for seq in table.column("seq").to_pylist()
    )


def hand_in(bench: Bench, *envelopes: bytes) -> list[tuple[str, str]]:
    """Hand envelopes in at once; return what became of each, and by which rule."""
    said = bench.call("lease.hand-in", envelopes=[b64(one) for one in envelopes])
    return [(one["state"], one.get("rule", "")) for one in said["answers"]]


def post(url: str, path: str, body: bytes, kind: str = JSON, method: str = "POST") -> Any:
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)) as link:
        link.request(method, path, body, {"Content-Type": kind})
        answer = link.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
