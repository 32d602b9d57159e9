"""The way of one chunk: validate, admit, minimise, rank, bring to rest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from safehold.canonical import LARGEST
from safehold.dlp import Rules, minimise
from safehold.dlp.context import denied_so_far
from safehold.dlp.level import put_columns
from safehold.dlp.roster import Roster
from safehold.errors import InvalidError
from safehold.ingest.admission import Roll
from safehold.ingest.convert import Converted, Events
from safehold.ingest.limits import Limits
from safehold.ingest.rank import rank_events
from safehold.ingest.refusal import Refusal
from safehold.ingest.rest import RestBatch, rest_batches
from safehold.ingest.session import Sessions
from safehold.ingest.validate import Vocabulary, validate
from safehold.telemetry.stream import STREAMS, Level


@dataclass(slots=True)
class Tally:
    """What became of the events of a chunk: counts only."""

    taken: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    clamped: Counter[str] = field(default_factory=Counter)

    def to_frame(self) -> dict[str, dict[str, int]]:
        """Return the tally as it goes into a chunk frame."""
        return {
            name: dict(sorted(getattr(self, name).items()))
            for name in ("taken", "masked", "dropped", "refused", "clamped")
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a run is told to do with every source.

    Args:
        rules: Minimisation rules by stream; a stream without rules is not collected.
        roll: Who takes part.
        key: Pseudonym key of the segment and epoch, 32 bytes.
        policy: First 8 bytes of the charter's digest.
        now_us: The moment of the import; the same on a rerun.
        keep_days: Retention by stream, days.
        limits: Bounds.
        roster: Names of the people who work here, to be masked; it goes no further than this run.
    """

    rules: Mapping[str, Rules]
    roll: Roll
    key: bytes
    policy: bytes
    now_us: int
    keep_days: Mapping[str, int]
    limits: Limits
    roster: Roster | None = None

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Order:
        """Read the order from a job.

        Raises:
            InvalidError: A part is missing or does not fit.
        """
        try:
            key, policy = bytes.fromhex(spec["pseudonym_key"]), bytes.fromhex(spec["policy"])
            now_us = spec["now_us"]
            rules = {stream: Rules.from_spec(item) for stream, item in spec["rules"].items()}
            keep_days = {stream: int(days) for stream, days in spec.get("keep_days", {}).items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidError(
                "the job is incomplete: it needs pseudonym_key, policy, now_us and rules",
                rule="ingest.spec",
            ) from error
        if len(key) != 32 or len(policy) < 8 or type(now_us) is not int or not 0 < now_us < LARGEST:
            raise InvalidError(
                "pseudonym_key has 32 bytes, policy at least 8, now_us counts microseconds",
                rule="ingest.spec",
            )
        if unknown := set(rules) - set(STREAMS):
            raise InvalidError(
                f"{len(unknown)} streams of the rules do not exist",
                field="rules",
                rule="ingest.unknown_stream",
            )
        return cls(
            rules=rules,
            roll=Roll.from_spec(spec),
            key=key,
            policy=policy[:8],
            now_us=now_us,
            keep_days=keep_days,
            limits=Limits.from_spec(spec.get("limits")),
            roster=Roster(spec["roster"]) if spec.get("roster") else None,
        )


class Windows:
    """Which denied windows are in front, or were a while ago, from one chunk to the next.

    Nothing else is kept of a window: no title, no host, no name.

    Args:
        rules: Minimisation rules by stream; streams may deny different windows.
    """

    def __init__(self, rules: Mapping[str, Rules]) -> None:
        self._rules = {_denies(item): item for item in rules.values()}
        self._denied: dict[Any, pa.Table] = {}

    def remember(self, focus: pa.Table) -> None:
        """Take note of the windows of a chunk."""
        for denies, rules in self._rules.items():
            known = self._denied.get(denies)
            both = focus if known is None else pa.concat_tables([known, focus]).combine_chunks()
            self._denied[denies] = denied_so_far(both, rules)

    def with_earlier(self, focus: pa.Table | None, rules: Rules) -> pa.Table | None:
        """Return the windows of a chunk with what is remembered for these rules."""
        known = self._denied.get(_denies(rules))
        if known is None or not len(known):
            return focus
        return known if focus is None else pa.concat_tables([known, focus]).combine_chunks()


def _denies(rules: Rules) -> Any:
    return rules.denied_apps, rules.denied_hosts


class Pipeline:
    """Carry the chunks of one source through.

    Args:
        order: What to do.
        name: Name of the source.
    """

    def __init__(self, order: Order, *, name: str) -> None:
        self.order = order
        self.sessions = Sessions(most=order.limits.sessions, name=name)
        self.windows = Windows(order.rules)
        self._vocabulary = Vocabulary()

    def check(
        self, chunk: Converted, tally: Tally, *, now_us: int | None = None
    ) -> tuple[dict[str, Events], list[int]]:
        """Validate a chunk and bring the memory of its sessions up to date.

        Args:
            chunk: The chunk in wire form; what is refused is added to its refusals.
            tally: Where the counts go.
            now_us: The present moment where it moves on (a collector); a source keeps to its
                order's.

        Returns:
            Accepted events by stream, and for each group how many events earlier chunks held.
        """
        offsets = [self.sessions.get(key).rows for key in chunk.keys]
        accepted: dict[str, Events] = {}
        refusals: set[Refusal] = set(chunk.refusals)
        tally.dropped.update(chunk.dropped)
        for stream in STREAMS:
            if stream not in chunk.streams:
                continue
            valid = validate(
                stream,
                chunk.streams[stream],
                keys=chunk.keys,
                sessions=self.sessions,
                vocabulary=self._vocabulary,
                now_us=self.order.now_us if now_us is None else now_us,
                keep_days=self.order.keep_days.get(stream),
                limits=self.order.limits,
            )
            refusals.update(valid.refusals)
            tally.clamped.update(valid.clamped)
            if valid.expired:
                tally.dropped["past_retention"] += valid.expired
            accepted[stream] = valid.events
        if "focus" in accepted and len(accepted["focus"].table):
            self.windows.remember(accepted["focus"].table)
        chunk.refusals = sorted(refusals)
        return accepted, offsets

    def carry(
        self, accepted: Mapping[str, Events], keys: list[Any], offsets: list[int], tally: Tally
    ) -> Iterator[RestBatch]:
        """Minimise accepted events and yield them in rest form.

        Args:
            accepted: Events by stream.
            keys: Person, device and session of each group.
            offsets: For each group, how many events earlier chunks held.
            tally: Where the counts go.
        """
        order = self.order
        minimised = minimise_streams(
            accepted,
            keys,
            offsets,
            rules=order.rules,
            roll=order.roll,
            tally=tally,
            windows=self.windows,
            roster=order.roster,
        )
        for stream, table in minimised.items():
            tally.taken[stream] += len(table)
            yield from rest_batches(stream, table, key=order.key, policy=order.policy)


def _part_windows(table: pa.Table, rules: Rules) -> pa.Table:
    """Take the window out of events that keep their times.

    The window is what joins streams: through it the times of a pointer would be those of the keys. It goes
    whether or not a stream without times is collected now: one may have been until the charter dropped it,
    and what was sealed then is still there.
    """
    if rules.level >= Level.L3:
        return table
    return put_columns(table, {"ctx": pa.nulls(len(table), pa.uint32())})


def _left_out(events: Events, admitted: Events) -> pa.Table:
    """Return the events that were not admitted: their words must not come back in somebody else's."""
    return events.table.filter(pa.array(~np.isin(events.rows, admitted.rows)))


def minimise_streams(
    accepted: Mapping[str, Events],
    keys: list[Any],
    offsets: list[int],
    *,
    rules: Mapping[str, Rules],
    roll: Roll,
    tally: Tally,
    windows: Windows,
    roster: Roster | None = None,
) -> dict[str, pa.Table]:
    """Admit, minimise and rank the events of a chunk; wire-form columns come out, minimised.

    Args:
        accepted: Events by stream.
        keys: Person, device and session of each group.
        offsets: For each group, how many events earlier chunks held.
        rules: Minimisation rules by stream; a stream without rules is dropped.
        roll: Who takes part.
        tally: Where the counts go.
        windows: What is remembered of the windows of earlier chunks.
        roster: Names of the people who work here.
    """
    # context even where it is not collected: the window in front, clicks that end typing
    focus = accepted["focus"].table if "focus" in accepted else None
    pointer = accepted["pointer"].table if "pointer" in accepted else None
    minimised: dict[str, pa.Table] = {}
    for stream, events in accepted.items():
        if stream not in rules:
            tally.dropped["not_collected"] += len(events.table)
            continue
        admitted = roll.admit(stream, events, keys, tally.dropped)
        if not len(admitted.table):
            continue
        columns = [admitted.table.column("person")]
        if stream == "chat":
            columns.append(admitted.table.column("participants").combine_chunks().flatten())
        result = minimise(
            stream,
            admitted.table,
            rules[stream],
            focus=windows.with_earlier(focus, rules[stream]),
            pointer=pointer if stream == "key" else None,
            consented=roll.consented(stream, columns),
            roster=roster,
            lost=_left_out(events, admitted) if stream == "chat" else None,
        )
        tally.dropped.update(result.dropped)
        tally.masked.update(result.masked)
        minimised[stream] = _part_windows(result.table, rules[stream])
    return rank_events(accepted, minimised, keys=keys, offsets=offsets)
