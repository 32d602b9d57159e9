"""The next-UI-action task of MiniWoB++ demonstrations, as the anchor table of DP training has it.

A client is a crowd session; whoever worked on several sessions is several clients. Nothing here is copied into the
project: the demonstrations are read where they lie, and who reads them is skipped where they do not.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq

PLACE: Final = Path("/work/shared/data/telemetry")
DEPTH: Final = 6  # actions looked back at
MOST_WORDS: Final = 24
HASHED: Final = 1024
MOST_ACTIONS: Final = 30  # of one demonstration
MOST_EXAMPLES: Final = 48  # of one client
RARE: Final = 60  # an action seen less often is <other>
_KEYS: Final = {13: "ENTER", 9: "TAB", 8: "BKSP", 46: "DEL"}
_SILENT: Final = frozenset({16, 17, 18, 20, 91, 92, 93, 224, 225})
_WORD: Final = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Client:
    """Examples of one session.

    Args:
        past: Examples x ``DEPTH``: the last actions, the newest first; ``tokens`` where there is none.
        words: Examples x ``MOST_WORDS``: hashed words of the instruction; ``HASHED`` where there is none.
        target: The action that came next.
    """

    past: np.ndarray
    words: np.ndarray
    target: np.ndarray


@dataclass(frozen=True)
class Task:
    """All clients and the words that are predicted.

    Args:
        tokens: Action words; ``<other>`` first, the end of a demonstration second.
        clients: One entry per session.
    """

    tokens: tuple[str, ...]
    clients: list[Client]


def read_task(*, seed: int = 7) -> Task:
    """Return the task; the seed draws which examples of a busy client count."""
    demos = pq.read_table(PLACE / "miniwob_demos.parquet").to_pylist()
    demos = [one for one in demos if one["reward"] > 0 and not one["task"].startswith("flight")]
    said = {one["demo"]: one["utterance"].lower() for one in demos}
    actions = _read_actions(said)
    counts = Counter(word for words in actions.values() for word in words)
    tokens = ("<other>", "<end>", *sorted(w for w, n in counts.items() if n >= RARE))
    place = {word: at for at, word in enumerate(tokens)}
    rng = np.random.default_rng(seed)
    sessions: dict[int, list[int]] = {}
    for one in demos:
        if one["demo"] in actions:
            sessions.setdefault(one["session"], []).append(one["demo"])
    clients = []
    for _, mine in sorted(sessions.items()):
        past, words, target = [], [], []
        for demo in mine:
            codes = [place.get(word, 0) for word in actions[demo][:MOST_ACTIONS]] + [1]
            bag = [zlib.crc32(w.encode()) % HASHED for w in _WORD.findall(said[demo])][:MOST_WORDS]
            bag += [HASHED] * (MOST_WORDS - len(bag))
            before = [len(tokens)] * DEPTH
            for code in codes:
                past.append(before)
                words.append(bag)
                target.append(code)
                before = [code, *before[:-1]]
        keep = np.arange(len(target))
        if len(keep) > MOST_EXAMPLES:
            keep = np.sort(rng.permutation(len(target))[:MOST_EXAMPLES])
        clients.append(
            Client(
                np.array(past, np.int32)[keep],
                np.array(words, np.int32)[keep],
                np.array(target, np.int32)[keep],
            )
        )
    return Task(tokens, clients)


def _read_actions(said: dict[int, str]) -> dict[int, list[str]]:
    names = ["demo", "type", "key_code", "tag", "cls", "text"]
    table = pq.read_table(PLACE / "miniwob_events.parquet", columns=names)
    columns = [table[name].to_pylist() for name in names]
    found: dict[int, list[str]] = {}
    for demo, kind, key, tag, cls, text in zip(*columns, strict=True):
        if demo not in said:
            continue
        line = found.setdefault(demo, [])
        if kind == "click":
            first = (cls or "").split(" ")[0][:16]
            shown = set(_WORD.findall((text or "").lower()))
            told = set(_WORD.findall(said[demo]))
            hit = bool(shown) and 2 * len(shown & told) >= len(shown)
            word = f"CLICK|{tag}|{first}|{int(hit)}"
        elif kind == "keydown":
            if key in _SILENT:
                continue
            word = f"KEY|{_KEYS[key]}|{tag}" if key in _KEYS else f"TYPE|{tag}"
        elif kind == "scroll":
            word = "SCROLL"
        else:
            continue
        if line and line[-1] == word and not word.startswith("CLICK"):
            continue
        line.append(word)
    return found
