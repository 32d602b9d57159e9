"""One company twice: in files, and on servers; from the same seeds and at the same moment. What may differ is noise.

``Twin.portrait`` is everything that comes before the noise, in a form that two homes have in common: random ids are
numbered in the order in which they first occur, people bear the names that the company gave them. What is left out
stands in ``LEFT_OUT``, with the reason.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from tests.keeper_desk import Bench
from tests.query_desk import Asking, query_charter
from tests.world import PASSPHRASE, outside

from safehold import canonical
from safehold.app.control import choose_control
from safehold.app.journal import choose_database
from safehold.app.keeper import compose, found
from safehold.app.objects import choose_bucket
from safehold.app.profile import Places
from safehold.app.setup import first_roster, seat_keys
from safehold.app.workshop import SandboxWorkshop
from safehold.charter.legal import DOCUMENTS
from safehold.clock import FixedClock, SystemClock, day_of
from safehold.enclave.action import SCHEMA
from safehold.enclave.contribution import read_share
from safehold.enclave.model import Shape, make_examples
from safehold.enclave.train import _join, _read_actions
from safehold.enclave.training import gather_people, learner_of
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import SafeholdError
from safehold.keeper.ports import Frame
from safehold.privacy.aggregate import release_aggregate
from safehold.privacy.query import read_query
from safehold.sandbox.launch import Launcher
from safehold.settings import Home
from safehold.workforce import Spec, roster

TRAIN = "train_ui_agent"
QUERY = ("SELECT x AS v FROM pointer", {"release": "events", "epsilon": 1.0})
CLIP = 0.1
STREAMS = ("key", "pointer", "chat", "ai", "focus", "meeting", "metric", "screen", "feature")
LEFT_OUT: Mapping[str, str] = {
    "keys, nonces, wrapped rows, block ids": "random by design, in every home",
    "ids of subjects, devices, sessions, events, messages": "keyed by the home; which rows share one is compared",
    "names, bytes, sizes and roots of sealed objects": "ciphertext under random keys, of rows whose ids compress to other lengths",
    "order of the sessions of one day": "rows bear no time of day; sessions follow each other by ids that the home keys",
    "order of people within one sandbox input": "by run-scoped names, which are random",
    "who only scores in a training run": "drawn by a random permutation that no data touches",
    "sums after noise, models, scores, figures": "noise takes no seed",
    "times of leaves": "a home is founded by the machine's clock, one after the other",
}
_OPAQUE = re.compile(r"[0-9a-f]{16,}|[A-Za-z0-9+/_-]{22,}={0,2}|[a-z]+_[0-9a-z]{16,}")
# public facts that say what the noise did, or name a key
NOISY = frozenset({"micro", "lower", "upper", "detectable", "size", "bytes", "vkey", "lattice"})


class WatchingWorkshop(SandboxWorkshop):
    """Real sandboxes; what goes in and what comes out of each is remembered."""

    def __init__(self) -> None:
        super().__init__(Launcher())
        self.given: list[list[tuple[dict[str, Any], pa.Table]]] = []
        self.specs: dict[str, dict[str, Any]] = {}
        self.sent: dict[str, list[Frame]] = {}

    def pack(self, parts: Any) -> int:
        held = [(dict(header), table) for header, table in parts]
        self.given.append(held)
        return super().pack(held)

    @contextmanager
    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        self.specs[recipe] = dict(spec)
        with super().start(recipe, spec, inputs, least=least) as job:
            frames = job.frames

            def watched() -> Iterator[Frame]:
                for frame in frames():
                    if recipe not in {"ingest", "train"}:
                        kept = Frame(dict(frame.header), memoryview(bytes(frame.body)))
                        self.sent.setdefault(recipe, []).append(kept)
                    yield frame

            job.frames = watched
            yield job


@dataclass
class Twin(Bench):
    """One of the two."""

    answers: dict[str, Any] = field(default_factory=dict)

    def start(self) -> Twin:
        with outside(self.path):
            self.service = compose(self.home, self.root, clock=self.clock, workshop=self.workshop)
        return self

    def try_(self, verb: str, **arguments: Any) -> str:
        """Return what became of a call: the rule of its refusal, or ``done``."""
        try:
            self.call(verb, **arguments)
        except SafeholdError as error:
            return f"{error.code}: {error.rule}"
        return "done"

    def person(self, name: str) -> str:
        return str(self.desk.people.standing(name).external)

    def blocks_by(self, kind: str) -> dict[tuple[str, str, int], list[Any]]:
        """Return opened rows and label of every block, by person, stream and day."""
        found: dict[tuple[str, str, int], list[Any]] = {}
        ids = Ids()
        blocks = self.desk.catalog.blocks(kind=kind, streams=STREAMS, after_day=0)
        opened = sorted(
            self.desk.vault.read(blocks),
            key=lambda one: (self.person(one[0].person), one[0].stream, one[0].window, one[0].rows, Ids().digest(one[1])),
        )  # fmt: skip
        for block, table in opened:
            label = block.label
            found.setdefault((self.person(block.person), block.stream, block.window), []).append(
                {
                    "rows": ids.digest(table),
                    "count": table.num_rows,
                    "label": [list(label.purposes), label.jurisdiction, label.expires],
                    "charter": label.charter.hex(),
                    "segment": block.segment,
                    "generation": block.generation,
                }
            )
        return {place: sorted(ones, key=repr) for place, ones in sorted(found.items())}

    def examples(self) -> dict[str, Any]:
        """Return training examples of every person, and their clipped sum at the start of training."""
        spec = self.workshop.specs.get("train")
        vocabulary = Vocabulary.from_spec(spec or self.workshop.specs["feature"])
        shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
        parts: dict[str, list[Any]] = {}
        blocks = self.desk.catalog.blocks(kind="derived", streams=("feature",), after_day=0)
        opened = sorted(
            self.desk.vault.read(blocks),
            key=lambda one: (self.person(one[0].person), one[0].window),
        )
        for block, table in opened:
            whole = in_order(table).unify_dictionaries().combine_chunks()
            parts.setdefault(self.person(block.person), []).append(_read_actions(whole, vocabulary))
        people = {name: make_examples(_join(parts[name]), shape) for name in sorted(parts)}
        most = max((len(one.target) for one in people.values()), default=0)
        arrays = gather_people(list(people.values()), shape, most=most)
        learner = learner_of(shape)
        total, within = learner.sum_clipped(
            learner.start(),
            learner.prepare(arrays),
            np.ones(len(people), dtype=bool),
            {"weights": CLIP},
        )
        return {
            "examples": {
                name: hashlib.sha256(one.slots.tobytes() + one.target.tobytes()).hexdigest()
                for name, one in people.items()
            },
            "count": sum(len(one.target) for one in people.values()),
            "sum": hashlib.sha256(total["weights"].tobytes()).hexdigest(),
            "norm": float(np.linalg.norm(total["weights"])),
            "within": within,
        }

    def leaves_said(self) -> list[Any]:
        """Return kind, reference and public facts of every leaf, in order."""
        names = Names()
        found = []
        for index, leaf in self.desk.ledger.leaves(0):
            facts = {
                key: names.of(value)
                for key, value in sorted(leaf.get("pub", {}).items())
                if key not in NOISY
            }
            found.append([index, leaf["k"], leaf.get("ref"), leaf["seg"], facts])
        return found

    def portrait(self) -> dict[str, Any]:
        """Return everything that comes before the noise."""
        names = Names()
        desk = self.desk
        return {
            "answers": self.answers,
            "telemetry": self.blocks_by("telemetry"),
            "features": self.blocks_by("derived"),
            "training": self.examples(),
            "packed": [given_by(one) for one in self.workshop.given],
            "queries": self.exact(),
            "leaves": self.leaves_said(),
            "lineage": [
                {**one, "id": names.of(one["id"]), "parents": sorted(map(names.of, one["parents"]))}
                | ({"label": names.deep(one["label"])})
                for one in desk.lineage.show()
            ],
            "counts": desk.catalog.counts(),
            "objects": sum(1 for _ in desk.vault._objects.names()),
        }

    def exact(self) -> dict[str, Any]:
        """Return what every person added to the query, and the sums of it, before noise."""
        found: dict[str, Any] = {}
        for recipe, frames in self.workshop.sent.items():
            if recipe == "feature" or not any(
                one.header.get("type") == "contribution" for one in frames
            ):
                continue
            template = read_query(self.answers["query"]).template
            bodies = sorted(
                bytes(one.body) for one in frames if one.header["type"] == "contribution"
            )
            shares = [read_share(template, body) for body in bodies]
            exact = Exact()
            release_aggregate(template, shares, least=1, mechanism=exact)
            found["query"] = {
                "shares": [hashlib.sha256(body).hexdigest() for body in bodies],
                "sums": exact.seen,
            }
        return found


class Exact:
    """Adds no noise, and remembers what it was given."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def add(self, numbers: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> Any:
        self.seen.append(["sums", list(numbers), sensitivity, epsilon_micro])
        return list(numbers), 1.0

    def choose(self, scores: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> int:
        self.seen.append(["scores", list(scores), sensitivity, epsilon_micro])
        return min(range(len(scores)), key=scores.__getitem__)

    def find(self, counts: Mapping[str, int], *, groups: int, least: int, epsilon_micro: int, delta_e12: int) -> Any:  # fmt: skip
        self.seen.append(["counts", dict(sorted(counts.items())), groups, epsilon_micro, delta_e12])
        return dict(counts)


class Names:
    """Numbers random ids in the order in which they first occur."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return _OPAQUE.sub(
            lambda found: self._known.setdefault(found[0], f"#{len(self._known)}"), value
        )

    def deep(self, value: Any) -> Any:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        return orjson.loads(self.of(text))


def in_order(table: pa.Table) -> pa.Table:
    """Return features with the sessions of a day in an order of their own.

    Rows at rest bear no time of day, so the sessions of a day follow each other by their ids, which the home keys.
    """
    if not table.schema.equals(SCHEMA):
        return table
    sessions: list[list[dict[str, Any]]] = []
    for row in table.to_pylist():
        if row["start"] or not sessions:
            sessions.append([])
        sessions[-1].append(row)
    rows = [row for session in sorted(sessions, key=repr) for row in session]
    columns = []
    for item in SCHEMA:
        values = pa.array([row[item.name] for row in rows])
        if pa.types.is_dictionary(item.type):
            values = values.cast(pa.string()).dictionary_encode()
        columns.append(values.cast(item.type))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


class Ids:
    """Numbers ids in columns: pseudonyms of people, devices, sessions and messages are keyed by the home.

    The same id gets the same number wherever it stands, so what refers to what is compared, across streams and people.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}

    def digest(self, table: pa.Table) -> str:
        """Return a SHA-256 over the bytes of a table's rows, its ids numbered."""
        table = in_order(table)
        columns = {
            name: self._numbered(table[name].combine_chunks()) for name in table.column_names
        }
        whole = pa.table(columns)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, whole.schema) as stream:
            stream.write_table(whole.combine_chunks())
        return hashlib.sha256(sink.getvalue()).hexdigest()

    def _numbered(self, column: Any) -> Any:
        if isinstance(column, pa.ChunkedArray):
            column = (
                pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
            )
        if pa.types.is_list(column.type) and pa.types.is_fixed_size_binary(column.type.value_type):
            inner = self._numbered(column.flatten())
            return pa.ListArray.from_arrays(column.offsets, inner) if len(column) else inner
        if not pa.types.is_fixed_size_binary(column.type):
            return column
        coded = column.dictionary_encode()
        numbers = pa.array(
            [self._known.setdefault(one, len(self._known)) for one in coded.dictionary.to_pylist()],
            pa.int64(),
        )
        return numbers.take(coded.indices)


