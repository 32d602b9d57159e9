"""Made-up logs of access at a firm of forwarders, with attacks planted in them.

The logs judge a detector whose code the author of this package has not read.  `live` makes one from a
seed, `write` puts it into a folder; `python -m tests.access_port SEED FOLDER` does so from a shell.
"""

from pathlib import Path
from typing import Any

from tests.access_port.attacks import Sower
from tests.access_port.days import World
from tests.access_port.log import line, save

DAYS = 15  # after the days to learn

Lines = list[dict[str, Any]]


def live(seed: int, learn_days: int = 25) -> tuple[Lines, Lines]:
    """The lines of a log in order of time, and one line for each attack in it."""
    world = World(seed, learn_days, DAYS)
    events, truth = Sower(world, seed).harvest()
    return [line(each, world.calendar) for each in events], truth


def write(seed: int, folder: Path, learn_days: int = 25) -> tuple[Path, Path]:
    """Write `events.jsonl` and `truth.jsonl` into a folder, made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    events, truth = live(seed, learn_days)
    paths = folder / "events.jsonl", folder / "truth.jsonl"
    save(paths[0], events)
    save(paths[1], truth)
    return paths


__all__ = ["DAYS", "live", "write"]
