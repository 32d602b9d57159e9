"""How an input method is typed with: keys that compose, then a key that accepts, then the text."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from safehold.workforce.keyboard import ENTER
from safehold.workforce.people import Hand
from safehold.workforce.spec import COMPOSE, WHOLE, Draw, Spec, generator

SHARE: Final = 0.04  # of people who type with an input method
OFTEN: Final = 0.5  # of their sentences

# what is typed, and what it becomes
_PHRASES: Final = (
    ("kakuninshimasu", "確認します"),
    ("arigatougozaimasu", "ありがとうございます"),
    ("shiryouwookurimasu", "資料を送ります"),
    ("kaigihagogodesu", "会議は午後です"),
    ("houkokushowoyonde", "報告書を読んで"),
    ("ashitamadeni", "明日までに"),
    ("onegaishimasu", "お願いします"),
    ("rinkuwomitekudasai", "リンクを見てください"),
    ("mousukoshimatte", "もう少し待って"),
    ("tsugiheikimasu", "次へ行きます"),
)


@lru_cache(maxsize=4096)
def composes(seed: int, index: int) -> bool:
    """Return whether this person types with an input method."""
    draw = Draw(generator(seed, index, COMPOSE, 0, 0))
    return index % 97 == 3 or draw.unit() < SHARE


def composer(spec: Spec, index: int, day: int) -> Draw | None:
    """Return the source of chance of somebody's composed sentences, none for everybody else."""
    if spec.edition < WHOLE or not composes(spec.seed, index):
        return None
    return Draw(generator(spec.seed, index, day, COMPOSE))


def phrases(draw: Draw) -> list[tuple[str, str]]:
    """Return one to three phrases: what is typed, and what it becomes."""
    return [draw.pick(_PHRASES) for _ in range(draw.whole(1, 3))]


def accept(draw: Draw, hand: Hand) -> bytes:
    """Return the presses that take the first or a later candidate."""
    again = 1 if draw.unit() < 0.7 - hand.typo else draw.whole(2, 3)
    return b" " * again + bytes([ENTER])
