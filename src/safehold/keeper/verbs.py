"""Everything a caller can ask the keeper for. None of it returns a key or a row."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from safehold.access import Grant
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    SignInError,
    UnavailableError,
)
from safehold.ids import PersonId
from safehold.keeper.agents import Agents
from safehold.keeper.attack import Attacks
from safehold.keeper.caller import SOMEBODY, calling
from safehold.keeper.choices import newest_choices
from safehold.keeper.code import CodeRuns
from safehold.keeper.compaction import Compaction
from safehold.keeper.containment import Containment
from safehold.keeper.crowd import Crowd
from safehold.keeper.deadlines import owed_to
from safehold.keeper.descent import Descent
from safehold.keeper.documents import Documents
from safehold.keeper.door import Door
from safehold.keeper.drift import Drift
from safehold.keeper.drills import Drills
from safehold.keeper.effects import Effects
from safehold.keeper.embeddings import Embeddings
from safehold.keeper.enrolment import Enrolment
from safehold.keeper.erasure import Erasure
from safehold.keeper.export import Export
from safehold.keeper.federation import Federation
from safehold.keeper.grants import Grants
from safehold.keeper.graph import Graph
from safehold.keeper.hands import Hands
from safehold.keeper.intake import Intake
from safehold.keeper.joins import Joins
from safehold.keeper.leases import Leases
from safehold.keeper.leaving import Leaving
from safehold.keeper.lifecycle import Lifecycle
from safehold.keeper.looking import Looking
from safehold.keeper.misshapen import RULE
from safehold.keeper.models import Models
from safehold.keeper.oversight import Oversight
from safehold.keeper.packing import KIND as COMPACTION
from safehold.keeper.pigeonholes import Pigeonholes
from safehold.keeper.pooled import Pool
from safehold.keeper.principals import Principals
from safehold.keeper.public import Public
from safehold.keeper.pull import Pull
from safehold.keeper.quarantine import Quarantine
from safehold.keeper.query import Queries
from safehold.keeper.rebuilding import Rebuilding
from safehold.keeper.repair import Repair
from safehold.keeper.requests import Requests
from safehold.keeper.retention import Retention
from safehold.keeper.rights import Rights
from safehold.keeper.rollback import Closings, check_register
from safehold.keeper.server import Report, Verb
from safehold.keeper.sessions import Sessions
from safehold.keeper.sight import Sight
from safehold.keeper.sign_in import SignIn
from safehold.keeper.sources import Sources
from safehold.keeper.status import Status
from safehold.keeper.symmetry import Symmetry
from safehold.keeper.trail import Trail
from safehold.keeper.trial import Trials
from safehold.keeper.watching import Watching
from safehold.keeper.windows import Windows
from safehold.keeper.work import Work
from safehold.signing import VerifyKey

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)


class Verbs:
    """The table of verbs.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.principals = Principals(desk)
        self.sign_in = SignIn(desk, self.principals)
        self.enrolment = Enrolment(desk, self.principals)
        self.door = Door(desk, self.principals, self.sign_in.public)
        self.intake = Intake(desk)
        self.sources = Sources(desk, on_removed=self._on_removed)
        self.leases = Leases(desk, self.intake, self.sources)
        self.crowd = Crowd(
            desk,
            on_silence=self.leases.close,
            on_sound=self.leases.reopen,
            on_trouble=self.leases.cut,
            on_change=self.leases.renew,
        )
        self.oversight = Oversight(desk, self.leases)
        self.drift = Drift(
            desk,
            orders=self.intake.orders,
            register=self.crowd.check,
            on_found=self.leases.end,
        )
        self.intake.guard = self.drift.require_none
        self.trail = Trail(desk)
        self.rights = Rights(desk, self.crowd)
        self.hands = Hands(desk, self.crowd)
        self.documents, self.drills, self.windows = Documents(desk), Drills(desk), Windows(desk)
        self.descent = Descent(desk, self.principals, overdue=self._overdue)
        self.requests = Requests(
            desk, overdue=self._overdue, whose=self._check_asked, see=self.descent.require_seen
        )
        self.grants = Grants(desk, self.requests, self.descent)
        self.lifecycle = Lifecycle(desk, self.grants.minting)
        self.agents = Agents(desk, self.principals, self.grants)
        self.sessions = Sessions(desk, self.grants)
        self.models = Models(desk)
        self.work = Work(desk, self.grants, self.models)
        self.federation = Federation(desk, self.grants, self.work.release)
        self.code = CodeRuns(desk, self.grants, self.work.release)
        self.symmetry = Symmetry(desk, self.work.answers)
        self.rebuilding = Rebuilding(desk, self._pool)
        self.graph = Graph(desk, self.models, self._pool)
        effects = Effects(
            desk, self.models, self.work.release.gates, pool=self._pool, again=self.rebuilding.can
        )
        self.export = Export(desk, self.work.answers, effects, self.trail.disclosures)
        self.erasure = Erasure(
            desk,
            self.crowd,
            effects,
            self.rebuilding,
            on_silence=self.leases.cut,
            on_gone=self._on_gone,
        )
        self.looking = Looking(desk, self.graph, effects, self.trail.disclosures)
        self.leaving = Leaving(desk, self.erasure, effects)
        self.embeddings = Embeddings(desk, self.grants, self.models, self.work.release)
        self.attacks = Attacks(desk, self.grants, self.work.release)
        self.joins = Joins(desk, self.grants, self.work.release)
        self.trials = Trials(desk, self.grants, self.work.release, self.work.answers, self.models)
        self.pull = Pull(desk, self.grants, self.work.answers, self.models, self.work.release.gates)
        self.quarantine = Quarantine(desk, self.models)
        self.retention = Retention(desk, self.intake, self.models, self.rebuilding, self._pool)
        self.queries, self.compaction = (
            Queries(desk, self.grants, self.work.release),
            Compaction(desk),
        )
        self.containment = Containment(desk, self.principals, self.grants, self.models, self.leases)
        self.watching = Watching(
            desk, self.principals, self.work.answers, contain=self.containment.begin
        )
        self.status = Status(
            desk,
            containment=self.containment,
            drift=self.drift,
            drills=self.drills,
            rights=self.rights,
            watching=self.watching,
        )
        # verbs of what stands above the keeper, put in by whoever composes it; the door lets them in like any other
        self.beside: dict[str, Verb] = {}
        # how each promise of the charter stands; the argument says whether to measure anew
        self.milestones: Callable[[bool], list[dict[str, Any]]] = lambda _anew: []

    @property
    def _pool(self) -> Pool:
        return self.work.release.derived.pool

    def recover(self) -> None:
        """Finish what a crash left unfinished."""
        self.principals.recover()
        closings = Closings()

        def see(index: int, leaf: Mapping[str, Any]) -> None:
            closings.note(index, leaf)
            self.trail.disclosures.note(index, leaf)

        newest = newest_choices(self.desk, see=see)
        self.erasure.recover(newest)
        self.crowd.recover(newest)
        self.sources.recover(newest)
        self.work.release.derived.recover()
        check_register(self.desk, self.models, self.compaction.rewriting, closings)
        # a ledger that only reads takes none of this, and nothing is released before it does
        try:
            self.work.answers.settle()  # runs that the last keeper did not end
            self.grants.close_ended()
            self.lifecycle.recover()
            self.quarantine.recover()
        except UnavailableError as error:
            _LOG.warning("runs and grants are settled later: %s", error.rule)
        with suppress(UnavailableError):
            self.desk.index.finish()
        try:
            self.erasure.resume(newest)
        except UnavailableError as error:
            _LOG.warning("an erasure is carried on later: %s", error.rule)
        self.leases.recover()
        self.compaction.recover(closings.newest.get(COMPACTION))
        keep = self.models.objects() | self._pool.objects()
        self.intake.recover(keep=keep)

    def table(self) -> dict[str, Verb]:
        """Return every verb by name; each refusal is an entry of the ledger."""
        verbs: dict[str, Verb] = {
            "hello": self.status.hello,
            "public.file": Public(self.desk).file,
            "public.home": Public(self.desk).home,
            "status": self.status.show,
            **self.sign_in.verbs(),
            **self.enrolment.verbs(),
            **self.agents.verbs(),
            **self.oversight.verbs(),
            "document.publish": self.documents.publish,
            "document.list": self.documents.listing,
            "drift": self._drift,
            **self.drills.verbs(),
            **Sight(self.desk, self.principals, check=self.door.check).verbs(),
            **self.windows.verbs(),
            **Pigeonholes(self.desk).verbs(),
            "milestones": self._milestones,
            "people.enrol": self.crowd.enrol,
            "people.choose": self.crowd.choose,
            "people.show": self._show,
            "people.count": self._count,
            **self.looking.verbs(),
            "people.invite": self.hands.invite,
            "people.move": self.hands.move,
            "people.symmetry": self.symmetry.publish,
            "rights.list": self.rights.listing,
            "rights.read": self.rights.read,
            "rights.answer": self.rights.answer,
            "people.erase": self.leaving.erase,
            "people.leave": self.leaving.leave,
            "people.export": self.export.export,
            "people.erased": self.erasure.erased,
            "people.receipt": self.trail.receipt,
            "people.trail": self.trail.trail,
            "people.disclose": self.trail.disclosures.disclose,
            "ingest": self.intake.ingest,
            "source.add": self.sources.add,
            "source.remove": self.sources.remove,
            "source.list": self.sources.listing,
            "lease.obtain": self.leases.leasing.obtain,
            "lease.obtain-many": self.leases.leasing.obtain_many,
            "lease.submit": self.leases.batches.submit,
            "lease.hand-in": self.leases.batches.hand_in,
            "lease.mark": self.leases.mark,
            "gap": self.leases.gap,
            **Repair(self.desk, self.grants, self.work.release, self.leases.batches).verbs(),
            **self.requests.verbs(),
            **self.sessions.verbs(),
            **self.federation.verbs(),
            "nonce": self.grants.nonce,
            "grant.enact": self.grants.enact,
            "grant.list": self.grants.listing,
            "grant.revoke": self.grants.revoke,
            "feature": self.work.feature,
            "feature.granted": self.work.feature_granted,
            "train": self.work.train,
            **self.embeddings.verbs(),
            "enclave.run": self.code.run,
            "query": self.queries.query,
            "attack.dataset": self.attacks.dataset,
            "gate.list": self.attacks.listing,
            **self.joins.verbs(),
            **self.containment.verbs(),
            **self.watching.verbs(),
            "artifact.list": self.models.listing,
            "artifact.show": self.pull.show,
            "artifact.pull": self.pull.pull,
            "artifact.import": self.quarantine.bring,
            "artifact.quarantine": self.quarantine.listing,
            "artifact.decide": self.quarantine.decide,
            "attack.model": self.trials.membership,
            "attack.canary": self.trials.canary,
            "dataset.list": self.graph.listing,
            "dataset.lineage": self.graph.lineage,
            "dataset.sweep": self.retention.sweep,
            **self.compaction.verbs(),
            "budget.show": self.status.budget,
            "ledger.show": self._entry,
            "ledger.publish": self._publish,
            "ledger.close-epoch": self.trail.close,
            "ledger.audit": self.trail.audit,
            "ledger.rotate": self.desk.rotation.rotate,
            "key.list": self.lifecycle.listing,
            "key.rotate": self.lifecycle.rotate,
            **self.beside,
        }
        return {name: self._recorded(name, verb) for name, verb in verbs.items()}

    def _recorded(self, name: str, verb: Verb) -> Verb:
        def carry_out(
            arguments: dict[str, Any], descriptors: Sequence[int], report: Report
        ) -> dict[str, Any]:
            who = SOMEBODY
            try:
                who = self.door.prove(name, arguments)
                self.door.check(name, who, arguments)
                with calling(who):
                    return verb(arguments, descriptors, report)
            except (DeniedError, SignInError) as error:
                if error.entry is None:
                    error.entry = self.desk.note_refusal(
                        who.id, name, {"rule": error.rule or error.code}
                    )
                raise
            except (InvalidError, KeyError, TypeError, ValueError):
                many = self.door.misshapen.count(who.id, name, now_us=self.desk.now_us())
                if many is not None:
                    told = {"rule": RULE, "count": sum(many.values()), "verbs": many}
                    self.desk.note_refusal(who.id, max(many, key=many.__getitem__), told)
                raise

        return carry_out

    def _check_asked(self, grant: Grant) -> None:
        self.descent.require_own(grant.requester)
        self.descent.require(grant, self.grants)

    def _show(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Return what one person chose, and what is due to them."""
        shown = self.crowd.show(arguments, descriptors, report)
        told = owed_to(self.desk, self.desk.people.find(str(arguments["person"])))
        if "enrolled" in shown:  # to anybody but the person it must not tell of data
            del told["ends"]
        return shown | told

    def _on_gone(self, person: PersonId) -> None:
        self.leases.forget(person)
        self.looking.own.forget()

    def _on_removed(self, device: VerifyKey) -> int:
        return self.leases.dismiss(device)

    def _overdue(self, who: frozenset[str]) -> list[str]:
        return self.sessions.overdue(who)

    def _count(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        counted = self.crowd.count(arguments, descriptors, report)
        return {**counted, "taking_part": self.symmetry.last()}

    def _drift(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        return self.drift.show()

    def _milestones(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        return {"milestones": self.milestones(arguments.get("measure") is True)}

    def _entry(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        index = arguments["index"]
        if type(index) is not int:
            raise InvalidError("an index is a whole number", field="index", rule="ledger.index")
        leaves = list(self.desk.ledger.leaves(index, index + 1)) if index >= 0 else []
        if not leaves:
            raise MissingError("no such entry", rule="ledger.index")
        return {"index": index, "leaf": leaves[0][1], **self.desk.ledger.detail(index)}

    def _publish(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        self.desk.ledger.publish()
        return {"size": self.desk.ledger.size}
