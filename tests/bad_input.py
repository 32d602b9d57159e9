"""A home with people, and good files to spoil."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from tests.command_line import CHARTERS, EVIDENCE, World, company, write_people, write_sources

PEOPLE = 6


@dataclass(frozen=True)
class Bench:
    """A home with people, and good files to spoil."""

    world: World
    files: dict[str, Path]

    def table(self, stream: str = "key") -> pa.Table:
        return pq.read_table(self.files[stream].with_suffix(".parquet"))

    def lines(self, stream: str = "key") -> list[dict[str, object]]:
        text = self.files[stream].with_suffix(".jsonl").read_bytes()
        return [orjson.loads(line) for line in text.splitlines()]

    def path(self, name: str) -> Path:
        return self.world.root / name


def found_bench(path: Path) -> Bench:
    world = World(path).init(CHARTERS / "demo.yaml")
    spec = company(PEOPLE)
    people = write_people(spec, world.root / "people.csv")
    world.run("people", "enrol", "--file", people, "--evidence", EVIDENCE)
    return Bench(world, write_sources(spec, world.root / "sources"))
