"""A made-up log of data access of a group of hospitals with a research institute.

`write` makes one company from a seed: its ordinary life over six weeks, and after the learn days
five attacks of each of eight kinds, which `truth.jsonl` names by their lines.
"""

import gc
import json
from pathlib import Path
from typing import Any

from .attacks import merged
from .life import ordinary

FIELDS = (
    "t",
    "principal", "kind", "role", "team", "action", "objects",
    "segment", "purpose", "rows", "bytes", "grant", "outcome",
)  # fmt: skip

__all__ = ["live", "write"]


def live(seed: int, learn_days: int = 25) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The events of one company in order of time, and the attacks in them."""
    busy = gc.isenabled()
    gc.disable()  # a hundred thousand small tuples, none in a cycle
    try:
        world = ordinary(seed, learn_days)
        rows, truth = merged(world)
        events: list[dict[str, Any]] = []
        for row in rows:
            day, rest = divmod(int(row[0]), 86400)
            clock = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
            text = f"{world.days.date(day)}T{clock}Z"
            events.append(dict(zip(FIELDS, (text, *row[1:]), strict=True)))
    finally:
        if busy:
            gc.enable()
    return events, truth


def write(seed: int, folder: Path, learn_days: int = 25) -> tuple[Path, Path]:
    """Writes `events.jsonl` and `truth.jsonl` of one company."""
    events, truth = live(seed, learn_days)
    folder.mkdir(parents=True, exist_ok=True)
    paths = folder / "events.jsonl", folder / "truth.jsonl"
    for path, found in zip(paths, (events, truth), strict=True):
        text = "".join(json.dumps(x, separators=(",", ":")) + "\n" for x in found)
        path.write_text(text, encoding="utf-8")
    return paths
