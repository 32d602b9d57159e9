"""Run every attacker on one protected stream and say how well each recognises people."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from safehold.assurance.reidentify.discriminant import match_discriminant
from safehold.assurance.reidentify.encoder import Schooling, match_encoder
from safehold.assurance.reidentify.forest import TREES, match_forest, window_features
from safehold.assurance.reidentify.fuse import fuse, inner_trial
from safehold.assurance.reidentify.keys import read_presses
from safehold.assurance.reidentify.pointing import (
    number_strokes,
    read_pointer,
    stroke_features,
)
from safehold.assurance.reidentify.profile import match_order, match_timing
from safehold.assurance.reidentify.score import Figure, judge_scores
from safehold.assurance.reidentify.trail import Floats, Ints, Trail

KINDS: Final = ("profile", "discriminant", "forest", "encoder", "fused")
ACTIONS: Final = 20  # actions of a pointer window where there are no moves
_ORDERED: Final = 60  # words of a view whose pairs and triples are counted

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arms:
    """What attacks, and how hard it tries.

    Args:
        kinds: Kinds of attacker, out of ``KINDS``.
        seed: Makes the attack the same again.
        steps: Steps the encoder is trained for.
    """

    kinds: tuple[str, ...] = KINDS
    seed: int = 1
    steps: int = 1_000


def read_trail(stream: str, table: pa.Table) -> Trail:
    """Return what an attacker sees of a minimised table."""
    return read_presses(table) if stream == "key" else read_pointer(table)


def attack(stream: str, trail: Trail, arms: Arms, tell: Tell = lambda _title: None) -> list[Figure]:
    """Return the figures of every attacker, the fused one last.

    Args:
        stream: ``key`` or ``pointer``.
        trail: The protected events, enrolled part and probe.
        arms: Which attackers.
        tell: Is told what begins.
    """
    tables = _match(stream, trail, arms, tell)
    if "fused" in arms.kinds and len(tables) > 1:
        tell("weighing the attackers")
        inner = _match(stream, inner_trial(trail), arms, lambda _title: None, heavy=False)
        tables["fused"] = fuse(tables, inner)
    tried = np.unique(trail.person[trail.probe])
    return [judge_scores(name, _those(table, tried)) for name, table in tables.items()]


def _those(table: Floats, tried: Ints) -> Floats:
    """Return the rows and columns of people who have a probe; a person without one is not recognised either way."""
    if len(tried) == len(table):
        return table
    cut: Floats = table[np.ix_(tried, tried)]
    return cut


def _match(
    stream: str, trail: Trail, arms: Arms, tell: Tell, *, heavy: bool = True
) -> dict[str, Floats]:
    tables: dict[str, Floats] = {}
    people = len(trail.people)
    if "profile" in arms.kinds:
        tell("profiles")
        for view, (_, words) in trail.views.items():
            if trail.has("gap") and stream == "key":
                tables[f"profile {view}"] = match_timing(trail, view)
            if len(words) <= _ORDERED and len(words) > 1:
                tables[f"order {view}"] = match_order(trail, view)
    features, window = _features(stream, trail)
    first = np.flatnonzero(np.r_[True, window[1:] != window[:-1]])
    owner, probe = trail.person[first], trail.probe[first]
    if "discriminant" in arms.kinds:
        tell("discriminant")
        tables["discriminant"] = match_discriminant(
            features, owner=owner, probe=probe, people=people
        )
    if "forest" in arms.kinds:
        tell("forest")
        trees = TREES if heavy else TREES // 3
        tables["forest"] = match_forest(
            features, owner=owner, probe=probe, people=people, seed=arms.seed, trees=trees
        )
    if "encoder" in arms.kinds and heavy:
        tell("encoder")
        tables["encoder"] = match_encoder(
            trail, seed=arms.seed, schooling=Schooling(steps=arms.steps)
        )
    return tables


def _features(stream: str, trail: Trail) -> tuple[Floats, Ints]:
    if stream == "key":
        window = trail.windows()
        return window_features(trail, window), window
    _, words = trail.views["act"]
    if trail.has("gap") and any(word == "RELEASE" for word in words):  # moves are there
        window = number_strokes(trail)
        return stroke_features(trail, window), window
    window = trail.windows(ACTIONS)
    return window_features(trail, window), window
