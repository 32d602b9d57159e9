"""The reference collector: a recorder's events are scanned, minimised and sealed on the device.

Without a valid lease nothing is read, kept or sealed; what waits in the buffer when a lease dies is
thrown away. Only counters survive.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from safehold.access.envelope import seal_envelope
from safehold.access.gap import Mark, sign_mark
from safehold.access.lease import SKEW_US, Lease, read_lease
from safehold.canonical import unb64
from safehold.clock import SECOND_US, Clock
from safehold.dlp import Rules
from safehold.errors import InvalidError, SafeholdError, UnavailableError
from safehold.ingest.admission import Roll
from safehold.ingest.convert import convert, source_kinds
from safehold.ingest.limits import Limits
from safehold.ingest.mapping import parse_mapping
from safehold.ingest.pipeline import Order, Pipeline, Tally, minimise_streams
from safehold.ingest.rest import pack
from safehold.ingest.shelf import load_mapping
from safehold.ingest.source.jsonl import read_lines
from safehold.signing import SigningKey, VerifyKey

_HOLD_US: Final = 60 * SECOND_US  # how long events wait, so that a word is not cut in two
_HOLD_ROWS: Final = 5_000
_QUIET_US: Final = 2 * SECOND_US  # a pause in typing in which it may be cut; without one, it waits
_KEY: Final = b'"key"'  # stands in every line of a key event, and in no other
_FOCUS: Final = b'"focus"'
_LONGEST: Final = 3  # times as long, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """An envelope of which it is not known whether its rows are stored: it is sealed, and only the keeper opens it.

    Args:
        envelope: Its bytes.
        stream: Whose numbering it goes on with.
        rows: How many events are in it.
        event_us: Time of the last of them.
    """

    envelope: bytes
    stream: str
    rows: int
    event_us: int


class LeaseClient(Protocol):
    """The way to the keeper."""

    def obtain(self) -> bytes:
        """Return a signed lease, or raise why there is none."""
        ...

    def submit(self, envelope: bytes) -> None:
        """Hand in an envelope, or raise why it is refused.

        Raises:
            UnavailableError: Whether it was taken is not known. Any other error: it was not, and will not be.
        """
        ...


@dataclass(slots=True)
class Counters:
    """All that a collector remembers.

    Args:
        sealed: Events handed in, by stream.
        masked: Masked findings, by class.
        dropped: Events dropped by minimisation, by reason.
        refused: Lines refused, by rule.
        not_recorded: Events that came while there was no lease: counted, never read.
        discarded: Events that waited when a lease died.
    """

    sealed: Counter[str] = field(default_factory=Counter)
    masked: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    not_recorded: int = 0
    discarded: int = 0


class Collector:
    """Record one person's events on one device, under leases.

    Args:
        client: The way to the keeper.
        person: External id of the person.
        device: The device's signing key.
        keeper: The keeper's key.
        rules: Minimisation rules by stream; a lease carries the version of each.
        clock: The time.
        positions: Where the numbering of each stream goes on.
        unsettled: An envelope that was sent before, and not answered.
    """

    def __init__(
        self,
        client: LeaseClient,
        *,
        person: str,
        device: SigningKey,
        keeper: VerifyKey,
        rules: Mapping[str, Rules],
        clock: Clock,
        positions: Mapping[str, int] | None = None,
        unsettled: Unsettled | None = None,
    ) -> None:
        self.counters = Counters()
        self._unsettled = unsettled
        self._client = client
        self._person = person
        self._device = device
        self._keeper = keeper
        self._rules = rules
        self._hashes = {stream: item.version for stream, item in rules.items()}
        self._clock = clock
        self._lease: Lease | None = None
        self._paused = False
        self._seen_us = 0
        self._lines: list[bytes] = []
        self._since_us = 0
        self._typed_us = -_QUIET_US
        self._told = False  # whether the recorder says which window is in front
        self._blind = False  # whether that is unknown, after a time in which nothing was read
        self._number = 0
        self._positions = dict(positions or {})
        self._event_us = 0
        self._mapping = parse_mapping(load_mapping("canonical"))
        self._kinds = source_kinds(
            self._mapping, pa.schema([("stream", pa.null())]), name="recorder"
        )
        self._pipeline = self._fresh_pipeline()

    def run(self, lines: Iterable[bytes]) -> Counters:
        """Record events until the lines end, and hand in what waits."""
        for line in lines:
            self.feed(line)
        self.flush()
        return self.counters

    def feed(self, line: bytes) -> None:
        """Take one event of the recorder; without a lease it is counted and forgotten."""
        if not self._may_record():
            self.counters.not_recorded += 1
            return
        if _FOCUS in line:
            self._told, self._blind = True, False
        elif self._blind:
            self.counters.dropped["window_unknown"] += 1
            return
        now = self._clock.now_us()
        if not self._lines:
            self._since_us = now
        quiet = now - self._typed_us >= _QUIET_US
        if _KEY in line:
            if quiet and self._is_full(now):
                self.flush()
                self._since_us = now
            quiet, self._typed_us = False, now
        self._lines.append(line.rstrip(b"\n"))
        if self._is_full(now, times=1 if quiet else _LONGEST):
            self.flush()

    def _is_full(self, now: int, *, times: int = 1) -> bool:
        waited = now - self._since_us
        return len(self._lines) >= times * _HOLD_ROWS or waited >= times * _HOLD_US

    def flush(self) -> None:
        """Scan, minimise, seal and hand in what waits; under a dead lease it is thrown away."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        if self._lease is None or not self._lease_holds(self._lease):
            self._end_lease(waiting=len(lines))
            return
        tally = Tally()
        event_us = 0
        block = b"".join(line + b"\n" for line in lines if b"\n" not in line)
        tables: dict[str, pa.Table] = {}
        try:
            tables, event_us = self._minimise(block, tally)
        except InvalidError as error:  # an unknown stream, for one: nothing of the block is kept
            self.counters.refused[error.rule or error.code] += len(lines)
        self.counters.refused.update(tally.refused)
        self.counters.dropped.update(tally.dropped)
        self.counters.masked.update(tally.masked)
        for stream, table in tables.items():
            if len(table) and not self._hand_in(self._lease, stream, table, event_us):
                self._end_lease(waiting=0 if self._unsettled else len(table))
                return

    def pause(self) -> None:
        """Stop at once: what waits is thrown away and nothing is recorded until ``resume``."""
        self._paused = True
        self._end_lease(waiting=0)

    def resume(self) -> None:
        """Record again, under a new lease."""
        self._paused = False

    def mark(self) -> bytes:
        """Return, signed by the device, how far it has counted."""
        mark = Mark(
            at_us=self._clock.now_us(), event_us=self._event_us, positions=dict(self._positions)
        )
        return sign_mark(mark, self._device)

    def settle(self) -> bool:
        """Find out what became of an envelope that was not answered; return whether nothing is open.

        Until that is known nothing is recorded: its events have their numbers, or the next ones have.
        """
        left = self._unsettled
        if left is None:
            return True
        try:
            self._client.submit(left.envelope)
        except SafeholdError as error:
            if _leaves_open(error):
                return False
            self.counters.discarded += left.rows  # its rows are not stored, and never will be
        else:
            self._count(left)
        self._unsettled = None
        return True

    @property
    def unsettled(self) -> Unsettled | None:
        """An envelope of which it is not known whether its rows are stored."""
        return self._unsettled

    @property
    def positions(self) -> dict[str, int]:
        """For each stream, the number that the next event will get."""
        return dict(self._positions)

    @property
    def waiting(self) -> int:
        """How many events wait to be sealed."""
        return len(self._lines)

    def _may_record(self) -> bool:
        if self._paused:
            return False
        now = self._clock.now_us()
        if now < self._seen_us - SKEW_US:
            # a clock that is set back would stretch the lease
            self._end_lease(waiting=0)
        self._seen_us = now
        lease = self._lease
        if lease is not None and not self._lease_holds(lease):
            self._end_lease(waiting=0)
            lease = None
        if lease is not None and now < lease.from_us + (lease.until_us - lease.from_us) * 2 // 3:
            return True
        return self._obtain(keep=lease)

    def _obtain(self, keep: Lease | None) -> bool:
        """Get a new lease; what waits under the old one is handed in first.

        A refusal is a word from the keeper: recording stops there and then, even if the old lease
        has minutes left.
        """
        if keep is not None:
            self.flush()
        if not self.settle():
            self._end_lease(waiting=0)
            return False
        try:
            lease = read_lease(self._client.obtain(), keeper=self._keeper)
            self._check_lease(lease)
        except SafeholdError:
            self._end_lease(waiting=0)
            return False
        self._lease, self._number = lease, 0
        return True

    def _check_lease(self, lease: Lease) -> None:
        lease.check_time(self._clock.now_us())
        if lease.person != self._person or lease.device != self._device.public.text():
            raise InvalidError("the lease is for somebody else", rule="lease.device")
        if any(self._hashes.get(stream) != value for stream, value in lease.streams.items()):
            raise InvalidError("the lease asks for other rules", rule="lease.rules")

    def _lease_holds(self, lease: Lease) -> bool:
        now = self._clock.now_us()
        return lease.from_us - SKEW_US <= now < lease.until_us and now >= self._seen_us - SKEW_US

    def _end_lease(self, *, waiting: int) -> None:
        self.counters.discarded += len(self._lines) + waiting
        self._lines = []
        self._lease = None
        self._blind = self._told
        windows = self._pipeline.windows  # what was in front before a pause may be so after it
        self._pipeline = self._fresh_pipeline()
        self._pipeline.windows = windows

    def _fresh_pipeline(self) -> Pipeline:
        order = Order(
            rules=self._rules,
            roll=Roll(people={}, pauses={}, cohorts=()),
            key=bytes(32),
            policy=bytes(8),
            now_us=self._clock.now_us(),
            keep_days={},
            limits=Limits(),
        )
        return Pipeline(order, name="recorder")

    def _minimise(self, block: bytes, tally: Tally) -> tuple[dict[str, pa.Table], int]:
        lease = self._lease
        if lease is None:
            return {}, 0
        now, limits = self._clock.now_us(), self._pipeline.order.limits
        batch = read_lines(block, 0, self._kinds, name="recorder", limits=limits)
        chunk = convert(
            self._mapping,
            batch.table,
            batch.rows,
            sessions=self._pipeline.sessions,
            now_us=now,
            name="recorder",
        )
        chunk.refusals.extend(batch.refusals)
        accepted, offsets = self._pipeline.check(chunk, tally, now_us=now)
        tally.refused.update(item.rule for item in chunk.refusals)
        agreed = frozenset(lease.streams)
        tables = minimise_streams(
            accepted,
            chunk.keys,
            offsets,
            rules={stream: rule for stream, rule in self._rules.items() if stream in agreed},
            roll=Roll(
                people={self._person: agreed},
                pauses={self._person: lease.silences},
                cohorts=(),
                quiet={(self._person, stream): times for stream, times in lease.quiet.items()},
            ),
            tally=tally,
            windows=self._pipeline.windows,
        )
        times = [events.table.column("t").cast(pa.int64()) for events in accepted.values()]
        latest = max((int(column.to_numpy().max()) for column in times if len(column)), default=0)
        return tables, min(latest, now)

    def _hand_in(self, lease: Lease, stream: str, table: pa.Table, event_us: int) -> bool:
        """Number, seal and submit a batch; numbers of a refused batch are not used up."""
        first = self._positions.get(stream, 0)
        seq = np.arange(first, first + len(table), dtype=np.uint32)
        index = table.schema.get_field_index("seq")
        numbered = table.set_column(index, table.schema.field(index), pa.array(seq))
        header = {
            "lease": lease.id,
            "number": self._number,
            "stream": stream,
            "rows": len(table),
            "sealed_us": self._clock.now_us(),
        }
        envelope = seal_envelope(
            header, bytes(pack(numbered)), to=unb64(lease.sealing), device=self._device
        )
        sent = Unsettled(envelope=envelope, stream=stream, rows=len(table), event_us=event_us)
        try:
            self._client.submit(envelope)
        except SafeholdError as error:
            self._unsettled = sent if _leaves_open(error) else None
            return False
        self._number += 1
        self._count(sent)
        return True

    def _count(self, taken: Unsettled) -> None:
        """Use up the numbers of events that the keeper has taken."""
        self._positions[taken.stream] = self._positions.get(taken.stream, 0) + taken.rows
        self._event_us = max(self._event_us, taken.event_us)
        self.counters.sealed[taken.stream] += taken.rows


def _leaves_open(error: SafeholdError) -> bool:
    """Tell whether after an error it is not known what became of what was asked."""
    return isinstance(error, UnavailableError) or type(error) is SafeholdError
