"""S06: a pause means pause. A collector goes on during a pause and a stop, and brings what it kept later.

Five ways in: live during the silence, sealed before it and sent in it or after it, kept back and given to the
collector afterwards, sealed by a collector that does not reduce anything, and as a file that an operator takes in.
A file of the same shape from outside the silence goes in each time, so that a refusal of everything is no success.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from safehold.access.gap import verify_gap
from safehold.app.collection import KeeperLine
from safehold.app.drill.company import Company, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.clock import SECOND_US, SystemClock
from safehold.dlp import Rules
from safehold.errors import SafeholdError
from safehold.ingest.collector import Collector
from safehold.keeper.client import KeeperClient
from safehold.signing import SigningKey, VerifyKey

EVENTS: Final = 10_000
QUICK: Final = 2_000
SHORT_S: Final = 1.1  # of each silence: longer than clocks differ on one machine
PERSON: Final = "emp-00002"
LIMITS: Final = (
    "at this charter's level no stored event has a time: a device whose own software was replaced, and that says"
    " a silent event came later, is not found out by its times"
)


class Recorder:
    """The shipped collector on a device of one person.

    Args:
        client: A line to the keeper.
        person: Whom it records.
    """

    def __init__(self, client: KeeperClient, person: str) -> None:
        self.key, self.person = SigningKey.generate(), person
        client.call("source.add", person=person, device=self.key.public.text(), evidence="a drill")
        self.line = KeeperLine(client, person=person, device=self.key)
        first = self.line.ask()
        self.collector = Collector(
            self.line,
            person=person,
            device=self.key,
            keeper=VerifyKey.from_text(first["keeper"]),
            rules={name: Rules.from_spec(spec) for name, spec in first["rules"].items()},
            clock=SystemClock(),
        )
        self._number = 0

    def events(self, count: int, *, first_us: int, step_us: int = 1) -> list[bytes]:
        """Return clicks with times from a moment on, numbered on."""
        lines = []
        for at in range(count):
            self._number += 1
            lines.append(_click(self.person, "live", self._number, first_us + at * step_us))
        return lines

    def feed(self, lines: list[bytes]) -> None:
        """Give the collector events, and have it hand in what waits."""
        for line in lines:
            self.collector.feed(line)
        self.collector.flush()

    def seal(self, lines: list[bytes]) -> list[bytes]:
        """Give the collector events, and keep what it seals back instead of handing it in."""
        held: list[bytes] = []
        self.collector._client = _Keeping(self.line, held)  # noqa: SLF001 - the device is the attacker's
        try:
            self.feed(lines)
        finally:
            self.collector._client = self.line  # noqa: SLF001 - as above
        return held

    def say(self) -> None:
        """Let the device say, signed, how far it counted."""
        self.line.say(self.collector.mark())

    @property
    def sealed(self) -> int:
        """How many events were handed in so far."""
        return sum(self.collector.counters.sealed.values())


class _Keeping:
    """A line that hands nothing in."""

    def __init__(self, line: KeeperLine, held: list[bytes]) -> None:
        self._line, self._held = line, held

    def obtain(self) -> bytes:
        """Return a lease."""
        return self._line.obtain()

    def submit(self, envelope: bytes) -> None:
        """Keep an envelope."""
        self._held.append(envelope)


def _click(person: str, session: str, number: int, t_us: int) -> bytes:
    return orjson.dumps(
        {
            "stream": "pointer",
            "person": person,
            "device": f"dev-{person}",
            "session": f"{person}-{session}",
            "seq": number,
            "t": t_us,
            "mono": number * 1000,
            "app": "browser",
            "ctx": 1,
            "kind": 3,
            "x": 5,
            "y": 5,
            "display": 1,
            "button": 0,
            "buttons": 0,
            "wheel_dx": 0,
            "wheel_dy": 0,
            "target_role": "button",
        }
    )


def write_clicks(
    file: Path, person: str, *, count: int, from_us: int, to_us: int, session: str
) -> Path:
    """Write a recorder's file of clicks, spread evenly over a time."""
    step = max((to_us - from_us) // (count + 1), 1)
    lines = [_click(person, session, at + 1, from_us + step * at) for at in range(count)]
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def attempt(place: Place) -> Findings:
    """Try to get events of a silence in, on a company that nobody else uses."""
    company = place.company("s06")
    with company.keeper() as client:
        return Findings(live=_attack(company, client, events=QUICK if place.quick else EVENTS))


def control(place: Place) -> Findings:
    """The same where neither a lease ends nor a silence is known."""
    company = place.company("s06-control")
    with company.keeper(off=[f"{__name__}:without_silence"]) as client:
        return Findings(live=_attack(company, client, events=QUICK))


def without_silence() -> None:
    """Let leases live on, and let nobody know of pauses and stops."""
    for name in ("offer:silences", "leasing:silences"):
        replace(f"safehold.keeper.{name}", lambda *_: [])
    for name in ("close", "end", "end_all"):
        replace(f"safehold.access.lease:Lessor.{name}", lambda *_, **__: 0)
    replace("safehold.subjects.standing:Standing.paused", lambda *_: False)
    replace("safehold.keeper.trust:Trust.require_running", lambda *_: None)
    replace("safehold.keeper.desk:Desk.halt", lambda *_: 0)
    replace(
        "safehold.keeper.spending:Spending.log_running",
        lambda self, entry: self._ledger.append([entry])[0],
    )


def lake(place: Place) -> Findings:
    """The same events appended to a table: whoever may write writes, whatever time they bear."""
    folder, events = place.bin("s06-lake"), EVENTS
    now = SystemClock().now_us()
    start, end = now - 10 * SECOND_US, now - 5 * SECOND_US
    step = 10 * SECOND_US // events
    times = [start + at * step for at in range(events)]
    table = pa.table({"person": [PERSON] * events, "t": times})
    pq.write_table(table, folder / "pointer.parquet")
    stored = pq.ParquetFile(folder / "pointer.parquet").read(columns=["t"])["t"]
    inside = pc.sum(pc.and_(pc.greater_equal(stored, start), pc.less(stored, end))).as_py()
    return Findings(
        live=Exposure(people=1, records=int(inside), segments=1, told={"events": events})
    )


def _attack(company: Company, client: KeeperClient, *, events: int) -> Exposure:
    recorder = Recorder(client, PERSON)
    recorder.say()
    recorder.feed(recorder.events(20, first_us=SystemClock().now_us() - 1000))
    wrong = [] if recorder.sealed else ["nothing was recorded before the silence either"]
    told: dict[str, Any] = {"events": events, "limits": LIMITS}
    records = 0
    for how, begin, end in (
        ("pause", lambda: company.choose(client, PERSON, "pause"), lambda: company.choose(client, PERSON, "resume")),
        ("stop", lambda: client.call("stop", **company.order("stop", "hr")), lambda: _resume(company, client)),
    ):  # fmt: skip
        part = _Silence(company, client, recorder, how)
        part.go(begin, end, events=events)
        records += part.taken
        wrong += part.wrong
        told[how] = part.told
    return Exposure(
        people=int(records > 0),
        records=records,
        segments=int(records > 0),
        canaries=0,
        wrong=tuple(wrong),
        told=told,
    )


def _resume(company: Company, client: KeeperClient) -> None:
    client.call("resume", **company.order("resume"))


class _Silence:
    """One silence, and what is tried in it and after it."""

    def __init__(
        self, company: Company, client: KeeperClient, recorder: Recorder, how: str
    ) -> None:
        self.company, self.client, self.recorder, self.how = company, client, recorder, how
        self.taken = 0
        self.wrong: list[str] = []
        self.told: dict[str, Any] = {}

    def go(self, begin: Callable[[], object], end: Callable[[], object], *, events: int) -> None:
        recorder, now = self.recorder, SystemClock().now_us
        held = recorder.seal(recorder.events(20, first_us=now() - 1000))
        before = self._rows()
        begin()
        from_us = now()
        time.sleep(0.05)
        recorder.say()
        self._hand_in("sealed before, sent in it", held)
        sealed = recorder.sealed
        recorder.feed(recorder.events(100, first_us=now()))
        if recorder.sealed > sealed:
            self._took("recorded in it", recorder.sealed - sealed)
        time.sleep(SHORT_S)
        recorder.say()
        self._prove()
        to_us = now()
        end()
        time.sleep(0.05)
        self._hand_in("sealed before, sent after it", held)
        self._later(from_us, to_us, events=events)
        grown = self._rows() - before - self.told.get("outside", 0)
        self.taken = max(self.taken, grown)

    def _rows(self) -> int:
        return int(self.client.call("status")["counts"]["rows"])

    def _took(self, way: str, rows: int) -> None:
        self.taken += rows
        self.told[way] = rows

    def _hand_in(self, way: str, held: list[bytes]) -> None:
        for envelope in held:
            try:
                self.recorder.line.submit(envelope)
            except SafeholdError as error:
                self.told[way] = error.rule
            else:
                self._took(way, 20)

    def _prove(self) -> None:
        """Fetch the gap record and check it with nothing but the key outside the home."""
        try:
            answer = self.company.ask(self.client, PERSON, "gap")
            pinned = VerifyKey.from_text(self.company.home.keeper_key.read_text("ascii").strip())
            devices = [VerifyKey.from_text(one) for one in answer["devices"]]
            gap = verify_gap(answer["record"].encode(), keeper=pinned, devices=devices)
        except SafeholdError as error:
            self.wrong.append(f"no gap record proves the {self.how}: {error.rule}")
        else:
            self.told["gap_s"] = round((gap.to_us - gap.from_us) / SECOND_US, 2)

    def _later(self, from_us: int, to_us: int, *, events: int) -> None:
        """Bring what was kept back, half of it from the silence and half from outside it."""
        recorder, half = self.recorder, events // 2
        sealed, dropped = recorder.sealed, recorder.collector.counters.dropped["paused"]
        recorder.feed(
            recorder.events(half, first_us=from_us + 1, step_us=(to_us - from_us) // (half + 1))
        )
        if recorder.sealed > sealed:
            self._took("kept back, given to the collector", recorder.sealed - sealed)
        self.told["dropped on the device"] = recorder.collector.counters.dropped["paused"] - dropped
        file = self.company.temporary / f"{self.how}.jsonl"
        write_clicks(
            file, PERSON, count=half, from_us=from_us + 1, to_us=to_us - 1, session=f"{self.how}-in"
        )
        try:
            tally = take_file(self.client, file)["tally"]
        except SafeholdError as error:
            self.told["as a file"] = error.rule
        else:
            if taken := sum(tally["taken"].values()):
                self._took("as a file", taken)
            self.told["dropped from the file"] = tally["dropped"].get("paused", 0)
        after = SystemClock().now_us()
        write_clicks(
            file, PERSON, count=half, from_us=to_us + 60_000, to_us=max(after, to_us + 70_000),
            session=f"{self.how}-out",
        )  # fmt: skip
        try:
            outside = take_file(self.client, file)["tally"]
        except SafeholdError as error:
            self.wrong.append(f"nothing from outside the {self.how} is taken either: {error.rule}")
        else:
            self.told["outside"] = sum(outside["taken"].values())
            if not self.told["outside"]:
                self.wrong.append(f"nothing from outside the {self.how} is taken either")


__all__ = ["Recorder", "attempt", "control", "lake", "without_silence", "write_clicks"]
