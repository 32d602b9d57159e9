"""What the keeper works with: one object that its verbs share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from safehold.access import Nonces
from safehold.catalog import Catalog, Lineage
from safehold.clock import SECOND_US, Clock, day_of
from safehold.db import Lead
from safehold.errors import (
    DeniedError,
    MissingError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.ids import PersonId
from safehold.keeper.contained import Thing
from safehold.keeper.crossing import Crossing
from safehold.keeper.ports import Custodian, Ending, Examiner, Gatekeeper, Notary, Workshop
from safehold.keeper.rotation import Rotation
from safehold.keeper.run import Run
from safehold.keeper.trust import Trust
from safehold.keeper.turn import Turn
from safehold.ledger import Entry, Ledger, Panel, Receipt, Subject, Timekeepers
from safehold.ledger.index import EpochIndex
from safehold.settings import Home
from safehold.subjects import Devices, People, Sealer
from safehold.vault import Vault

COSIGN_S = 15.0  # seconds a release waits until its intent is cosigned
CLOCK_SLACK_US = 300 * SECOND_US
ENGINEER = "engineer"  # on whose behalf sources come in and features are built


@dataclass(slots=True, kw_only=True)
class Desk:
    """Everything a verb needs.

    Args:
        home: The home this keeper serves.
        clock: Time.
        vault: Keys and sealed blocks.
        ledger: The record; every use is in it before it happens.
        catalog: Which blocks exist.
        lineage: What was made from what.
        people: Who is enrolled and what they chose.
        devices: Which keys may record them.
        trust: Charter in force, board, stop.
        workshop: Starts sandboxes.
        gatekeeper: Opens a gate that judges what leaves them.
        notary: Signs what artifacts were made from.
        examiner: Knows what attacks on models are made of.
        engine: The control database.
        sealer: Seals small records of the control database.
        index: Closes the ledger's epochs, and finds people in them.
        rotation: Changes the log's key.
        custody: Exchanges the root.
        panel: The witnesses outside, and whether a release waits for them.
        local: Verifier keys of the home's own witness.
        lock: Held from a decision about people to the leaf that records it, and around each of their choices;
            so no leaf of a use follows the leaf of a choice against it. A stop does not wait for it.
        turn: Lets choices go before decisions that wait for the lock too.
        jobs: Sandboxes that run now.
        nonces: Questions that were put to holders and devices and not yet answered.
        gone: People whose keys were destroyed since this process began.
        erasing: People whose erasure has begun and is not through, with its request.
        asked: When each of those erasures was asked for, by its request, microseconds.
        runs: Sandboxes that hold somebody's rows right now, or are about to.
        lead: The right to lead, where several keepers of a home stand by.
        crossing: Starts this house's side of a session with another house.
    """

    home: Home
    clock: Clock
    vault: Vault
    ledger: Ledger
    catalog: Catalog
    lineage: Lineage
    people: People
    devices: Devices
    trust: Trust
    workshop: Workshop
    gatekeeper: Gatekeeper
    notary: Notary
    examiner: Examiner
    engine: sa.Engine
    sealer: Sealer
    index: EpochIndex
    rotation: Rotation
    custody: Custodian
    panel: Panel = field(default_factory=Panel)
    local: tuple[str, ...] = ()
    lock: threading.RLock = field(default_factory=threading.RLock)
    turn: Turn = field(init=False)
    jobs: set[Ending] = field(default_factory=set)
    nonces: Nonces = field(default_factory=Nonces)
    gone: set[str] = field(default_factory=set)
    erasing: dict[PersonId, str] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    runs: set[Run] = field(default_factory=set)
    lead: Lead | None = None
    crossing: Crossing | None = None

    def __post_init__(self) -> None:
        self.turn = Turn(self.lock)

    def now_us(self) -> int:
        """Return the present moment in microseconds."""
        return self.clock.now_us()

    def today(self) -> int:
        """Return the UTC day number."""
        return day_of(self.clock.now_us())

    def check_time(self) -> None:
        """Pass unless the clock stands well before the newest leaf: a term that was over must stay over.

        Raises:
            UnavailableError: The clock went back.
        """
        size = self.ledger.size
        for _, leaf in self.ledger.leaves(max(size - 1, 0), size):
            if self.now_us() < int(leaf["t"]) * 1000 - CLOCK_SLACK_US:
                raise UnavailableError(
                    "the clock stands before the newest entry of the ledger",
                    rule="clock.back",
                    fix="set the clock of this machine right",
                )

    @contextmanager
    def watching(self, job: Ending) -> Iterator[None]:
        """Let a stop end a job while it runs."""
        self.jobs.add(job)
        try:
            self.trust.require_running()  # a stop that came before it was on the list
            yield
        except UnavailableError:
            self.trust.require_running()  # say that it was the stop
            raise
        finally:
            self.jobs.discard(job)

    @contextmanager
    def holding(
        self,
        people: Iterable[PersonId] = (),
        touched: frozenset[Thing] = frozenset(),
        run: Run | None = None,
    ) -> Iterator[Run]:
        """Let an erasure and a containment find a sandbox until nothing of it is left.

        Args:
            people: Whose rows it is given.
            touched: What it touches that could be contained.
            run: It, where it is known already.

        Raises:
            DeniedError: Something of it is contained, or was while it went on.
        """
        if run is None:
            with (
                self.lock
            ):  # a containment that came before is seen here, and one that comes after sees this
                self.trust.contained.require_free(touched)
                run = Run(people, touched)
                self.runs.add(run)
        try:
            yield run
        except (ShreddedError, UnavailableError):
            run.require_going()  # say that it was the erasure, or the containment
            raise
        finally:
            self.runs.discard(run)
            run.over()

    def end_touching(self, thing: Thing, why: Callable[[], DeniedError]) -> list[Run]:
        """End every sandbox that touches a thing, at once, and return them; ``gone`` tells when each is."""
        found = [run for run in list(self.runs) if thing in run.touched]
        for run in found:
            run.end(why)
        return found

    def end_runs(self, person: PersonId) -> int:
        """End every sandbox that holds rows of a person, wait until they are gone, and return how many.

        Raises:
            UnavailableError: One of them does not end.
        """
        theirs = [run for run in list(self.runs) if person in run.people]
        for run in theirs:
            run.end()
        for run in theirs:
            run.wait()
        return len(theirs)

    def halt(self) -> int:
        """End every sandbox that runs, and return how many."""
        running = list(self.jobs)
        for job in running:
            job.kill()
        return len(running)

    def log(self, *entries: Entry) -> Sequence[Receipt]:
        """Append to the ledger; returns only when durable.

        Raises:
            UnavailableError: The ledger cannot take it, so nothing may happen.
        """
        try:
            return self.ledger.append(entries)
        except OSError as error:
            raise UnavailableError(
                "the ledger cannot be written", rule="ledger.append", fix="safehold doctor"
            ) from error

    def note_refusal(self, actor: str, thing: str, detail: Mapping[str, Any]) -> int | None:
        """Append a refusal and return its index; a ledger that takes nothing must not turn it into something else."""
        try:
            (receipt,) = self.log(
                Entry(
                    kind="refusal",
                    actor=actor,
                    object=thing,
                    detail=dict(detail),
                    charter=self.trust.digest(),
                )
            )
        except (UnavailableError, TamperedError):
            return None
        return receipt.index

    @property
    def strict(self) -> bool:
        """Whether a release waits for the witnesses; what a charter promises cannot be switched off."""
        return self.panel.strict or (
            not self.home.synthetic and self.trust.charter().audit.witnesses.min > 0
        )

    def confirm(self, receipt: Receipt) -> None:
        """Return once the witnesses that the board named have cosigned a head with an entry, in strict mode.

        Raises:
            UnavailableError: They have not in time, so nothing may be opened for it.
            TamperedError: One of them knows another history.
        """
        if self.strict:
            self.ledger.await_cosigned(receipt.index, timeout_s=COSIGN_S)
            named = self.trust.roster.pinned
            by = Timekeepers(keys=named.keys, need=named.quorum)
            if self.ledger.witnessed(receipt.index, by) is None:
                raise UnavailableError(
                    "other witnesses than those that the board named have cosigned",
                    rule="ledger.strict",
                    fix="put the list of witnesses back: safehold ledger witness list",
                    entry=receipt.index,
                )

    def subjects(self, people: list[str]) -> list[Subject]:
        """Return the ledger's view of a set of people.

        Raises:
            MissingError: One of them was erased a moment ago: no key may be made for them again.
        """
        with self.lock:
            if not self.gone.isdisjoint(people):
                raise MissingError("somebody was erased a moment ago", rule="subjects.erased")
            return self._subjects(people)

    def _subjects(self, people: list[str]) -> list[Subject]:
        return [Subject(key=key) for key in self.vault.subjects.keys(people)]
