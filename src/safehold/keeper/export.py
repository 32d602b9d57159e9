"""A copy of everything that is held about one person, for that person alone (GDPR Articles 15 and 20, CCPA 1798.110).

Rules, in this order; the first that fails ends it, and nothing was opened:
1. nothing is stopped; the ledger takes entries; the person is not being erased;
2. the request is signed with a key that is enrolled for the person, and for long enough that they would have seen in
   their trail if somebody else had enrolled it; it is of the last week, and was not carried out before. Or it is made
   in a session that has spoken for the person for as long, and the session's key signs the key to open the copy with;
3. the intent, about this one person, is durable in the ledger; in strict mode its witnesses have cosigned it;
4. their blocks are opened here, in the keeper, and nowhere else: no code but the keeper's own sees them;
5. a stop or an erasure that comes meanwhile ends it;
6. the copy is sealed to the key that the request names, and a leaf of kind ``release`` has its hash, before a byte of
   it is handed out.

Whoever carries the request and the copy, or runs the command, reads nothing. A pause or a withdrawal does not stand in
the way: it is the person who asks.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.catalog.aside import ASIDE
from safehold.charter.vocabulary import REPAIR
from safehold.clock import DAY_US
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    UnavailableError,
)
from safehold.ids import PersonId, random_bytes
from safehold.keeper.answers import Answers
from safehold.keeper.desk import CLOCK_SLACK_US
from safehold.keeper.disclosure import Disclosures
from safehold.keeper.dossier import Dossier, Portrait
from safehold.keeper.effects import Effects
from safehold.keeper.personal import handle_of
from safehold.keeper.run import Run
from safehold.keeper.server import Report
from safehold.keeper.signed_in import require_linked, speaks_as_self
from safehold.ledger import Entry, Receipt
from safehold.signing import VerifyKey
from safehold.vault import SealedBlock
from safehold.vault.letter import opening_key, seal_letter

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

PURPOSE: Final = "right-of-access"
RECIPE: Final = "export"
ACTOR: Final = "person"  # never which one: what a leaf says outlives their key
DOMAIN: Final = "safehold.request.v1"
COUNTS_US: Final = 7 * DAY_US  # how long a request counts
WAIT_US: Final = 3 * DAY_US  # how long a key must have been enrolled
LARGEST: Final = 1 << 30  # bytes of a copy
LONGEST: Final = 4096  # characters of a request
LOOK_S: Final = 0.1  # between two looks at whether whoever holds the lock is erasing the person


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a person asked for.

    Args:
        person: The company's name for them.
        at_us: When, microseconds.
        key: The key that signed it; none if a session speaks for the person.
        open_to: The key that the copy is sealed to, 32 bytes.
        digest: SHA-256 of its text, hex.
    """

    person: str
    at_us: int
    key: VerifyKey | None
    open_to: bytes
    digest: str

    @classmethod
    def read(cls, text: Any, signature: Any, *, home: str) -> Request:
        """Read a request and check its signature; whose key it is, is another question.

        Raises:
            InvalidError: It is no request to this home.
            TamperedError: The key in it has not signed it.
        """
        wrong = InvalidError("not a request to this home", rule="export.request")
        if not isinstance(text, str) or not isinstance(signature, str) or len(text) > LONGEST:
            raise wrong
        match canonical.decode(text.encode()):
            case {
                "v": "safehold.request/1", "what": "export", "home": str(named), "person": str(person),
                "at_us": int(at_us), "key": str(key), "open_to": str(open_to), **more,
            } if not more and named == home and type(at_us) is int and at_us >= 0:  # fmt: skip
                verify = VerifyKey.from_text(key)
                verify.verify(DOMAIN, text.encode(), unb64(signature))
                raw = unb64(open_to)
                opening_key(raw)
                digest = hashlib.sha256(text.encode()).hexdigest()
                return cls(person=person, at_us=at_us, key=verify, open_to=raw, digest=digest)
            case _:
                raise wrong

    @classmethod
    def of_session(cls, desk: Desk, arguments: Mapping[str, Any]) -> Request:
        """Return the request of whoever is signed in, for the key that they bring; each call is one of its own.

        Raises:
            SignInError: The session speaks for nobody of that name.
            InvalidError: It is no key to open with.
        """
        person = require_linked(desk, arguments, reads=True)
        raw = unb64(str(arguments["open_to"]))
        opening_key(raw)
        return cls(
            person=desk.people.standing(person).external,
            at_us=desk.now_us(),
            key=None,
            open_to=raw,
            digest=hashlib.sha256(raw + random_bytes(32)).hexdigest(),
        )


