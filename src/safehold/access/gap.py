"""Gap records: the proof that nothing was recorded while it should not be.

Before and after the gap the device signs how far it has counted. Events are numbered when they are
recorded and every number is used, so a count that goes on where it stopped leaves no room for an
event in between. The keeper signs the whole together with the heads of the ledger before and after.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.access.record import open_record, sign_record
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, TamperedError
from safehold.signing import SigningKey, VerifyKey
from safehold.telemetry.stream import STREAMS

DOMAIN: Final = "safehold.gap.v1"
MARK_DOMAIN: Final = "safehold.mark.v1"
CONTAINED: Final = "contained"
REASONS: Final = frozenset({"pause", "stop", "withdrawn", "no_consent", CONTAINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A head of the ledger.

    Args:
        size: Number of leaves.
        root: Root hash, hex.
    """

    size: int
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a device has counted.

    Args:
        at_us: When it said so, microseconds.
        event_us: Time of the last event recorded before it, 0 for none.
        positions: For each stream, the number that the next event will get.
    """

    at_us: int
    event_us: int
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A gap whose proof holds.

    Args:
        person: Commitment to the person, hex.
        streams: Streams that were silent.
        from_us, to_us: When, microseconds.
        reason: ``pause``, ``stop``, ``withdrawn``, ``no_consent`` or ``contained``.
        before, after: Heads of the ledger; whoever has it checks that one extends the other.
        devices: How many devices were silent.
        absent: How many more had no lease in it: removed before it, or first let in after it.
    """

    person: str
    streams: tuple[str, ...]
    from_us: int
    to_us: int
    reason: str
    before: Head
    after: Head
    devices: int
    absent: int


def commit_person(person: str, secret: bytes) -> str:
    """Return the commitment to a person: SHA-256 over a 32-byte secret and the id, hex."""
    if len(secret) != 32:
        raise InvalidError("a commitment takes 32 secret bytes", rule="gap.commitment")
    return hashlib.sha256(b"safehold.gap.person\0" + secret + person.encode()).hexdigest()


def sign_mark(mark: Mark, key: SigningKey) -> bytes:
    """Return a mark as signed bytes."""
    value = {
        "v": 1,
        "at_us": mark.at_us,
        "event_us": mark.event_us,
        "positions": dict(mark.positions),
    }
    return sign_record(value, domain=MARK_DOMAIN, key=key)


def read_mark(data: bytes, *, device: VerifyKey) -> Mark:
    """Return the mark in signed bytes.

    Raises:
        InvalidError: It is no mark.
        TamperedError: The device did not sign it.
    """
    value = open_record(data, domain=MARK_DOMAIN, key=device)
    positions = value.get("positions")
    if (
        set(value) != {"v", "at_us", "event_us", "positions"}
        or value["v"] != 1
        or type(value["at_us"]) is not int
        or type(value["event_us"]) is not int
        or not isinstance(positions, dict)
        or any(name not in STREAMS or type(n) is not int or n < 0 for name, n in positions.items())
    ):
        raise InvalidError("not a mark", rule="gap.mark")
    return Mark(at_us=value["at_us"], event_us=value["event_us"], positions=positions)


def make_gap(
    *,
    person: str,
    streams: Sequence[str],
    from_us: int,
    to_us: int,
    reason: str,
    heads: tuple[Head, Head],
    marks: Mapping[str, tuple[bytes, bytes]],
    absent: Mapping[str, tuple[int, int | None]],
    key: SigningKey,
) -> bytes:
    """Return a gap record, signed by the keeper.

    Args:
        person: Commitment to the person (``commit_person``).
        streams: Streams that were silent.
        from_us: When it began, microseconds.
        to_us: When it ended.
        reason: Why.
        heads: Heads of the ledger before and after.
        marks: For each device key (base64), its signed marks before and after.
        absent: For each device that was removed before the gap, or first got a lease after it: when it first
            got one, and when it was removed.
        key: The keeper's key.
    """
    before, after = heads
    value = {
        "v": 1,
        "person": person,
        "streams": sorted(streams),
        "from_us": from_us,
        "to_us": to_us,
        "reason": reason,
        "before": {"size": before.size, "root": before.root},
        "after": {"size": after.size, "root": after.root},
        "marks": {name: [b64(first), b64(last)] for name, (first, last) in marks.items()},
        "absent": {name: list(times) for name, times in absent.items()},
    }
    return sign_record(value, domain=DOMAIN, key=key)


