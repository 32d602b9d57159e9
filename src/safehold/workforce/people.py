# ruff: noqa: SIM905 - long lists of words read better as text
"""Who works here: the roster, and how each person types and points.

Nothing about a person depends on how many people there are. A colleague whose number lies beyond
the roster is somebody who was never asked, and so has not agreed to anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.clock import DAY_US
from safehold.workforce.spec import PERSON, TRAITS, WHOLE, Spec, generator

STREAMS: Final = ("key", "pointer", "chat", "ai", "focus")
MORE_STREAMS: Final = ("speech", "metric", "screen")  # of the whole edition
ROLES: Final = ("support", "sales", "analyst", "writer", "developer", "manager")
TEAM_SIZE: Final = 8

_FIRST: Final = (
    "Adda Bero Calvi Dorn Elka Fenno Gisla Havo Ilse Jorun Kelda Lumi Maro Nelvi Oskan Pira Quill "
    "Runa Savi Tolva Ulla Vesk Wenda Xanti Yorik Zelda Arvo Brisa Corvin Delva Emric Falka Gorin "
    "Hesta Irmo Jessa Korv Lisbet Mirko Nadja"
).split()
_LAST: Final = (
    "Abendal Borvik Castrel Dunmark Esterby Falgren Gravell Holmqvar Ivarsen Jandorf Kestrow "
    "Lundhex Marvell Norvick Ostrand Pellwyn Quarndon Rostvik Sandrel Tarnholt Umberly Valdrik "
    "Westrow Yarnfeld Zanderby Ashvale Brenholt Corwick Drayfeld Elmgard"
).split()
HOURS: Final = {
    "US-CA": 15,
    "US-WA": 15,
    "DE": 7,
}  # start of work in UTC; the day ends before 24:00

Floats = npt.NDArray[np.float64]


def _bytes(letters: str) -> npt.NDArray[np.int64]:
    return np.array(sorted({ord(one) for both in letters for one in (both, both.upper())}))


# parts of the keyboard that a person is faster or slower on: keys, offset of ln(gap), offset of ln(hold)
_PARTS: Final = (
    (_bytes("qwert"), 0.03, 0.05),
    (_bytes("yuiop"), 0.04, 0.07),
    (_bytes("asdfg"), 0.03, 0.06),
    (_bytes("hjkl"), 0.04, 0.06),
    (_bytes("zxcvb"), 0.06, 0.06),
    (_bytes("nm"), 0.05, 0.06),
    (_bytes("0123456789"), 0.20, 0.10),
    (_bytes(",.;:'-/?!()=+\"&%$#@"), 0.20, 0.15),
    (_bytes(" "), 0.09, 0.11),
    (np.array([8, 127]), 0.14, 0.14),  # backspace, delete
    (np.array([9, 13]), 0.20, 0.15),  # tab, enter
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One made-up employee.

    Args:
        id: External id: what a recorder writes into ``person``.
        name: Full name.
        email: Work address.
        role: One of ``ROLES``.
        team: Name of the team.
        manager: External id of the manager; None for a head of department.
        jurisdiction: Legal region, for example ``US-CA``.
        consent: Streams the person opted in to; empty = never opted in.
        withdraws: Takes consent back after the data came in.
        pauses: Intervals (from, to) in microseconds since 1970 in which nothing may be recorded.
        work_hour: UTC hour at which the working day begins.
    """

    id: str
    name: str
    email: str
    role: str
    team: str
    manager: str | None
    jurisdiction: str
    consent: frozenset[str]
    withdraws: bool
    pauses: tuple[tuple[int, int], ...]
    work_hour: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """How one person types and points: constant over days, apps and streams.

    Args:
        gap: Mean of ln(gap in ms) between key presses.
        hold: Mean of ln(hold in ms).
        typo: Chance that a letter is mistyped and the error noticed.
        key_gap: Offset of ln(gap) per key, 128 values.
        key_hold: Offset of ln(hold) per key, 128 values.
        pair_gap: Offset of ln(gap) per pair of key classes, 32 x 32.
        gap_spread: Factor on the spread of ln(gap).
        hold_spread: Factor on the spread of ln(hold).
        hold_dip: Share of holds that are cut short, as by fingers that fly over the keys.
        pause: Chance of a pause before a key.
        lead: Share of the gap before a key for which its modifier is held already.
        stay: Share of the gap after it for which the modifier is still held.
        tempo: Factor on the time between pointer samples.
        bend: How far a stroke bends, as a share of its length.
        shake: Sideways noise of a stroke in pixels.
        quick: Share of samples at the device's own rate.
        click: Mean of ln(button hold in ms).
        displays: Number of screens.
    """

    gap: float
    hold: float
    typo: float
    key_gap: Floats
    key_hold: Floats
    pair_gap: Floats
    gap_spread: float
    hold_spread: float
    hold_dip: float
    pause: float
    lead: float
    stay: float
    tempo: float
    bend: float
    shake: float
    quick: float
    click: float
    displays: int


