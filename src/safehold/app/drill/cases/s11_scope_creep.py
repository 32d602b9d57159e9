"""S11: scope creep. An update lets a collector record the clipboard, and an application that nobody agreed to.

It comes as a file, from the shipped collector, and from one whose own rules were taken out: that one seals whatever it
likes under a lease that was given for less. Then one seat tries to have the charter say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace as changed
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from safehold.access.envelope import seal_envelope
from safehold.access.lease import Lease, read_lease
from safehold.app.drill.cases.opened import open_all, texts_of
from safehold.app.drill.cases.s06_pause import Recorder
from safehold.app.drill.company import APPS, Company, altered, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.canonical import unb64
from safehold.clock import SystemClock
from safehold.errors import SafeholdError
from safehold.ingest.collector import Collector
from safehold.keeper.client import KeeperClient
from safehold.keeper.terms import streams_of
from safehold.signing import VerifyKey
from safehold.telemetry.stream import KeyKind, Level

PERSON: Final = "emp-00004"
UPDATE: Final = "shadowsuite"  # the 201st application
COPIED: Final = "copied-7f31c0qx"  # lay on the clipboard
EVENTS: Final = 200


class _Updated(Collector):
    """A collector that takes any lease for whatever it records."""

    def _check_lease(self, lease: Lease) -> None:
        del lease


def attempt(place: Place) -> Findings:
    """Record more than was agreed to."""
    company = place.company("s11")
    with company.keeper() as client:
        told, wrong = _attack(company, client)
    return _search(company, told, wrong)


def control(place: Place) -> Findings:
    """The same where sandboxes are told of no limit."""
    company = place.company("s11-control")
    with company.keeper(off=[f"{__name__}:without_scope"]) as client:
        told, wrong = _attack(company, client)
    return _search(company, told, wrong)


def without_scope() -> None:
    """Tell sandboxes that any application and the clipboard may be recorded."""

    def wide(charter: Any) -> dict[str, dict[str, Any]]:
        return {
            name: rules | {"apps": None, "drop": [], "level": int(Level.L0)}
            for name, rules in streams_of(charter).items()
        }

    replace("safehold.keeper.intake:streams_of", wide)
    replace("safehold.keeper.drift:Drift.require_none", lambda *_: None)


def lake(place: Place) -> Findings:
    """The same events as a table, whose columns grow with what comes."""
    folder = place.bin("s11-lake")
    now = SystemClock().now_us()
    rows = [*_clicks(now), *_copies(now)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "events.parquet")
    table = pq.ParquetFile(folder / "events.parquet").read()
    apps = Counter(table["app"].to_pylist())
    copied = sum(COPIED in (one or "") for one in table["commit"].to_pylist())
    return Findings(live=Exposure(people=1, records=apps[UPDATE] + copied, segments=1, canaries=1))


def _clicks(now: int) -> Iterator[dict[str, Any]]:
    """Yield clicks in an application that nobody agreed to."""
    for at in range(EVENTS):
        yield {
            "stream": "pointer", "person": PERSON, "device": f"dev-{PERSON}", "session": "s11-pointer", "seq": at + 1,
            "t": now - 10_000_000 + at, "mono": at * 1000, "app": UPDATE, "ctx": 1, "kind": 3, "x": 1, "y": 1,
            "display": 1, "button": 0, "buttons": 0, "wheel_dx": 0, "wheel_dy": 0, "target_role": "button",
            "commit": None,
        }  # fmt: skip


def _copies(now: int, app: str = "editor") -> Iterator[dict[str, Any]]:
    """Yield what was pasted, with what lay on the clipboard."""
    for at in range(EVENTS):
        yield {
            "stream": "key", "person": PERSON, "device": f"dev-{PERSON}", "session": "s11-key", "seq": at + 1,
            "t": now - 10_000_000 + at, "mono": at * 1000, "app": app, "ctx": 1, "kind": int(KeyKind.PASTE),
            "code": None, "key": COPIED, "mods": 0, "repeat": False, "composing": False, "field_kind": "text",
            "commit": COPIED,
        }  # fmt: skip


def _attack(company: Company, client: KeeperClient) -> tuple[dict[str, Any], list[str]]:
    told: dict[str, Any] = {}
    wrong: list[str] = []

    def tries(way: str, act: Callable[[], object]) -> None:
        try:
            told[way] = act()
        except SafeholdError as error:
            told[way] = error.rule

    now = SystemClock().now_us()
    for name, rows in (
        ("application", _without(_clicks(now), "stream", "commit")),
        ("clipboard", _without(_copies(now), "stream")),
        ("unknown stream", [{**row, "stream": "clipboard"} for row in _copies(now)]),
    ):
        file = company.temporary / f"{name}.jsonl"
        file.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
        tries(f"file: {name}", lambda file=file: _counted(take_file(client, file)["tally"]))  # type: ignore[misc]
    recorder = Recorder(client, PERSON)
    recorder.feed([orjson.dumps(row) for row in _without(_clicks(now), "commit")])
    told["collector: application"] = dict(recorder.collector.counters.dropped)
    recorder.feed([orjson.dumps({**row, "stream": "clipboard"}) for row in _copies(now)])
    told["collector: unknown stream"] = dict(recorder.collector.counters.refused)
    updated = _update(recorder)
    for row in _without(_clicks(now), "commit"):
        updated.feed(orjson.dumps(row | {"session": "s11-updated"}))
    updated.flush()
    told["updated collector"] = {
        "sealed": sum(updated.counters.sealed.values()),
        "thrown away": updated.counters.discarded,
    }
    tries("sealed as another stream", lambda: _seal(recorder))
    more = altered(company.charter, collect=_more)

    def enact() -> str:
        made = company.propose(client, more)
        company.vote(client, made, "hr")
        client.call("charter.enact", proposal=made["proposal"])
        wrong.append("one seat put a charter in force that records more")
        return "enacted"

    tries("one seat's charter", enact)
    return told, wrong


def _more(collect: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what is collected with one application more, and with the clipboard."""
    keys = collect[0]
    less = keys["minimise"] | {"apps": [*APPS, UPDATE], "drop": ["password_fields"]}
    return [keys | {"minimise": less}, *collect[1:]]


