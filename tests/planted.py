"""What of the planted secrets comes to rest: the real pipeline over made-up people, and a count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from tests.ingest_job import job, rules_spec

from safehold.clock import DAY_US
from safehold.dlp import mask_text
from safehold.dlp.scan import find_spans
from safehold.dlp.topic.judge import TOPICS
from safehold.ingest.pipeline import Order, Pipeline, Tally, minimise_streams
from safehold.ingest.recipe import _join_streams, _Run
from safehold.ingest.rest import pack, rest_batches
from safehold.telemetry.stream import KeyKind
from safehold.workforce import Spec, person_day, roster, truth
from safehold.workforce.people import streams_of
from safehold.workforce.spec import WHOLE

TEXT = (("chat", "text"), ("ai", "text"), ("focus", "title"))
MORE_TEXT = (("speech", "text"), ("metric", "name"), ("focus", "url_host"))


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one planted value.

    Args:
        row: Its row of the truth table.
        gone: Whether the events that held it were dropped.
        left: Share of its character presses that are not masked; 1 or 0 in a text.
    """

    row: dict[str, Any]
    gone: bool
    left: float


@dataclass(slots=True)
class Measured:
    """Everything counted in one company at one level."""

    fates: list[Fate] = field(default_factory=list)
    ordinary: Counter[str] = field(default_factory=Counter)  # characters outside planted values
    masked: Counter[str] = field(default_factory=Counter)  # of these, masked
    rows: Counter[str] = field(default_factory=Counter)
    rest: bytes = b""

    def recall(self, share: float, **only: Any) -> tuple[int, int]:
        """Return how many values are left at least to a share, and how many there are.

        Args:
            share: Least share that counts as left.
            only: Columns of the truth table and their values.
        """
        chosen = [
            fate
            for fate in self.fates
            if not fate.gone and all(fate.row[name] == value for name, value in only.items())
        ]
        return sum(fate.left >= share for fate in chosen), len(chosen)


def minimised(
    spec: Spec, *, level: int, without: Iterable[str] = (), **levels: int
) -> tuple[dict[str, pa.Table], dict[str, pa.Table], bytes]:
    """Return wire events, the same minimised, and all bytes that would be sealed.

    Everybody has opted in and every channel is recorded, so that nothing is kept out by
    consent that ought to be kept out by masking. Streams of ``without`` are not collected.
    """
    streams = streams_of(spec)
    people = {one.id: {"streams": list(streams)} for one in roster(spec)}
    rules = {stream: rules_spec(stream, level) for stream in streams}
    rules |= {stream: rules_spec(stream, other) for stream, other in levels.items()}
    rules["chat"]["channels"] = ["public", "private", "direct"]
    for stream in without:
        del rules[stream]
    for item in rules.values():
        item.pop("version", None)
    order = Order.from_spec(
        job({}, people=people, rules=rules, now_us=(spec.start_day + spec.days + 1) * DAY_US)
    )
    run = _Run(Pipeline(order, name="made up"), lambda *_: None)
    parts: dict[str, list[pa.Table]] = {}
    for index in range(spec.people):
        for day in range(spec.days):
            for stream, table in person_day(spec, index, day).items():
                parts.setdefault(stream, []).append(table)
    chunk, _ = _join_streams(parts, run)
    tally = Tally()
    accepted, offsets = run.pipeline.check(chunk, tally)
    after = minimise_streams(
        accepted,
        chunk.keys,
        offsets,
        rules=order.rules,
        roll=order.roll,
        tally=tally,
        windows=run.pipeline.windows,
    )
    sealed = b"".join(
        bytes(pack(batch.table))
        for stream, table in after.items()
        for batch in rest_batches(stream, table, key=order.key, policy=order.policy)
    )
    assert not chunk.refusals, chunk.refusals[:3]
    return {stream: events.table for stream, events in accepted.items()}, after, sealed


def texts_of(spec: Spec) -> tuple[tuple[str, str], ...]:
    """Return the columns of a company that hold text: stream and column."""
    return (*TEXT, *MORE_TEXT) if spec.edition >= WHOLE else TEXT


