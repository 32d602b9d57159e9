"""``python -m tests.access_world --seed 7 --out DIR``: writes ``events.jsonl`` and ``truth.jsonl``."""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.access_world.deed import Deed
from tests.access_world.flood import around
from tests.access_world.world import World, live


def write(world: World, into: Path, deeds: Iterable[Deed] | None = None) -> None:
    """Write both files; the lines of the truth are those of the file, flood and all."""
    into.mkdir(parents=True, exist_ok=True)
    lines: dict[int, list[int]] = defaultdict(list)
    with (into / "events.jsonl").open("w") as file:
        for place, deed in enumerate(world.deeds if deeds is None else deeds, start=1):
            file.write(json.dumps(deed.line(), separators=(",", ":")) + "\n")
            if deed.attack is not None:
                lines[deed.attack].append(place)
    with (into / "truth.jsonl").open("w") as file:
        for number, one in enumerate(world.truth()):
            file.write(json.dumps({**one, "lines": lines[number]}) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.access_world", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--days", type=int, default=60)
    parser.add_argument(
        "--learn-days", type=int, default=25, help="no attack before these and two more"
    )
    parser.add_argument("--each", type=int, default=5, help="attacks of each kind")
    parser.add_argument("--quiet", action="store_true", help="the same company without any attack")
    parser.add_argument(
        "--flood", choices=("self", "one", "many"), help="who floods around one attack"
    )
    parser.add_argument("--flood-attack", type=int, default=0, help="which attack, from 0")
    parser.add_argument("--flood-events", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    world = live(
        asked.seed, asked.people, asked.days, asked.learn_days, asked.each, attacked=not asked.quiet
    )
    deeds = None
    if asked.flood:
        deeds = around(world, asked.seed, asked.flood_attack, asked.flood, asked.flood_events)
    write(world, asked.out, deeds)


if __name__ == "__main__":
    main()
