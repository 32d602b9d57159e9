"""Leases: for a quarter of an hour at most, one device may record some streams of one person.

A lease carries the public half of a sealing key. The private half stays with the keeper, which
destroys it when the person pauses, the board stops, or the lease ends: what was not handed in by
then opens for nobody.
Formats: ``docs/reference/lease.md``.
"""

from __future__ import annotations

import hashlib
import heapq
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from sys import intern
from typing import Final

from safehold.access.envelope import Envelope, LeaseKey, open_envelope, read_envelope
from safehold.access.keystore import KeyStore
from safehold.access.record import open_record, sign_record
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US, Clock
from safehold.errors import ConflictError, DeniedError, InvalidError
from safehold.ids import new_id
from safehold.signing import SigningKey, VerifyKey
from safehold.telemetry.stream import STREAMS

DOMAIN: Final = "safehold.lease.v1"
LONGEST_US: Final = 900 * SECOND_US
SKEW_US: Final = 5 * SECOND_US  # difference of two clocks that is put up with
MOST_NUMBERS: Final = 4096  # envelopes of one lease: more than four a second all the time


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """What a device may record, and until when.

    Args:
        id: Its id.
        charter: Digest of the charter, hex.
        person: External id of the person.
        device: Verify key of the device, base64.
        streams: For each stream, the hash (hex) of the minimisation rules to apply.
        apps: For each stream, the only applications that may be recorded; ``None`` sets no limit, none at all is none.
        silences: Times (from, to), microseconds, of which nothing may be sealed: the person's pauses and the
            board's stops. An event that a recorder kept back from one of them is dropped on the device.
        quiet: The same for single streams: recording of these was contained, and of others it went on.
        sealing: Public sealing key, base64.
        from_us: First moment, microseconds.
        until_us: First moment at which it is over, microseconds.
    """

    id: str
    charter: str
    person: str
    device: str
    streams: Mapping[str, str]
    apps: Mapping[str, tuple[str, ...] | None]
    silences: tuple[tuple[int, int], ...]
    quiet: Mapping[str, tuple[tuple[int, int], ...]]
    sealing: str
    from_us: int
    until_us: int

    def check_time(self, now_us: int) -> None:
        """Refuse a moment outside the lease.

        Raises:
            DeniedError: It has not begun, or is over.
        """
        if not self.from_us - SKEW_US <= now_us < self.until_us:
            raise DeniedError(
                "the lease is not valid now", rule="lease.time", fix="obtain a new lease"
            )

    def sign(self, key: SigningKey) -> bytes:
        """Return the lease as signed bytes."""
        value = asdict(self) | {
            "v": 1,
            "apps": {
                stream: None if apps is None else list(apps) for stream, apps in self.apps.items()
            },
            "silences": [list(one) for one in self.silences],
            "quiet": {stream: [list(one) for one in times] for stream, times in self.quiet.items()},
        }
        return sign_record(value, domain=DOMAIN, key=key)


def read_lease(data: bytes, *, keeper: VerifyKey) -> Lease:
    """Return the lease in signed bytes.

    Raises:
        InvalidError: It is no lease, or lasts longer than a quarter of an hour.
        TamperedError: The keeper did not sign it.
    """
    value = open_record(data, domain=DOMAIN, key=keeper)
    wrong = InvalidError("not a lease", rule="lease.shape")
    names = set(Lease.__dataclass_fields__)
    if value.pop("v", None) != 1 or set(value) != names:
        raise wrong
    if not isinstance(value["streams"], dict) or not set(value["streams"]) <= set(STREAMS):
        raise wrong
    silences = value["silences"]
    if not isinstance(silences, list) or not all(map(_is_time, silences)):
        raise wrong
    value["silences"] = tuple((start, end) for start, end in silences)
    quiet = value["quiet"]
    if not isinstance(quiet, dict) or not set(quiet) <= set(value["streams"]):
        raise wrong
    if not all(isinstance(one, list) and all(map(_is_time, one)) for one in quiet.values()):
        raise wrong
    value["quiet"] = {
        stream: tuple((start, end) for start, end in times) for stream, times in quiet.items()
    }
    try:
        lease = Lease(**{**value, "apps": _apps(value["apps"], value["streams"])})
        length = lease.until_us - lease.from_us
    except TypeError as error:
        raise wrong from error
    if not 0 < length <= LONGEST_US:
        raise InvalidError("a lease lasts 15 minutes at most", rule="lease.length")
    if len(unb64(lease.sealing)) != 32:
        raise wrong
    return lease


