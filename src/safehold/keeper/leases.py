"""Leases for collectors, the envelopes they hand in, and the proof of their silence.

A lease is given only to an enrolled device that proves itself, while the person agrees, has not paused, and nothing
is stopped. A pause, a stop or the removal of the device destroys the private half of every live lease at once: what
was sealed but not handed in opens for nobody.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safehold import canonical
from safehold.access.envelope import Envelope, signer_of
from safehold.access.gap import Head, commit_person, make_gap, read_mark
from safehold.access.keystore import MemoryStore
from safehold.access.lease import Lease, Lessor
from safehold.canonical import unb64
from safehold.errors import DeniedError, MissingError, TamperedError, UnavailableError
from safehold.ids import PersonId
from safehold.keeper.batch import Batches
from safehold.keeper.contained import ALL, COLLECTION
from safehold.keeper.intake import Intake
from safehold.keeper.leasing import Leasing
from safehold.keeper.personal import seal_personal
from safehold.keeper.server import Report
from safehold.keeper.silence import EVERYBODY, Said, Silence, Silences, quiet_pair
from safehold.keeper.sources import Sources
from safehold.keeper.terms import recorded_streams, silent_because, streams_of
from safehold.keeper.voice import require_person
from safehold.ledger import Entry
from safehold.signing import SigningKey, VerifyKey
from safehold.subjects import Standing
from safehold.telemetry.stream import segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

CONTAINED = "contained"  # a reason of silence


class Leases:
    """The verbs of collectors.

    Args:
        desk: What the keeper works with.
        intake: Takes opened envelopes in.
        sources: Knows the devices.
    """

    def __init__(self, desk: Desk, intake: Intake, sources: Sources) -> None:
        self._desk = desk
        self._intake = intake
        self._sources = sources
        self._key = SigningKey(desk.vault.derive("lease-signing"))
        _pin(desk.home.keeper_key, self._key.public)
        self._silences = Silences(desk.engine, sealer=desk.sealer, key=desk.vault.derive("silence"))
        self._quiet: set[PersonId] = set()  # whose recording a choice of theirs ended
        self._turning = threading.RLock()
        # private halves live in this process's memory only: a restart ends every lease
        self._lessor = Lessor(self._key, store=MemoryStore(), clock=desk.clock)
        self.leasing = Leasing(
            desk, intake, sources, self._lessor, key=self._key.public, turn=self.turn
        )
        self.batches = Batches(desk, intake, self.open, self._lessor.lives)

    def open(self, data: bytes, device: VerifyKey | None = None) -> tuple[Lease, Envelope, bytes]:
        """Return an envelope that was sealed under a live lease, opened, with its lease.

        Args:
            data: The envelope.
            device: Whose it must be; without, that it is of the device that the lease was given to is enough.

        Raises:
            DeniedError: The lease is over, or for another agreement than holds now.
            ConflictError: Another envelope came under its number.
            TamperedError: It was changed, or belongs to another lease.
            InvalidError: It is no envelope.
        """
        lease, envelope, body = self._lessor.receive(data, device=device or signer_of(data))
        self._require_agreement(lease)
        return lease, envelope, body

    def mark(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Keep a device's signed word on how far it has counted."""
        device = VerifyKey.from_text(str(arguments["device"]))
        record = str(arguments["mark"]).encode()
        mark = read_mark(record, device=device)
        person = self._sources.require_known(str(arguments["person"]), device)
        self._silences.hear(person, Said(device=device.text(), at_us=mark.at_us, record=record))
        return {"at_us": mark.at_us}

    def gap(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a signed record that the devices of a person were silent since recording of them ended last.

        A pause, a stop, a withdrawal or a containment ends it. With ``stream``, and where it never ended altogether,
        the record is of the one stream that was contained where the person works.

        Raises:
            MissingError: Recording has not ended since, or a device has not said how far it counted.
        """
        desk = self._desk
        person = require_person(desk, arguments, "gap")
        self.turn()
        silence, streams = self._ended(person, arguments.get("stream"))
        marks = self._silences.heard(person)
        only = frozenset(streams) if silence.of else frozenset()
        pairs: dict[str, tuple[bytes, bytes]] = {}
        absent: dict[str, tuple[int, int | None]] = {}
        to_us = canonical.LARGEST
        for first_us, device in desk.devices.used_by(person):
            gone = device.removed_us is not None and device.removed_us < silence.from_us
            if gone or first_us >= to_us:  # no lease was its in between, so it need not speak
                absent[device.key] = (first_us, device.removed_us)
                continue
            first, last = quiet_pair(
                [row for row in marks if row.device == device.key], silence.from_us, only=only
            )
            pairs[device.key] = (first.record, last.record)
            to_us = min(to_us, last.at_us)
        if not pairs:
            raise MissingError("no device of this person has said anything", rule="gap.marks")
        (subject,) = desk.subjects([person])
        secret = subject.key
        standing = desk.people.standing(person)
        record = make_gap(
            person=commit_person(standing.external, secret),
            streams=sorted(streams),
            from_us=silence.from_us,
            to_us=to_us,
            reason=silence.reason,
            heads=(silence.head, self._head()),
            marks=pairs,
            absent=absent,
            key=self._key,
        )
        said = {"record": hashlib.sha256(record).hexdigest()}
        (receipt,) = desk.log(
            Entry(
                kind="gap",
                actor="keeper",
                object="silence",
                detail={"sealed": seal_personal(secret, said)},
                charter=desk.trust.digest(),
                subjects=[subject],
            )
        )
        return {
            "record": record.decode(),
            "keeper": self._key.public.text(),
            "devices": sorted({*pairs, *absent}),
            "entry": receipt.index,
        }

    def _ended(self, person: PersonId, stream: Any) -> tuple[Silence, list[str]]:
        """Return how recording of a person ended last, and in which streams.

        Raises:
            MissingError: It never did.
        """
        desk = self._desk
        known = list(streams_of(desk.trust.charter()))
        if stream is not None and stream not in known:
            raise MissingError("the charter records no such stream", rule="gap.stream")
        whole = self._silences.last(person, EVERYBODY)
        if stream is None and whole is not None:
            return whole, known
        place = desk.people.standing(person).jurisdiction
        wanted = {one: segment_name(place, one) for one in known if stream in (None, one)}
        found = self._silences.last(EVERYBODY, of={*wanted, *wanted.values()})
        if found is None:
            raise MissingError("there was no pause and no stop", rule="gap.none")
        return found, [one for one, segment in wanted.items() if found.of in (one, segment)]

    def close(self, person: PersonId | None, reason: str) -> int:
        """End recording of a person, or of everybody, at once; return how many leases ended."""
        ended = self.cut(person, reason)
        if person is not None:
            self._quiet.add(person)
        self._note(person, reason)
        return ended

    def renew(self, person: PersonId) -> int:
        """End the leases of a person, who agrees to something else now; return how many ended."""
        return self._lessor.end(person=self._desk.people.standing(person).external)

    def turn(self) -> None:
        """Let planned pauses begin, and pauses that have an end be over, as the clock says.

        Only what a pause closed is opened again: whoever could not be heard stays unrecorded until they say so.
        """
        desk = self._desk
        charter = desk.trust.charter() if desk.trust.digest() else None
        now = desk.now_us()
        with self._turning:
            for person, standing in desk.people.planned().items():
                reason = silent_because(charter, standing, at_us=now)
                with contextlib.suppress(MissingError):  # erased meanwhile
                    if reason is not None and person not in self._quiet:
                        self.close(person, reason)
                    elif reason is None and person in self._quiet:
                        self.reopen(person)

    def dismiss(self, device: VerifyKey) -> int:
        """End the leases of a device that was removed, at once; return how many ended."""
        return self._lessor.dismiss(device)

    def cut(self, person: PersonId | None, reason: str) -> int:
        """End the leases of a person, or of everybody, without a word about it: the ledger takes none."""
        external = EVERYBODY
        if person is not None:
            external = self._desk.people.standing(person).external
        return self._lessor.close(reason=reason, person=external)

    def recover(self) -> None:
        """Remember the silences that a crash kept from being remembered; they begin now.

        The leaf of a pause or a stop comes first and counts; a keeper that was killed right after it would
        otherwise have no gap record for it, or one from an earlier silence.
        """
        trust = self._desk.trust
        stop = self._silences.last(EVERYBODY)
        if trust.stopped and (stop is None or stop.from_us < trust.stops()[-1][0]):
            self._note(None, "stop")
            stop = self._silences.last(EVERYBODY)
        held = trust.contained.find((COLLECTION, ALL))
        if held is not None and (stop is None or stop.from_us < held.at_ms * 1000):
            self._note(None, CONTAINED)
        for one in trust.contained.all():
            if one.what == COLLECTION and one.key != ALL:
                known = self._silences.last(EVERYBODY, of={one.key})
                if known is None or known.from_us < one.at_ms * 1000:
                    self._note(None, CONTAINED, of=one.key)
        for person, standing in self._desk.people.everybody().items():
            since, reason = silent_since(standing, at_us=self._desk.now_us())
            if reason is None:
                continue
            last = self._silences.last(person)
            if last is None or last.from_us < since:
                self._note(person, reason)
            self._quiet.add(person)

    def _note(self, person: PersonId | None, reason: str, *, of: str = "") -> None:
        silence = Silence(reason=reason, from_us=self._desk.now_us(), head=self._head(), of=of)
        self._silences.note(EVERYBODY if person is None else person, silence)

    def reopen(self, person: PersonId | None) -> None:
        """Give leases again."""
        external = EVERYBODY
        if person is not None:
            external = self._desk.people.standing(person).external
            self._quiet.discard(person)
        self._lessor.reopen(person=external)

    def forget(self, person: PersonId) -> None:
        """Forget a person's silences and marks: they were erased."""
        self._silences.forget(person)
        self._quiet.discard(person)
        self._lessor.reopen(person=self._desk.people.standing(person).external)

    def end(self) -> int:
        """End every lease at once and return how many ended; whoever may have one asks again."""
        return self._lessor.end_all()

    def halt(self, key: str) -> int:
        """End every lease, since recording is contained, and remember where and since when; return how many ended.

        Whoever is recorded in something else asks for another lease at once.

        Args:
            key: ``all``, or the stream or segment that is contained.
        """
        ended = self.end()
        self._note(None, CONTAINED, of="" if key == ALL else key)
        return ended

    def expire(self) -> None:
        """Destroy the keys of leases that are over."""
        self.turn()
        self._lessor.end_expired()

    def _require_agreement(self, lease: Lease) -> None:
        desk = self._desk
        standing = desk.people.standing(desk.people.find(lease.person))
        allowed = standing.allowed(at_us=desk.now_us())
        allowed &= recorded_streams(desk.trust.charter(), standing)
        if not set(lease.streams) <= allowed or lease.charter != desk.trust.digest().hex():
            raise DeniedError(
                "the lease is for another agreement", rule="lease.charter", fix="obtain a new lease"
            )

    def _head(self) -> Head:
        with contextlib.suppress(UnavailableError):  # silence must not wait for a witness
            self._desk.ledger.publish()
        note = self._desk.ledger.head().decode()
        _, size, root, *_ = note.split("\n")
        return Head(size=int(size), root=unb64(root).hex())


def _pin(path: Path, key: VerifyKey) -> None:
    """Keep the keeper's public key outside the home, where whoever checks a gap record finds it."""
    if not path.exists():
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(key.text() + "\n", "ascii")
        temporary.replace(path)
    elif path.read_text("ascii").strip() != key.text():
        raise TamperedError("the keeper's key is not the one outside the home", rule="keeper.key")


def silent_since(standing: Standing, *, at_us: int) -> tuple[int, str | None]:
    """Return since when, and why, nothing of a person is recorded by their own choice; or no reason."""
    if standing.withdrawn_us is not None:
        return standing.withdrawn_us, "withdrawn"
    if standing.restricted_us is not None:
        return standing.restricted_us, "no_consent"
    running = [pause.start_us for pause in standing.pauses if pause.holds(at_us)]
    return (max(running), "pause") if running else (0, None)