def verify_gap(data: bytes, *, keeper: VerifyKey, devices: Sequence[VerifyKey]) -> Gap:
    """Check a gap record: both signatures, the times, and that the counts join up.

    Args:
        data: The record's bytes.
        keeper: The keeper's key.
        devices: Keys of every device that ever recorded the person; each must have kept silent, or have
            had no lease then.

    Raises:
        InvalidError: It is no gap record.
        TamperedError: A signature does not hold, a device is missing, a time lies in the gap, or a
            number was used in between.
    """
    value = open_record(data, domain=DOMAIN, key=keeper)
    gap, marks = _parse(value)
    absent: dict[str, tuple[int, int | None]] = value["absent"]
    if gap.to_us <= gap.from_us:
        raise TamperedError("the gap ends before it begins", rule="gap.time")
    if gap.after.size < gap.before.size or (
        gap.after.size == gap.before.size and gap.after.root != gap.before.root
    ):
        raise TamperedError("the ledger's heads do not follow each other", rule="gap.ledger")
    named = {device.text() for device in devices}
    if set(marks) | set(absent) != named or set(marks) & set(absent):
        raise TamperedError("the marks are not those of the person's devices", rule="gap.device")
    for first_us, removed_us in absent.values():
        gone = removed_us is not None and removed_us < gap.from_us
        if not gone and first_us < gap.to_us:
            raise TamperedError("a device without marks could record in the gap", rule="gap.device")
    for device in devices:
        if device.text() in absent:
            continue
        first, last = (read_mark(unb64(item), device=device) for item in marks[device.text()])
        _check_marks(gap, first, last)
    return gap


def _check_marks(gap: Gap, first: Mark, last: Mark) -> None:
    # of one stream that is contained others are recorded on: what counts is that none of its numbers is used
    partly = gap.reason == CONTAINED
    if first.event_us >= gap.from_us or (last.event_us != first.event_us and not partly):
        raise TamperedError("an event was recorded in the gap", rule="gap.event")
    if last.at_us < gap.to_us or last.at_us < first.at_us:
        raise TamperedError("a mark was made at the wrong time", rule="gap.time")
    for stream in gap.streams:
        if first.positions.get(stream, 0) != last.positions.get(stream, 0):
            raise TamperedError("the sequence numbers do not join up", rule="gap.sequence")


def _parse(value: dict[str, Any]) -> tuple[Gap, dict[str, list[str]]]:
    wrong = InvalidError("not a gap record", rule="gap.shape")
    names = {
        "v", "person", "streams", "from_us", "to_us", "reason", "before", "after", "marks",
        "absent",
    }  # fmt: skip
    if set(value) != names or value["v"] != 1 or value["reason"] not in REASONS:
        raise wrong
    streams, marks = value["streams"], value["marks"]
    if not streams or not set(streams) <= set(STREAMS) or not isinstance(marks, dict):
        raise wrong
    if any(not isinstance(pair, list) or len(pair) != 2 for pair in marks.values()):
        raise wrong
    if not isinstance(value["absent"], dict) or not all(map(_is_life, value["absent"].values())):
        raise wrong
    try:
        gap = Gap(
            person=value["person"],
            streams=tuple(streams),
            from_us=int(value["from_us"]),
            to_us=int(value["to_us"]),
            reason=value["reason"],
            before=Head(**value["before"]),
            after=Head(**value["after"]),
            devices=len(marks),
            absent=len(value["absent"]),
        )
    except (TypeError, ValueError) as error:
        raise wrong from error
    return gap, marks


def _is_life(times: Any) -> bool:
    """Return whether this is a first lease and a removal, or none."""
    match times:
        case [first, last]:
            return type(first) is int and (last is None or type(last) is int)
        case _:
            return False
