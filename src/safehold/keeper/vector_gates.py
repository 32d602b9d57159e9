"""How a set of vectors stands before the gates of the charter, from what its attacks counted.

| attack | measure | figure | passes |
|---|---|---|---|
| reidentify | reidentify.top1 | share of people recognised by the worst attacker | on its upper bound |
| membership | membership.advantage | right guesses over chance: 2 x share - 1 | on its upper bound |
| canary | canary.exposed | planted canaries found again, beyond what luck explains | the count fits |
| invert | invert.recovered | people whose rarest word was told, beyond what luck explains | the count fits |

Holds: a set of fewer people than can be judged is not passed, and a gate that names another measure is never passed. A
gate on re-identification of any level is about vectors too: they carry no level of their own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.charter.oversight import Gate
from safehold.charter.value import MICRO, Threshold
from safehold.errors import InvalidError
from safehold.keeper.gates import OPERATORS, UNMEASURED, Attacked, Gates
from safehold.keeper.recipes import EMBEDDING
from safehold.ledger import Entry
from safehold.privacy.luck import beyond_luck
from safehold.privacy.recognition import (
    CONFIDENCE,
    FAILED,
    LEAST,
    PASSED,
    TOO_FEW,
    fewest_people,
    judge,
    upper_bound,
)

MEASURES: Final = {
    "reidentify": "reidentify.top1",
    "membership": "membership.advantage",
    "canary": "canary.exposed",
    "invert": "invert.recovered",
}
_E9: Final = 1_000_000_000
# one-sided 95 % on the bound, and 99 % of sets without a leak are to pass at this number of people
_REACH: Final = 1.645 + 2.326


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What one attack on vectors counted.

    Args:
        attack: Its name in the charter.
        people: People it was tried on.
        tried: Tries.
        hits: By attacker or kind; nothing where there were too few people.
        chance: Chance of one hit by luck.
    """

    attack: str
    people: int
    tried: int
    hits: Mapping[str, int] | None
    chance: float

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Exposure:
        """Return what a frame said that passed the egress gate."""
        return cls(
            attack=values["attack"],
            people=values["people"],
            tried=values["tried"],
            hits=values["hits"],
            chance=values["chance_e9"] / _E9,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an attack came out before one gate.

    Args:
        state: ``passed``, ``failed`` or ``unmeasured``.
        fewest: People it takes.
        micro: The figure, millionths of its unit; None where nothing is said.
        upper: Its upper bound; the figure itself for a count.
    """

    state: str
    fewest: int
    micro: int | None = None
    upper: int | None = None


def judge_exposure(gate: Gate, found: Exposure | None) -> Verdict:
    """Return how an attack on vectors came out before a gate.

    Args:
        gate: A gate of the charter.
        found: What its attack counted; None if it was not made.
    """
    must_be = gate.must_be
    try:
        fewest = _fewest(gate)
    except InvalidError:
        return Verdict(state=UNMEASURED, fewest=0)
    if found is None or found.hits is None or gate.measure != MEASURES[gate.attack]:
        return Verdict(state=UNMEASURED, fewest=fewest)
    match gate.attack:
        case "reidentify":
            hits = max(found.hits.values())
            state = judge(must_be, measure=gate.measure, hits=hits, people=found.people)
            return Verdict(
                state=UNMEASURED if state == TOO_FEW else state,
                fewest=fewest,
                micro=hits * MICRO // max(found.people, 1),
                upper=min(MICRO, round(upper_bound(hits, found.people) * MICRO) + 1),
            )
        case "membership":
            return _advantage(must_be, sum(found.hits.values()), found.tried, fewest=fewest)
        case _:
            many = len(found.hits)
            # several kinds of canary are several leaks; of several attackers the best one counts
            beyond = [
                beyond_luck(one, found.tried, found.chance, attackers=many)
                for one in found.hits.values()
            ]
            micro = (sum(beyond) if gate.attack == "canary" else max(beyond)) * MICRO
            fits = _fits(must_be, micro)
            enough = found.people >= fewest
            state = FAILED if not fits else PASSED if enough else UNMEASURED
            return Verdict(state=state, fewest=fewest, micro=micro, upper=micro)


def fewest_for(gates: Sequence[Gate]) -> int:
    """Return how many people it takes before every gate that can be passed may be."""
    found = [LEAST]
    for gate in gates:
        try:
            found.append(_fewest(gate))
        except InvalidError:
            continue
    return max(found)


def record_vectors(
    gates: Gates,
    attacked: Attacked,
    found: Sequence[Exposure],
    rules: Sequence[Gate],
    *,
    told: Mapping[str, Any],
    intent: int,
    actor: str,
) -> tuple[str, list[dict[str, Any]]]:
    """Judge a set by every gate, put each result in the ledger, and return how it stands, and the results.

    What failed once stays failed for the same sources and the same settings under the same charter: noise and decoys
    are drawn anew each time.

    Args:
        gates: The gates of the home.
        attacked: The set, as it is.
        found: What the attacks counted.
        rules: The gates of the charter in force.
        told: What is kept beside: encoder, length and noise of the vectors.
        intent: Index of the intent under which it was made.
        actor: Who made it.
    """
    by_name = {one.attack: one for one in found}
    entries, states = [], set()
    for gate in rules:
        one = by_name.get(gate.attack)
        verdict = judge_exposure(gate, one)
        state = verdict.state
        if state == PASSED and gates.failed(gate.id, attacked.charter, attacked.behind):
            state = FAILED
        states.add(state)
        public: dict[str, int | str] = {
            "gate": gate.id,
            "op": OPERATORS.get(gate.must_be.op, "none"),
            "bound": gate.must_be.micro,
            "fewest": verdict.fewest,
            "state": state,
            "stream": EMBEDDING,
            "level": gate.level or "any",
            "people": 0 if one is None else one.people,
            "dataset": attacked.dataset,
            "held": attacked.held,
            "behind": attacked.behind,
            "of": 1,
        }
        if one is not None and one.hits is not None:
            public["attackers"] = "+".join(sorted(one.hits))
        if verdict.micro is not None and verdict.upper is not None:
            public |= {
                "micro": max(0, verdict.micro),
                "upper": max(0, verdict.upper),
                "confidence": round(CONFIDENCE * MICRO),
            }
        detail = dict(told)
        if one is not None and one.hits is not None:
            detail |= {
                "tried": one.tried,
                "hits": dict(one.hits),
                "chance_e9": round(one.chance * _E9),
            }
        entries.append(
            Entry(
                kind="gate",
                actor=actor,
                object=gate.id,
                detail=detail,
                charter=attacked.charter,
                public=public,
                ref=intent,
            )
        )
    shown = gates.put(entries)
    stands = FAILED if FAILED in states else PASSED if states == {PASSED} else UNMEASURED
    return stands, shown


def _advantage(must_be: Threshold, right: int, tried: int, *, fewest: int) -> Verdict:
    if not tried:
        return Verdict(state=UNMEASURED, fewest=fewest)
    figure = round((2 * right / tried - 1) * MICRO)
    upper = round((2 * upper_bound(right, tried) - 1) * MICRO) + 1
    if tried < fewest and figure <= must_be.micro:
        state = UNMEASURED
    else:
        state = PASSED if _fits(must_be, upper) else FAILED
    return Verdict(state=state, fewest=fewest, micro=figure, upper=upper)


def _fits(must_be: Threshold, micro: int) -> bool:
    match must_be.op:
        case "<=":
            return micro <= must_be.micro
        case "<":
            return micro < must_be.micro
        case "==":
            return micro == must_be.micro
        case _:  # a gate that asks for more of a leak
            return False


def _fewest(gate: Gate) -> int:
    """Return how many people a gate takes.

    Raises:
        InvalidError: No number of people is enough.
    """
    if gate.attack == "reidentify":
        return fewest_people(gate.must_be.micro)
    if gate.attack == "membership":
        bound = gate.must_be.micro
        if gate.must_be.op not in ("<=", "<") or bound <= 0:
            raise InvalidError(
                "no number of people proves that",
                rule="membership.bound",
                fix="state a share above 0",
            )
        return max(LEAST, math.ceil((_REACH * MICRO / bound) ** 2))
    return LEAST


__all__ = ["Exposure", "Verdict", "fewest_for", "judge_exposure", "record_vectors"]