def _apps(given: object, streams: Mapping[str, str]) -> dict[str, tuple[str, ...] | None]:
    """Return the applications of each stream.

    Raises:
        TypeError: It says so of other streams, or in another shape.
    """
    if not isinstance(given, dict) or set(given) != set(streams):
        raise TypeError
    for apps in given.values():
        if apps is not None and not (
            isinstance(apps, list) and all(isinstance(app, str) for app in apps)
        ):
            raise TypeError
    return {stream: None if apps is None else tuple(apps) for stream, apps in given.items()}


def _is_time(given: object) -> bool:
    match given:
        case [int(start), int(end)]:
            return 0 <= start <= end
        case _:
            return False


@lru_cache(maxsize=256)  # rules change with the charter, and limits with a device
def _rules(said: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return one mapping for all leases that say this."""
    return dict(said)


@lru_cache(maxsize=256)
def _limits(
    said: tuple[tuple[str, tuple[str, ...] | None], ...],
) -> Mapping[str, tuple[str, ...] | None]:
    """Return one mapping for all leases that say this."""
    return dict(said)


class Lessor:
    """The keeper's side: give leases, take envelopes, end leases.

    Whether a person agreed and has not paused is asked before ``grant``; this class makes sure that
    nothing gets in without a live lease.

    Args:
        key: The keeper's signing key.
        store: Where the private halves lie.
        clock: The time.
    """

    def __init__(self, key: SigningKey, *, store: KeyStore, clock: Clock) -> None:
        self._key = key
        self._store = store
        self._clock = clock
        self._live: dict[str, Lease] = {}
        self._ends: list[tuple[int, str]] = []  # a heap of when each is over; some ended before
        self._numbers: dict[str, dict[int, bytes]] = {}  # lease -> number -> which envelope had it
        self._closed: dict[str, str] = {}  # person -> why nothing is given to them
        self._dismissed: set[str] = set()  # devices that get nothing any more
        self._lock = threading.RLock()

    def grant(
        self,
        *,
        person: str,
        device: VerifyKey,
        charter: bytes,
        streams: Mapping[str, str],
        apps: Mapping[str, Sequence[str] | None] | None = None,
        silences: Sequence[Sequence[int]] = (),
        quiet: Mapping[str, Sequence[Sequence[int]]] | None = None,
        length_us: int = LONGEST_US,
    ) -> bytes:
        """Give a lease and return its signed bytes.

        Args:
            person: External id.
            device: The device's key.
            charter: Digest of the charter in force, 32 bytes.
            streams: Stream to the hash of its rules, hex.
            apps: For each stream, the only applications that may be recorded; a stream without has no limit.
            silences: Times (from, to) of which nothing may be sealed.
            quiet: The same for single streams.
            length_us: How long, at most 15 minutes.

        Raises:
            DeniedError: The person paused, everything is stopped, or the device was dismissed.
        """
        with self._lock:
            self.end_expired()
            self.require_open(person=person, device=device)
            if not 0 < length_us <= LONGEST_US:
                raise InvalidError("a lease lasts 15 minutes at most", rule="lease.length")
            secret = LeaseKey.generate()
            now = self._clock.now_us()
            lease = Lease(
                id=new_id("lea"),
                # leases of a quarter of an hour are kept, and most say the same: they keep one of each word
                charter=intern(charter.hex()),
                person=intern(person),
                device=intern(device.text()),
                streams=_rules(tuple(streams.items())),
                apps=_limits(
                    tuple(
                        (one, None if (limit := (apps or {}).get(one)) is None else tuple(limit))
                        for one in streams
                    )
                ),
                silences=tuple((start, end) for start, end in silences),
                quiet={
                    stream: tuple((start, end) for start, end in times)
                    for stream, times in (quiet or {}).items()
                },
                sealing=b64(secret.public),
                from_us=now,
                until_us=now + length_us,
            )
            self._store.put(lease.id, secret.raw())
            self._live[lease.id] = lease
            heapq.heappush(self._ends, (lease.until_us, lease.id))
            return lease.sign(self._key)

    def require_open(self, *, person: str, device: VerifyKey) -> None:
        """Pass if a device could be given a lease of a person now, as far as is known here.

        Raises:
            DeniedError: The person paused, everything is stopped, or the device was dismissed.
        """
        with self._lock:
            if device.text() in self._dismissed:
                raise DeniedError("this device was removed", rule="lease.device")
            reason = self._closed.get(person) or self._closed.get("")
            if reason is not None:
                raise DeniedError(
                    "no lease is given now", rule=f"lease.{reason}", fix="wait until it is resumed"
                )

    def close(self, *, reason: str, person: str = "") -> int:
        """End all leases of a person (without one: of everybody), give no new one, return how many.

        Args:
            reason: ``pause``, ``stop``, ``withdrawn`` ...
            person: External id, empty for everybody.
        """
        with self._lock:
            self._closed[person] = reason
            ended = [item.id for item in self._live.values() if person in ("", item.person)]
            for lease in ended:
                self._destroy(lease)
            return len(ended)

    def end(self, *, person: str) -> int:
        """End all leases of a person and return how many ended; new ones may be given if they could before."""
        with self._lock:
            ended = [item.id for item in self._live.values() if item.person == person]
            for lease in ended:
                self._destroy(lease)
            return len(ended)

    def end_all(self) -> int:
        """End every lease and return how many ended; new ones may be given."""
        with self._lock:
            ended = list(self._live)
            for lease in ended:
                self._destroy(lease)
            return len(ended)

    def dismiss(self, device: VerifyKey) -> int:
        """End all leases of a device, give it no new one, and return how many ended."""
        with self._lock:
            self._dismissed.add(device.text())
            ended = [item.id for item in self._live.values() if item.device == device.text()]
            for lease in ended:
                self._destroy(lease)
            return len(ended)

    def reopen(self, *, person: str = "") -> None:
        """Give leases again."""
        with self._lock:
            self._closed.pop(person, None)

    def receive(self, data: bytes, *, device: VerifyKey) -> tuple[Lease, Envelope, bytes]:
        """Open an envelope that was made under a live lease; in whatever order they come.

        The same envelope opens again, so that whoever was not answered may ask again: that its rows are stored once
        is the register's to see to. Another one under its number does not.

        Args:
            data: The envelope.
            device: Key of the device that hands it in.

        Raises:
            DeniedError: The lease is over, was ended, or does not cover the stream.
            ConflictError: Another envelope came under this number before.
            InvalidError: There were too many under this lease.
            TamperedError: It was changed, or belongs to another device or lease.
        """
        with self._lock:
            self.end_expired()
            envelope = read_envelope(data, device=device)
            lease = self._live.get(envelope.lease)
            if lease is None:
                raise DeniedError(
                    "there is no live lease for this envelope; its key was destroyed",
                    rule="lease.dead",
                )
            if lease.device != envelope.device:
                raise DeniedError("the lease belongs to another device", rule="lease.device")
            if envelope.stream not in lease.streams:
                raise DeniedError("the lease does not cover this stream", rule="lease.stream")
            lease.check_time(envelope.sealed_us)
            if envelope.number >= MOST_NUMBERS:
                raise InvalidError("too many envelopes under one lease", rule="lease.number")
            numbers = self._numbers.setdefault(lease.id, {})
            which = hashlib.sha256(data).digest()
            if numbers.get(envelope.number, which) != which:
                raise ConflictError("another envelope had this number", rule="lease.replay")
            body = open_envelope(envelope, LeaseKey(self._store.get(lease.id)))
            numbers[envelope.number] = which
            return lease, envelope, body

    def lives(self, lease: str) -> bool:
        """Return whether a lease is neither over nor ended: by a choice, a stop, or the removal of its device."""
        with self._lock:
            self.end_expired()
            return lease in self._live

    def end_expired(self) -> None:
        """Destroy the keys of leases that are over."""
        with self._lock:
            now = self._clock.now_us()
            while self._ends and self._ends[0][0] + SKEW_US <= now:
                self._destroy(heapq.heappop(self._ends)[1])

    def _destroy(self, lease: str) -> None:
        self._store.destroy(lease)
        self._live.pop(lease, None)
        self._numbers.pop(lease, None)
