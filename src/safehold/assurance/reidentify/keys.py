"""Key presses of a protected stream, with whatever the level still tells about them."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa

from safehold.assurance.reidentify.trail import Ints, Trail, split_runs
from safehold.dlp.context import numbers_of, sessions_of, words_of
from safehold.dlp.keymap import resolve, token_of, zone_of
from safehold.telemetry.stream import KeyKind, Level

_SIX: Final = frozenset({"letter", "digit", "space", "backspace", "shift"})


def read_presses(table: pa.Table) -> Trail:
    """Return the key presses of a table that was minimised.

    Measurements: ``gap`` in ms since the press before it in the same sitting, ``hold`` in ms, ``overlap``: 1 where the
    key before it was still down.

    Args:
        table: Wire form with ``minim``, one level.
    """
    level = Level(int(table.column("minim")[0].as_py())) if table.num_rows else Level.L4
    (session,) = sessions_of(table)
    session = by_appearance(session)
    order = np.lexsort((np.arange(len(session)), session))
    table, session = table.take(pa.array(order)), session[order]
    kind, mono = numbers_of(table, "kind"), numbers_of(table, "mono") / 1000.0
    fine, words = _labels(table, level)
    down = np.flatnonzero(kind != KeyKind.UP)
    hold = np.full(len(down), np.nan)
    up_at = np.full(len(down), np.nan)
    if level <= Level.L1:
        partner = _releases(session, fine, kind)
        paired = partner[down] >= 0
        up_at[paired] = mono[partner[down][paired]]
        hold = up_at - mono[down]
    at, run, label = mono[down], session[down], fine[down]
    gap = np.full(len(down), np.nan)
    overlap = np.full(len(down), np.nan)
    if level <= Level.L2 and len(down):
        same = run[1:] == run[:-1]
        gap[1:] = np.where(same, np.diff(at), np.nan)
        if level <= Level.L1:
            overlap[1:] = np.where(same & ~np.isnan(up_at[:-1]), at[1:] < up_at[:-1], np.nan)
    # what is masked has no times of its own: a run of it stands where it began
    masked = np.array([word.startswith("<") for word in words], bool)[label]
    for value in (gap, hold, overlap):
        value[masked] = np.nan
    index, people = words_of(table.column("person"))
    person = index[down]
    return Trail(
        people=tuple(str(name) for name in people if name is not None),
        person=person,
        run=run,
        probe=split_runs(person, run),
        views=_views(label, words, level),
        numbers=np.stack([gap, hold, overlap], axis=1),
        names=("gap", "hold", "overlap"),
    )


def by_appearance(number: Ints) -> Ints:
    """Number groups in the order in which they first appear."""
    _, first, back = np.unique(number, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    ordered: Ints = rank[back]
    return ordered


def _labels(table: pa.Table, level: Level) -> tuple[Ints, list[str]]:
    key, key_words = words_of(table.column("key"))
    if level > Level.L0:
        return key, [word or "" for word in key_words]
    code, code_words = words_of(table.column("code"))
    pair, back = np.unique(key * len(code_words) + code, return_inverse=True)
    names = []
    for number in pair.tolist():
        name = resolve(key_words[number // len(code_words)], code_words[number % len(code_words)])
        names.append(name.lower() if len(name) == 1 else name)
    words = list(dict.fromkeys(names))
    place = np.array([words.index(name) for name in names], np.int64)
    return place[back], words


def _views(label: Ints, words: list[str], level: Level) -> dict[str, tuple[Ints, tuple[str, ...]]]:
    views = {"code" if level == Level.L0 else "token": (label, tuple(words))}
    if level == Level.L0:
        views["zone"] = _coarse(label, [zone_of(word) for word in words])
    tokens = [_token(word, level) for word in words]
    views["class"] = _coarse(label, [token if token in _SIX else "other" for token in tokens])
    return views


def _token(word: str, level: Level) -> str:
    if level == Level.L0:
        return token_of(word)
    return "letter" if level == Level.L1 and "_" in word else word


def _coarse(label: Ints, names: list[str]) -> tuple[Ints, tuple[str, ...]]:
    words = list(dict.fromkeys(names))
    place = np.array([words.index(name) for name in names], np.int64)
    return place[label], tuple(words)


def _releases(session: Ints, label: Ints, kind: Ints) -> Ints:
    """Return for each press the place of the first release of the same label after it, -1 for none."""
    code = session * (int(label.max(initial=0)) + 1) + label
    order = np.argsort(code, kind="stable")
    grouped, up = code[order], kind[order] == KeyKind.UP
    place = np.arange(len(order))
    following = np.where(up, place, len(order))
    following = np.minimum.accumulate(following[::-1])[::-1]
    inside = following < len(order)
    ok = inside & (grouped[np.minimum(following, len(order) - 1)] == grouped) & ~up
    partner = np.full(len(order), -1, np.int64)
    partner[order[ok]] = order[following[ok]]
    return partner
