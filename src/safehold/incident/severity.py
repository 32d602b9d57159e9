"""How bad it is: a scale from 0 (the gravest) to 5, with what each step means, and what the facts propose.

The facts propose; people decide, and each decision is a leaf. Nothing is proposed as less grave than the facts allow
for: what is not known counts as the worst it could be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.keeper.incident import GRAVEST, LEAST

MANY: Final = 1000  # people
SOME: Final = 50  # people; below that a figure would not be published either


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One step of the scale.

    Args:
        severity: 0 (the gravest) to 5.
        name: In a word or two.
        means: When it is this, in plain words.
        first: What is done first.
    """

    severity: int
    name: str
    means: str
    first: str


SCALE: Final = (
    Level(
        severity=0,
        name="open wound",
        means="readable data of a thousand people or more is, or was, in the hands of somebody who may not have it,"
        " and it is not contained; or the record itself was changed",
        first="stop everything; the whole board is called",
    ),
    Level(
        severity=1,
        name="exposed",
        means="readable data of somebody was in the hands of somebody who may not have it, and it is not contained;"
        " or of a thousand people or more, and it is contained; an emergency counts as this until it is reviewed",
        first="contain within the hour; tell the board",
    ),
    Level(
        severity=2,
        name="could be read",
        means="data could have been read by those who may not, whether or not anybody did, of fifty people or more"
        " or until it was found by chance; or it was read and is contained",
        first="contain within the day; find out who read what",
    ),
    Level(
        severity=3,
        name="used otherwise",
        means="data was used within a grant and not as stated, or could have been read of fewer than fifty people;"
        " it is contained",
        first="review the grant; tell who asked for it",
    ),
    Level(
        severity=4,
        name="tried",
        means="somebody tried, or what runs was not what was signed; every attempt was refused",
        first="look at what was tried, and by whom",
    ),
    Level(
        severity=5,
        name="odd",
        means="something is unusual and nothing shows that anything happened",
        first="look at it within three working days",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of an incident. None is: nobody knows, which counts as the worst.

    Args:
        read: Data came, readable, to somebody who may not have it.
        could: It could have.
        tried: Somebody tried.
        people: How many people it is about.
        contained: It is contained.
        record: The ledger was found changed.
        special: Data of kinds that are never to be collected is among it.
    """

    read: bool | None = None
    could: bool | None = None
    tried: bool | None = None
    people: int | None = None
    contained: bool = False
    record: bool = False
    special: bool = False


def propose(facts: Facts) -> tuple[int, str]:
    """Return a severity, and the reason in one sentence; no other facts make it graver than they say."""
    level, why = _base(facts)
    if facts.special and level > GRAVEST and facts.read is not False:
        level, why = level - 1, f"{why}; data that is never to be collected is among it"
    return max(GRAVEST, min(level, LEAST)), why


def _base(facts: Facts) -> tuple[int, str]:
    """Return a severity and why: the record changed, read, nobody knows, could have been read, tried, nothing."""
    people = facts.people
    many = people is None or people >= MANY
    some = people is None or people >= SOME
    count = "an unknown number of people" if people is None else f"{people} people"
    contained = "it is contained" if facts.contained else "it is not contained"
    grave = (0 if many else 1) + int(facts.contained)
    steps = (
        (facts.record, 0, "the record itself was found changed"),
        (facts.read is True, grave, f"data of {count} was read, and {contained}"),
        (
            facts.read is None and facts.could is not False and not facts.contained,
            1 if many else 2,
            f"nobody knows yet whether data of {count} was read",
        ),
        (
            facts.could is True or (facts.could is None and facts.read is None),
            2 if some else 3,
            f"data of {count} could have been read",
        ),
        (facts.tried is not False, 4, "it was tried, and refused"),
    )
    found = ((level, why) for holds, level, why in steps if holds)
    return next(found, (5, "nothing shows that anything happened"))


def of_alert(severity: int) -> int:
    """Return what an alert proposes: alerts count upwards from 0, the least, to 4."""
    return max(1, min(LEAST - severity, LEAST))


def scale() -> list[Mapping[str, Any]]:
    """Return the whole scale as JSON."""
    return [told(one.severity) for one in SCALE]


def told(severity: int) -> Mapping[str, Any]:
    """Return one step of the scale as JSON."""
    one = SCALE[severity]
    return {
        "severity": one.severity,
        "name": one.name,
        "means": one.means,
        "first": one.first,
    }