def streams_of(spec: Spec) -> tuple[str, ...]:
    """Return the streams that a person-day of this company has."""
    return (*STREAMS, *MORE_STREAMS) if spec.edition >= WHOLE else STREAMS


def external_id(index: int) -> str:
    """Return the external id of the person with this number."""
    return f"emp-{index:05d}"


def name_of(seed: int, index: int) -> tuple[str, str]:
    """Return first and last name of the person with this number."""
    rng = generator(seed, index, PERSON)
    first, last = int(rng.integers(len(_FIRST))), int(rng.integers(len(_LAST)))
    return _FIRST[first], _LAST[last]


@lru_cache(maxsize=4096)
def person(spec: Spec, index: int) -> Person:
    """Return the person with this number, the same in a roster of any size."""
    first, last = name_of(spec.seed, index)
    rng = generator(spec.seed, index, PERSON, 1)
    place, choice, leaves, rests, role = rng.random(5).tolist()
    consent = frozenset(streams_of(spec))
    if index % 97 == 4 or choice < 0.07:
        consent = frozenset()
    elif index % 97 == 6 or choice < 0.14:
        consent = frozenset({"key", "pointer", "focus"})
    start = spec.start_day * DAY_US
    pauses: tuple[tuple[int, int], ...] = ()
    if index % 97 == 13 or rests < 0.02:
        pauses = ((start + 17 * DAY_US // 24, start + 19 * DAY_US // 24),)
    jurisdiction = "US-CA" if place < 0.6 else "US-WA" if place < 0.93 else "DE"
    if index % 97 == 9:
        jurisdiction = "DE"
    team = index // TEAM_SIZE
    lead = team * TEAM_SIZE
    head = team // 6 * 6 * TEAM_SIZE
    manager = lead if index != lead else head
    return Person(
        id=external_id(index),
        name=f"{first} {last}",
        email=f"{first}.{last}.{index}@northfield.example".lower(),
        role="manager" if index == lead else ROLES[int(role * (len(ROLES) - 1))],
        team=f"team-{team}",
        manager=None if manager == index else external_id(manager),
        jurisdiction=jurisdiction,
        consent=consent,
        withdraws=bool(consent) and (index % 97 == 11 or leaves < 0.01),
        pauses=pauses,
        work_hour=HOURS[jurisdiction],
    )


def roster(spec: Spec) -> list[Person]:
    """Return everybody on the roster, in the order of their numbers."""
    return [person(spec, index) for index in range(spec.people)]


@lru_cache(maxsize=512)
def hand(seed: int, index: int) -> Hand:
    """Return how this person types and points.

    Medians and spreads between people follow public keystroke and mouse studies (Aalto 136M,
    Balabit, SapiMouse); the offsets per key, pair and part of the keyboard, and how even somebody types, are what makes
    a typist recognisable. Each is as large as what lasts from one half of a person's sentences to the other.
    """
    rng = generator(seed, index, TRAITS)
    first, second = rng.standard_normal(2).tolist()
    traits = rng.standard_normal(8).tolist()
    key_gap, key_hold = 0.09 * rng.standard_normal(128), 0.12 * rng.standard_normal(128)
    pair_gap = 0.20 * rng.standard_normal((32, 32))
    more = rng.standard_normal(6).tolist()
    for keys, of_gap, of_hold in _PARTS:
        near, far = rng.standard_normal(2).tolist()
        key_gap[keys] += of_gap * near
        key_hold[keys] += of_hold * far
    return Hand(
        gap=5.02 + 0.319 * first,
        hold=4.675 + 0.211 * (0.13 * first + 0.99 * second),
        typo=float(np.clip(0.043 * np.exp(0.64 * traits[0]), 0.006, 0.13)),
        key_gap=key_gap,
        key_hold=key_hold,
        pair_gap=pair_gap,
        gap_spread=float(np.exp(0.28 * more[0])),
        hold_spread=float(np.exp(0.26 * more[1])),
        hold_dip=float(np.clip(0.04 * np.exp(1.1 * more[2]), 0.0, 0.4)),
        pause=float(np.clip(0.078 * np.exp(0.65 * more[3]), 0.01, 0.3)),
        lead=float(np.clip(0.4 + 0.17 * more[4], 0.08, 0.8)),
        stay=float(np.clip(0.5 + 0.2 * more[5], 0.08, 0.9)),
        tempo=float(np.exp(0.15 * traits[1])),
        bend=0.10 * traits[2],
        shake=float(2.5 * np.exp(0.4 * traits[3])),
        quick=float(np.clip(0.33 + 0.06 * traits[4], 0.1, 0.6)),
        click=4.5 + 0.25 * traits[5],
        displays=2 if traits[6] > 0.2 else 1,
    )
