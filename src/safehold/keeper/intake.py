"""Take a source in: through a sandbox that minimises, into sealed blocks, whole or not at all.

Order, so that a crash at any point loses and doubles nothing:
1. the ledger says that ingestion begins, under which charter;
2. per chunk: seal the objects, append the chunk's leaf, then one transaction that makes the chunk known;
3. when the whole source is through: one transaction turns its blocks live, then the closing leaf.
A chunk that is known is skipped on the next run; an object that no transaction knows is swept away.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import pyarrow as pa

from safehold import canonical
from safehold.catalog import DatasetLabel, Extent, SourceState
from safehold.catalog.register import LIVE, add_tallies
from safehold.errors import ConflictError, InvalidError, MissingError, TamperedError
from safehold.keeper.desk import Desk, segment_name
from safehold.keeper.ports import Frame
from safehold.keeper.server import Report
from safehold.keeper.terms import label_of, least_level, streams_of
from safehold.ledger import Entry
from safehold.subjects import Standing
from safehold.telemetry.schema import REST, STREAM_TO_WHAT
from safehold.vault import Label, PlainBlock

ENGINEER = "engineer"
FOR_EVER = canonical.LARGEST
MOST_LABELS = 4_096  # kept in memory


class Intake:
    """The verbs by which telemetry comes in.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._running: set[str] = set()
        self._labels: dict[tuple[bytes, str, str, int], Label] = {}
        self._lock = threading.Lock()

    def ingest(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Take one source in and return what was taken, masked, dropped and refused."""
        desk = self._desk
        desk.trust.require_running()
        desk.ledger.check_health()
        source = dict(arguments["source"])
        inputs: list[int] = []
        if source.get("kind") == "file":
            if len(descriptors) != 1:
                raise InvalidError("a file source comes with one open file", rule="ingest.source")
            inputs = [_reopen(descriptors[0])]
        try:
            name = self._identity(source, inputs)
            with self._alone(name):
                return self._take(name, source, inputs, arguments, report)
        finally:
            for item in inputs:
                os.close(item)

    def take_sealed(
        self, name: str, header: dict[str, Any], body: bytes, report: Report
    ) -> dict[str, Any]:
        """Take the opened body of an envelope in; it is checked and brought to rest in a sandbox.

        Args:
            name: Hash of the envelope, hex; the same envelope is taken once.
            header: ``person`` and ``stream``.
            body: Arrow stream of minimised rows.
            report: Told how far it is.
        """
        try:
            table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
        except pa.ArrowException as error:
            raise InvalidError("an envelope holds no table", rule="leased.body") from error
        memory = self._desk.workshop.pack([(header, table)])
        try:
            with self._alone(name):
                return self._take(name, {"kind": "leased"}, [memory], {}, report)
        finally:
            os.close(memory)

    def recover(self, *, keep: set[str]) -> None:
        """Finish what a crash left: missing closing leaves, objects that nothing knows.

        Args:
            keep: Objects that something other than the catalogue knows.
        """
        desk = self._desk
        for name, tally in desk.catalog.unnoted():
            self._close(name, tally)
        desk.vault.sweep(desk.catalog.objects() | keep)

    def _take(
        self,
        name: str,
        source: dict[str, Any],
        inputs: Sequence[int],
        arguments: dict[str, Any],
        report: Report,
    ) -> dict[str, Any]:
        desk = self._desk
        state = desk.catalog.begin(name, now_us=desk.now_us())
        if state.state == LIVE:
            return {"source": name, "already": True, "tally": state.tally, "refusals": []}
        charter = desk.trust.charter()
        desk.log(
            Entry(
                kind="ingest",
                actor=ENGINEER,
                object=name,
                detail={"step": "begin"},
                charter=charter.digest(),
                key=f"ingest/{name}/begin/{charter.digest().hex()[:16]}",
            )
        )
        tallies = [state.tally]
        refusals: list[dict[str, Any]] = []
        spec = self._spec(source, arguments, state=state)
        least = least_level(charter, frozenset(spec["rules"]), synthetic=desk.home.synthetic)
        try:
            with desk.workshop.start("ingest", spec, inputs, least=least) as job:
                pending: list[Frame] = []
                for frame in job.frames():
                    match frame.header["type"]:
                        case "batch":
                            pending.append(frame)
                        case "chunk":
                            tally = frame.header["tally"]
                            self._commit(name, frame.header["chunk"], tally, pending)
                            tallies.append(tally)
                            pending = []
                            report({"rows": frame.header["rows_read"], "tally": tally})
                            desk.trust.require_running()
                        case "refused":
                            refusals.append(
                                {key: frame.header[key] for key in ("row", "field", "rule")}
                            )
                        case "done":
                            report({"read": frame.header["rows_read"]})
                        case _:
                            raise TamperedError("an unknown frame", rule="ingest.frames")
                if pending:
                    raise TamperedError("rows outside a chunk", rule="ingest.frames")
        except InvalidError:
            desk.vault.remove(desk.catalog.discard(name))
            raise
        total = add_tallies(tallies)
        desk.catalog.finish(name, total)
        self._close(name, total)
        return {
            "source": name,
            "already": False,
            "tally": total,
            "refusals": refusals[:100],
            "level": job.level,
        }

    def _commit(
        self, name: str, number: int, tally: Mapping[str, Any], batches: Sequence[Frame]
    ) -> None:
        desk = self._desk
        by_segment: dict[str, list[PlainBlock]] = {}
        extents: list[Extent] = []
        for frame in batches:
            header = frame.header
            stream = header["stream"]
            person = desk.people.find(header["person"])
            standing = desk.people.standing(person)
            segment = segment_name(standing.jurisdiction, stream)
            label = self._label(stream, standing.jurisdiction, header["window"])
            table = with_subject(_read(stream, frame.body), self._pseudonym(segment, person))
            if table.num_rows != header["rows"]:
                raise TamperedError("a batch has another number of rows", rule="ingest.frames")
            by_segment.setdefault(segment, []).append(
                PlainBlock(
                    person=person, stream=stream, window=header["window"], label=label, table=table
                )
            )
            extents += [
                Extent(
                    origin=bytes.fromhex(device) + bytes.fromhex(session),
                    stream=stream,
                    first=first,
                    last=last,
                )
                for device, session, first, last in header["extents"]
            ]
        if (twice := desk.catalog.overlap(name, extents)) is not None:
            raise InvalidError(
                f"sequence numbers {twice.first} to {twice.last} of a session came before",
                rule="sequence.duplicate",
                fix="send each event once; nothing of this source was kept",
            )
        objects = [
            desk.vault.seal(blocks, segment=segment) for segment, blocks in by_segment.items()
        ]
        if objects:
            people = sorted({block.person for blocks in by_segment.values() for block in blocks})
            desk.log(
                Entry(
                    kind="ingest",
                    actor=ENGINEER,
                    object=name,
                    detail={
                        "step": "chunk",
                        "chunk": number,
                        "objects": [[item.name, item.root.hex()] for item in objects],
                        "rules": canonical.digest(streams_of(desk.trust.charter())).hex(),
                    },
                    charter=desk.trust.digest(),
                    subjects=desk.subjects(people),
                    public={"objects": len(objects)},
                    key=f"ingest/{objects[0].name}",
                )
            )
        desk.catalog.commit_chunk(name, number, tally=tally, objects=objects, extents=extents)

    def _label(self, stream: str, jurisdiction: str, window: int) -> Label:
        """Return a label, kept because every block of a day has the same one."""
        trust = self._desk.trust
        place = (trust.digest(), stream, jurisdiction, window)
        held = self._labels.get(place)
        if held is None:
            held = label_of(trust.charter(), stream, jurisdiction=jurisdiction, window=window)
            if len(self._labels) >= MOST_LABELS:
                self._labels.clear()
            self._labels[place] = held
        return held

    def _close(self, name: str, tally: Mapping[str, Mapping[str, int]]) -> None:
        desk = self._desk
        taken = tally.get("taken", {})
        desk.log(
            Entry(
                kind="ingest",
                actor=ENGINEER,
                object=name,
                detail={"step": "live", "tally": tally},
                charter=desk.trust.digest(),
                public={"rows": sum(taken.values())},
                key=f"ingest/{name}/live/{sum(taken.values())}",  # one of nothing may be followed by more
            )
        )
        charter = desk.trust.charter()
        today = desk.today()
        labels = [label_of(charter, stream, jurisdiction="any", window=today) for stream in taken]
        if labels:
            desk.lineage.add(
                name,
                kind="source",
                label=DatasetLabel(
                    people=desk.catalog.people_of(name),
                    streams=frozenset(taken),
                    purposes=frozenset.intersection(*(frozenset(one.purposes) for one in labels)),
                    jurisdictions=frozenset(charter.jurisdictions),
                    expires=min(one.expires for one in labels),
                ),
                parents=[],
                created_us=desk.now_us(),
            )
        desk.catalog.note(name)

    def _spec(
        self, source: dict[str, Any], arguments: dict[str, Any], *, state: SourceState
    ) -> dict[str, Any]:
        desk = self._desk
        charter = desk.trust.charter()
        rules = streams_of(charter)
        spec: dict[str, Any] = {
            "source": source,
            "rules": rules,
            "people": {
                standing.external: entry
                for standing in desk.people.everybody().values()
                if (entry := roll_entry(standing, charter.jurisdictions)) is not None
            },
            "now_us": state.begun_us,
            "keep_days": {stream: charter.retention(stream) for stream in rules},
            "policy": charter.digest().hex(),
            "pseudonym_key": desk.vault.derive("pseudonym/wire").hex(),
            "done": sorted(state.done),
        }
        if (tolerate := arguments.get("tolerate_ppm")) is not None:
            spec["tolerate"] = tolerate / 1_000_000
        return spec

    def _pseudonym(self, segment: str, person: str) -> bytes:
        key = self._desk.vault.derive(f"pseudonym/{segment}")
        return hmac.digest(key, person.encode(), "sha256")[:16]

    def _identity(self, source: Mapping[str, Any], inputs: Sequence[int]) -> str:
        state = hashlib.sha256(b"safehold.source.v1\0")
        shown = {key: value for key, value in source.items() if key != "name"}
        state.update(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS))
        for item in inputs:
            offset = 0
            while piece := os.pread(item, 1 << 20, offset):
                state.update(piece)
                offset += len(piece)
        return state.hexdigest()

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        with self._lock:
            if name in self._running:
                raise ConflictError("this source is being taken in already", rule="ingest.once")
            self._running.add(name)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(name)


def roll_entry(standing: Standing, jurisdictions: Sequence[str]) -> dict[str, Any] | None:
    """Return what the ingestion sandbox is told of one person, or None if nothing may be taken."""
    if (
        standing.withdrawn_us is not None
        or not standing.streams
        or standing.jurisdiction not in jurisdictions
    ):
        return None
    return {
        "streams": sorted(standing.streams),
        "pauses": [
            [pause.start_us, FOR_EVER if pause.end_us is None else pause.end_us]
            for pause in standing.pauses
        ],
    }


def with_subject(table: pa.Table, subject: bytes) -> pa.Table:
    """Return a rest-form table whose ``subject`` column holds one pseudonym."""
    place = table.schema.get_field_index("subject")
    rows = table.num_rows
    column = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(16), rows, [None, pa.py_buffer(subject * rows)]
    )
    return table.set_column(place, table.schema.field(place), column)


def _read(stream: str, body: memoryview) -> pa.Table:
    if stream not in STREAM_TO_WHAT:
        raise TamperedError("a batch of an unknown stream", rule="ingest.frames")
    table = pa.ipc.open_stream(pa.py_buffer(body)).read_all()
    if not table.schema.equals(REST[stream]):
        raise TamperedError("a batch has another schema", rule="ingest.frames")
    return table


def _reopen(descriptor: int) -> int:
    """Return a read-only descriptor of the same regular file, with an offset of its own."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise InvalidError("a source is a regular file", rule="ingest.source")
    try:
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise MissingError("the source cannot be opened", rule="ingest.source") from error
