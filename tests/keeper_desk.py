"""A keeper whose sandboxes are scripts of the test: no process is started, and time stands still."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests import control_place
from tests.control_place import Control
from tests.seated import enact, founding, priced
from tests.world import PASSPHRASE, PURPOSE, copy_home, outside

from safehold import canonical
from safehold.access import approve
from safehold.access.proof import Holder
from safehold.app.draft import draft_grant
from safehold.app.gate import EgressGatekeeper
from safehold.app.journal import choose_database
from safehold.app.keeper import compose, found
from safehold.app.service import Service
from safehold.app.setup import first_roster, seat_keys
from safehold.canonical import b64, unb64
from safehold.charter import Charter, Signature
from safehold.clock import DAY_US, SECOND_US, FixedClock, SystemClock, day_of
from safehold.enclave.action import SCHEMA
from safehold.errors import UnavailableError
from safehold.ingest.rest import pack
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame, Passed
from safehold.sandbox.parts import pack_parts
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.telemetry.schema import REST
from safehold.vault.kms import LocalRoot

PEOPLE = ("ana", "bo", "cy")
CROWD = PEOPLE + tuple(f"p{number:02}" for number in range(50))  # training takes fifty at least
Script = Callable[[Mapping[str, Any]], Iterator[Frame]]


def rest_table(stream: str, rows: int = 2) -> pa.Table:
    """Return rows of zeros in rest form."""

    def column(item: pa.Field) -> pa.Array:
        kind = item.type
        if item.nullable:
            return pa.nulls(rows, kind)
        if pa.types.is_fixed_size_binary(kind):
            return pa.array([bytes(kind.byte_width)] * rows, kind)
        if pa.types.is_dictionary(kind):
            return pa.array(["x"] * rows).dictionary_encode().cast(kind)
        if pa.types.is_boolean(kind):
            return pa.array([False] * rows)
        return pa.array([0] * rows, pa.int64()).cast(kind)

    schema = REST[stream]
    return pa.Table.from_arrays([column(item) for item in schema], schema=schema)


def batch(person: str, window: int, *, stream: str = "pointer", first: int = 0, **changes: Any):
    table = rest_table(stream)
    session = person.encode().hex().ljust(16, "0")
    if len(session) > 16:
        session = sha256(person.encode()).hexdigest()[:16]
    header = {
        "type": "batch",
        "person": person,
        "stream": stream,
        "window": window,
        "rows": len(table),
        "chunk": 0,
        "extents": [["00" * 8, session, first, first + 1]],
    } | changes
    return Frame(header, memoryview(pack(table)))


def chunk(number: int = 0, rows: int = 2, **tally: dict[str, int]) -> Frame:
    given = {"taken": {"pointer": rows}} | tally
    return Frame(
        {"type": "chunk", "chunk": number, "rows_read": rows, "tally": given}, memoryview(b"")
    )


class ScriptedJob:
    level = "E3"
    kernel = "a kernel"
    mechanisms = ("scripted",)
    program = "0:test"

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self.killed = False

    def frames(self) -> Iterator[Frame]:
        for frame in self._frames:
            if self.killed:
                raise UnavailableError("the job was stopped", rule="sandbox.stopped")
            yield frame
        if self.killed:
            raise UnavailableError("the job was stopped", rule="sandbox.stopped")

    def kill(self) -> None:
        self.killed = True


class ScriptedWorkshop:
    """Runs a generator of the test in place of each recipe."""

    def __init__(self) -> None:
        self.scripts: dict[str, Script] = {}
        self.specs: list[tuple[str, dict[str, Any]]] = []
        self.packed: list[list[dict[str, Any]]] = []
        self.during_pack: Callable[[], None] = lambda: None

    def level(self) -> str:
        return "E3"

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        self.specs.append((recipe, dict(spec)))
        yield ScriptedJob(self.scripts[recipe](spec))

    def pack(self, parts) -> int:
        held = [(dict(header), table) for header, table in parts]
        self.packed.append([header for header, _ in held])
        self.during_pack()
        return pack_parts(held)

    def abreast(self) -> int:
        return 1

    def close(self) -> None:
        pass


class OpenGate:
    """Lets scripted messages through; the real gate has tests of its own."""

    def admit(self, frame: Frame) -> Passed:
        return frame.header["passed"]

    def close(self) -> None:
        pass


class OpenGatekeeper:
    def open(self, recipe, spec, people) -> OpenGate:
        return OpenGate()

    def reads(self, recipe: str) -> frozenset[str]:
        return frozenset({"feature"} if recipe == "train" else {"key", "pointer", "chat", "ai"})

    def columns(self, recipe, stream):
        return EgressGatekeeper().columns(recipe, stream)

    def features(self, recipe, spec):
        return EgressGatekeeper().features(recipe, spec)

    def settings(self, recipe: str, *, synthetic: bool) -> dict[str, Any]:
        return {}


def passed(kind: str, **fields: Any) -> Frame:
    return Frame(
        {"passed": Passed(kind=kind, values=fields.pop("values", {}), **fields)}, memoryview(b"")
    )


@dataclass
class Bench:
    """One keeper, called without its socket."""

    path: Path
    home: Home
    root: LocalRoot
    clock: FixedClock
    seats: dict[str, SigningKey]
    workshop: ScriptedWorkshop = field(default_factory=ScriptedWorkshop)
    service: Service | None = None
    control: Control = field(default_factory=Control)

    def start(self) -> Bench:
        with outside(self.path):
            self.service = compose(self.home, self.root, clock=self.clock, workshop=self.workshop)
        self.desk.gatekeeper = OpenGatekeeper()
        self.workshop.scripts.setdefault("feature", self.features)
        return self

    def stop(self) -> None:
        if self.service is not None:
            self.service.finish()
            self.desk.engine.dispose()
            self.service = None

    def restart(self) -> Bench:
        self.stop()
        return self.start()

    @property
    def desk(self):
        assert self.service is not None
        return self.service.desk

    @property
    def verbs(self):
        assert self.service is not None
        return self.service.verbs

    @property
    def today(self) -> int:
        return day_of(self.clock.now_us())

    def call(self, verb: str, *descriptors: int, **arguments: Any) -> dict[str, Any]:
        return self.verbs.table()[verb](arguments, descriptors, lambda _: None)

    def charter(self) -> Charter:
        return self.desk.trust.charter()

    def enact(self, charter: Charter, *seats: str) -> dict[str, Any]:
        names = seats or tuple(self.seats)
        return enact(
            self.call, self.desk.trust, charter, self.seats, names, at_us=self.clock.now_us()
        )

    def changed(self, **changes: Any) -> Charter:
        """Return the charter in force with another version and some replaced parts of its JSON."""
        tree = canonical.decode(canonical.encode(self.charter().to_json()))
        tree["version"] += 1
        for name, value in changes.items():
            tree[name] = value(tree[name]) if callable(value) else value
        return Charter.from_json(tree)

    def order(self, what: str, *seats: str, cause: str | None = None) -> dict[str, Any]:
        order = {
            "v": "safehold.order/1",
            "what": what,
            "home": self.home.id,
            "reason": "a test",
            "at_us": self.clock.now_us(),
        }
        if cause is not None:
            order["cause"] = sha256(cause.encode()).hexdigest()
        text = canonical.encode(order)
        names = seats or tuple(self.seats)
        return {
            "order": text.decode(),
            "signatures": [
                Signature(
                    seat=seat, value=self.seats[seat].sign(f"safehold.{what}.v1", text)
                ).to_json()
                for seat in names
            ],
        }

    def ingest(self, *frames: Frame | Callable[[], object], name: str = "a") -> dict[str, Any]:
        """Take a file in whose sandbox sends these frames; functions are called in between."""

        def script(_spec: Mapping[str, Any]) -> Iterator[Frame]:
            for item in frames:
                if isinstance(item, Frame):
                    yield item
                else:
                    item()

        self.workshop.scripts["ingest"] = script
        file = self.path / name
        file.write_text(name)
        with file.open("rb") as handle:
            return self.call("ingest", handle.fileno(), source={"kind": "file", "name": name})

    def take(
        self, *people: str, days_ago: int = 1, name: str = "a", first: int = 0
    ) -> dict[str, Any]:
        window = self.today - days_ago
        return self.ingest(
            *(batch(one, window, first=first) for one in people or PEOPLE),
            chunk(rows=2 * len(people or PEOPLE)),
            name=name,
        )

    def features(self, _spec: Mapping[str, Any]) -> Iterator[Frame]:
        table = SCHEMA.empty_table()
        table = pa.Table.from_arrays(
            [
                pa.array(["x"]).dictionary_encode().cast(SCHEMA.field(0).type),
                pa.array(["x"]).dictionary_encode().cast(SCHEMA.field(1).type),
                pa.array([True]),
            ],
            schema=SCHEMA,
        )
        for person in dict.fromkeys(header["person"] for header in self.workshop.packed[-1]):
            yield passed("derived", person=person, table=table)

    def pass_(self, **changes: Any) -> Holder:
        key = SigningKey.generate()
        now = self.clock.now_us()
        asked = draft_grant(
            self.charter(),
            requester="ana",
            purpose=PURPOSE,
            reason="a test of the keeper",
            holder=key,
            minutes=60,
        )
        asked = replace(
            asked,
            **{
                "asked_us": now,
                "expires_us": now + 3600 * SECOND_US,
                "first_day": self.today - 40,
                "last_day": self.today + 1,
            }
            | changes,
        )
        price = priced(self.call, asked)
        approvals = [
            approve(asked, price, seat, self.seats[seat], now_us=now).to_json()
            for seat in ("privacy", "legal")
        ]
        answer = self.call("grant.enact", grant=asked.to_json(), approvals=approvals)
        return Holder(answer["token"], key)

    def use(self, holder: Holder) -> dict[str, Any]:
        nonce = unb64(self.call("nonce")["nonce"])
        return {
            "purpose": PURPOSE,
            "token": holder.token,
            "nonce": b64(nonce),
            "proof": b64(holder.prove(nonce, use_message("train", PURPOSE))),
        }

    def leaves(self, start: int = 0) -> list[str]:
        return [leaf["k"] for _, leaf in self.desk.ledger.leaves(start)]

    def blocks(self, kind: str = "telemetry") -> dict[str, int]:
        streams = ("pointer", "key", "feature")
        found: dict[str, int] = {}
        for block in self.desk.catalog.blocks(kind=kind, streams=streams, after_day=0):
            name = self.desk.people.standing(block.person).external
            found[name] = found.get(name, 0) + 1
        return found


def found_bench(
    path: Path,
    *,
    synthetic: bool = False,
    people: Sequence[str] = PEOPLE,
    charter: Charter | None = None,
    database: str | None = None,
    control: Control | None = None,
    streams: Sequence[str] = ("pointer", "key"),
) -> Bench:
    """Make a home with a charter and three people; its journal and its tables may lie in PostgreSQL."""
    control = (control or control_place.default()).new()
    with outside(path):
        keys = seat_keys(path / "seats")
        home = Home.create(path / "home", synthetic=synthetic)
        board = first_roster(home, keys, now_us=SystemClock().now_us())
        if database is not None:
            choose_database(home, database)
        control.choose(home)
        root, _ = found(
            home, {"passphrase": PASSPHRASE}, canonical.encode(board.to_json()), board.digest()
        )
    bench = Bench(
        path, home, root, FixedClock(SystemClock().now_us()), keys, control=control
    ).start()
    bench.enact(charter or founding())
    bench.call(
        "people.enrol",
        people=[
            {"person": one, "jurisdiction": "US-CA", "streams": list(streams)} for one in people
        ],
        evidence="made up",
    )
    bench.stop()
    return bench


def script_training(bench: Bench) -> None:
    """Let training send its figures and a model through the gate."""

    def train(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        yield passed("metrics", values={"type": "metrics", "top1": 0.5})
        yield passed("model", body=b"weights")

    bench.workshop.scripts["train"] = train


def copy_bench(made: Bench, path: Path) -> Bench:
    copy_home(made.path, path)
    with outside(path):
        home = Home.open(path / "home")
    control = made.control.copy()
    control.point(home)
    clock = FixedClock(made.clock.at_us)
    return Bench(path, home, made.root, clock, dict(made.seats), control=control)


__all__ = ["DAY_US", "PEOPLE", "Bench", "batch", "chunk", "copy_bench", "found_bench", "passed"]