def given_by(parts: Sequence[tuple[dict[str, Any], pa.Table]]) -> list[str]:
    """Return what one sandbox was given, without the names of that run."""
    found = []
    for header, table in parts:
        said = {name: value for name, value in header.items() if name != "person"}
        found.append(f"{Names().deep(said)} {Ids().digest(table)}")
    return sorted(found)


def make_twin(path: Path, places: Places, *, spec: Spec, at_us: int) -> Twin:
    """Found a company whose parts lie somewhere."""
    path.mkdir(parents=True, exist_ok=True)
    with outside(path):
        keys = seat_keys(path / "seats")
        home = Home.create(path / "home", synthetic=True)
        board = first_roster(home, keys, now_us=SystemClock().now_us())
        if places.journal is not None:
            choose_database(home, places.journal)
        if places.control is not None:
            choose_control(home, places.control)
        if places.objects is not None:
            choose_bucket(home, places.objects)
        root, _ = found(
            home, {"passphrase": PASSPHRASE}, canonical.encode(board.to_json()), board.digest()
        )
    twin = Twin(path, home, root, FixedClock(at_us), keys, WatchingWorkshop()).start()
    twin.enact(query_charter())
    return twin


def do_the_job(twin: Twin, spec: Spec, *, train: bool, workers: int = 2) -> Twin:
    """Do what the demo does: tell, enrol, take in, let some leave, build features, ask, train; and be refused."""
    staff = roster(spec)
    said: dict[str, Any] = {}
    for name in DOCUMENTS:
        twin.call("document.publish", name=name)
    twin.call(
        "people.enrol",
        people=[
            {
                "person": one.id,
                "jurisdiction": one.jurisdiction,
                "streams": sorted(one.consent),
                "pauses": [list(pause) for pause in one.pauses],
            }
            for one in staff
        ],
        evidence="made up",
    )
    share = -(-spec.people // workers)
    said["ingest"] = [
        twin.call(
            "ingest",
            source={
                "kind": "synthetic",
                "spec": spec.to_spec(),
                "first": at,
                "count": min(share, spec.people - at),
            },
        )["tally"]
        for at in range(0, spec.people, share)
    ]
    said["withdrawn"] = [
        twin.try_("people.choose", person=one.id, choice="withdraw")
        for one in staff
        if one.withdraws and one.consent
    ]
    built = twin.call("feature", purpose=TRAIN)
    said["feature"] = Names().deep({name: built[name] for name in built if name != "entry"})
    holder = twin.pass_() if train else None
    said["refused"] = {
        "another purpose": twin.try_("feature", purpose="advertising"),
        "no token": twin.try_("train", purpose=TRAIN, token="", nonce="", proof=""),
        "a stranger's data": twin.try_("people.show", person="nobody"),
        "a query without a grant": twin.try_("query", purpose="improve_tools", streams=["pointer"]),
        "a stop, and then": [
            twin.try_("stop", **twin.order("stop", "privacy")),
            twin.try_("feature", purpose=TRAIN),
            twin.try_("resume", **twin.order("resume", "privacy")),
            twin.try_("resume", **twin.order("resume", cause="a test")),
        ],
    }
    if train:
        asking = Asking(twin)
        sql, settings = QUERY
        text = asking.text(sql, **settings)
        said["query"] = text
        permit = asking.grant(text)
        told = asking.ask(permit, text)
        said["query told"] = sorted(told)
        assert holder is not None
        model = twin.call("train", **twin.use(holder))
        figures = model["metrics"]
        said["trained"] = {
            name: figures[name]
            for name in ("people", "trained", "held_out", "rounds", "clip", "noise_multiplier", "tokens", "parameters", "epsilon_micro", "epsilon_rdp", "epsilon_pld")
        }  # fmt: skip
    said["status"] = {
        name: twin.call("status")[name]
        for name in ("charter", "counts", "stopped", "dropped_of_others")
    }
    twin.answers = said
    return twin


def moment() -> tuple[int, int]:
    """Return a moment for both, in microseconds, and its day."""
    at_us = SystemClock().now_us()
    return at_us, day_of(at_us)


def spec_of(people: int, day: int, *, days: int = 1, **more: Any) -> Spec:
    """Return a company of the demo's seed, whose last day was yesterday."""
    return replace(Spec(people=people, days=days, seed=7, start_day=day - days), **more)
