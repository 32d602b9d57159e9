"""From sealed events to UI actions: what a computer-use agent learns to do next.

One event becomes at most one action word. A run of typing, with the corrections made on the way,
is one ``TYPE``; repeated scrolling, dragging and equal keys count once. No text, no character and
no time is looked at: only kinds of keys, roles of targets, and the order of events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import InvalidError
from safehold.telemetry.stream import KeyKind, Level, PointerKind

Codes = NDArray[np.int64]

# a person's features as they are sealed; the dictionaries are the whole closed lists
SCHEMA: Final = pa.schema(
    [
        pa.field("token", pa.dictionary(pa.int16(), pa.string()), nullable=False),
        pa.field("app", pa.dictionary(pa.int16(), pa.string()), nullable=False),
        pa.field("start", pa.bool_(), nullable=False),
    ]
)

STREAMS: Final = ("key", "pointer", "chat", "ai")

# how an action behaves when it repeats
TYPING: Final = 0
MENDING: Final = 1  # part of typing when it comes in a run with typing
REPEATING: Final = 2  # counts once in a run of itself
SINGLE: Final = 3

_NAMED: Final = {
    "enter": ("KEY|ENTER", REPEATING),
    "tab": ("KEY|TAB", SINGLE),
    "backspace": ("KEY|BKSP", MENDING),
    "delete": ("KEY|DEL", REPEATING),
    "letter": ("TYPE", TYPING),
    "digit": ("TYPE", TYPING),
    "space": ("TYPE", TYPING),
    "punct": ("TYPE", TYPING),
}
_SILENT: Final = frozenset({"shift", "control", "ctrl", "alt", "altgraph", "meta", "capslock"})


@dataclass(frozen=True, slots=True)
class Events:
    """Events of one table that are actions, as columns.

    Args:
        device: Pseudonym of the device, as a number.
        session: Pseudonym of the session, as a number.
        rank: Order in the session.
        window: UTC day.
        token: Place in the vocabulary.
        app: Place in the list of applications.
        manner: How the action behaves when it repeats.
    """

    device: NDArray[np.uint64]
    session: NDArray[np.uint64]
    rank: Codes
    window: Codes
    token: Codes
    app: Codes
    manner: Codes


_TIMED: Final = np.uint64(0x5A5A_5A5A_5A5A_5A5A)


def read_events(stream: str, table: pa.Table, vocabulary: Vocabulary, *, window: int) -> Events:
    """Return the actions of one table of a stream.

    Args:
        stream: Name of the stream.
        table: Rest-form rows.
        vocabulary: Closed lists; anything else becomes ``<other>``.
        window: UTC day of the table.

    Raises:
        InvalidError: The stream is not one that holds actions, or a column is missing.
    """
    try:
        read = _READERS[stream]
        words, manner = read(table)
        columns = [table[name] for name in ("device", "session", "mono")]
        app = _lookup(table["app"], vocabulary.app)
    except KeyError as error:
        raise InvalidError(
            "a part is of no stream that holds actions, or lacks a column", rule="enclave.feature"
        ) from error
    token = _lookup(words, lambda word: -1 if word is None else vocabulary.token(word))
    keep = token >= 0
    device, session = (_numbers(column)[keep] for column in columns[:2])
    if "minim" in table.column_names:
        # streams that keep their times and streams that have none are not in one order
        timed = table["minim"].to_numpy()[keep] < Level.L3
        session = np.where(timed, session ^ _TIMED, session)
    rank = columns[2].cast(pa.int64()).to_numpy()[keep]
    return Events(
        device,
        session,
        rank,
        np.full(len(rank), window, dtype=np.int64),
        token[keep],
        app[keep],
        manner[keep],
    )


@dataclass(frozen=True, slots=True)
class Actions:
    """A person's actions in order.

    Args:
        token: Place in the vocabulary.
        app: Place in the list of applications.
        start: True where a session begins.
    """

    token: Codes
    app: Codes
    start: NDArray[np.bool_]


def order_actions(parts: Sequence[Events], *, fold: bool, most: int) -> Actions:
    """Merge a person's events of all streams into one sequence of actions.

    Args:
        parts: The events of each table.
        fold: Corrections in a run of typing belong to it.
        most: Actions kept at most, the first ones.
    """
    whole = Events(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in Events.__slots__)
    )
    if len(whole.token) == 0:
        return Actions(whole.token, whole.app, np.zeros(0, dtype=np.bool_))
    pairs = np.stack([whole.device, whole.session], axis=1)
    _, place = np.unique(pairs, axis=0, return_inverse=True)
    place = place.reshape(-1)
    first = np.full(int(place.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, place, whole.window)
    order = np.lexsort((whole.rank, place, first[place]))
    token, app, manner, place = (
        column[order] for column in (whole.token, whole.app, whole.manner, place)
    )
    keep = _collapse(token, app, manner, place, fold=fold)
    kept = np.flatnonzero(keep)[:most]
    session = place[kept]
    start = np.ones(len(kept), dtype=np.bool_)
    start[1:] = session[1:] != session[:-1]
    return Actions(token[kept], app[kept], start)


def _collapse(
    token: Codes, app: Codes, manner: Codes, place: Codes, *, fold: bool
) -> NDArray[np.bool_]:
    """Return which events stay: one for each run."""
    keep = np.ones(len(token), dtype=np.bool_)
    same = (place[1:] == place[:-1]) & (app[1:] == app[:-1])
    if fold:
        text = manner <= MENDING
        inside = np.zeros(len(token), dtype=np.bool_)  # continues a run of typing or mending
        inside[1:] = same & text[1:] & text[:-1]
        run = np.cumsum(~inside)
        typed = np.zeros(int(run[-1]) + 1, dtype=np.bool_)
        typed[run[manner == TYPING]] = True
        # Of a run with typing its first typed event stays; a run of mending alone is a run of
        # repeats.
        seen = np.zeros(len(typed), dtype=np.int64)
        at = np.flatnonzero(manner == TYPING)[::-1]
        seen[run[at]] = at
        of_typing = text & typed[run]
        keep &= ~of_typing | (seen[run] == np.arange(len(token)))
    repeated = np.zeros(len(token), dtype=np.bool_)
    repeated[1:] = same & (token[1:] == token[:-1]) & (manner[1:] == manner[:-1])
    return np.asarray(keep & ~(repeated & (manner != SINGLE)))


def _read_keys(table: pa.Table) -> tuple[pa.Array, Codes]:
    names, places = _encode(table["key"])
    found = [_key_word(name) for name in names]
    words = pa.array([word for word, _ in found], pa.string())
    manners = np.array([manner for _, manner in found], dtype=np.int64)
    kind = table["kind"].to_numpy()
    inserted = np.isin(kind, (KeyKind.COMMIT, KeyKind.PASTE))
    word = pc.take(words, pa.array(places))
    word = pc.if_else(pa.array(inserted), pa.scalar("TYPE"), word)
    word = pc.if_else(pa.array(kind == KeyKind.UP), pa.scalar(None, pa.string()), word)
    return word, np.where(inserted, TYPING, manners[places])


def _key_word(name: str | None) -> tuple[str | None, int]:
    if name is None:
        return "KEY|OTHER", MENDING
    plain = name.lower()
    if plain in _SILENT:
        return None, SINGLE
    if len(name) == 1 or (name.startswith("<") and name.endswith(">")):
        return "TYPE", TYPING
    return _NAMED.get(plain, ("KEY|OTHER", MENDING))


def _read_pointer(table: pa.Table) -> tuple[pa.Array, Codes]:
    kind = table["kind"].to_numpy()
    # Recorders that know no clicks report releases; where there are clicks, releases are part of
    # them.
    click = kind == (
        PointerKind.CLICK if (kind == PointerKind.CLICK).any() else PointerKind.RELEASE
    )
    role = pc.fill_null(_plain(table["target_role"]), "<none>")
    word = pc.binary_join_element_wise(pa.scalar("CLICK"), role, "|")
    nothing = pa.scalar(None, pa.string())
    word = pc.if_else(pa.array(click), word, nothing)
    word = pc.if_else(pa.array(kind == PointerKind.SCROLL), pa.scalar("SCROLL"), word)
    word = pc.if_else(pa.array(kind == PointerKind.DRAG), pa.scalar("DRAG"), word)
    return word, np.where(click, SINGLE, REPEATING)


def _read_chat(table: pa.Table) -> tuple[pa.Array, Codes]:
    platform = pc.fill_null(_plain(table["platform"]), "<none>")
    word = pc.binary_join_element_wise(pa.scalar("SEND"), platform, "|")
    return word, np.full(len(table), SINGLE)


def _read_ai(table: pa.Table) -> tuple[pa.Array, Codes]:
    asked = pc.fill_null(pc.equal(_plain(table["role"]), "user"), fill_value=False)
    word = pc.if_else(asked, pa.scalar("ASK|ai"), pa.scalar(None, pa.string()))
    return word, np.full(len(table), SINGLE)


_READERS: Final[dict[str, Callable[[pa.Table], tuple[pa.Array, Codes]]]] = {
    "key": _read_keys,
    "pointer": _read_pointer,
    "chat": _read_chat,
    "ai": _read_ai,
}


def _plain(column: pa.ChunkedArray) -> pa.Array:
    whole = column.combine_chunks()
    return whole.cast(pa.string())


def _encode(column: pa.ChunkedArray | pa.Array) -> tuple[list[str | None], Codes]:
    """Return different values (None last) and the place of each row among them."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_dictionary(whole.type):
        whole = whole.dictionary_encode()
    values: list[str | None] = whole.dictionary.to_pylist()
    places = pc.fill_null(whole.indices.cast(pa.int64()), len(values)).to_numpy()
    return [*values, None], places


def _lookup(column: pa.ChunkedArray | pa.Array, place: Callable[[str | None], int]) -> Codes:
    names, places = _encode(column)
    return np.array([place(name) for name in names], dtype=np.int64)[places]


def _numbers(column: pa.ChunkedArray) -> NDArray[np.uint64]:
    whole = column.combine_chunks()
    if whole.type != pa.binary(8) or whole.null_count:
        raise InvalidError("a pseudonym is not 8 bytes", rule="enclave.feature")
    values = np.frombuffer(whole.buffers()[1], dtype=np.uint64)
    return values[whole.offset : whole.offset + len(whole)]
