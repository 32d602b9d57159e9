"""What the keeper needs from packages above it, given to it by the composition root."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from safehold.dlp.feature import Feature
from safehold.signing import PointKey, SigningKey, VerifyKey
from safehold.vault.kms import Root


@dataclass(frozen=True, slots=True)
class Frame:
    """One message out of a sandbox.

    Args:
        header: JSON object with a ``type``.
        body: Raw bytes.
    """

    header: dict[str, Any]
    body: memoryview


class Ending(Protocol):
    """What a stop, an erasure or a containment can end."""

    def kill(self) -> None:
        """End it at once."""
        ...


class Job(Protocol):
    """A running sandbox, on this machine or on a worker."""

    @property
    def level(self) -> str:
        """Its assurance level; of a sandbox elsewhere it is known, as all of these are, once that has ended."""
        ...

    @property
    def kernel(self) -> str:
        """Release of the kernel that it runs on."""
        ...

    @property
    def mechanisms(self) -> Sequence[str]:
        """What confines it."""
        ...

    @property
    def program(self) -> str:
        """Version and hash of the program that it runs."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Return what it sends, until it ends; a failure inside is raised here."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...


class Talker(Job, Protocol):
    """A sandbox that is told more while it runs."""

    def tell(self, header: Mapping[str, Any], body: bytes) -> None:
        """Hand it one message, as the answer to one of its frames."""
        ...

    def ask(self, header: Mapping[str, Any], body: bytes, *, remember: bool) -> Frame:
        """Return what it answers to one question; one at a time.

        Args:
            header: Header of the question.
            body: Its body.
            remember: Whether one that takes its place, where it is lost, must be told this as well.
        """
        ...


