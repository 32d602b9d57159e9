"""When and where something sensitive is planted.

The first people of the first day carry a fixed list, so that a small run holds every class a few
times; everybody else carries it at the rates of a working company (per 1,000 person-days: 40
identifiers, 10 health, 10 financial or legal, 15 credentials, 10 remarks on performance, 10
private messages, 20 decoys).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from safehold.workforce.guise import (
    COMPOSED,
    LINKED,
    SAID,
    SPOKEN,
    WIDE,
    make_composed,
    make_link,
    make_said,
)
from safehold.workforce.secret import IDENTIFIERS, Secret, make_decoy, make_secret
from safehold.workforce.spec import PLANTS, WHOLE, Draw, Spec, generator

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
SPEECH: Final = "speech"  # said in a meeting
LABEL: Final = "metric"  # in the name of a metric
ADDRESS: Final = "focus-url"  # a link as the title of a page
HOST: Final = "focus-host"  # a link where a recorder ought to give the host alone
IME: Final = "key-ime"  # composed by an input method
LINK: Final = "link"  # prefix: the value lies in a link that is typed or sent

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

_MADE: Final[dict[str, Callable[[str, Draw], Secret]]] = {
    SPEECH: make_said,
    ADDRESS: make_link,
    HOST: make_link,
    IME: make_composed,
    LINK: make_link,
}


def _list_more() -> tuple[tuple[str, str], ...]:
    both = [(kind, SPEECH) for kind in (*SAID, *SPOKEN)]
    both += [(kind, way) for way in (ADDRESS, HOST) for kind in LINKED]
    both += [(kind, f"{LINK}:{way}") for way in (CHAT, ASK, KEPT) for kind in LINKED]
    both += [(kind, IME) for kind in (*COMPOSED, *WIDE)]
    both += [(kind, LABEL) for kind in ("EMAIL", "SSN", "PHONE", "PERFORMANCE")]
    both += [("", f"{_DECOY}:{way}") for way in (SPEECH, SPEECH, ADDRESS, LABEL)]
    return tuple(both)


_MORE: Final = _list_more()
# the rates stay; in the whole edition they reach the streams that came later as well
_SPREAD: Final = {
    40: (SPEECH, LABEL),
    10: (SPEECH,),
    20: (f"{_DECOY}:{SPEECH}",),
}
_LINK_RATE: Final = 12  # links with something in them, per 1,000 person-days
_IME_RATE: Final = 5


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
    rates = list(_RATES)
    if spec.edition >= WHOLE:
        if day == 0 and index < FIRST_PEOPLE:
            wanted += [
                (kind, way, 0.0)
                for place, (kind, way) in enumerate(_MORE)
                if (place * 11 + 4) % FIRST_PEOPLE == index
            ]
        rates = _reach_further(rates)
    for rate, kinds, ways in rates:
        if draw.unit() < rate / 1000:
            wanted.append((draw.pick(kinds), draw.pick(ways), draw.unit()))
    plants = []
    for kind, way, style in wanted:
        name = way
        if way.startswith(_DECOY):
            name = way.partition(":")[2]
            secret = make_decoy(draw)
        else:
            guise, _, rest = way.partition(":")
            secret = _MADE.get(guise, make_secret)(kind, draw)
            name = rest or name
        if name in _DENIED:
            secret = Secret(kind=secret.kind, value=secret.value)
        at = 0.05 + 0.9 * draw.unit()
        plants.append(Plant(way=name, secret=secret, at=at, style=style))
    return sorted(plants, key=lambda plant: plant.at)


def _reach_further(
    rates: list[tuple[int, tuple[str, ...], tuple[str, ...]]],
) -> list[tuple[int, tuple[str, ...], tuple[str, ...]]]:
    """Return the rates of the whole edition: the same values in more places, and links."""
    wider = []
    for rate, kinds, ways in rates:
        more = _SPREAD.get(rate, ()) if DIRECT not in ways else ()
        wider.append((rate, kinds, (*ways, *more)))
    links = (ADDRESS, HOST, f"{LINK}:{CHAT}", f"{LINK}:{ASK}", f"{LINK}:{KEPT}")
    return [*wider, (_LINK_RATE, LINKED, links), (_IME_RATE, COMPOSED, (IME,))]
