"""Queries in tests: a charter that allows them, people with known rows, and a holder who asks.

Sandboxes are the real ones where a test says so. Otherwise the same code answers, person by person, in this process.
"""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.keeper_desk import (
    CROWD,
    Bench,
    ScriptedJob,
    ScriptedWorkshop,
    batch,
    chunk,
    copy_bench,
    found_bench,
)
from tests.seated import changed, founding, priced

from safehold import canonical
from safehold.access import Holder, PeopleFilter, approve
from safehold.access.code import SQL
from safehold.app.draft import Limits
from safehold.app.gate import EgressGatekeeper
from safehold.app.query import Ask, draft_query
from safehold.app.workshop import SandboxWorkshop, kind_of
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.clock import SECOND_US
from safehold.enclave.contribution import read_share
from safehold.enclave.database import Database
from safehold.enclave.sql import SEEN, empty_tables, prepare
from safehold.errors import InvalidError
from safehold.ingest.rest import pack
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame
from safehold.privacy.bound import bound_share
from safehold.privacy.query import read_query, write_query
from safehold.privacy.template import Template
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import read_parts
from safehold.signing import SigningKey
from safehold.telemetry.schema import REST

PURPOSE = "improve_tools"
APPS = ("mail", "browser", "editor")
LEAST = 50
Rows = Mapping[str, Sequence[tuple[str, int]]]  # by person: application and x of each pointer event


# everybody uses the mail; one in three the browser; x tells people apart
EVERYBODY: Rows = {
    person: [("mail", at), ("mail", at), ("browser" if at % 3 == 0 else "editor", at)]
    for at, person in enumerate(CROWD)
}


def query_charter(*, epsilon: float = 4.0, delta: float = 1e-6) -> Charter:
    """Return the demo's charter with a purpose that answers queries, and a role that may ask them."""

    def purposes(old: dict[str, Any]) -> dict[str, Any]:
        return old | {
            PURPOSE: {
                "plain": "See which tools people use, in figures about many.",
                "uses": old["train_ui_agent"]["uses"],
                "sources": ["keys", "pointer"],
                "stages": ["ingest", "query"],
                "privacy": {
                    "unit": "person",
                    "epsilon_micro": round(epsilon * 1e6),
                    "delta_pico": round(delta * 1e12),
                    "min_people": LEAST,
                },
                "releases": ["dp_aggregate"],
                "derived_keep_days": None,
            }
        }

    def roles(old: dict[str, Any]) -> dict[str, Any]:
        scientist = old["data_scientist"]
        return old | {
            "data_scientist": scientist
            | {
                "do": ["run_approved_recipe", "query"],
                "stages": [*scientist["stages"], "query"],
            }
        }

    tree = canonical.decode(canonical.encode(founding().to_json()))
    privacy = tree["purposes"]["train_ui_agent"]["privacy"]
    made = changed(founding(), purposes=purposes, who_may=roles)
    assert set(made.to_json()["purposes"][PURPOSE]["privacy"]) == set(privacy)
    tree = canonical.decode(canonical.encode(made.to_json()))
    tree["version"] = 1
    return Charter.from_json(tree)


def pointer_table(rows: Sequence[tuple[str, int]]) -> pa.Table:
    """Return pointer events in rest form."""
    count = len(rows)
    given = {
        "app": pa.array([app for app, _ in rows]).dictionary_encode(),
        "x": pa.array([x for _, x in rows], pa.int16()),
        "seq": pa.array(range(count), pa.uint32()),
    }

    def column(item: pa.Field) -> pa.Array:
        if item.name in given:
            return given[item.name].cast(item.type)
        if item.nullable:
            return pa.nulls(count, item.type)
        if pa.types.is_fixed_size_binary(item.type):
            return pa.array([bytes(item.type.byte_width)] * count, item.type)
        return pa.array([0] * count, pa.int64()).cast(item.type)

    schema = REST["pointer"]
    return pa.Table.from_arrays([column(item) for item in schema], schema=schema)


class QueryWorkshop(ScriptedWorkshop):
    """Answers queries person by person in this process, or in sandboxes; all else is scripted."""

    def __init__(self, *, real: bool = False) -> None:
        super().__init__()
        self.inner = SandboxWorkshop(Launcher()) if real else None
        self.before: Callable[[], None] = lambda: None  # called while a query runs

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        if kind_of(recipe) != SQL:
            with super().start(recipe, spec, inputs, least=least) as job:
                yield job
        elif self.inner is not None:
            with self.inner.start(recipe, spec, inputs, least="E0") as job:
                yield job
        else:
            yield ScriptedJob(self._answer(spec, inputs))

    def _answer(self, spec: Mapping[str, Any], inputs: Sequence[int]) -> Iterator[Frame]:
        self.before()
        people: dict[str, dict[str, list[pa.Table]]] = {}
        for fd in inputs:
            for header, table in read_parts(fd):
                people.setdefault(header["person"], {}).setdefault(header["stream"], []).append(
                    table
                )
        yield from answer_each(spec, people)


