"""Envelopes of collectors, many at once: opened, judged apart, and brought to rest together.

A batch costs one sandbox, one chunk in the ledger and one transaction, however many envelopes are in it. Each envelope
gets an answer of its own, and the same envelope gets the same answer again: its rows are stored once, whatever is sent
twice, by whichever way, and whoever dies in between. What one envelope breaks keeps no other out.

Order, so that a crash at any point loses and doubles nothing: opened, looked at in a sandbox, sealed, logged, and made
known and live with the names of its envelopes in one transaction.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safehold.access.envelope import ALREADY, LATER, REFUSED, STORED, Envelope, name_of
from safehold.access.lease import Lease
from safehold.canonical import unb64
from safehold.catalog import Extent, add_tallies
from safehold.charter import Charter
from safehold.dlp.named import admit_names
from safehold.errors import (
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.arrival import Arrival, read_batch, read_chunk, read_refusal
from safehold.keeper.aside import SettingAside
from safehold.keeper.chunk import Chunk, Chunks
from safehold.keeper.contained import ALL, COLLECTION
from safehold.keeper.desk import ENGINEER
from safehold.keeper.intake import Intake
from safehold.keeper.names import chosen_names, require_leased, rules_version, told_rules
from safehold.keeper.refusals import Refusals
from safehold.keeper.sealed import (
    Outcome,
    Part,
    another_agreement,
    failed,
    join_arrivals,
    may_be_of_one,
    name_batch,
    part_of,
)
from safehold.keeper.server import Report
from safehold.keeper.terms import least_level
from safehold.ledger import Entry
from safehold.signing import VerifyKey

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
COLLECTOR: Final = "collector"  # a kind of source
MOST: Final = 512  # envelopes in one call
LARGEST: Final = 40 << 20  # bytes of them

Open = Callable[[bytes, VerifyKey | None], tuple[Lease, Envelope, bytes]]


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a batch is judged by, from its first envelope to its last row."""

    charter: Charter
    orders: dict[str, Any]


