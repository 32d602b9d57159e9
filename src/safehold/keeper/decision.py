"""Decision: whether a release may be, and what it may open.

Rules, in this order; the first that fails ends it, and nothing was opened:
1. nothing is stopped; the ledger takes entries, is not behind its witnesses, and has the result of every run that
   is over;
2. the capability holds, is bound to the caller's key, and the caller just proved to hold that key;
3. every block offered is of somebody whom the grant means, carries the purpose, has not expired, lies in a
   jurisdiction of the charter in force, and its person still agrees, does not object and contests none of it: what
   fails here is left out, person by person;
4. the grant has all columns that the recipe reads; policy allows it, in every segment, and the grant covers every
   day of telemetry behind it; a red line ends it whatever else is said;
5. enough people are left, and the caps of the grant and the purpose's privacy budget cover it;
6. nothing that it touches is contained: who asks, token, grant, purpose, segments, datasets;
7. the intent, with the set of people and the price, is durable in the ledger;
8. in strict mode, the quorum of witnesses has cosigned a head that covers it.
Then ``release`` opens the blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from safehold import ids
from safehold.access import AccessRequest, authorise
from safehold.catalog.aside import ASIDE
from safehold.clock import DAY_US
from safehold.errors import (
    ConsentError,
    DeniedError,
)
from safehold.ids import PersonId
from safehold.keeper.answers import Answers
from safehold.keeper.ask import RECORDED, Ask, Asker
from safehold.keeper.bounds import Bounds, Opening, bounds_of, demand_of, refuse
from safehold.keeper.contained import things
from safehold.keeper.days import Behind, look_behind, sources_digest
from safehold.keeper.gates import Gates
from safehold.keeper.heritage import Heritage
from safehold.keeper.recipes import EMBEDDING
from safehold.keeper.rows import only_of
from safehold.keeper.touched import by_asker, by_release
from safehold.keeper.withheld import why_withheld
from safehold.ledger import Entry
from safehold.privacy.budget import Charge
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Decision:
    """Decide, and log before use.

    Args:
        desk: What the keeper works with.
        answers: The results of runs.
        gates: How datasets stand before the gates.
        heritage: The labels of what is released.
    """

    def __init__(self, desk: Desk, answers: Answers, gates: Gates, heritage: Heritage) -> None:
        self._desk = desk
        self._answers = answers
        self._gates = gates
        self._heritage = heritage

    def decide(self, ask: Ask, asker: Asker) -> Opening:
        """Return what may be opened; when it returns, the intent is durable and, in strict mode, cosigned.

        Raises:
            DeniedError: A rule said no; the refusal is in the ledger.
            UnavailableError: The witnesses did not cosign the intent in time; it stays in the ledger.
        """
        desk = self._desk
        desk.trust.require_running()
        desk.ledger.check_health()
        desk.check_time()
        try:
            with desk.turn.last():  # whoever chooses against it goes first
                self._answers.settle()
                opening = self._decide(ask, asker)
        except DeniedError as error:
            if error.entry is None:
                error.entry = refuse(desk, ask, asker, error)
            raise
        self._confirm(ask, asker, opening)
        return opening

    def _confirm(self, ask: Ask, asker: Asker, opening: Opening) -> None:
        """Let nothing be opened before the intent is where nobody here can cut it off."""
        intent = opening.intent
        try:
            self._desk.confirm(intent)
        except BaseException:
            with self._answers.expected(
                intent.index, actor=asker.principal.id, thing=ask.recipe, opened={}
            ):
                raise

    def _decide(self, ask: Ask, asker: Asker) -> Opening:
        desk = self._desk
        ask = replace(ask, people=asker.people)
        pooled = self._heritage.admit(ask, asker)
        chosen, left_out = self._choose(ask)
        held = [block for blocks in chosen.values() for block in blocks]
        for one in pooled:
            chosen |= {person: [] for person in sorted(one.people - chosen.keys())}
        derived = ask.kind not in RECORDED
        behind = self._heritage.add(look_behind(desk, held, derived=derived), pooled)
        if ask.kind == ASIDE:  # single messages: of no source, and nothing is made of them
            behind = replace(behind, sources=())
        if derived:
            behind = replace(behind, gates=self._gates.passed(behind.sources))
            if EMBEDDING in ask.streams:
                self._gates.require_registered(behind.sources)
        bounds = bounds_of(desk, ask, asker)
        rows = sum(block.rows for block in held) + sum(one.rows for one in pooled)
        shown = [*held, *(block for one in pooled for block in one.shown())]
        bounds = self._authorise(ask, asker, shown, behind, bounds, people=len(chosen), rows=rows)
        least = max(ask.least_people, 1)
        if len(chosen) < least:
            raise DeniedError(
                # how many there are would tell of a few named people whether one of them takes part
                f"too few people take part: it takes at least {least}",
                rule="purpose.min_people",
                fix="wait until more people take part",
            )
        label = self._heritage.label(ask, asker, bounds, behind, held=held, people=chosen)
        segments = _segments(shown)
        touched = by_asker(desk, asker, ask.purpose)
        touched |= by_release(desk, ask, segments=segments, behind=behind, label=label)
        desk.trust.contained.require_free(touched)
        people = sorted(chosen)
        aliases = {person: ids.opaque_id("p") for person in people}
        standings = {person: desk.people.standing(person) for person in people}
        charge = (
            None
            if ask.price == (0, 0)
            else Charge(purpose=ask.purpose, epsilon_micro=ask.price[0], delta_e12=ask.price[1])
        )
        intent = desk.trust.log_charged(
            Entry(
                kind="access.intent",
                actor=asker.principal.id,
                object=ask.recipe,
                detail={
                    "grant": "" if asker.claims is None else asker.claims.grant,
                    "purpose": ask.purpose,
                    "role": asker.principal.role,
                    "segments": sorted(segments),
                    "blocks": len(held) + len(pooled),
                    "label": label.to_record(),
                    "days": list(behind.days),
                    "silos": list(behind.silos),
                    "sources": sources_digest(behind.sources),
                    **bounds.told(asker, people=len(people), rows=rows),
                    **ask.said,
                },
                charter=desk.trust.digest(),
                subjects=desk.subjects([str(person) for person in people]),
                public={"purpose": ask.purpose},
                ref=asker.grant,
            ),
            charge,
            caps=asker.caps,
            rows=rows,
        )
        self._answers.begin(intent.index)
        return Opening(
            intent=intent,
            blocks=chosen,
            aliases=aliases,
            left_out=left_out,
            standings=standings,
            charter=desk.trust.digest(),
            bounds=bounds,
            label=label,
            datasets=behind.sources,
            pooled=tuple(pooled),
            touched=touched | things(runs=[intent.index]),
            only=only_of(desk, ask, held),
        )

    def _choose(self, ask: Ask) -> tuple[dict[PersonId, list[SealedBlock]], dict[str, int]]:
        desk = self._desk
        now, today = desk.now_us(), desk.today()
        charter = desk.trust.charter()
        places = set(charter.jurisdictions)
        chosen: dict[PersonId, list[SealedBlock]] = {}
        left_out: dict[str, int] = {}
        refused: dict[PersonId, str] = {
            person: "grant.people"
            for person, one in desk.people.everybody().items()
            if not ask.people.chooses(person, one.jurisdiction)
        }
        if ask.side is not None:
            refused |= {one: "ask.side" for one in desk.people.everybody() if not ask.side(one)}
        passed_over: dict[PersonId, str] = {}  # by the last rule; counts if nothing of them is left
        for block in desk.catalog.blocks(
            kind=ask.kind, streams=ask.streams, after_day=today, sources=ask.within
        ):
            person = PersonId(block.person)
            if person in refused:
                continue
            standing = desk.people.standing(person)
            try:
                allowed = standing.allowed(at_us=now)
            except ConsentError as error:
                refused[person] = error.rule or "subjects"
                chosen.pop(person, None)
                continue
            rule = why_withheld(
                ask, block, standing, charter=charter, allowed=allowed, places=places, today=today
            )
            if rule is None:
                chosen.setdefault(person, []).append(block)
            else:
                passed_over[person] = rule
        refused |= {person: rule for person, rule in passed_over.items() if person not in chosen}
        for rule in refused.values():
            # a choice does not show itself to whoever asks: of real people only that they do not take part
            shown = "subjects" if rule.startswith("subjects.") and not desk.home.synthetic else rule
            left_out[shown] = left_out.get(shown, 0) + 1
        if ask.most_people is not None and len(chosen) > ask.most_people:
            left_out["ask.most_people"] = len(chosen) - ask.most_people
            drawn = sorted(chosen, key=lambda _: ids.random_bytes(16))[: ask.most_people]
            chosen = {person: chosen[person] for person in drawn}
        return chosen, left_out

    def _authorise(
        self,
        ask: Ask,
        asker: Asker,
        blocks: Sequence[SealedBlock],
        behind: Behind,
        bounds: Bounds,
        *,
        people: int,
        rows: int,
    ) -> Bounds:
        desk = self._desk
        level = desk.workshop.level()
        if asker.claims is not None and behind.days:
            first, last = min(behind.days), max(behind.days)
            if first < asker.claims.first_day or last > asker.claims.last_day:
                raise DeniedError(
                    "days beyond the grant",
                    rule="grant.days",
                    fix="ask for a grant over all days that the features came from",
                )
        if asker.grant is not None and asker.caps is not None:
            desk.trust.check_caps(asker.grant, asker.caps, rows=rows, epsilon_micro=ask.price[0])
        for segment in sorted(_segments(blocks)):
            held = [block for block in blocks if block.segment == segment]
            authorise(
                desk.trust.policy(),
                AccessRequest(
                    principal=asker.principal,
                    action=asker.action,
                    purpose=ask.purpose,
                    stage=ask.stage,
                    now_us=desk.now_us(),
                    segment=segment,
                    streams=tuple(sorted({block.stream for block in held})),
                    purposes=tuple(
                        sorted(frozenset.intersection(*(frozenset(b.label.purposes) for b in held)))
                    ),
                    jurisdictions=tuple(sorted({block.label.jurisdiction for block in held})),
                    expires_us=min(block.label.expires for block in held) * DAY_US,
                    people=people,
                    silos=behind.silos,  # of the whole run: its segments are opened side by side
                    consent=True,  # whoever does not take part now was left out before
                    synthetic=desk.home.synthetic,
                    assurance=level,
                    claims=asker.claims,
                    holder="" if asker.claims is None else asker.claims.holder.text(),
                    gates=behind.gates,
                ),
            )
            if asker.check is not None:
                demand = demand_of(desk, ask, asker, bounds, held, rows=rows)
                asker.check(demand)
                bounds = replace(bounds, demand=demand)
        return bounds


def _segments(blocks: Iterable[SealedBlock]) -> frozenset[str]:
    return frozenset(block.segment for block in blocks)