def answer_each(
    spec: Mapping[str, Any], people: Mapping[str, Mapping[str, Sequence[pa.Table]]]
) -> Iterator[Frame]:
    """Yield what the recipe sends, without its processes."""
    import orjson

    database, template = Database(), Template.from_json(spec["template"])
    empty = empty_tables(spec["tables"])
    try:
        try:
            query = prepare(database, spec["sql"], template, empty)
        except InvalidError as error:
            yield Frame({"type": "refused", "rule": error.rule}, memoryview(b""))
            return
        for person in sorted(people):
            full = {name: pa.concat_tables(found) for name, found in people[person].items()}
            database.give({**empty, **full})
            try:
                rows = database.rows(query, most=SEEN)
                share = bound_share(template, [row[0] for row in rows], [row[1] for row in rows])
                body = orjson.dumps({key: list(found) for key, found in share.values.items()})
            except Exception:
                body = b""
            assert read_share(template, body) is not None
            yield Frame({"type": "contribution", "person": person}, memoryview(body))
    finally:
        database.close()


@dataclass
class Asking:
    """A keeper, and somebody who asks it queries."""

    bench: Bench

    def text(self, sql: str, **settings: Any) -> str:
        return write_query(sql, {"release": "people", "epsilon": 0.5, **settings})

    def grant(
        self,
        text: str | None = None,
        *,
        seats: Sequence[str] = ("privacy", "legal"),
        epsilon: float = 100.0,
        runs: int = 1_000,
        people: PeopleFilter | None = None,
        **changes: Any,
    ) -> Permit:
        """Return an enacted grant: for one query, or for any where none is given."""
        bench, key = self.bench, SigningKey.generate()
        now = bench.clock.now_us()
        limits = Limits(runs=runs, per_hour=runs, epsilon_micro=round(epsilon * 1e6))
        asked = Ask(
            requester="ana",
            purpose=PURPOSE,
            reason="a test of queries",
            minutes=60,
            query=None if text is None else read_query(text),
            limits=limits,
        )
        chosen = people or PeopleFilter()
        grant = replace(
            draft_query(bench.charter(), asked, holder=key, people=chosen),
            asked_us=now,
            expires_us=now + 3600 * SECOND_US,
            first_day=bench.today - 40,
            last_day=bench.today + 1,
            **changes,
        )
        price = bench.call("request.new", grant=grant.to_json(), people=chosen.to_json())["price"]
        from safehold.access import Price

        approvals = [
            approve(grant, Price.from_json(price), seat, bench.seats[seat], now_us=now).to_json()
            for seat in seats
        ]
        answer = bench.call("grant.enact", grant=grant.to_json(), approvals=approvals)
        return Permit(grant, Holder(answer["token"], key))

    def arguments(self, permit: Permit, text: str, **changes: Any) -> dict[str, Any]:
        nonce = unb64(self.bench.call("nonce")["nonce"])
        name = read_query(text).name
        return {
            "purpose": PURPOSE,
            "streams": list(permit.grant.streams),
            "recipe": name if name in permit.grant.recipes else SQL,
            "text": text,
            "token": permit.holder.token,
            "nonce": b64(nonce),
            "proof": b64(permit.holder.prove(nonce, use_message("query", PURPOSE))),
        } | changes

    def ask(self, permit: Permit, text: str, **changes: Any) -> dict[str, Any]:
        return self.bench.call("query", **self.arguments(permit, text, **changes))

    def left(self) -> float:
        shown = self.bench.call("budget.show")["budgets"]
        return next(one["epsilon_left"] for one in shown if one["purpose"] == PURPOSE)


@dataclass
class Permit:
    """A grant and its holder."""

    grant: Any
    holder: Holder


def found_asking(
    path: Path, rows: Rows | None = None, *, charter: Charter | None = None, real: bool = False
) -> Asking:
    """Return a started keeper of a crowd with known rows."""
    made = rows or EVERYBODY
    bench = found_bench(path, people=tuple(made), charter=charter or query_charter())
    bench.workshop = QueryWorkshop(real=real)
    begin(bench)
    take_rows(bench, made)
    return Asking(bench)


@cache
def made_asking() -> Asking:
    """Return a stopped keeper of the crowd, made once a process; to be copied."""
    folder = tempfile.TemporaryDirectory(prefix="asking-")
    atexit.register(folder.cleanup)
    made = found_asking(Path(folder.name))
    made.bench.stop()
    return made


def copy_asking(made: Asking, path: Path, *, real: bool = False) -> Asking:
    """Return a started copy of a stopped keeper."""
    bench = copy_bench(made.bench, path)
    bench.workshop = QueryWorkshop(real=real)
    return Asking(begin(bench))


def begin(bench: Bench) -> Bench:
    """Start a keeper whose gate is the real one."""
    bench.start()
    bench.desk.gatekeeper = EgressGatekeeper()
    return bench


def take_rows(bench: Bench, rows: Rows, *, name: str = "a") -> None:
    """Take in everybody's pointer events."""
    frames = []
    for person, events in rows.items():
        table = pointer_table(events)
        header = batch(person, bench.today - 1).header | {
            "rows": len(table),
            "extents": [["00" * 8, batch(person, 1).header["extents"][0][1], 0, len(table) - 1]],
        }
        frames.append(Frame(header, memoryview(pack(table))))
    total = sum(map(len, rows.values()))
    bench.ingest(*frames, chunk(rows=total), name=name)


__all__ = [
    "APPS",
    "LEAST",
    "PURPOSE",
    "Asking",
    "Permit",
    "found_asking",
    "priced",
    "query_charter",
]