class Batches:
    """The verbs by which sealed envelopes come in.

    Args:
        desk: What the keeper works with.
        intake: How telemetry comes in.
        opening: Opens an envelope under a live lease.
        lives: Tells whether a lease is live, by its id.
    """

    def __init__(
        self, desk: Desk, intake: Intake, opening: Open, lives: Callable[[str], bool]
    ) -> None:
        self._desk = desk
        self._intake = intake
        self._open = opening
        self._chunks = Chunks(desk)
        self._aside = SettingAside(desk, lives)
        self._refusals = Refusals(desk)

    def submit(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Take one envelope in that was sealed under a live lease; the same one again is answered the same."""
        self._guard()
        data = unb64(str(arguments["envelope"]))
        device = VerifyKey.from_text(str(arguments["device"]))
        (outcome,) = self.take([data], report, device=device)
        if outcome.error is not None:
            raise outcome.error
        return {"rows": sum(outcome.tally.get("taken", {}).values()), "tally": outcome.tally}

    def hand_in(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Take many envelopes in, and answer for each of them.

        Raises:
            InvalidError: It is no list of envelopes, or too long.
        """
        given = arguments["envelopes"]
        if not isinstance(given, list) or not 0 < len(given) <= MOST:
            raise InvalidError(f"a batch has 1 to {MOST} envelopes", rule="lease.batch")
        sealed = [unb64(str(one)) for one in given]
        if sum(map(len, sealed)) > LARGEST:
            raise InvalidError(f"a batch has at most {LARGEST} bytes", rule="lease.batch")
        outcomes = self.take(sealed, report)
        self._refusals.tell([one.error for one in outcomes if one.state == REFUSED and one.error])
        return {"answers": [one.payload() for one in outcomes]}

    def take(
        self, sealed: Sequence[bytes], report: Report, *, device: VerifyKey | None = None
    ) -> list[Outcome]:
        """Bring envelopes to rest and return what became of each, in their order.

        Args:
            sealed: The envelopes.
            report: Told how far it is.
            device: Whose they must be, where that is known.
        """
        names = [name_of(one) for one in sealed]
        by_name = dict(zip(names, sealed, strict=True))  # twice in one batch is once
        ours = self._intake.claim(by_name)
        found: dict[str, Outcome] = {}
        try:
            found |= {
                name: Outcome(ALREADY, tally)
                for name, tally in self._desk.catalog.parts.known(list(by_name)).items()
            }
            busy = UnavailableError("this envelope is being taken in already", rule="ingest.once")
            for name in by_name.keys() - set(ours):
                found.setdefault(name, Outcome(LATER, error=busy))
            fresh = {name: by_name[name] for name in ours if name not in found}
            if fresh:
                self._take_fresh(fresh, found, report, device)
        finally:
            self._intake.release(ours)
        return [found[name] for name in names]

    def _guard(self) -> None:
        """Pass if anything may come in at all now."""
        desk = self._desk
        desk.trust.require_running()
        desk.check_time()  # a clock that was set back would stretch a lease
        self._intake.guard()
        self._intake.check_home(COLLECTOR)

    def _take_fresh(
        self,
        fresh: dict[str, bytes],
        found: dict[str, Outcome],
        report: Report,
        device: VerifyKey | None,
    ) -> None:
        desk = self._desk
        try:
            self._guard()
            desk.ledger.check_health()
            admit_names(chosen_names(desk.home))
            terms = self._terms()
        except SafeholdError as error:
            found |= {name: failed(error) for name in fresh}
            return
        parts = []
        for name, data in fresh.items():
            try:
                lease, envelope, body = self._open(data, device)
                _require_agreement(lease, terms)
            except SafeholdError as error:
                found[name] = failed(error)
            else:
                parts.append(Part(name=name, lease=lease, stream=envelope.stream, body=body))
        if parts:
            self._carry(parts, found, terms, report)
            refused = [one for one in parts if one.refused and found[one.name].state == REFUSED]
            self._aside.take(refused, terms.charter)

    def retry(self, parts: Sequence[Part], report: Report) -> dict[str, Outcome]:
        """Judge again what was set aside, as if it came now, and return what became of each, by name.

        Its lease has ended; that it was live when the message came was looked at then. What it was recorded under must
        still be what is in force.
        """
        by_name = {one.name: one for one in parts}
        ours = self._intake.claim(by_name)
        found: dict[str, Outcome] = {}
        try:
            self._guard()
            self._desk.ledger.check_health()
            admit_names(chosen_names(self._desk.home))
            terms = self._terms()
            known = self._desk.catalog.parts.known(list(by_name))
            found |= {name: Outcome(ALREADY, tally) for name, tally in known.items()}
            fresh = []
            for name in [one for one in ours if one not in found]:
                try:
                    _require_agreement(by_name[name].lease, terms)
                except SafeholdError as error:
                    found[name] = failed(error)
                else:
                    fresh.append(by_name[name])
            if fresh:
                self._carry(fresh, found, terms, report)
        finally:
            self._intake.release(ours)
        return found

    def _terms(self) -> _Terms:
        orders = self._intake.orders()
        orders["rules"] = told_rules(orders["rules"])
        return _Terms(self._desk.trust.charter(), orders)

    def _carry(
        self,
        parts: list[Part],
        found: dict[str, Outcome],
        terms: _Terms,
        report: Report,
    ) -> None:
        """Bring parts to rest; what fails because of one of them is tried again in halves, so that it stands alone."""
        try:
            self._bring(parts, terms, report)
        except SafeholdError as error:
            if len(parts) > 1 and may_be_of_one(error):
                half = len(parts) // 2
                for some in (parts[:half], parts[half:]):
                    for one in some:
                        one.arrivals, one.tally, one.refused = [], None, ""
                        one.malformed = False
                    self._carry(some, found, terms, report)
                return
            found |= {one.name: failed(error) for one in parts}
            return
        for one in parts:
            if one.refused:
                refused = InvalidError("an envelope breaks a rule", rule=one.refused)
                found[one.name] = Outcome(REFUSED, error=refused)
            else:
                found[one.name] = Outcome(STORED, one.tally or {})

    def _bring(self, parts: list[Part], terms: _Terms, report: Report) -> None:
        desk, charter, orders = self._desk, terms.charter, terms.orders
        rules = rules_version(orders["rules"])
        name = name_batch(parts)
        digest = charter.digest()
        desk.trust.log_running(
            Entry(
                kind="ingest",
                actor=ENGINEER,
                object=name,
                detail={"step": "begin", "rules": rules, "names": orders["names"], "envelopes": len(parts)},
                charter=digest,
                key=f"ingest/{name}/begin/{digest.hex()[:16]}/{rules[:16]}",
            )
        )  # fmt: skip
        people = frozenset(one.lease.person for one in parts)
        # before the sandbox is told of people: a move in between is noticed, whatever it was told
        moved = {
            one: desk.people.standing(desk.people.find(one)).moved_us
            for one in people
            if desk.people.knows(one)
        }
        spec = self._intake.spec(orders, {"kind": "leased"}, begun_us=desk.now_us(), only=people)
        self._look(parts, spec | {"apart": True})
        self._require_same(terms)
        self._find_twice(parts)
        taken = [one for one in parts if not one.refused]
        if not taken:
            return
        total = self._chunks.commit(
            Chunk(
                source=name,
                charter=charter,
                digest=digest,
                rules=rules,
                number=0,
                tally=add_tallies(one.tally or {} for one in taken),
                arrivals=join_arrivals([one for part in taken for one in part.arrivals]),
                moved=moved,
                parts={one.name: one.tally or {} for one in taken},
            )
        )
        report({"rows": sum(total.get("taken", {}).values())})
        try:
            self._intake.close(name, total)
        except SafeholdError as error:  # it is live: the next start writes the closing leaf
            _LOG.warning("a batch gets its closing leaf later: %s", error.rule)

    def _require_same(self, terms: _Terms) -> None:
        """Pass if charter and rules are those that a batch was judged by: it is not labelled under others.

        Raises:
            DeniedError: They are not.
        """
        if self._desk.trust.digest() != terms.charter.digest():
            raise another_agreement()
        now = self._intake.orders()["rules"]
        judged = {name: str(one["version"]) for name, one in terms.orders["rules"].items()}
        require_leased(judged, told_rules(now))

    def _look(self, parts: list[Part], spec: dict[str, Any]) -> None:
        """Have a sandbox look at every row again; what it sends is believed as far as it can be checked."""
        desk = self._desk
        least = least_level(
            desk.trust.charter(), frozenset(spec["rules"]), synthetic=desk.home.synthetic
        )
        memory = desk.workshop.pack(
            [({"person": one.lease.person, "stream": one.stream}, one.body) for one in parts]
        )
        wrong = TamperedError("rows outside an envelope", rule="ingest.frames")
        pending: list[Arrival] = []
        try:
            with (
                desk.holding(touched=frozenset({(COLLECTION, ALL)})) as held,
                desk.workshop.start("ingest", spec, [memory], least=least) as job,
                desk.watching(job),
            ):
                held.attach(job)
                for frame in job.frames():
                    match frame.header.get("type"):
                        case "batch":
                            pending.append(
                                read_batch(frame, spec["people"], last_day=desk.today() + 1)
                            )
                        case "chunk":
                            number, tally, _ = read_chunk(frame)
                            part = part_of(parts, number)
                            if any(
                                (one.person, one.stream) != (part.lease.person, part.stream)
                                for one in pending
                            ):
                                raise wrong
                            part.arrivals, part.tally, pending = pending, tally, []
                        case "refused":
                            refusal = read_refusal(frame)
                            part = part_of(parts, refusal["row"])
                            part.refused = refusal["rule"]
                            oldest = frame.header.get("oldest")
                            part.malformed = (
                                frame.header.get("malformed") is True and type(oldest) is int
                            )
                            part.oldest = oldest if type(oldest) is int else 0
                        case "done":
                            pass
                        case _:
                            raise TamperedError("an unknown frame", rule="ingest.frames")
                held.require_going()
        finally:
            os.close(memory)
        if pending or any(one.tally is None and not one.refused for one in parts):
            raise wrong
        desk.trust.require_running()
        self._intake.guard()

    def _find_twice(self, parts: list[Part]) -> None:
        """Refuse envelopes whose events came before, in another source or earlier in this batch."""
        delivered: dict[tuple[bytes, str], list[Extent]] = {}
        taken = [one for one in parts if not one.refused]
        known = self._desk.catalog.extents.overlap(
            "", [extent for one in taken for rows in one.arrivals for extent in rows.extents]
        )
        for part in taken:
            extents = [extent for rows in part.arrivals for extent in rows.extents]
            twice = (
                known is not None and self._desk.catalog.extents.overlap("", extents) is not None
            )
            twice = twice or any(
                one.first <= extent.last and extent.first <= one.last
                for extent in extents
                for one in delivered.get((extent.origin, extent.stream), ())
            )
            if twice:
                part.refused = "sequence.duplicate"
                continue
            for extent in extents:
                delivered.setdefault((extent.origin, extent.stream), []).append(extent)


def _require_agreement(lease: Lease, terms: _Terms) -> None:
    """Pass what was recorded under the charter and the rules in force.

    Raises:
        DeniedError: It was recorded under others.
    """
    if lease.charter != terms.charter.digest().hex():
        raise another_agreement()
    require_leased(lease.streams, terms.orders["rules"])
