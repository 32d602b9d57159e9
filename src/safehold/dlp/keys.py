"""Key events: rebuild the text, find what is sensitive, and leave what the level allows."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.context import distinct, numbers_of, sessions_of, words_of
from safehold.dlp.keymap import MODIFIERS, OPAQUE, TOKENS, Op, operate, resolve
from safehold.dlp.keystroke import Piece, join_clicked, replay
from safehold.dlp.mask import Marks, mark_pieces, spread
from safehold.dlp.roster import Roster
from safehold.dlp.typed import Typed
from safehold.telemetry.stream import KeyKind

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
_BATCH: Final = 1 << 20  # characters scanned at a time
_HELD_US: Final = 500_000  # before a held key repeats
_REPEAT_US: Final = 33_000
_MOST_REPEATS: Final = 4_096


def _changes(values: Ints) -> Bools:
    return np.r_[True, values[1:] != values[:-1]] if len(values) else np.zeros(0, bool)


def _order(session: Ints, seq: Ints) -> Ints:
    """Return the order by session and sequence; most tables have it already."""
    ahead = session[1:] > session[:-1]
    if (ahead | ((session[1:] == session[:-1]) & (seq[1:] >= seq[:-1]))).all():
        return np.arange(len(session))
    return np.lexsort((seq, session))


def _held(session: Ints, kinds: Ints, names: Ints, vocabulary: list[str]) -> Ints:
    """Return the modifiers held at each place, from their own presses and releases."""
    mods = np.zeros(len(kinds), np.int64)
    at = np.arange(len(kinds))
    starts = np.maximum.accumulate(np.where(_changes(session), at, 0))
    for name, bit in MODIFIERS.items():
        if name in vocabulary:
            last = np.where(names == vocabulary.index(name), at, -1)
            last = np.maximum.accumulate(np.r_[-1, last[:-1]])  # strictly before this event
            mods |= np.where(
                (last >= starts) & (kinds[np.maximum(last, 0)] == KeyKind.DOWN), bit, 0
            )
    return mods


def _caps(session: Ints, kinds: Ints, names: Ints, vocabulary: list[str]) -> Ints:
    if "CapsLock" not in vocabulary:
        return np.zeros(len(kinds), np.int64)
    pressed = (names == vocabulary.index("CapsLock")) & (kinds == KeyKind.DOWN)
    total = np.cumsum(pressed)
    base = np.maximum.accumulate(np.where(_changes(session), total - pressed, 0))
    return (total - base) % 2


def _pair(session: Ints, kinds: Ints, names: Ints) -> Ints:
    """Return the place of the press each up ends, and of the up of each press; -1 for none."""
    code = session * (int(names.max(initial=0)) + 1) + names
    if int(code.max(initial=0)) < 1 << 16:
        code = code.astype(np.uint16)  # numbers this small are sorted by counting
    order = np.argsort(code, kind="stable")
    same = ~_changes(code[order])
    kind = kinds[order]
    place = np.arange(len(order), dtype=np.int32 if len(order) < 1 << 30 else np.int64)
    # the last press or begin of a key before each event; odd where it is a press
    down = kind == KeyKind.DOWN
    last = np.maximum.accumulate(np.where(down | ~same, place * 2 + down, 0))
    ok = np.flatnonzero((kind == KeyKind.UP) & (last & 1 > 0))
    partner = np.full(len(order), -1)
    partner[order[ok]] = order[last[ok] >> 1]
    # forward: only when nothing of the same key lies between
    ahead = np.flatnonzero(down[:-1] & (kind[1:] == KeyKind.UP) & same[1:])
    partner[order[ahead]] = order[ahead + 1]
    return partner


def read_keys(table: pa.Table, *, clicks: pa.Table | None = None) -> Typed:
    """Turn key events into operations.

    Args:
        table: Key events in wire form, in any order.
        clicks: Pointer events of the same sessions; a press ends the segment.
    """
    group, clicked = sessions_of(table), None
    if clicks is not None and clicks.num_rows:
        group = sessions_of(table, clicks)
        clicked = clicks, group[1]
    session, seq = group[0], numbers_of(table, "seq")
    order = _order(session, seq)
    if len(order) and (order[1:] < order[:-1]).any():
        table, session = table.take(pa.array(order)), session[order]
    kinds = numbers_of(table, "kind")
    keys, key_names = words_of(table.column("key"))
    codes, code_names = words_of(table.column("code"))
    pair, back = distinct(keys * len(code_names) + codes)
    looked = [
        (key_names[p // len(code_names)], code_names[p % len(code_names)]) for p in pair.tolist()
    ]
    # first without Shift: enough to know the modifiers themselves
    first = [resolve(key, code) for key, code in looked]
    vocabulary = list(dict.fromkeys(first))
    number = {name: at for at, name in enumerate(vocabulary)}
    plain = np.array([number[name] for name in first], np.int64)[back]
    mods = numbers_of(table, "mods")
    if table.column("mods").null_count:
        told = pc.is_valid(table.column("mods")).to_numpy()
        mods = np.where(told, mods, _held(session, kinds, plain, vocabulary))
    mods = mods & 15
    caps = _caps(session, kinds, plain, vocabulary)
    combined, back = distinct((back * 2 + caps) * 16 + mods)
    acts, named = [], []
    for item in combined.tolist():
        key, code = looked[item // 32]
        name = resolve(key, code, shift=item & 1, caps=item // 16 % 2)
        named.append(name)
        acts.append(operate(name, item % 16))
    vocabulary = list(dict.fromkeys(named))
    number = {name: at for at, name in enumerate(vocabulary)}
    names = np.array([number[name] for name in named], np.int64)[back]
    ops = np.array([int(op) for op, _ in acts], np.int64)[back]
    texts = np.array([*(text for _, text in acts), ""], object)[:-1][back]
    physical = np.where(codes == len(code_names) - 1, len(code_names) + plain, codes)
    release = _pair(session, kinds, physical)
    ops = np.where(kinds == KeyKind.DOWN, ops, Op.NOP)
    commits = _take_blocks(table, session, kinds=kinds, ops=ops, texts=texts)
    counts = _repeats(table, session, ops=ops, release=release)
    segments, fields = _segments(table, session, ops, clicked)
    return Typed(
        order=order, ops=ops, texts=texts, names=names, vocabulary=vocabulary, counts=counts,
        kinds=kinds,
        segments=segments, fields=fields, release=release, commits=commits,
    )  # fmt: skip


def _take_blocks(
    table: pa.Table, session: Ints, *, kinds: Ints, ops: Ints, texts: npt.NDArray[np.object_]
) -> Ints:
    """Give commits and pastes their text, and take away what they make redundant.

    Returns:
        For each press under composition, the place of the commit it went into, or -1.
    """
    composing = _flags(table, "composing")
    # keys under composition are the input method's: the commit brings the text, a deletion deletes
    # what is not there yet, and Enter accepts it and ends nothing
    composing = composing & (kinds == KeyKind.DOWN)
    commits = np.isin(session, np.unique(session[kinds == KeyKind.COMMIT]))
    ops[composing & commits] = Op.NOP
    # Ctrl+V where the recorder reports pastes itself
    reported = np.isin(session, np.unique(session[kinds == KeyKind.PASTE]))
    ops[reported & (ops == Op.PASTE)] = Op.NOP
    for place in np.flatnonzero(ops == Op.PASTE).tolist():
        texts[place] = OPAQUE
    blocks = np.flatnonzero(kinds >= KeyKind.COMMIT)
    if len(blocks):
        values = table.column("commit").take(pa.array(blocks)).to_pylist()
        for place, value in zip(blocks.tolist(), values, strict=True):
            ops[place], texts[place] = Op.PASTE, value or OPAQUE
    return _commits_of(session, kinds, ops, composing)


def _commits_of(session: Ints, kinds: Ints, ops: Ints, composing: Bools) -> Ints:
    """Return for each press under composition the next commit, if nothing else was typed between."""
    found = np.full(len(kinds), -1)
    place = np.flatnonzero(kinds == KeyKind.COMMIT)
    taken = np.flatnonzero(composing)
    if not len(place) or not len(taken):
        return found
    others = np.cumsum((kinds == KeyKind.DOWN) & ~composing & (ops != Op.NOP))
    follows = np.searchsorted(place, taken)
    some = follows < len(place)
    taken, follows = taken[some], place[follows[some]]
    same = (session[taken] == session[follows]) & (others[taken] == others[follows])
    found[taken[same]] = follows[same]
    return found


def _flags(table: pa.Table, name: str) -> Bools:
    """Return a column of truth values; nulls are false."""
    column = table.column(name)
    if column.null_count == len(column):  # a column that the recorder does not fill
        return np.zeros(len(column), bool)
    filled = pc.fill_null(column, fill_value=False)
    return np.asarray(filled.to_numpy(zero_copy_only=False), bool)


def _repeats(table: pa.Table, session: Ints, *, ops: Ints, release: Ints) -> Ints:
    counts = np.ones(len(session), np.int64)
    erasing = np.flatnonzero((ops == Op.BKSP) | (ops == Op.DEL))
    erasing = erasing[release[erasing] > erasing]
    if not len(erasing):
        return counts
    repeat = _flags(table, "repeat")
    erasing = erasing[~np.isin(session[erasing], np.unique(session[repeat]))]
    mono = numbers_of(table, "mono")
    held = mono[release[erasing]] - mono[erasing]
    many = 2 + (held - _HELD_US) // _REPEAT_US
    counts[erasing] = np.where(held >= _HELD_US, np.minimum(many, _MOST_REPEATS), 1)
    return counts


def _segments(
    table: pa.Table, session: Ints, ops: Ints, clicked: tuple[pa.Table, Ints] | None
) -> tuple[Ints, Ints]:
    new = _changes(session)
    for name in ("app", "ctx", "field_kind"):
        column = table.column(name)
        index = words_of(column)[0] if pa.types.is_string(column.type) else numbers_of(table, name)
        new |= _changes(index)
    after = ops == Op.SEG
    new |= np.r_[False, after[:-1]] if len(after) else after
    window = np.cumsum(new, dtype=np.int64)
    if clicked is not None:
        clicks, groups = clicked
        press = np.isin(numbers_of(clicks, "kind"), (1, 3))
        mark = np.sort(
            groups[press] * (1 << 43) + np.clip(numbers_of(clicks, "mono")[press], 0, (1 << 42) - 1)
        )
        mono = np.clip(numbers_of(table, "mono"), 0, (1 << 42) - 1)
        new |= _changes(np.searchsorted(mark, session * (1 << 43) + mono))
    segments: Ints = np.cumsum(new, dtype=np.int64)
    fields = np.zeros(int(segments.max(initial=0)) + 1, np.int64)
    fields[segments] = window
    return segments, fields


def find_marks(
    typed: Typed, *, groups: frozenset[str], roster: Roster | None = None, tagged: bool = False
) -> Marks:
    """Return which events are masked, by class.

    Args:
        typed: The events as operations.
        groups: Groups of classes to look for.
        roster: Names of people who work here.
        tagged: Whether the tagger looks for other names.
    """
    marks = Marks.clean(len(typed.order))
    pieces: list[Piece] = []
    held = 0
    rebuilt = replay(typed.ops, typed.texts, typed.segments, counts=typed.counts)
    for piece in join_clicked(rebuilt, typed.fields):
        pieces.append(piece)
        held += len(piece.text)
        if held > _BATCH:
            mark_pieces(pieces, typed, marks, groups=groups, roster=roster, tagged=tagged)
            pieces, held = [], 0
    mark_pieces(pieces, typed, marks, groups=groups, roster=roster, tagged=tagged)
    _mark_composed(typed, marks)
    spread(typed, marks)
    return marks


def _mark_composed(typed: Typed, marks: Marks) -> None:
    """Mask the presses an input method made a masked commit of: they spell it once more."""
    taken = np.flatnonzero(typed.commits >= 0)
    kind = marks.kind[typed.commits[taken]]
    for number in np.unique(kind[kind >= 0]).tolist():
        marks.put(taken[kind == number], number)


def class_tokens(
    typed: Typed, marks: Marks, *, name_of: Any, vocabulary: tuple[str, ...]
) -> pa.Array:
    """Return what stands for each key: its class or zone, or ``<CLASS>`` where it is masked."""
    words = [*vocabulary, *(f"<{name}>" for name in NAMES)]
    place = {word: at for at, word in enumerate(vocabulary)}
    table = np.array([place[name_of(name)] for name in typed.vocabulary] or [0], np.int64)
    masked = marks.kind >= 0
    index = np.where(masked, len(vocabulary) + marks.kind, table[typed.names])
    block = ~masked & (typed.kinds >= KeyKind.COMMIT)
    index[block] = place["other"]
    return pc.take(pa.array(words, pa.string()), pa.array(index))


def count_classes(kind: Ints) -> dict[str, int]:
    """Return how many events each class masked."""
    counts = np.bincount(kind[kind >= 0], minlength=len(CLASSES))
    return {NAMES[at]: int(count) for at, count in enumerate(counts) if count}


__all__ = ["TOKENS", "class_tokens", "count_classes", "find_marks", "read_keys"]