class Workshop(Protocol):
    """Start recipes in sandboxes."""

    def level(self) -> str:
        """Return the assurance level that this machine reaches, E0 to E3."""
        ...

    def start(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> AbstractContextManager[Job]:
        """Start a recipe; leaving the context kills what still runs.

        Raises:
            UnavailableError: This machine reaches no level of at least ``least``.
        """
        ...

    def talk(
        self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str
    ) -> AbstractContextManager[Talker]:
        """Start a recipe that is told more while it runs; else as ``start``."""
        ...

    def most_together(self) -> int:
        """Return how many sandboxes may go on at once that wait for each other."""
        ...

    def pack(self, parts: Iterable[tuple[Mapping[str, Any], pa.Table]]) -> int:
        """Return a sealed, read-only memory file that holds tables for a recipe."""
        ...

    def abreast(self) -> int:
        """Return how many sandboxes are worth starting side by side for one use."""
        ...

    def close(self) -> None:
        """Let go of everything; the keeper ends."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One message that passed the gate, built anew from what was checked.

    Args:
        kind: ``progress``, ``metrics``, ``derived``, ``model``, ``risk``, ``code``, ``contribution``, ``measure``,
            ``figures``, ``inspection``, ``vectors``, ``exposure`` or ``counts``.
        values: Its figures.
        person: Run-scoped id of a person (derived, measure, vectors).
        table: Features or vectors of that person.
        body: The model file (model).
        held: What one person adds to a figure (contribution). It goes into the noise and does not leave.
    """

    kind: str
    values: Mapping[str, Any]
    person: str = ""
    table: pa.Table | None = None
    body: bytes = b""
    held: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What a sandbox gets beside people's rows: a model to attack, sequences to plant.

    Args:
        parts: Tables with their headers.
        names: Run-scoped names of made-up people among them.
    """

    parts: Sequence[tuple[Mapping[str, Any], pa.Table]] = ()
    names: frozenset[str] = frozenset()


class Examiner(Protocol):
    """Knows what attacks on models are made of."""

    def plant(self, settings: Mapping[str, Any], key: bytes, count: int) -> list[pa.Table]:
        """Return the sequences to plant in a training, one a made-up person.

        Args:
            settings: The public settings of the training, its vocabulary first.
            key: 32 bytes from which they can be drawn again.
            count: How many.
        """
        ...

    def count(self, people: int) -> int:
        """Return how many sequences are planted among so many people."""
        ...


class Gate(Protocol):
    """Judge what one run sends out."""

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame carries if it may leave.

        Raises:
            DeniedError: It may not.
            TamperedError: It is not a message in its only form.
        """
        ...

    def close(self) -> None:
        """Check that nothing is missing at the end of the run."""
        ...


class Gatekeeper(Protocol):
    """Open a gate for each run."""

    def open(self, recipe: str, spec: Mapping[str, Any], people: frozenset[str]) -> Gate:
        """Return the gate of one run.

        Args:
            recipe: The recipe.
            spec: What it is told; limits follow from it.
            people: Run-scoped ids that it is given.
        """
        ...

    def reads(self, recipe: str) -> frozenset[str]:
        """Return the streams a recipe understands; others are not opened for it."""
        ...

    def columns(self, recipe: str, stream: str) -> tuple[str, ...]:
        """Return the columns of a stream that a recipe reads, in their order."""
        ...

    def features(self, recipe: str, spec: Mapping[str, Any]) -> Sequence[Feature]:
        """Return the columns a recipe makes, and from what; nothing for one that makes no table."""
        ...

    def settings(
        self, recipe: str, *, synthetic: bool, body: bytes | None = None
    ) -> dict[str, Any]:
        """Return the public settings of a recipe, its vocabulary first; with a company's own encoder, of that."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What is signed about an artifact.

    Args:
        name: Id of the artifact.
        body: The file.
        recipe: What made it.
        purpose: The one purpose.
        materials: Digests by name, hex.
        run: Id of the run.
        intent: Index of the intent in the ledger.
        level: Assurance level of the sandbox.
        parameters: Public settings, whole numbers and words.
        started_us: When the run began.
        finished_us: When it ended.
    """

    name: str
    body: bytes
    recipe: str
    purpose: str
    materials: Mapping[str, str]
    run: str
    intent: int
    level: str
    parameters: Mapping[str, int | str | bool]
    started_us: int
    finished_us: int


class Notary(Protocol):
    """Write and check the provenance of artifacts."""

    def state(self, made: Made, key: SigningKey) -> bytes:
        """Return a signed statement about an artifact."""
        ...

    def attest(self, name: str, card: Mapping[str, Any], key: SigningKey) -> bytes:
        """Return a signed statement of what an artifact was tested for, and how that ended.

        Args:
            name: Its id.
            card: Its release record.
            key: Signs it.
        """
        ...

    def sign_files(self, name: str, files: Mapping[str, bytes], key: PointKey) -> bytes:
        """Return a signature over files that tools of others can check.

        Args:
            name: Name of the model.
            files: SHA-256 of each file by its name, 32 bytes.
            key: Signs it.
        """
        ...

    def check(self, statement: bytes, *, body: bytes, key: VerifyKey) -> dict[str, Any]:
        """Return what a statement says.

        Raises:
            TamperedError: The key did not sign it, or it is about another file.
        """
        ...


class Custodian(Protocol):
    """Makes the next root of a home, and puts it in the place of the present one."""

    def prove(self, secret: Mapping[str, Any], root: Root) -> None:
        """Pass if somebody knows what opens the root in use.

        Raises:
            SignInError: They do not.
        """
        ...

    def changing(self) -> AbstractContextManager[None]:
        """Keep every other keeper from the root files, from before ``draft`` until the change is over.

        Raises:
            ConflictError: Another one is at them.
        """
        ...

    def draft(self, order: Mapping[str, Any], root: Root) -> tuple[Root, list[str]]:
        """Make the next root beside the one in use, with its derivation secret; return it and any shares."""
        ...

    def adopt(self) -> None:
        """Put the next root in the place of the present one."""
        ...

    def discard(self) -> None:
        """Take the next root back."""
        ...
