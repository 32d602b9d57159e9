"""Strict validation of wire-form events: every row either keeps every rule or is refused."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from safehold.clock import DAY_US, SECOND_US
from safehold.ingest.convert import KINDS, Events
from safehold.ingest.expression import encode_words
from safehold.ingest.fit import COORDINATES
from safehold.ingest.limits import Limits
from safehold.ingest.refusal import Refusal, Sieve
from safehold.ingest.session import Key, Sessions
from safehold.ingest.timing import running_max
from safehold.telemetry.schema import REST, WIRE
from safehold.telemetry.stream import VOCABULARIES

SKEW_US: Final = 300 * SECOND_US  # how far a recorder's clock may run ahead
_SMALLEST, _LARGEST = -(2**15), 2**15 - 1  # the rest form keeps coordinates in 16 bits
_FREE_TEXT: Final = frozenset({"text", "commit", "title"})


@dataclass(slots=True)
class Vocabulary:
    """Distinct words of each dictionary field so far: a dictionary has room for so many."""

    seen: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def admit(self, stream: str, name: str, values: list[str], room: int) -> list[bool]:
        """Return which values have a place in the field's dictionary."""
        known = self.seen.setdefault((stream, name), set())
        result = []
        for value in values:
            if value not in known and len(known) < room:
                known.add(value)
            result.append(value in known)
        return result


@dataclass(frozen=True, slots=True)
class Valid:
    """Events that keep every rule, and what happened to the others.

    Args:
        events: The accepted events.
        refusals: The refused rows.
        clamped: Values that were brought into range, by field.
        expired: Events that are past their retention already.
    """

    events: Events
    refusals: list[Refusal]
    clamped: Counter[str]
    expired: int


