"""What one person chose, and what follows from it.

Rules, in this order:
1. Nobody is in until they opted in, stream by stream.
2. A pause stops recording from its start; what carries a time inside it is never taken.
3. A withdrawal withholds every key at once and for good; a new opt-in starts anew.
4. A person outside the charter's jurisdictions is not collected.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from safehold import canonical
from safehold.errors import ConsentError, InvalidError


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which nothing is recorded.

    Args:
        start_us: First moment, microseconds since 1970.
        end_us: First moment after it, or None while it lasts.
    """

    start_us: int
    end_us: int | None = None

    def covers(self, at_us: int) -> bool:
        """Return whether a moment lies inside."""
        return self.start_us <= at_us and (self.end_us is None or at_us < self.end_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The present choices of one person.

    Args:
        external: The name the company uses; sealed at rest.
        jurisdiction: Where the person works, such as ``US-CA``.
        streams: Streams the person opted in to.
        consented_us: When; 0 if never.
        withdrawn_us: When the person withdrew, or None.
        pauses: All pauses, oldest first.
        evidence: Where the opt-in is recorded, in words.
        anew_us: When the person opted in again after a withdrawal, or 0; nothing older is used.
    """

    external: str
    jurisdiction: str
    streams: frozenset[str] = frozenset()
    consented_us: int = 0
    withdrawn_us: int | None = None
    pauses: tuple[Pause, ...] = ()
    evidence: str = ""
    anew_us: int = 0

    def allowed(self, *, at_us: int) -> frozenset[str]:
        """Return the streams whose data may be used now; never empty.

        Raises:
            ConsentError: The person withdrew, is paused, or never opted in.
        """
        if self.withdrawn_us is not None:
            raise ConsentError("the person has withdrawn", rule="subjects.withdrawn")
        if self.paused(at_us):
            raise ConsentError("the person has paused", rule="subjects.paused")
        if not self.streams:
            raise ConsentError("the person has not opted in", rule="subjects.opt_in")
        return self.streams

    def paused(self, at_us: int) -> bool:
        """Return whether a pause covers a moment; one that has no end yet holds whatever the clock says."""
        return any(pause.end_us is None or pause.covers(at_us) for pause in self.pauses)

    def consent(self, streams: Iterable[str], *, at_us: int, evidence: str) -> Standing:
        """Return the standing after an opt-in; it replaces an earlier one and ends a withdrawal."""
        return replace(
            self,
            streams=frozenset(streams),
            consented_us=at_us,
            withdrawn_us=None,
            evidence=evidence,
            anew_us=self.anew_us if self.withdrawn_us is None else at_us,
        )

    def pause(self, *, at_us: int) -> Standing:
        """Return the standing with a pause that starts now; pausing twice changes nothing.

        One that has an end does not count: whoever pauses within it has paused beyond it.
        """
        if any(pause.end_us is None for pause in self.pauses):
            return self
        return replace(self, pauses=(*self.pauses, Pause(at_us)))

    def resume(self, *, at_us: int) -> Standing:
        """Return the standing with the running pause ended."""
        pauses = tuple(
            replace(pause, end_us=at_us) if pause.end_us is None else pause for pause in self.pauses
        )
        return replace(self, pauses=pauses)

    def withdraw(self, *, at_us: int) -> Standing:
        """Return the standing after a withdrawal."""
        return replace(self, streams=frozenset(), withdrawn_us=at_us)

    def to_record(self) -> dict[str, Any]:
        """Return the standing as canonical JSON values, to be sealed."""
        return {
            "external": self.external,
            "jurisdiction": self.jurisdiction,
            "streams": sorted(self.streams),
            "consented_us": self.consented_us,
            "withdrawn_us": self.withdrawn_us,
            "pauses": [[pause.start_us, pause.end_us] for pause in self.pauses],
            "evidence": self.evidence,
            "anew_us": self.anew_us,
        }

    def digest(self) -> str:
        """Return a hash of the whole standing, base64: what a leaf says of it, sealed and equally long for all."""
        return canonical.b64(sha256(canonical.encode(self.to_record())).digest())

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Standing:
        """Read a standing back.

        Raises:
            InvalidError: The record has another shape.
        """
        try:
            return cls(
                external=record["external"],
                jurisdiction=record["jurisdiction"],
                streams=frozenset(record["streams"]),
                consented_us=record["consented_us"],
                withdrawn_us=record["withdrawn_us"],
                pauses=tuple(Pause(start, end) for start, end in record["pauses"]),
                evidence=record["evidence"],
                anew_us=record["anew_us"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidError("a standing has another shape", rule="subjects.record") from error