def measure(spec: Spec, *, level: int) -> Measured:
    """Take a made-up company through the pipeline and count what is left of what was planted."""
    before, after, rest = minimised(spec, level=level)
    result = Measured(rest=rest)
    rows = truth(spec).to_pylist()
    keys = _Keys(before["key"], after["key"], level)
    for row in rows:
        if row["stream"] == "key":
            result.fates.append(keys.fate(row))
    keys.count(rows, result)
    for stream, column in texts_of(spec):
        result.fates += _texts(stream, column, before[stream], after[stream], rows, result)
    return result


def _place(table: pa.Table) -> dict[tuple[str, int], int]:
    pairs = zip(table["session"].to_pylist(), table["seq"].to_pylist(), strict=True)
    return {pair: at for at, pair in enumerate(pairs)}


# presses before and after a planted value that are of its message: "for the file: ", " as agreed", slips
_AROUND = 30


class _Keys:
    def __init__(self, before: pa.Table, after: pa.Table, level: int) -> None:
        kinds = before["kind"].to_numpy()
        keys = before["key"].to_pylist()
        self.place = _place(before)
        self.typed = np.array(
            [
                kind == KeyKind.DOWN and key is not None and len(key) == 1
                for kind, key in zip(kinds.tolist(), keys, strict=True)
            ]
        )
        self.kept = np.zeros(len(before), bool)
        self.open = np.zeros(len(before), bool)
        said = after["key"].to_pylist()
        for (pair, at), word in zip(_place(after).items(), said, strict=True):
            self.kept[self.place[pair]] = True
            self.open[self.place[pair]] = word is None or not word.startswith("<") or word == "<"
            assert at >= 0
            if level and word is not None:
                assert len(word) > 1, "a key came to rest as itself"

    def span(self, row: dict[str, Any]) -> np.ndarray:
        first, last = (self.place[row["session"], row[name]] for name in ("first_seq", "last_seq"))
        inside = np.arange(first, last + 1)
        return inside[self.typed[inside]]

    def fate(self, row: dict[str, Any]) -> Fate:
        inside = self.span(row)
        return Fate(row, not self.kept[inside].any(), float(self.open[inside].mean()))

    def count(self, rows: list[dict[str, Any]], result: Measured) -> None:
        plain = self.typed & self.kept
        for row in rows:
            if row["stream"] == "key":
                inside = self.span(row)
                plain[inside] = False
                if row["class"] in TOPICS:  # the message it stands in goes with it
                    at = np.flatnonzero(self.typed)
                    low, high = np.searchsorted(at, (inside[0], inside[-1]))
                    plain[at[max(0, low - _AROUND) : high + _AROUND]] = False
        result.ordinary["key"] = int(plain.sum())
        result.masked["key"] = int((plain & ~self.open).sum())


def _texts(
    stream: str, column: str, before: pa.Table, after: pa.Table, rows: list[dict[str, Any]],
    result: Measured,
) -> Iterator[Fate]:  # fmt: skip
    were = dict(zip(_place(before), before[column].to_pylist(), strict=True))
    now = dict(zip(_place(after), after[column].to_pylist(), strict=True))
    holding = set()
    for row in rows:
        if row["stream"] == stream and row["column"] == column:
            pair = row["session"], row["first_seq"]
            holding.add(pair)
            assert row["value"] in were[pair]
            text = now.get(pair)
            yield Fate(row, pair not in now, left_of(row["value"], text or ""))
    plain = pa.array([were[pair] or "" for pair in now if pair not in holding], pa.large_string())
    covered = np.zeros(len(plain), np.int64)
    spans = find_spans(plain)
    for at, start, end in zip(spans.row.tolist(), spans.start.tolist(), spans.end.tolist(),
                              strict=True):  # fmt: skip
        covered[at] += end - start
    result.ordinary[stream] = sum(len(text) for text in plain.to_pylist())
    result.masked[stream] = int(covered.sum())
    result.rows[stream] = int((np.asarray(mask_text(plain).sens) > 0).sum())


def left_of(value: str, text: str) -> float:
    """Return the share of a value that a text still holds in one piece, whatever the case."""
    low, hay = value.lower(), text.lower()
    for size in range(len(low), 5, -1):
        if any(low[at : at + size] in hay for at in range(len(low) - size + 1)):
            return size / len(low)
    return 0.0
