"""The door: which kinds of callers may ask for which verb. What is not stated here is refused for everybody.

An agent may use what was approved for it and look at what it needs for that. It can never grant, approve, deny,
widen, propose, vote, change policy, enrol, suspend or restore anybody, stop or resume: there is no line here that
would let it, whatever a charter, a grant or a message says.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

from safehold.access.identity import check_call, open_ticket
from safehold.canonical import unb64
from safehold.charter.model import Role
from safehold.charter.vocabulary import SELF
from safehold.errors import DeniedError, InvalidError, SignInError
from safehold.ids import random_bytes
from safehold.keeper.caller import AGENT, HUMAN, LOCAL, SENTINEL, SOMEBODY, WORKLOAD, Caller
from safehold.keeper.contained import LEAF, PRINCIPAL
from safehold.keeper.misshapen import Misshapen
from safehold.keeper.principals import Principals
from safehold.keeper.signed_in import speaks_as_self
from safehold.signing import VerifyKey

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

PROOF: Final = "caller"  # the argument that says who calls
CONTAINED: Final = f"{LEAF}.{PRINCIPAL}"  # the rule by which a contained one is refused

_OPERATE: Final = frozenset({LOCAL, HUMAN, WORKLOAD})  # everybody but agents
_PEOPLE: Final = frozenset({LOCAL, HUMAN})
_ANYBODY: Final = frozenset({LOCAL, HUMAN, WORKLOAD, AGENT})

# for every kind of caller; that a grant is an agent's own is looked at where it is enacted and used
OPEN: Final = (
    "agent.draft", "agent.show", "agent.token", "attack.dataset", "attack.model", "budget.show", "charter.show",
    "counter.show", "embed", "embed.export", "embed.head", "embed.near", "feature.granted",
    "federate.check", "federate.done", "federate.join", "federate.step",
    "gate.list", "grant.enact", "hello", "nonce", "public.file", "public.home", "purpose.list",
    "query", "request.new", "request.show", "session.ask",
    "session.end", "session.open", "session.show", "tool.call", "train",
)  # fmt: skip
# these bring signatures of their own, of seats or of a device: who hands them in decides nothing
SIGNED: Final = (
    "audit.dismiss", "audit.engage", "audit.hear", "board.enact", "board.propose", "board.rotate", "board.show",
    "charter.enact", "charter.log", "charter.proposals", "charter.propose", "charter.vote", "containment.lift", "gap",
    "grant.review", "incident.close", "incident.letters", "incident.lower", "incident.notice", "incident.reached",
    "lease.hand-in", "lease.mark", "lease.obtain", "lease.obtain-many", "lease.submit", "people.disclose",
    "request.decide", "resume", "rights.answer", "rights.read", "status", "stop",
)  # fmt: skip
OPERATED: Final = (
    "agent.list", "agent.suspend", "artifact.list", "artifact.show", "audit.counters", "audit.due", "audit.list",
    "audit.show", "containment.list", "containment.preview", "dataset.compact", "dataset.lineage", "dataset.list",
    "dataset.sweep",
    "document.list", "document.publish", "drift", "drill.begin", "drill.record", "evidence.build",
    "evidence.controls", "evidence.history",
    "feature", "federate.identity", "grant.due", "grant.list",
    "grant.revoke", "grant.show", "ingest", "ingest.aside", "key.list", "ledger.audit",
    "ledger.close-epoch", "ledger.publish",
    "ledger.rotate", "ledger.show", "milestones", "principal.list", "principal.suspend", "request.list",
    "source.list",
)  # fmt: skip
# under a grant of their own, but for no agent: what leaves goes to another house
JOINED: Final = ("join.psi-sum", "join.sum")
BY_PEOPLE: Final = (
    "agent.enrol", "audit.answer", "key.rotate", "people.choose", "people.count", "people.enrol", "people.erase",
    "people.erased", "people.export", "people.held", "people.invite", "people.journey", "people.leave", "people.move",
    "people.receipt", "people.receipts", "people.show", "people.symmetry", "people.trail", "people.use", "people.uses",
    "principal.bundle", "principal.enrol", "principal.identify",
    "principal.provider", "principal.remove", "principal.restore", "rights.list", "source.add", "source.remove",
)  # fmt: skip

# what whoever holds a seat looks at, whatever their role; a seat reads no telemetry
OF_SEATS: Final = (
    "budget.show", "document.list", "drift", "drill.list", "grant.due", "grant.list", "grant.show", "incident.list",
    "incident.restart", "incident.show", "milestones", "refusal.list", "request.list", "request.narrower",
    "request.show",
)  # fmt: skip
# what people ask for before they ask for anything: whose seat is whose, what may be used, what a request would cost
BEFORE: Final = ("board.mine", "purpose.explain", "request.quote")

# models: looked at and attacked by whoever operates, decided about by seats, taken out by people alone
OF_MODELS: Final = ("artifact.quarantine", "attack.canary", "artifact.decide")

# incidents: looked at and worked on by people who operate or check; what ends one, two seats sign
OF_INCIDENTS: Final = (
    "incident.blast", "incident.clock", "incident.draft", "incident.list", "incident.report", "incident.restart",
    "incident.show", "incident.timeline",
)  # fmt: skip
ON_INCIDENTS: Final = (
    "incident.action", "incident.assign", "incident.aware", "incident.cause", "incident.move", "incident.note",
    "incident.open", "incident.publish", "incident.reopen", "incident.severity", "incident.uncontained",
)  # fmt: skip

# who asks for data is read by the sentinel, and by people who operate or check; what it raised is for people to answer
OF_WATCHING: Final[Mapping[str, frozenset[str]]] = {
    "sentinel.events": _OPERATE | {SENTINEL},
    "sentinel.done": _OPERATE | {SENTINEL},
    "sentinel.keep": frozenset({LOCAL, WORKLOAD, SENTINEL}),
    "sentinel.recall": frozenset({LOCAL, WORKLOAD, SENTINEL}),
    "alert.raise": frozenset({LOCAL, WORKLOAD, SENTINEL}),
    "alert.list": _OPERATE,
    "alert.show": _OPERATE,
    "alert.ack": _PEOPLE,
}

# what the portals of a home leave for each other: sealed by them, for a while; whoever asks learns and opens nothing
OF_PORTALS: Final = (
    "portal.begin", "portal.count", "portal.end", "portal.hold", "portal.notes", "portal.put", "portal.spend",
)  # fmt: skip

KINDS_OF: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(OF_PORTALS, frozenset({LOCAL, WORKLOAD})),
    "tool.refused": frozenset({WORKLOAD}),
    # a portal about its own journal; it opens nothing, and says nothing of anybody
    "portal.head": frozenset({LOCAL, WORKLOAD}),
    # a seat by its signed order, whoever hands it in; or somebody who operates or watches, for what is narrow
    "contain": _OPERATE,
    # code of somebody's own: the grant that names it decides, and no agent has one
    "enclave.run": _OPERATE,
    # what was set aside is judged again: the grant decides, and no agent has one
    "ingest.repair": _OPERATE,
    **dict.fromkeys(OPEN, _ANYBODY),
    **OF_WATCHING,
    **dict.fromkeys((*SIGNED, *OPERATED, *JOINED), _OPERATE),
    **dict.fromkeys(BY_PEOPLE, _PEOPLE),
    **dict.fromkeys(OF_MODELS, _OPERATE),
    **dict.fromkeys((*OF_INCIDENTS, *ON_INCIDENTS), _PEOPLE),
    **dict.fromkeys((*BEFORE, "drill.list", "refusal.list", "request.narrower"), _PEOPLE),
    "artifact.import": _PEOPLE,
    "artifact.pull": _PEOPLE,  # under a grant; no agent and no pipeline takes a model out, whoever approved of it
}
# what the charter must let the role of a proved caller do, for everything that is neither open nor signed
OPERATE_ACTION: Final = "operate"
VERIFY_ACTION: Final = "verify"
AUDIT: Final = "audit"  # the stage at which verifying is about the whole home
ACTIONS_OF: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys((*OPERATED, *BY_PEOPLE), frozenset({OPERATE_ACTION})),
    # whoever works with grants, and whoever checks, may look and may end; neither opens anything
    **dict.fromkeys(
        ("agent.list", "agent.suspend", "artifact.list", "artifact.show", "dataset.lineage", "dataset.list",
         "document.list", "grant.due", "grant.list", "grant.revoke", "grant.show", "principal.suspend", "request.list"),
        frozenset({OPERATE_ACTION, "run_approved_recipe", "query", "verify"}),
    ),
    **dict.fromkeys(
        ("audit.counters", "audit.due", "audit.list", "audit.show", "drift", "evidence.build", "evidence.controls",
         "evidence.history", "ledger.audit", "ledger.publish",
         "ledger.show", "milestones"),
        frozenset({OPERATE_ACTION, "verify"}),
    ),
    **dict.fromkeys(("drill.list", "refusal.list"), frozenset({OPERATE_ACTION, "verify"})),
    "request.narrower": frozenset({OPERATE_ACTION, "run_approved_recipe", "query", "verify"}),
    **dict.fromkeys(
        ("contain", "containment.list", "containment.preview"),
        frozenset({OPERATE_ACTION, "verify"}),
    ),
    **dict.fromkeys((*OF_INCIDENTS, *ON_INCIDENTS), frozenset({OPERATE_ACTION, "verify"})),
    # whoever sees something says so
    "incident.open": frozenset({OPERATE_ACTION, "run_approved_recipe", "query", "verify"}),
    "attack.canary": frozenset({OPERATE_ACTION, "run_approved_recipe", "verify"}),
    "artifact.import": frozenset({OPERATE_ACTION}),
    "artifact.quarantine": frozenset({OPERATE_ACTION, "run_approved_recipe", "query", "verify"}),
    **dict.fromkeys(
        ("sentinel.events", "sentinel.done", "alert.list", "alert.show", "alert.ack"),
        frozenset({OPERATE_ACTION, "verify"}),
    ),
    **dict.fromkeys(("sentinel.keep", "sentinel.recall", "alert.raise"), frozenset({OPERATE_ACTION})),
    # people enrol agents that act for themselves
    "agent.enrol": frozenset({OPERATE_ACTION, "run_approved_recipe"}),
}  # fmt: skip
# people and seats speak with a key of their own: what holds the proof of that, which the verb itself checks
SPOKEN: Final[Mapping[str, str]] = {
    "contain": "order",
    "people.choose": "statement",
    "people.erase": "statement",
    "people.export": "signature",
    "people.held": "proof",
    "people.journey": "proof",
    "people.leave": "proof",
    "people.receipt": "proof",
    "people.receipts": "proof",
    "people.show": "proof",
    "people.trail": "proof",
    "people.use": "proof",
    "people.uses": "proof",
}
# what whoever is signed in asks for as themselves, and what of the charter lets them: everybody about whom data is held
# is an employee, whatever else they are, so the role of that name counts beside their own
EMPLOYEE: Final = "employee"
AS_SELF_ACTIONS: Final[Mapping[str, str]] = {
    "gap": "see_own_trail",
    "people.choose": "",  # narrowing takes nothing of a charter
    "people.erase": "erase_own",
    "people.export": "export_own",
    "people.held": "see_own_trail",
    "people.journey": "see_own_trail",
    "people.leave": "erase_own",
    "people.receipt": "see_own_trail",
    "people.receipts": "see_own_trail",
    "people.show": "see_own_trail",
    "people.trail": "see_own_trail",
    "people.use": "see_own_trail",
    "people.uses": "see_own_trail",
}
# somebody whose role only looks after their own data gets this much beside, and what carries signatures of its own
OWN: Final = frozenset({*SELF, "verify"})
OPEN_TO_OWN: Final = frozenset(
    {"board.mine", "charter.show", "hello", "nonce", "public.file", "public.home", "purpose.list", "session.ask",
     "session.end", "session.open", "session.show", *SIGNED}
)  # fmt: skip
# what somebody who proved nothing may still ask for once a home demands that whoever operates it is known
UNPROVED: Final = frozenset(
    {
        "hello",
        "nonce",
        "public.file",
        "public.home",
        "session.ask",
        "session.open",
        "artifact.decide",
        *OF_PORTALS,
        *SIGNED,
    }
)


def _meant(may: Role) -> frozenset[str]:
    """Return what a role may do here: to verify what is one's own is no right to look at what is everybody's."""
    return frozenset(may.do) - (frozenset() if AUDIT in may.stages else {VERIFY_ACTION})


class Door:
    """Lets callers in.

    Args:
        desk: What the keeper works with.
        principals: The register.
        key: Verifies the tickets of sessions.
    """

    def __init__(self, desk: Desk, principals: Principals, key: VerifyKey) -> None:
        self._desk = desk
        self._principals = principals
        self._key = key
        self._watchword = (
            b""  # SHA-256 of what the sentinel beside this keeper says; nobody's at first
        )
        self.misshapen = Misshapen()

    def admit_sentinel(self) -> str:
        """Return what the one sentinel beside this keeper proves itself by; what was given out before ends.

        It is for the process that this keeper starts: it goes there through a pipe, and lasts as long as this keeper.
        """
        word = random_bytes(32).hex()
        self._watchword = sha256(word.encode()).digest()
        return word

    def check(self, verb: str, who: Caller, arguments: Mapping[str, Any]) -> None:
        """Pass if a caller of this kind and role may ask for a verb.

        Args:
            verb: The verb.
            who: The caller.
            arguments: What comes with it; whoever speaks for themselves there needs no role.

        Raises:
            SignInError: They proved nothing, and this home demands it.
            DeniedError: Nobody of their kind may ask for it, or nobody of their role.
        """
        if who.kind not in KINDS_OF.get(verb, frozenset()):
            raise DeniedError(
                "an agent may not ask for this, whoever stands behind it"
                if who.kind == AGENT
                else "nobody of this kind may ask for this",
                rule=f"door.{who.kind}",
                fix="ask a person",
            )
        if who.kind == SENTINEL:
            return  # its verbs are its right; it has no role that a charter could widen
        # a verb that nobody speaks for themselves in has no such argument, whatever a caller puts beside
        # as oneself comes first: the verb goes by the session then, so a proof put beside it would be checked by nobody
        if verb in AS_SELF_ACTIONS and speaks_as_self(arguments):
            self._check_self(verb, who)
            return
        if verb in SPOKEN and SPOKEN[verb] in arguments:
            return
        if not who.proved and verb not in UNPROVED and self._principals.identified:
            raise SignInError(
                "this home demands that whoever asks is known",
                rule="door.identified",
                fix="safehold sign-in",
            )
        if who.proved:
            self._check_role(verb, who)

    def _check_self(self, verb: str, who: Caller) -> None:
        """Pass if the charter in force lets somebody do with their own data what a verb does."""
        if who.kind != HUMAN:
            raise SignInError(
                "you are not signed in", rule="subjects.signed_in", fix="safehold sign-in"
            )
        needed, trust = AS_SELF_ACTIONS[verb], self._desk.trust
        roles = trust.charter().who_may if trust.digest() else {}
        may = {one for name in (EMPLOYEE, who.role) if name in roles for one in roles[name].do}
        if needed and needed not in may:
            raise DeniedError(
                "the charter does not let this role do that",
                rule="door.role",
                fix="safehold charter show",
            )

    def _check_role(self, verb: str, who: Caller) -> None:
        """Pass if the charter in force lets the role do what a verb is part of."""
        needed = ACTIONS_OF.get(verb)
        trust = self._desk.trust
        if verb in OF_SEATS and self._holds_seat(who):
            return
        may = trust.charter().who_may.get(who.role) if trust.digest() else None
        own_only = may is not None and OWN.issuperset(may.do) and not set(SELF).isdisjoint(may.do)
        if own_only:  # its ``verify`` is about their own data too: they check no company
            needed = None if verb in OPEN_TO_OWN else frozenset()
        if needed is None:
            return
        if may is None or needed.isdisjoint(_meant(may)):
            raise DeniedError(
                "the charter does not let this role do that",
                rule="door.role",
                fix="safehold charter show",
            )

    def _holds_seat(self, who: Caller) -> bool:
        """Tell whether a person holds a seat now, by the roster."""
        return who.kind == HUMAN and any(
            one.person == who.id for one in self._desk.trust.roster.seats
        )

    def prove(self, verb: str, arguments: dict[str, Any]) -> Caller:
        """Return who calls; their proof is taken out of the arguments.

        Raises:
            SignInError: Their session does not hold.
            DeniedError: They were suspended, or have left.
        """
        if PROOF not in arguments:
            return SOMEBODY
        given = arguments.pop(PROOF)
        if isinstance(given, dict) and given.keys() == {SENTINEL}:
            said = sha256(str(given[SENTINEL]).encode()).digest()
            if not self._watchword or not compare_digest(said, self._watchword):
                raise SignInError("this is not the sentinel of this keeper", rule="door.sentinel")
            return Caller(kind=SENTINEL, id=SENTINEL)
        now = self._desk.now_us()
        match given:
            case {"ticket": str(text), "nonce": str(nonce), "proof": str(proof)} if len(given) == 3:
                pass
            case _:
                raise InvalidError(
                    "a caller is a ticket, a nonce and a proof", rule="session.shape"
                )
        ticket = open_ticket(text, self._key, home=self._desk.home.id, now_us=now)
        asked = self._desk.nonces.spend(unb64(nonce), now)
        check_call(ticket, asked, verb, arguments, unb64(proof))
        if self._principals.ended(ticket.id):
            raise SignInError(
                "this session was ended", rule="session.ended", fix="safehold sign-in"
            )
        try:
            found = self._principals.active(ticket.principal)
        except DeniedError as error:
            # what somebody signs with a key of their own needs no standing as a principal, and gives them none
            if error.rule == CONTAINED and SPOKEN.get(verb, PROOF) in arguments:
                return SOMEBODY
            raise
        return Caller(
            kind=found.kind,
            id=found.id,
            role=found.role,
            operator=found.operator,
            session=ticket.id,
            method=ticket.method,
            name=ticket.name,
            entry=ticket.entry,
            register=self._principals.version,
            broken=found.broken,
        )
