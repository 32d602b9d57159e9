"""When and where something sensitive is planted.

The first people of the first day carry a fixed list, so that a small run holds every class a few
times; everybody else carries it at the rates of a working company (per 1,000 person-days: 40
identifiers, 10 health, 10 financial or legal, 15 credentials, 10 remarks on performance, 10
private messages, 20 decoys).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from safehold.workforce.secret import IDENTIFIERS, Secret, make_decoy, make_secret
from safehold.workforce.spec import PLANTS, Draw, Spec, generator

FIRST_PEOPLE: Final = 30  # who carry the fixed list

KEPT: Final = "key"  # typed into a text field and kept
ERASED: Final = "key-erased"  # typed and deleted again
WRONG: Final = (
    "key-wrong-window"  # a password typed into a chat box, deleted, typed where it belongs
)
RESET: Final = "key-password"  # a password reset: three password fields
CHAT: Final = "chat"
DIRECT: Final = "chat-dm"
ASK: Final = "ai"
TITLE: Final = "focus-title"
FILE: Final = "focus-file"
VAULT: Final = "denied-passwords"  # a visit to the password manager
BANK: Final = "denied-bank"
CLINIC: Final = "denied-clinic"

_DENIED: Final = (VAULT, BANK, CLINIC)
_DECOY: Final = "decoy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """One thing to plant in a person-day.

    Args:
        way: How it appears, one of the constants of this module.
        secret: What appears.
        at: Where in the day, 0 to 1.
        style: How it is deleted, 0 to 1, where it is.
    """

    way: str
    secret: Secret
    at: float
    style: float = 0.0


def _list_floor() -> tuple[tuple[str, str], ...]:
    both = [(kind, KEPT) for kind in (*IDENTIFIERS, "SECRET", "PASSWORD", "OTP", "MRN")]
    both += [(kind, ERASED) for kind in (*IDENTIFIERS, "SECRET", "OTP", "MRN", "HEALTH")]
    both += [("PASSWORD", WRONG)] * 4 + [("PASSWORD", RESET)] * 3
    both += [(kind, CHAT) for kind in ("EMAIL", "PHONE", "CARD", "SSN", "SECRET", "IBAN", "MRN")]
    both += [(kind, CHAT) for kind in ("HEALTH", "LEGAL", "FINANCE", "PERFORMANCE", "IP", "EMPID")]
    both += [(kind, ASK) for kind in ("EMAIL", "CARD", "SSN", "SECRET", "PASSWORD", "MAC", "OTP")]
    both += [(kind, ASK) for kind in ("HEALTH", "LEGAL", "FINANCE", "PERFORMANCE", "USERNAME")]
    both += [(kind, DIRECT) for kind in ("PRIVATE", "PRIVATE", "PRIVATE", "PHONE", "HEALTH")]
    both += [(kind, TITLE) for kind in ("EMAIL", "CARD", "FINANCE", "PERFORMANCE")]
    both += [(kind, FILE) for kind in ("EMAIL", "SSN", "EMPID")]
    both += [("SECRET", VAULT)] * 3 + [("IBAN", BANK)] * 3 + [("MRN", CLINIC)] * 2
    both += [("", f"{_DECOY}:{way}") for way in (KEPT, KEPT, CHAT, CHAT, CHAT, ASK, ASK, KEPT)]
    return tuple(both)


_FLOOR: Final = _list_floor()

# events per 1,000 person-days: (rate, classes, ways)
_RATES: Final = (
    (40, IDENTIFIERS, (KEPT, ERASED, CHAT, ASK, TITLE, FILE)),
    (10, ("HEALTH", "MRN"), (KEPT, CHAT, ASK, CLINIC)),
    (10, ("FINANCE", "LEGAL", "BANK"), (KEPT, CHAT, ASK, BANK, TITLE)),
    (5, ("PASSWORD",), (RESET,)),
    (5, ("PASSWORD",), (WRONG,)),
    (5, ("SECRET", "OTP", "SECRET"), (KEPT, ERASED, ASK, CHAT, VAULT)),
    (10, ("PERFORMANCE",), (CHAT, ASK, KEPT, TITLE)),
    (10, ("PRIVATE",), (DIRECT,)),
    (20, ("",), (f"{_DECOY}:{KEPT}", f"{_DECOY}:{CHAT}", f"{_DECOY}:{ASK}")),
)


def list_plants(spec: Spec, index: int, day: int) -> list[Plant]:
    """Return what is planted in a person-day, in the order of the day.

    Args:
        spec: The company; only its seed matters here.
        index: Number of the person.
        day: Number of the day, 0 for the first.
    """
    draw = Draw(generator(spec.seed, index, day, PLANTS))
    wanted: list[tuple[str, str, float]] = []
    if day == 0 and index < FIRST_PEOPLE:
        wanted += [
            (kind, way, place * 0.382 % 1.0)  # every way of deleting comes up
            for place, (kind, way) in enumerate(_FLOOR)
            if (place * 7 + 1) % FIRST_PEOPLE == index
        ]
    for rate, kinds, ways in _RATES:
        if draw.unit() < rate / 1000:
            wanted.append((draw.pick(kinds), draw.pick(ways), draw.unit()))
    plants = []
    for kind, way, style in wanted:
        name = way
        if way.startswith(_DECOY):
            name = way.partition(":")[2]
            secret = make_decoy(draw)
        else:
            secret = make_secret(kind, draw)
        if name in _DENIED:
            secret = Secret(kind=secret.kind, value=secret.value)
        at = 0.05 + 0.9 * draw.unit()
        plants.append(Plant(way=name, secret=secret, at=at, style=style))
    return sorted(plants, key=lambda plant: plant.at)
