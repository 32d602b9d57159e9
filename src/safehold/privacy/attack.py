"""What an attack on a model found, in one form for all attacks, and whether it fits a bound that a charter sets.

Holds: a model passes a gate only on the upper confidence bound of its attack, and only if the gate could have failed.
What cannot be judged (too few people, too few canaries, a measure of another attack) has not passed.

Each result says its power: the smallest true value that would have failed the gate in 19 of 20 repetitions at this
size. A result that could not have failed says so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.charter.value import MICRO, Threshold
from safehold.errors import InvalidError
from safehold.privacy.recognition import upper_bound

CONFIDENCE: Final = (
    0.95  # one-sided, of every bound; also how often a value must fail to count as seen
)
PASSED, FAILED, UNMEASURED = "passed", "failed", "unmeasured"
STATES: Final = (PASSED, FAILED, UNMEASURED)
MEMBERSHIP: Final = "membership.advantage"
CANARY: Final = "canary.exposed"
SECOND: Final = (
    "second_lower"  # of further figures: a second look whose lower bound fails a gate too
)
OPERATORS: Final = {"<=": "le", "<": "lt", "==": "eq"}

_WORD: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackResult:
    """What one attack found.

    Args:
        attack: Its id: ``membership``, ``canary``, ``invert``, ``one-run-audit``.
        version: Of the attack; another version may find more.
        measure: What is measured, as a gate of a charter names it.
        point: The estimate, millionths.
        lower: Lower confidence bound, millionths; 0 where the attack has none.
        upper: Upper confidence bound, millionths.
        confidence: Of each bound, one-sided, millionths.
        trials: How much it rests on: members, others, canaries, candidates.
        detectable: Smallest true value that would have failed in 19 of 20 repetitions, millionths; None without a
            bound to fail, or where no value would have.
        power: The same in words.
        further: Other figures, millionths or counts, that no gate reads.
    """

    attack: str
    version: int
    measure: str
    point: int
    lower: int
    upper: int
    confidence: int
    trials: Mapping[str, int]
    detectable: int | None = None
    power: str = ""
    further: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = (self.version, self.point, self.lower, self.upper, self.confidence)
        counts = (*self.trials.values(), *self.further.values())
        if any(type(one) is not int or not 0 <= one < 2**53 for one in (*numbers, *counts)):
            raise InvalidError("a figure of an attack is a whole number", rule="attack.result")
        words = (self.attack, self.measure, *self.trials, *self.further)
        if not all(_WORD.fullmatch(one) for one in words):
            raise InvalidError("an attack is named by a word", rule="attack.result")
        if not self.lower <= self.point <= self.upper:
            raise InvalidError("a figure lies outside its own bounds", rule="attack.result")

    def to_record(self) -> dict[str, Any]:
        """Return it as JSON values: whole numbers and words."""
        return {
            "attack": self.attack,
            "version": self.version,
            "measure": self.measure,
            "point": self.point,
            "lower": self.lower,
            "upper": self.upper,
            "confidence": self.confidence,
            "trials": dict(self.trials),
            "detectable": self.detectable,
            "power": self.power,
            "further": dict(self.further),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> AttackResult:
        """Read what ``to_record`` made, or what another attack of the house hands over.

        Raises:
            InvalidError: It is no result.
        """
        try:
            return cls(**record)
        except (TypeError, AttributeError) as error:
            raise InvalidError("not the result of an attack", rule="attack.result") from error


def judge(result: AttackResult, must_be: Threshold, *, measure: str) -> str:
    """Return ``passed``, ``failed`` or ``unmeasured``: on the upper bound, and only if it could have failed.

    Args:
        result: What an attack found.
        must_be: What the charter asks for.
        measure: What it asks it of.
    """
    if measure != result.measure or must_be.op not in OPERATORS:
        return UNMEASURED
    if must_be.op == "==":
        # no number of trials proves that a share is nothing: that none was seen passes, with its power beside it
        if must_be.micro or result.detectable is None:
            return UNMEASURED
        return PASSED if result.point == 0 else FAILED
    fits = result.upper < must_be.micro if must_be.op == "<" else result.upper <= must_be.micro
    if max(result.point, result.lower, result.further.get(SECOND, 0)) > must_be.micro:
        return FAILED
    if result.detectable is None:
        return UNMEASURED
    return PASSED if fits else FAILED


def lower_bound(hits: int, trials: int, *, confidence: float = CONFIDENCE) -> float:
    """Return the one-sided Clopper-Pearson lower bound of a share."""
    return 1.0 - upper_bound(trials - hits, trials, confidence=confidence)


def membership_result(
    *, members: int, others: int, hits: int, false: int, even: tuple[int, int], must_be: Threshold
) -> AttackResult:
    """Return what a membership attack found: how much more often it says "member" of a member than of others.

    The threshold was set on the others, so that few of them lie above it. With Clopper-Pearson bounds at half the
    error each, true minus false positive rate lies below ``upper``. The same at a threshold that half of the others
    pass is a second look: its lower bound fails a gate too.

    Args:
        members: People who were in the training set.
        others: People who were not.
        hits: Members above the threshold.
        false: Others above it.
        even: Members and others above the median of the others.
        must_be: The bound, for the power.
    """
    if members < 1 or others < 1 or not (0 <= hits <= members and 0 <= false <= others):
        raise InvalidError("the counts of an attack do not add up", rule="attack.result")
    each = 1 - (1 - CONFIDENCE) / 2
    quarter = 1 - (1 - CONFIDENCE) / 4
    floor = lower_bound(false, others, confidence=each)

    def upper_at(count: int) -> float:
        return upper_bound(count, members, confidence=each) - floor

    def lower_at(count: int, wrong: int) -> float:
        ceiling = upper_bound(wrong, others, confidence=quarter)
        return lower_bound(count, members, confidence=quarter) - ceiling

    rate = false / others
    point = max(0.0, hits / members - rate)
    upper = max(0.0, upper_at(hits))
    lower = max(0.0, lower_at(hits, false))
    second = max(0.0, lower_at(*even))
    detectable, power = None, "this gate sets no upper bound, so nothing could have failed it"
    if must_be.op in ("<=", "<"):
        bound = must_be.micro / MICRO
        chance = round(rate * members)  # what somebody who only guesses gets
        if upper_at(chance) > bound:
            power = (
                f"{members} members and {others} others are too few for this bound: not even an attack that only"
                " guesses would have passed"
            )
        elif upper_at(members) <= bound:
            power = "no outcome of this attack could have failed this bound"
        else:
            fails = next(count for count in range(chance, members + 1) if upper_at(count) > bound)
            seen = upper_bound(fails - 1, members) - rate
            detectable = min(MICRO, math.ceil(seen * MICRO))
            power = (
                f"an advantage of {seen:.3f} would have failed this gate in 19 of 20 repetitions"
                f" ({members} members, {others} others, {rate:.1%} of the others above the threshold)"
            )
    return AttackResult(
        attack="membership",
        version=1,
        measure=MEMBERSHIP,
        point=round(point * MICRO),
        lower=min(round(lower * MICRO), round(point * MICRO)),
        upper=min(MICRO, math.ceil(upper * MICRO)),
        confidence=round(CONFIDENCE * MICRO),
        trials={"members": members, "others": others},
        detectable=detectable,
        power=power,
        further={
            "tpr": round(hits / members * MICRO),
            "fpr": round(rate * MICRO),
            "even_tpr": round(even[0] / members * MICRO),
            "even_fpr": round(even[1] / others * MICRO),
            SECOND: round(second * MICRO),
        },
    )


def canary_result(
    *, planted: int, candidates: int, exposed: int, deepest: int, mean: int, must_be: Threshold
) -> AttackResult:
    """Return what a search for planted sequences found: the share of them that the model gives away.

    A sequence is exposed if the model finds it likelier than every one of the candidates, which were drawn like it and
    never trained on: an exposure of log2(candidates + 1), the most that so many can show (Carlini et al. 2019, The
    Secret Sharer, section 4). By chance that happens to one of them once in candidates + 1.

    Args:
        planted: Sequences that were in the training set.
        candidates: Sequences that were not.
        exposed: How many are exposed.
        deepest: The largest exposure, in thousandths of a bit.
        mean: The mean exposure, in thousandths of a bit; 1,443 where nothing is remembered.
        must_be: The bound, for the power.
    """
    if planted < 1 or candidates < 1 or not 0 <= exposed <= planted:
        raise InvalidError("the counts of an attack do not add up", rule="attack.result")
    detectable, power = None, "this gate sets no upper bound, so nothing could have failed it"
    wanted = None
    if must_be.op == "==":
        wanted = 1
    elif must_be.op in ("<=", "<"):
        bound = must_be.micro / MICRO
        over = (n for n in range(planted + 1) if upper_bound(n, planted) > bound)
        wanted = next(over, None)
        if wanted == 0:
            power = f"{planted} planted sequences are too few for this bound: not even none exposed would have passed"
        elif wanted is None:
            power = "no outcome of this attack could have failed this bound"
    if wanted:
        seen = upper_bound(wanted - 1, planted)
        detectable = min(MICRO, math.ceil(seen * MICRO))
        power = (
            f"a model that exposes {seen:.1%} of such sequences would have failed this gate in 19 of 20 repetitions"
            f" ({planted} planted, each against {candidates} candidates)"
        )
    return AttackResult(
        attack="canary",
        version=1,
        measure=CANARY,
        point=round(exposed / planted * MICRO),
        lower=min(round(lower_bound(exposed, planted) * MICRO), round(exposed / planted * MICRO)),
        upper=min(MICRO, math.ceil(upper_bound(exposed, planted) * MICRO)),
        confidence=round(CONFIDENCE * MICRO),
        trials={"planted": planted, "candidates": candidates},
        detectable=detectable,
        power=power,
        further={"exposed": exposed, "deepest_millibits": deepest, "mean_millibits": mean},
    )