def _without(rows: Iterator[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in names} for row in rows]


def _counted(tally: dict[str, dict[str, int]]) -> dict[str, Any]:
    return {"taken": sum(tally["taken"].values()), "dropped": tally["dropped"]}


def _update(recorder: Recorder) -> _Updated:
    """Return a collector on the same device that records any application."""
    first = recorder.line.ask()
    rules = recorder.collector._rules  # noqa: SLF001 - an update reaches everything of it
    return _Updated(
        recorder.line,
        person=PERSON,
        device=recorder.key,
        keeper=VerifyKey.from_text(first["keeper"]),
        rules={name: changed(one, apps=None) for name, one in rules.items()},
        clock=SystemClock(),
        positions={"pointer": 100_000},
    )


def _seal(recorder: Recorder) -> str:
    """Seal a body of text as a stream that no lease knows."""
    answer = recorder.line.ask()
    lease = read_lease(answer["lease"].encode(), keeper=VerifyKey.from_text(answer["keeper"]))
    header = {
        "lease": lease.id, "number": 0, "stream": "clipboard", "rows": 1, "sealed_us": SystemClock().now_us()
    }  # fmt: skip
    recorder.line.submit(
        seal_envelope(header, COPIED.encode(), to=unb64(lease.sealing), device=recorder.key)
    )
    return "taken"


def _search(company: Company, told: dict[str, Any], wrong: list[str]) -> Findings:
    rows = copied = 0
    for person, stream, table in open_all(company):
        if person == PERSON and "app" in table.column_names:
            rows += Counter(table["app"].to_pylist())[UPDATE]
        copied += sum(COPIED in text for text in texts_of(stream, table))
    return Findings(
        live=Exposure(
            people=int(bool(rows or copied)),
            records=rows + copied,
            segments=int(bool(rows or copied)),
            canaries=int(copied > 0),
            wrong=tuple(wrong),
            told=told,
        )
    )


__all__ = ["attempt", "control", "lake", "without_scope"]