def validate(
    stream: str,
    events: Events,
    *,
    keys: list[Key],
    sessions: Sessions,
    vocabulary: Vocabulary,
    now_us: int,
    keep_days: int | None,
    limits: Limits,
) -> Valid:
    """Check the events of one stream of one chunk.

    Args:
        stream: The stream.
        events: The events, those of one session in order.
        keys: Person, device and session of each group.
        sessions: What is remembered of each session; it is brought up to date.
        vocabulary: Words seen so far in the source.
        now_us: The moment of the import, microseconds.
        keep_days: Retention of the stream, ``None`` when it is not collected.
        limits: Length of words.
    """
    sieve = Sieve(events.rows)
    table = events.table
    clamped: Counter[str] = Counter()
    _check_kind(stream, table, sieve)
    t = table.column("t").cast(pa.int64()).fill_null(0).to_numpy()
    sieve.refuse(t > now_us + SKEW_US, "t", "time.future")
    sieve.refuse(t < 0, "t", "time.before_1970")
    mono = table.column("mono").cast(pa.int64()).fill_null(0).to_numpy()
    sieve.refuse(mono < 0, "mono", "time.negative")
    table = _check_words(stream, table, sieve, vocabulary, limits)
    table = _clamp(stream, table, clamped)
    _check_order(stream, table, events.group, mono, sieve=sieve, keys=keys, sessions=sessions)
    expired = np.zeros(len(table), dtype=bool)
    if keep_days is not None:
        expired = (t // DAY_US + keep_days <= now_us // DAY_US) & sieve.ok
    keep = sieve.ok & ~expired
    rows, group = events.rows, events.group
    if not keep.all():
        table, rows, group = table.filter(pa.array(keep)), rows[keep], group[keep]
    return Valid(Events(table, rows, group), sieve.refusals(), clamped, int(expired.sum()))


def _check_kind(stream: str, table: pa.Table, sieve: Sieve) -> None:
    kinds = KINDS.get(stream)
    if kinds is not None:
        values = table.column("kind").fill_null(255).to_numpy()
        sieve.refuse(~np.isin(values, [int(item) for item in kinds]), "kind", "wire.vocabulary")


def _check_words(
    stream: str, table: pa.Table, sieve: Sieve, vocabulary: Vocabulary, limits: Limits
) -> pa.Table:
    for index, item in enumerate(WIRE[stream]):
        if item.name in _FREE_TEXT or not pa.types.is_string(item.type):
            continue
        words = encode_words(table.column(item.name))
        long = [
            value is not None and len(value.encode()) > limits.word_bytes for value in words.values
        ]
        if any(long):
            sieve.refuse(np.array(long)[words.index], item.name, "wire.word_size")
        closed = VOCABULARIES.get(item.name)
        if closed is not None:
            strange = [value is not None and value not in closed for value in words.values]
            if any(strange):
                sieve.refuse(np.array(strange)[words.index], item.name, "wire.vocabulary")
        rest = REST[stream].field(item.name).type if item.name in REST[stream].names else None
        if rest is not None and pa.types.is_dictionary(rest):
            room = 2 ** (rest.index_type.bit_width - 1) - 1
            present = [value for value in words.values if value is not None]
            if pa.types.is_int32(rest.index_type):
                room = 2**16  # a vocabulary, not a text: names of keys and hosts
            admitted = dict(
                zip(present, vocabulary.admit(stream, item.name, present, room), strict=True)
            )
            full = [value is not None and not admitted[value] for value in words.values]
            if any(full):
                sieve.refuse(np.array(full)[words.index], item.name, "wire.dictionary_full")
        if not sieve.ok.all() and not item.nullable:
            table = table.set_column(index, item.name, table.column(item.name))
    return table


def _clamp(stream: str, table: pa.Table, clamped: Counter[str]) -> pa.Table:
    for item in REST[stream]:
        if item.name not in COORDINATES or item.type != pa.int16():
            continue
        column = table.column(item.name)
        least, most = pc.min_max(column).as_py().values()
        if least is None or (least >= _SMALLEST and most <= _LARGEST):
            continue
        outside = pc.or_(pc.less(column, _SMALLEST), pc.greater(column, _LARGEST))
        clamped[f"{stream}.{item.name}"] += int(pc.sum(outside).as_py() or 0)
        bounded = pc.min_element_wise(
            pc.max_element_wise(column, pa.scalar(_SMALLEST, pa.int32()), skip_nulls=False),
            pa.scalar(_LARGEST, pa.int32()),
            skip_nulls=False,
        )
        table = table.set_column(table.schema.get_field_index(item.name), item.name, bounded)
    return table


def _check_order(
    stream: str,
    table: pa.Table,
    group: np.ndarray,
    mono: np.ndarray,
    *,
    sieve: Sieve,
    keys: list[Key],
    sessions: Sessions,
) -> None:
    """Refuse sequence numbers that repeat or fall, and times that fall, within a session."""
    here = np.flatnonzero(sieve.ok)
    if not len(here):
        return
    here = here[np.argsort(group[here], kind="stable")]
    code = group[here]
    seq = table.column("seq").fill_null(0).to_numpy()[here].astype(np.int64)
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    lengths = np.diff(np.r_[starts, len(here)])
    segment = np.repeat(np.arange(len(starts)), lengths)
    states = [sessions.get(keys[number]) for number in code[starts].tolist()]
    last = [state.streams.get(stream, (0, -1, 0)) for state in states]
    before = np.r_[np.int64(-1), seq[:-1]]
    before[starts] = [item[1] for item in last]
    floor = np.repeat(np.array([item[1] for item in last], dtype=np.int64), lengths)
    highest = running_max(np.maximum(before, floor), segment, floor)
    falls = seq <= highest
    if falls.any():
        pair = code * (2**32) + seq
        _, first = np.unique(pair, return_index=True)
        repeated = np.ones(len(pair), dtype=bool)
        repeated[first] = False
        repeated |= falls & (seq == floor)
        _refuse(sieve, here, falls & repeated, "seq", "seq.duplicate")
        _refuse(sieve, here, falls & ~repeated, "seq", "seq.decreasing")
    clock = mono[here]
    earlier = np.r_[np.int64(0), clock[:-1]]
    earlier[starts] = [item[2] for item in last]
    base = np.repeat(np.array([item[2] for item in last], dtype=np.int64), lengths)
    top = running_max(np.maximum(earlier, base), segment, base)
    _refuse(sieve, here, clock < top, "mono", "time.backwards")
    good = sieve.ok[here]
    _remember(stream, states, (starts, lengths), (seq, clock, good))


def _refuse(sieve: Sieve, here: np.ndarray, wrong: np.ndarray, name: str, rule: str) -> None:
    if wrong.any():
        bad = np.zeros(len(sieve.ok), dtype=bool)
        bad[here[wrong]] = True
        sieve.refuse(bad, name, rule)


def _remember(
    stream: str,
    states: list,  # type: ignore[type-arg]
    spans: tuple[np.ndarray, np.ndarray],
    values: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    starts, lengths = spans
    seq, clock, good = values
    highest = np.maximum.reduceat(np.where(good, seq, -1), starts)
    latest = np.maximum.reduceat(np.where(good, clock, -1), starts)
    counts = np.add.reduceat(good.astype(np.int64), starts)
    for state, length, top, late, count in zip(
        states, lengths.tolist(), highest.tolist(), latest.tolist(), counts.tolist(), strict=True
    ):
        numbered, old_seq, old_mono = state.streams.get(stream, (0, -1, 0))
        state.streams[stream] = (numbered + length, max(old_seq, top), max(old_mono, late))
        state.rows += count
