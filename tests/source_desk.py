"""A keeper that takes files in through the real ingest recipe, and what lies in it afterwards, sealed and opened."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.foreign import ADDRESS
from tests.keeper_desk import found_bench
from tests.seated import founding
from tests.world import PURPOSE

from safehold import canonical
from safehold.charter import Charter, load, shipped
from safehold.ingest import recipe
from safehold.ingest.folder import open_path
from safehold.ingest.preview import file_source
from safehold.keeper.ports import Frame
from safehold.telemetry.stream import STREAMS

TAKING_PART = (ADDRESS["U1"], ADDRESS["U2"], "ann", "employee-1", "employee-2")
MORE = ("speech", "screen", "performance_metrics")


def wide() -> Charter:
    """Return the demo's charter with all eight streams, and with mail and direct channels."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    example = canonical.decode(canonical.encode(load(shipped("example")).to_json()))
    for item in tree["collect"]:
        if item["what"] == "chat":
            item["minimise"]["channels"] = ["public", "private", "direct"]
    for item in example["collect"]:
        if item["what"] in MORE:
            item["minimise"]["apps"] = None
            tree["collect"].append(item)
    tree["purposes"][PURPOSE]["sources"] += ["speech", "screen"]
    tree["purposes"]["check_fairness"] = example["purposes"]["check_fairness"]
    return Charter.from_json(tree)


class Desk:
    """A bench whose charter records every stream.

    Args:
        path: Where the home is made.
    """

    def __init__(self, path: Path) -> None:
        self.bench = found_bench(path, people=TAKING_PART, charter=wide()).start()
        for person in TAKING_PART:
            self.bench.call(
                "people.choose",
                person=person,
                choice="consent",
                streams=list(STREAMS),
                evidence="a form",
            )

    def take(
        self, path: Path, mapping: str | None = None, person: str | None = None
    ) -> dict[str, Any]:
        """Take a file in as the command line does."""
        source = file_source(path, mapping, person)

        def script(spec: Mapping[str, Any]) -> Iterator[Frame]:
            made: list[Frame] = []
            handle = open_path(path)
            try:
                recipe.main(
                    dict(spec),
                    [handle],
                    lambda header, body=b"": made.append(
                        Frame(dict(header), memoryview(bytes(body)))
                    ),
                )
            finally:
                os.close(handle)
            yield from made

        self.bench.workshop.scripts["ingest"] = script
        handle = open_path(path)
        try:
            return self.bench.call("ingest", handle, source=source)
        finally:
            os.close(handle)

    def opened(self) -> list[tuple[str, pa.Table]]:
        """Return every table at rest, opened, with its stream."""
        desk = self.bench.desk
        blocks = list(desk.catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0))
        return [(block.stream, table) for block, table in desk.vault.read(blocks)]

    def cells(self) -> list[Any]:
        """Return every value of every column at rest, lists opened up."""
        found: list[Any] = []
        for _, table in self.opened():
            for column in table.columns:
                for value in column.to_pylist():
                    found.extend(value if isinstance(value, list) else [value])
        return found

    def files(self) -> Iterator[tuple[Path, bytes]]:
        """Yield every file of the home."""
        for path in self.bench.path.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()

    def stop(self) -> None:
        self.bench.stop()