class Export:
    """The verb.

    Args:
        desk: What the keeper works with.
        answers: Writes results; the same for all runs.
        effects: Finds what was made from somebody.
        disclosures: What somebody is told otherwise than by the rule.
    """

    def __init__(
        self, desk: Desk, answers: Answers, effects: Effects, disclosures: Disclosures
    ) -> None:
        self._desk = desk
        self._answers = answers
        self._effects = effects
        self._disclosures = disclosures

    def export(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Write a person's sealed copy to the one descriptor; the caller learns its size and hash.

        Raises:
            DeniedError: Nobody who may has asked, or this was carried out before.
            UnavailableError: The ledger, its witnesses or the store of objects do not answer; nothing was handed out.
        """
        desk = self._desk
        if len(descriptors) != 1:
            raise InvalidError("one file to write to", rule="export.file")
        request = (
            Request.of_session(desk, arguments)
            if speaks_as_self(arguments)
            else Request.read(arguments["request"], arguments["signature"], home=desk.home.id)
        )
        desk.trust.require_running()
        desk.ledger.check_health()
        desk.check_time()
        with desk.lock:
            self._answers.settle()
            person = self._admit(request)
            blocks = self._blocks(person)
            intent = self._intend(request, person, blocks)
            run = Run([person])
            desk.runs.add(run)
        opened: dict[int, int] = {}
        try:
            with self._answers.expected(intent.index, actor=ACTOR, thing=RECIPE, opened=opened):
                desk.confirm(intent)
                sealed = self._write(request, person, blocks, run, report)
                opened[intent.index] = len(blocks)
                return self._hand_out(
                    sealed,
                    descriptors[0],
                    person=person,
                    intent=intent,
                    blocks=len(blocks),
                    run=run,
                )
        finally:
            desk.runs.discard(run)
            run.over()

    def _admit(self, request: Request) -> PersonId:
        """Return who asks.

        Raises:
            DeniedError: The key is not theirs, not yet theirs for long enough, or the request is old or used. Which
                of the first is not told.
        """
        desk, now = self._desk, self._desk.now_us()
        refused = DeniedError(
            "no key that is enrolled for this person has signed this",
            rule="export.key",
            fix="safehold source add --person PERSON --device KEY.pub, then ask with that key",
        )
        try:
            person = desk.people.find(request.person)
        except MissingError as error:
            raise refused from error
        added_us = self._since(person, request.key)
        if added_us is None:
            raise refused
        if person in desk.erasing:
            raise ConflictError("this person is being erased", rule="subjects.erasing")
        if not desk.home.synthetic and now - added_us < WAIT_US:
            raise DeniedError(
                "this key was enrolled, or this sign-in linked, less than three days ago",
                rule="export.waiting",
                fix="ask again later: until then its owner would notice if somebody else had enrolled it",
            )
        if not -CLOCK_SLACK_US <= now - request.at_us <= COUNTS_US:
            raise DeniedError(
                "this request is not of the last week", rule="export.time", fix="sign a new one"
            )
        if desk.ledger.find(self._name(request, person)) is not None:
            raise DeniedError(
                "this request was carried out before", rule="export.replay", fix="sign a new one"
            )
        return person

    def _since(self, person: PersonId, key: VerifyKey | None) -> int | None:
        """Return since when a key, or the sign-in that was looked at already, is the person's; nothing if it is not."""
        desk = self._desk
        if key is None:
            link = desk.people.standing(person).voice.link
            return None if link is None else link.since_us
        known = desk.devices.find(key.text())
        if known is None or known.person != person or known.removed_us is not None:
            return None
        return known.added_us

    def _blocks(self, person: PersonId) -> list[SealedBlock]:
        """Return what is held and has not ended; what is being taken in is not held yet."""
        today = self._desk.today()
        live = self._desk.catalog.blocks_of(person, live=True)
        return [block for block in live if block.label.expires > today]

    def _intend(self, request: Request, person: PersonId, blocks: Sequence[SealedBlock]) -> Receipt:
        desk = self._desk
        days = [block.window for block in blocks]
        receipt = desk.trust.log_charged(
            Entry(
                kind="access.intent",
                actor=ACTOR,
                object=RECIPE,
                detail={
                    "grant": "",
                    "purpose": PURPOSE,
                    "role": "person",
                    "segments": sorted({block.segment for block in blocks}),
                    "blocks": len(blocks),
                    "days": [min(days), max(days)] if days else [],
                    "silos": [],
                },
                charter=desk.trust.digest(),
                subjects=desk.subjects([str(person)]),
                public={"purpose": PURPOSE},
                key=self._name(request, person),
            ),
            None,
        )
        self._answers.begin(receipt.index)
        return receipt

    def _name(self, request: Request, person: PersonId) -> str:
        """Return by what a request that was carried out is found; without the person's key it says nothing of them."""
        (subject,) = self._desk.subjects([str(person)])
        return f"export/{handle_of(subject.key, request.digest)}"

    def _write(
        self,
        request: Request,
        person: PersonId,
        blocks: Sequence[SealedBlock],
        run: Run,
        report: Report,
    ) -> bytes:
        desk = self._desk
        with self._deciding(run):
            desk.index.close()  # so that the trail in the copy tells of this very use
            desk.ledger.publish()
            portrait = Portrait.draw(
                desk,
                person,
                effects=self._effects.of(person),
                told=self._disclosures.told(person),
            )
        dossier = Dossier(portrait, now_us=desk.now_us())
        by_part: dict[tuple[str, str], list[SealedBlock]] = {}
        for block in blocks:
            kept = ASIDE if block.label.purposes == (REPAIR,) else block.stream
            by_part.setdefault((kept, block.segment), []).append(block)
        for done, part in enumerate(sorted(by_part)):
            report({"done": done, "of": len(by_part)})
            for block, table in desk.vault.read(by_part[part]):
                run.require_going()
                desk.trust.require_running()
                dossier.take(block, table)
            dossier.end_part(part[0], part[1])
            if dossier.size > LARGEST:
                raise UnavailableError(
                    "this copy is larger than one file may be",
                    rule="export.size",
                    fix="let older data end, or raise the limit with more memory",
                )
        return seal_letter(dossier.close(), request.open_to)

    @contextmanager
    def _deciding(self, run: Run) -> Iterator[None]:
        """Hold the lock while nobody of the run is erased; an erasure has it, and waits for this run to be gone.

        Raises:
            DeniedError: The person was erased.
        """
        lock = self._desk.lock
        while not lock.acquire(timeout=LOOK_S):
            run.require_going()
        try:
            run.require_going()
            yield
        finally:
            lock.release()

    def _hand_out(
        self,
        sealed: bytes,
        descriptor: int,
        *,
        person: PersonId,
        intent: Receipt,
        blocks: int,
        run: Run,
    ) -> dict[str, Any]:
        desk = self._desk
        digest = hashlib.sha256(sealed).hexdigest()
        with self._deciding(run):
            release = desk.trust.log_running(
                Entry(
                    kind="release",
                    actor=ACTOR,
                    object=RECIPE,
                    detail={"sha256": digest, "bytes": len(sealed)},
                    charter=desk.trust.digest(),
                    subjects=desk.subjects([str(person)]),
                    public={"purpose": PURPOSE},
                    ref=intent.index,
                )
            )
            # only what their own key opens is left; how slowly somebody takes it must not hold up an erasure
            desk.runs.discard(run)
            run.over()
        try:
            left = memoryview(sealed)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        except OSError as error:
            raise UnavailableError("the copy could not be written", rule="export.file") from error
        done = self._answers.write(
            intent.index,
            actor=ACTOR,
            thing=RECIPE,
            outcome="ok",
            detail={"blocks": blocks, "sha256": digest},
        )
        return {
            "bytes": len(sealed),
            "sha256": digest,
            "entry": intent.index,
            "release": release.index,
            "result": done.index,
        }
