"""Take a source in: through a sandbox that minimises, into sealed blocks, whole or not at all.

Order, so that a crash at any point loses and doubles nothing:
1. the ledger says that ingestion begins, under which charter;
2. per chunk: sealed, logged, made known (``keeper.chunk``);
3. when the whole source is through: one transaction turns its blocks live, then the closing leaf.
A chunk that is known is skipped on the next run; an object that no transaction knows is swept away.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from safehold.catalog import add_tallies
from safehold.catalog.register import LIVE
from safehold.charter import Charter
from safehold.dlp.named import admit_names
from safehold.errors import (
    ConflictError,
    InvalidError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.arrival import Arrival, Tally, read_batch, read_chunk, read_refusal
from safehold.keeper.chunk import Chunk, Chunks
from safehold.keeper.contained import ALL, COLLECTION
from safehold.keeper.desk import ENGINEER
from safehold.keeper.inheritance import label_source
from safehold.keeper.names import chosen_names, rules_version, told_rules
from safehold.keeper.offer import check_source, reopen, roll_entry
from safehold.keeper.ports import Frame
from safehold.keeper.server import Report
from safehold.keeper.source_identity import identify_roster, identify_source
from safehold.keeper.terms import least_level, streams_of
from safehold.ledger import Entry
from safehold.subjects import Standing
from safehold.telemetry.stream import segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
MOST_REFUSALS = 100  # shown of one source


def unguarded() -> None:
    """Stand in the way until somebody says how drift is looked for: silence is no consent.

    Raises:
        UnavailableError: Always.
    """
    raise UnavailableError("nobody looks whether what runs was signed", rule="drift.unguarded")


@dataclass(slots=True, kw_only=True)
class _Run:
    """One source on its way in.

    Args:
        name: Its id.
        charter: The charter it was begun under.
        digest: Its digest.
        rules: Version of the minimisation rules.
        roll: What the sandbox was told of people.
        moved: When somebody had moved last, of those who ever did, at that moment.
        report: Told how far it is.
    """

    name: str
    charter: Charter
    digest: bytes
    rules: str
    roll: Mapping[str, Mapping[str, Any]]
    moved: Mapping[str, int]
    report: Report
    pending: list[Arrival] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)
    refusals: list[dict[str, Any]] = field(default_factory=list)

    def chunk(self, number: int, tally: Tally) -> Chunk:
        """Return what came since the last chunk as the next one."""
        return Chunk(
            source=self.name,
            charter=self.charter,
            digest=self.digest,
            rules=self.rules,
            number=number,
            tally=tally,
            arrivals=tuple(self.pending),
            moved=self.moved,
        )


class Intake:
    """The verbs by which telemetry comes in.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._chunks = Chunks(desk)
        self._running: set[str] = set()
        self._lock = threading.Lock()
        self.guard: Callable[[], None] = unguarded  # passes if what runs is what the board signed

    def ingest(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Take one source in and return what was taken, masked, dropped and refused."""
        desk = self._desk
        desk.trust.require_running()
        desk.trust.contained.require_collected()
        desk.ledger.check_health()
        desk.check_time()
        admit_names(chosen_names(desk.home))
        self.guard()
        source = check_source(arguments)
        inputs: list[int] = []
        if source["kind"] == "file":
            if len(descriptors) != 1:
                raise InvalidError("a file source comes with one open file", rule="ingest.source")
            inputs = [reopen(descriptors[0])]
        try:
            self.check_home(str(source["kind"]))
            name = identify_source(desk.vault, source, inputs)
            with self._alone(name):
                return self._take(name, source, inputs, arguments, report)
        finally:
            for item in inputs:
                os.close(item)

    def recover(self, *, keep: set[str]) -> None:
        """Finish what a crash left: missing closing leaves, objects that nothing knows.

        Args:
            keep: Objects that something other than the catalogue knows.
        """
        desk = self._desk
        desk.vault.remove(desk.catalog.builds.drop_unfinished())
        try:
            for name, tally in desk.catalog.unnoted():
                self.close(name, tally)
        except UnavailableError as error:  # a ledger that only reads: the next start writes it
            _LOG.warning("a source gets its closing leaf later: %s", error.rule)
        try:
            desk.vault.sweep(lambda: desk.catalog.objects() | keep, alone=True)
        except (
            UnavailableError
        ) as error:  # choices and erasures must not wait for a store of objects
            _LOG.warning("what a crash left is removed later: %s", error.rule)

    def _take(
        self,
        name: str,
        source: dict[str, Any],
        inputs: Sequence[int],
        arguments: dict[str, Any],
        report: Report,
    ) -> dict[str, Any]:
        desk = self._desk
        charter = desk.trust.charter()
        used, mark = identify_roster(desk.vault, arguments)
        orders = self.orders()
        orders["rules"] = told_rules(orders["rules"])
        version = rules_version(orders["rules"])
        state = desk.catalog.begin(name, now_us=desk.now_us())
        if state.state == LIVE:
            return {"source": name, "already": True, "tally": state.tally, "refusals": []}
        desk.trust.log_running(
            Entry(
                kind="ingest",
                actor=ENGINEER,
                object=name,
                detail={"step": "begin", "rules": version, "names": orders["names"], **used},
                charter=charter.digest(),
                key=f"ingest/{name}/begin/{charter.digest().hex()[:16]}/{version[:16]}{mark}",
            )
        )
        # before the sandbox is told of people: a move in between is noticed, whatever it was told
        moved = {one.external: one.moved_us for one in desk.people.everybody().values()}
        spec = self.spec(orders, source, begun_us=state.begun_us, done=state.done)
        if (tolerate := arguments.get("tolerate_ppm")) is not None:
            spec["tolerate"] = tolerate / 1_000_000
        if roster := arguments.get("roster"):
            spec["roster"] = roster
        least = least_level(charter, frozenset(spec["rules"]), synthetic=desk.home.synthetic)
        run = _Run(
            name=name,
            charter=charter,
            digest=charter.digest(),
            rules=version,
            roll=spec["people"],
            moved=moved,
            report=report,
        )
        run.tallies.append(state.tally)
        try:
            with (
                desk.holding(touched=frozenset({(COLLECTION, ALL)})) as held,
                desk.workshop.start("ingest", spec, inputs, least=least) as job,
                desk.watching(job),
            ):
                held.attach(job)
                for frame in job.frames():
                    self._receive(run, frame)
                held.require_going()
                if run.pending:
                    raise TamperedError("rows outside a chunk", rule="ingest.frames")
        except InvalidError:
            desk.vault.remove(desk.catalog.discard(name))
            raise
        total = add_tallies(run.tallies)
        with (
            desk.lock
        ):  # after the last chunk, so that no stop comes between it and the closing leaf
            desk.trust.require_running()
            self._require_collected(name)
            desk.catalog.finish(name, total)
        self.close(name, total)
        return {
            "source": name,
            "already": False,
            "tally": total,
            "refusals": run.refusals,
            "level": job.level,
        }

    def _require_collected(self, name: str) -> None:
        """Pass if nothing that a source has brought lies where collection is contained.

        Raises:
            DeniedError: Something does; the source stays as it is, and goes on once that is lifted.
        """
        contained = self._desk.trust.contained
        if any(one.what == COLLECTION for one in contained.all()):
            label = self._desk.catalog.label_of(name)
            contained.require_collected(
                (segment_name(place, stream), stream)
                for place in (() if label is None else label.jurisdictions)
                for stream in (() if label is None else label.streams)
            )

    def orders(self) -> dict[str, Any]:
        """Return what a sandbox that takes telemetry in is told of the charter, and of the home's choice of names."""
        charter = self._desk.trust.charter()
        names = chosen_names(self._desk.home)
        rules = {stream: item | {"names": names} for stream, item in streams_of(charter).items()}
        return {
            "charter": charter.digest().hex(),
            "names": names,
            "rules": rules,
            "keep_days": {stream: charter.retention(stream) for stream in rules},
            "places": list(charter.jurisdictions),
        }

    def abandon(self, before_us: int) -> int:
        """Forget sources that were begun before a moment and never finished; return how many."""
        desk = self._desk
        gone = 0
        for name in desk.catalog.waiting(before_us):
            with suppress(ConflictError), self._alone(name):
                desk.vault.remove(desk.catalog.discard(name))
                gone += 1
        return gone

    def _receive(self, run: _Run, frame: Frame) -> None:
        desk = self._desk
        match frame.header.get("type"):
            case "batch":
                run.pending.append(read_batch(frame, run.roll, last_day=desk.today() + 1))
            case "chunk":
                number, tally, rows = read_chunk(frame)
                run.tallies.append(self._chunks.commit(run.chunk(number, tally)))
                run.pending = []
                run.report({"rows": rows, "tally": tally})
                desk.trust.require_running()
                self.guard()
            case "refused":
                refusal = read_refusal(frame)
                if len(run.refusals) < MOST_REFUSALS:
                    run.refusals.append(refusal)
            case "done":
                read = frame.header.get("rows_read")
                run.report({"read": read if type(read) is int else 0})
            case _:
                raise TamperedError("an unknown frame", rule="ingest.frames")

    def close(self, name: str, tally: Mapping[str, Mapping[str, int]]) -> None:
        """Say in the ledger that a source is live, and what it is."""
        desk = self._desk
        taken = tally.get("taken", {})
        desk.log(
            Entry(
                kind="ingest",
                actor=ENGINEER,
                object=name,
                detail={"step": "live", "tally": tally},
                charter=desk.trust.digest(),
                public={"rows": sum(taken.values())},
                key=f"ingest/{name}/live/{sum(taken.values())}",  # one of nothing may be followed by more
            )
        )
        # from the blocks themselves: a charter that came since says nothing about what is sealed
        if (label := desk.catalog.label_of(name)) is not None:
            label = label_source(desk.trust.charter(), label)
            desk.lineage.add(name, kind="source", label=label, parents=[], created_us=desk.now_us())
        desk.catalog.note(name)

    def check_home(self, kind: str) -> None:
        """Refuse a kind of source that does not belong into this home, collectors among them.

        A home of made-up people runs weak sandboxes and shows exact figures: nobody real may come in.

        Raises:
            InvalidError: Real people for a home of made-up ones, or the other way round.
        """
        if self._desk.home.synthetic != (kind == "synthetic"):
            raise InvalidError(
                "this home is for made-up people only"
                if self._desk.home.synthetic
                else "made-up people do not come into a home of real ones",
                rule="home.synthetic",
                fix="make another home: safehold init",
            )

    def spec(
        self,
        orders: Mapping[str, Any],
        source: Mapping[str, Any],
        *,
        begun_us: int,
        done: Iterable[int] = (),
        only: frozenset[str] | None = None,
    ) -> dict[str, Any]:
        """Return what a sandbox that takes a source in is told.

        Args:
            orders: What the charter and the home say.
            source: The source.
            begun_us: When it was begun.
            done: Chunks that are known.
            only: The people who may be in it; everybody without.
        """
        desk = self._desk
        stops, charter = desk.trust.stops(), desk.trust.charter()
        return {
            "source": dict(source),
            "rules": orders["rules"],
            "people": {
                standing.external: entry
                for standing in self._standings(only)
                if (
                    entry := roll_entry(
                        standing,
                        charter,
                        places=orders["places"],
                        stops=stops,
                        contained=desk.trust.contained,
                    )
                )
                is not None
            },
            "now_us": begun_us,
            "keep_days": orders["keep_days"],
            "policy": orders["charter"],
            "pseudonym_key": desk.vault.derive("pseudonym/wire").hex(),
            "done": sorted(done),
        }

    def _standings(self, only: frozenset[str] | None) -> list[Standing]:
        people = self._desk.people
        if only is None:
            return list(people.everybody().values())
        return [people.standing(people.find(one)) for one in sorted(only) if people.knows(one)]

    @contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        if not self.claim([name]):
            raise ConflictError("this source is being taken in already", rule="ingest.once")
        try:
            yield
        finally:
            self.release([name])

    def claim(self, names: Iterable[str]) -> list[str]:
        """Return those of some sources, or parts, that nobody else is taking in; they are ours until ``release``."""
        with self._lock:
            free = [name for name in names if name not in self._running]
            self._running.update(free)
        return free

    def release(self, names: Iterable[str]) -> None:
        """Let others take them in."""
        with self._lock:
            self._running.difference_update(names)
