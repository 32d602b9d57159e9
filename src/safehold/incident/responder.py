"""The verbs that answer how far an incident reaches, in numbers, and to the board whose data it was.

Holds: every question is a leaf before it is answered. Numbers are told as the lineage tells them: of real people in
tens, and none below the charter's floor. Who they are is a use of its own: two seats of different people sign for it,
the entry names everybody on the list before it is written, and only the key that they named opens it.
Does not hold: that nothing else happened with a key that left the keeper; no entry is written there.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.charter import Signature
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError, MissingError, QuorumError
from safehold.incident.blast import Part, could_be_opened, was_opened
from safehold.incident.granted import family
from safehold.incident.holdings import Holdings
from safehold.incident.index import Index
from safehold.incident.scope import Scope
from safehold.incident.target import MINT, PERSON, SEGMENT, Meant, Target
from safehold.incident.telling import tell_limits, tell_part
from safehold.incident.tracks import Tracks, distinct, mark
from safehold.keeper.caller import caller
from safehold.keeper.graph import Graph
from safehold.keeper.server import Report, Verb
from safehold.keeper.targets import Targets
from safehold.keeper.verbs import Verbs
from safehold.ledger import Entry
from safehold.vault.letter import opening_key, seal_letter

MS_US: Final = 1_000
DOMAIN: Final = "safehold.incident.reached.v1"
VERSION: Final = "safehold.reached-order/1"
PURPOSE: Final = "incident-response"
ACTOR: Final = "board"
RECIPE: Final = "blast"
SEAT: Final = "privacy"  # one of the seats that sign for names
LEAST_SEATS: Final = 2
LIFE_US: Final = 3600 * SECOND_US
LONGEST_REASON: Final = 2_000


def write_order(
    *, home: str, target: Mapping[str, Any], open_to: str, reason: str, at_us: int
) -> bytes:
    """Return the order of seats for the people whom something reached, as it is signed."""
    order = {
        "v": VERSION,
        "home": home,
        "target": dict(target),
        "open_to": open_to,
        "reason": reason,
        "at_us": at_us,
    }
    return canonical.encode(order)


class Responder:
    """The verbs.

    Args:
        verbs: The keeper's.
    """

    def __init__(self, verbs: Verbs) -> None:
        self._desk = verbs.desk
        self._grants = verbs.grants
        self._answers = verbs.work.answers
        self._graph: Graph = verbs.graph
        self._targets = Targets(verbs.desk, verbs.principals, verbs.grants, verbs.models)
        # nothing is read anew while something is measured: columns of two moments say nothing of either
        self._turn = threading.RLock()
        self.index = Index(verbs.desk)
        self.holdings = Holdings(
            verbs.desk,
            models=verbs.models.lives,
            pooled=verbs.work.release.derived.pool.there,
        )

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {"incident.blast": self.blast, "incident.reached": self.people}

    def keep_up(self) -> None:
        """Read what came since, so that a question waits for little."""
        with self._turn:
            self.holdings.refresh(self.index.catch_up(), moves=self.index.moves)

    def blast(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how far an incident reaches, in numbers.

        Raises:
            DeniedError: It is about one real person, whom numbers would tell of.
            MissingError: There is no such grant, principal, segment, artifact or person.
        """
        desk = self._desk
        target = Target.from_json(arguments.get("target"))
        if target.kind is not None and target.kind[0] == PERSON and not desk.home.synthetic:
            raise DeniedError(
                "of one person even a number tells whether they take part",
                rule="blast.person",
                fix="let two seats ask for the people: safehold incident reached",
            )
        with self._turn:
            was, could = self.measure(target)
            told = {
                "size": self.index.tracks.done,
                "was": self._told(was),
                "could": self._told(could),
                "limits": tell_limits(target, changed=self.holdings.changed),
            }
        (receipt,) = desk.log(
            Entry(
                kind="blast",
                actor=caller().id,
                object="blast",
                detail={"target": target.to_json()},
                charter=desk.trust.digest(),
                public={"state": "asked"},
            )
        )
        return {
            "target": target.to_json(),
            "about": target.words(),
            "entry": receipt.index,
            **told,
        }

    def people(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return who they are, sealed to the key that the order of two seats names.

        Raises:
            QuorumError: Fewer than two seats of different people signed it, or that for privacy did not.
            DeniedError: The order is of another time or home.
        """
        desk = self._desk
        text = str(arguments["order"]).encode()
        order, seats = self._check(text, arguments.get("signatures"))
        key = f"people/{canonical.digest(order).hex()}"
        with desk.lock:
            if desk.ledger.find(key) is not None:
                raise DeniedError(
                    "this order was carried out", rule="blast.order", fix="draw it up anew"
                )
            was, could = self.measure(Target.from_json(order["target"]))
            listed = sorted(was.people | could.people)
            standings = desk.people.everybody()
            facts = {"purpose": PURPOSE}
            (intent,) = desk.log(
                Entry(
                    kind="access.intent",
                    actor=ACTOR,
                    object=RECIPE,
                    detail={
                        "grant": "",
                        "purpose": PURPOSE,
                        "role": "board",
                        "segments": [],
                        "blocks": 0,
                        "days": [],
                        "silos": [],
                        "target": order["target"],
                        "reason": order["reason"],
                        "seats": seats,
                    },
                    charter=desk.trust.digest(),
                    subjects=desk.subjects(listed),
                    public=facts,
                    key=key,
                )
            )
            # a stop does not hold this up: whoever was harmed is told all the same
            desk.trust.note(
                intent.index, {"k": "access.intent", "pub": facts, "t": desk.now_us() // MS_US}
            )
            self._answers.begin(intent.index)
        with self._answers.expected(intent.index, actor=ACTOR, thing=RECIPE, opened={}):
            desk.confirm(intent)
            told = {
                "v": "safehold.people/1",
                "target": order["target"],
                "entry": intent.index,
                "was": [_named(one, standings) for one in sorted(was.people)],
                "could": [_named(one, standings) for one in sorted(could.people)],
                "erased": list(was.erased),
                "streams": sorted(was.streams),
                "days": list(was.days),
            }
            sealed = seal_letter(canonical.encode(told), unb64(order["open_to"]))
            digest = hashlib.sha256(sealed).hexdigest()
            self._answers.write(
                intent.index,
                actor=ACTOR,
                thing=RECIPE,
                outcome="ok",
                detail={"blocks": 0, "sha256": digest, "people": len(listed)},
            )
        return {"entry": intent.index, "sha256": digest, "sealed": b64(sealed)}

    def _check(self, text: bytes, signatures: Any) -> tuple[dict[str, Any], list[str]]:
        desk = self._desk
        order = canonical.decode(text)
        match order:
            case {
                "v": "safehold.reached-order/1", "home": str(home), "target": dict(), "open_to": str(opener),
                "reason": str(reason), "at_us": int(at_us),
            } if len(order) == 6 and 0 < len(reason) <= LONGEST_REASON:  # fmt: skip
                opening_key(unb64(opener))
            case _:
                raise InvalidError("not an order for a list of people", rule="blast.order")
        if home != desk.home.id:
            raise DeniedError("an order for another home", rule="blast.order")
        if not desk.now_us() - LIFE_US <= at_us <= desk.now_us() + SECOND_US:
            raise DeniedError("an order of another time", rule="blast.order", fix="draw it up anew")
        made = [Signature.from_json(one) for one in signatures or ()]
        seats, _ = desk.trust.roster.count(DOMAIN, text, made)
        if len({one.person for one in seats}) < LEAST_SEATS or SEAT not in {
            one.name for one in seats
        }:
            raise QuorumError(
                "names take two seats of different people, one of them that for privacy",
                rule="blast.seats",
                fix="let them sign: safehold incident reached --sign",
            )
        return order, sorted(one.name for one in seats)

    def measure(self, target: Target) -> tuple[Part, Part]:
        """Return what was opened, and what could have been, with everything known of it.

        Raises:
            MissingError: There is no such grant, principal, segment, artifact or person.
        """
        with self._turn:
            self.keep_up()
            index, holdings = self.index, self.holdings
            tracks = index.tracks
            meant = self._mean(target, tracks)
            was = was_opened(tracks, holdings, meant, index.people)
            could = could_be_opened(
                tracks,
                holdings,
                meant,
                by_grant=target.by_grant,
                filters=lambda row: self._grants.records.meant(
                    tracks.words[int(tracks["grants"]["id"][row])]
                ),
                people=index.people,
            )
            return was, could

    def _mean(self, target: Target, tracks: Tracks) -> Meant:
        grants = actors = segments = None
        place = person = None
        table, words = tracks["grants"], tracks.words
        if target.grant:
            number = words.find(target.grant)
            known = [
                leaf
                for leaf, one in zip(table["leaf"].tolist(), table["id"].tolist(), strict=True)
                if one == number
            ]
            if not known:
                raise MissingError("no such grant", rule="grant.missing")
            grants = family(tracks, known[:1])
        if target.principal:
            self._require_principal(target.principal)
            tag = words.find(tracks.blind(target.principal))
            theirs = (table["asker"] == tag) | (table["operator"] == tag)
            own = family(tracks, table["leaf"][theirs].tolist())
            if target.grant:  # under this grant, by them or by what descends from theirs
                grants = (grants or frozenset()) & own
            else:
                actors, grants = frozenset({tracks.blind(target.principal)}), own
        kind = target.kind
        named = {target.segment} - {""}
        if kind is not None and kind[0] == SEGMENT:
            named.add(kind[1])
        for one in named:
            self._require_segment(one)
        if named:
            # two different segments have nothing in common
            segments = frozenset(named) if len(named) == 1 else frozenset()
        if kind is not None and kind[0] == PERSON:
            person = self._find(kind[1])
            place = next((at for at, one in self.index.people.items() if one == person), -2)
        if target.capability and not self._used(target.capability, tracks):
            # a zero would be told of a token that was stolen and not used yet, or whose id was misspelt
            raise MissingError(
                "no use of this capability is known: what it could open is what its grant could",
                rule="capability.missing",
                fix="ask for the grant it was minted under",
            )
        if target.artifact and not self._knows(target.artifact, tracks):
            raise MissingError("no such dataset or model", rule="catalog.dataset")
        return Meant(
            grants=grants,
            actors=actors,
            tokens=frozenset({mark(target.capability)}) if target.capability else None,
            segments=segments,
            place=place,
            person=person,
            made=target.artifact or None,
            since=None if target.since_us is None else target.since_us // MS_US,
            until=None if target.until_us is None else target.until_us // MS_US,
            mint=kind is not None and kind[0] == MINT,
        )

    def require_known(self, scope: Scope) -> None:
        """Pass if there is everything that a scope names: of a misspelt name the answer would be nothing, and wrong.

        Raises:
            MissingError: There is no such principal, segment or artifact.
        """
        self.keep_up()
        for name in sorted(scope.principals):
            self._require_principal(name)
        kinds = [kind for key in scope.keys if (kind := Target(key=key).kind) is not None]
        keyed = {named for kind, named, _ in kinds if kind == SEGMENT}
        for name in sorted(scope.segments | keyed):
            self._require_segment(name)
        for name in sorted(scope.artifacts):
            if not self._knows(name, self.index.tracks):
                raise MissingError("no such dataset or model", rule="catalog.dataset")

    def _require_principal(self, name: str) -> None:
        tracks = self.index.tracks
        seats = self._desk.trust.roster.seats
        if (
            tracks.words.find(tracks.blind(name)) < 0
            and not self._targets.knows_principal(name)
            and name not in {one.person for one in seats}
        ):
            raise MissingError(
                "no such principal: neither the register nor the record knows one",
                rule="principal.missing",
                fix="safehold principal list",
            )

    def _require_segment(self, name: str) -> None:
        words = self.index.tracks.words
        used = distinct(self.index.tracks["uses"]["segments"])
        if not self._targets.knows_segment(name) and not any(
            name in words[one].split("+") for one in used if one >= 0
        ):
            raise MissingError(
                "no such segment: neither the charter nor the record knows one",
                rule="segment.missing",
                fix="a place and a stream of the charter, as us-ca.key",
            )

    def _find(self, name: str) -> str:
        everybody = self._desk.people.everybody()
        return name if name in everybody else str(self._desk.people.find(name))

    def _knows(self, name: str, tracks: Tracks) -> bool:
        return (
            name in self.holdings.nodes
            or name in self.holdings.broken
            or tracks.words.find(name) >= 0
        )

    @staticmethod
    def _used(token: str, tracks: Tracks) -> bool:
        """Return whether a capability was ever used or narrowed: nothing else in the record tells of one."""
        wanted, words = mark(token), tracks.words
        narrowed = tracks["narrowed"]["token"]
        used = (words[one].split("+") for one in distinct(tracks["uses"]["tokens"]) if one >= 0)
        return bool((narrowed == words.find(wanted)).any()) or any(wanted in one for one in used)

    def _told(self, part: Part) -> dict[str, Any]:
        return tell_part(
            part, holdings=self.holdings, graph=self._graph, exact=self._desk.home.synthetic
        )


def _named(person: str, standings: Mapping[Any, Any]) -> dict[str, str]:
    found = standings.get(person)
    return {
        "id": person,
        "person": "" if found is None else found.external,
        "jurisdiction": "" if found is None else found.jurisdiction,
    }
