"""What a collector sealed and the keeper opened: minimised on the device, checked again here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.clock import DAY_US
from safehold.dlp.context import is_password_field
from safehold.dlp.picture import pictured_events
from safehold.errors import InvalidError
from safehold.ingest.pipeline import Order, Tally
from safehold.ingest.rest import RestBatch, rest_batches
from safehold.ingest.validate import SKEW_US
from safehold.sandbox.channel import slice_parts
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import STREAMS

MALFORMED: Final = frozenset({"leased.body", "leased.schema", "wire.missing"})  # refusals of form
_JUDGED: Final = ("person", "minim", "app", "t")  # columns by which the other rules judge


@dataclass(frozen=True, slots=True)
class LeasedChunk:
    """One opened envelope.

    Args:
        rows: Events in it.
        tally: What became of them.
        batches: Rest form.
        refused: The rule by which nothing of it is taken, where it is judged by itself.
        malformed: It is refused for its form alone: nothing in it, as far as it can be read, breaks another rule.
        oldest: Of what is malformed, the day (UTC) of its oldest row; where none can be read, today.
    """

    rows: int
    tally: Tally
    batches: Sequence[RestBatch]
    refused: str = ""
    malformed: bool = False
    oldest: int = 0


def leased_schema(stream: str) -> pa.Schema:
    """Return the schema of a batch that a collector seals: wire form, minimised."""
    extra = (pa.field("sens", pa.uint32()), pa.field("minim", pa.uint8()))
    return pa.schema([*(item.with_nullable(nullable=True) for item in WIRE[stream]), *extra])


def read_leased(fd: int, order: Order, *, apart: bool = False) -> Iterator[LeasedChunk]:
    """Yield the rest form of opened envelopes, one chunk each.

    Args:
        fd: Sealed memory with one part an envelope; a part's header has ``person`` and ``stream``.
        order: What the run is told to do.
        apart: Judge each envelope by itself: what one breaks keeps no other out.

    Raises:
        InvalidError: A batch is not minimised far enough, holds somebody else's events, or does
            not fit.
    """
    for number, (header, body) in enumerate(slice_parts(fd)):
        try:
            yield _read(header, body, order, number)
        except InvalidError as error:
            if not apart:
                raise
            rule = error.rule or error.code
            oldest = _oldest_harmless(header, body, order) if rule in MALFORMED else None
            yield LeasedChunk(0, Tally(), [], rule, oldest is not None, oldest or 0)


def _read(header: Mapping[str, Any], body: pa.Buffer, order: Order, number: int) -> LeasedChunk:
    stream, person = header.get("stream"), header.get("person")
    if stream not in STREAMS or not isinstance(person, str):
        raise InvalidError(
            "a leased batch names its stream and person", row=number, rule="leased.header"
        )
    try:  # bytes of a stranger: nobody has looked at them before
        return _carry(str(stream), person, pa.ipc.open_stream(body).read_all(), order, number)
    except (
        pa.ArrowException,
        OSError,
    ) as error:  # no table, or values that are not what their type says
        raise InvalidError(
            f"leased batch {number} holds no table", row=number, rule="leased.body"
        ) from error


def _oldest_harmless(header: Mapping[str, Any], body: pa.Buffer, order: Order) -> int | None:
    """Return the day of the oldest row of a batch, if nothing but its form speaks against it.

    What is no table from its first byte on tells nothing. Of a table every rule is tried on the values that can be
    read, also where the rest of it is broken. One that lacks a column that the rules judge by, or a value in it, or has
    anything that no rule looks at, cannot be judged, and counts as breaking them.
    """
    stream, person = header.get("stream"), header.get("person")
    known = stream in order.rules and isinstance(person, str)
    if not known or order.roll.agreed(str(person), str(stream)) is None:
        return None
    source, today = pa.BufferReader(body), order.now_us // DAY_US
    try:
        reader = pa.ipc.open_stream(source)
    except (pa.ArrowException, OSError):
        return today
    rows, whole = _readable(reader)
    if not _can_be_judged(str(stream), reader.schema) or (whole and source.tell() != len(body)):
        return None  # something follows the table
    table = pa.Table.from_batches(rows, schema=reader.schema)
    try:
        table.validate(full=True)
        _check_judged(table)
        _check_values(str(stream), str(person), table, order, 0)
        silent = _silent(str(stream), str(person), table, order)
    except (InvalidError, pa.ArrowException):
        return None
    if silent.any():
        return None
    return min(
        (one // DAY_US for one in table.column("t").cast(pa.int64()).to_pylist()), default=today
    )


def _readable(reader: pa.ipc.RecordBatchStreamReader) -> tuple[list[pa.RecordBatch], bool]:
    """Return the rows up to where a table breaks off, and whether it does not."""
    rows: list[pa.RecordBatch] = []
    try:
        rows.extend(reader)
    except (pa.ArrowException, OSError):
        return rows, False
    return rows, True


def _check_judged(table: pa.Table) -> None:
    """Pass if no value is missing by which the other rules judge.

    Raises:
        InvalidError: One is.
    """
    for name in ("person", "minim", "t"):
        if table.column(name).null_count:
            raise _breaks(0, "wire.missing", name)


def _can_be_judged(stream: str, schema: pa.Schema) -> bool:
    """Tell whether the rules look at everything that a table of this schema can hold."""
    wanted = {item.name: item.type for item in leased_schema(stream)}
    names, judged = schema.names, [one for one in (*_JUDGED, "field_kind") if one in wanted]
    return (
        len(set(names)) == len(names)
        and set(names) <= wanted.keys()
        and all(one in names and schema.field(one).type == wanted[one] for one in judged)
        and all(item.type == wanted[item.name] or _is_plain(item.type) for item in schema)
        and not schema.metadata
        and not any(item.metadata for item in schema)
    )


def _is_plain(kind: pa.DataType) -> bool:
    """Tell whether a type is a number, a time, nothing, or a text that is looked into as it stands."""
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(texts or pa.types.is_primitive(kind) or pa.types.is_null(kind))


def _carry(stream: str, person: str, table: pa.Table, order: Order, number: int) -> LeasedChunk:
    tally = Tally()
    rules = order.rules.get(stream)
    if rules is None or order.roll.agreed(person, stream) is None:
        reason = "not_collected" if rules is None else "not_participating"
        tally.dropped[reason] += len(table)
        return LeasedChunk(len(table), tally, [])
    rows = len(table)
    _check_batch(stream, person, table, order, number)
    silent = _silent(stream, person, table, order)
    if count := int(silent.sum()):
        tally.dropped["paused"] += count
        table = table.filter(pa.array(~silent))
    tally.taken[stream] += len(table)
    batches = list(rest_batches(stream, table, key=order.key, policy=order.policy))
    return LeasedChunk(rows, tally, batches)


def _silent(stream: str, person: str, table: pa.Table, order: Order) -> np.ndarray:
    """Return which rows that kept their time lie in a pause or a stop; the others were sieved on the device."""
    t = table.column("t").cast(pa.int64()).to_numpy()
    inside: np.ndarray = np.zeros(len(table), dtype=bool)
    for start, end in order.roll.silent(person, stream):
        inside |= (t >= start) & (t < end)
    return np.asarray(
        inside & (t % DAY_US != 0)
    )  # where times were taken out, the start of the day stands


def _check_batch(stream: str, person: str, table: pa.Table, order: Order, number: int) -> None:
    wanted = leased_schema(stream)
    if table.schema.names != wanted.names or any(
        table.schema.field(item.name).type != item.type for item in wanted
    ):
        raise _breaks(number, "leased.schema", "")
    table.validate(full=True)
    needed = [item.name for item in WIRE[stream] if not item.nullable]
    for name in (*needed, "sens", "minim"):
        if table.column(name).null_count:
            raise _breaks(number, "wire.missing", name)
    _check_values(stream, person, table, order, number)


def _check_values(stream: str, person: str, table: pa.Table, order: Order, number: int) -> None:
    """Hold what a batch says against the rules, whatever its form.

    Raises:
        InvalidError: It breaks one.
    """
    if not len(table):
        return
    if table.column("person").unique().to_pylist() != [person]:
        raise _breaks(number, "leased.person", "person")
    if int(np.min(table.column("minim").to_numpy())) < int(order.rules[stream].level):
        raise _breaks(number, "leased.level", "minim")
    if stream == "key" and any(
        map(is_password_field, table.column("field_kind").unique().to_pylist())
    ):
        raise _breaks(number, "leased.password", "field_kind")
    if pictured_events(table).any():
        raise _breaks(number, "leased.image", "")
    apps = order.rules[stream].apps
    if apps is not None and not apps.issuperset(
        (name or "").lower() for name in table.column("app").unique().to_pylist()
    ):
        raise _breaks(number, "leased.app", "app")
    t = table.column("t").cast(pa.int64()).to_numpy()
    if t.min() < 0 or t.max() > order.now_us + SKEW_US:
        raise _breaks(number, "leased.time", "t")
    keep: Any = order.keep_days.get(stream)
    if keep is not None and t.min() // DAY_US + keep <= order.now_us // DAY_US:
        raise _breaks(number, "leased.expired", "t")


def _breaks(number: int, rule: str, field: str) -> InvalidError:
    return InvalidError(f"leased batch {number} breaks a rule", rule=rule, row=number, field=field)
