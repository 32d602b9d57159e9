"""What a collector sealed and the keeper opened: minimised on the device, checked again here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from safehold.telemetry.schema import STREAMS, WIRE


@dataclass(frozen=True, slots=True)
class LeasedChunk:
    """One opened envelope.

    Args:
        rows: Events in it.
        tally: What became of them.
        batches: Rest form.
        refused: The rule by which nothing of it is taken, where it is judged by itself.
    """

    rows: int
    tally: Tally
    batches: Sequence[RestBatch]
    refused: str = ""


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
            yield LeasedChunk(0, Tally(), [], error.rule or error.code)


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
    def refuse(rule: str, field: str) -> InvalidError:
        return InvalidError(
            f"leased batch {number} breaks a rule", rule=rule, row=number, field=field
        )

    wanted = leased_schema(stream)
    if table.schema.names != wanted.names or any(
        table.schema.field(item.name).type != item.type for item in wanted
    ):
        raise refuse("leased.schema", "")
    table.validate(full=True)
    needed = [item.name for item in WIRE[stream] if not item.nullable]
    for name in (*needed, "sens", "minim"):
        if table.column(name).null_count:
            raise refuse("wire.missing", name)
    if not len(table):
        return
    if table.column("person").unique().to_pylist() != [person]:
        raise refuse("leased.person", "person")
    if int(np.min(table.column("minim").to_numpy())) < int(order.rules[stream].level):
        raise refuse("leased.level", "minim")
    if stream == "key" and any(
        map(is_password_field, table.column("field_kind").unique().to_pylist())
    ):
        raise refuse("leased.password", "field_kind")
    if pictured_events(table).any():
        raise refuse("leased.image", "")
    apps = order.rules[stream].apps
    if apps is not None and not apps.issuperset(
        (name or "").lower() for name in table.column("app").unique().to_pylist()
    ):
        raise refuse("leased.app", "app")
    t = table.column("t").cast(pa.int64()).to_numpy()
    if t.min() < 0 or t.max() > order.now_us + SKEW_US:
        raise refuse("leased.time", "t")
    keep: Any = order.keep_days.get(stream)
    if keep is not None and t.min() // DAY_US + keep <= order.now_us // DAY_US:
        raise refuse("leased.expired", "t")
