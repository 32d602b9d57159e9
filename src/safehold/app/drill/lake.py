"""The plain lake: the same made-up people as Parquet tables, one a person, stream and day, behind a group ACL.

Whether somebody gets in is decided by the system: where root runs the drill, a process under another user id tries to
read; otherwise a catalogue of a few lines decides by the modes of the files, as such lakes do, and the outcome says so.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from safehold.app.drill import abroad, reader
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.errors import UnavailableError
from safehold.workforce import Spec, person_day


@dataclass(frozen=True, slots=True)
class Lake:
    """A lake.

    Args:
        folder: Its tables.
        needles: File of the planted values that are looked for.
    """

    folder: Path
    needles: Path

    def open_to_all(self) -> None:
        """Make the mistake of F3: the group of everybody may read every table."""
        self._mode(0o755, 0o644)

    def close(self) -> None:
        """Repair it: only its owner may read."""
        self._mode(0o700, 0o600)

    def read(self, folder: Path | None = None) -> Exposure:
        """Return what somebody else reads of it.

        Raises:
            UnavailableError: The reader could not run.
        """
        return read_as_somebody_else(folder or self.folder, self.needles)

    def lost(self, folder: Path | None = None) -> Findings:
        """Return the same as what an attacker has, who is at once outside and inside: a lake has no inside."""
        found = self.read(folder)
        return Findings(at_rest=found, live=found)

    def _mode(self, folder: int, file: int) -> None:
        for place, folders, files in os.walk(self.folder, topdown=False):
            for name in files:
                (Path(place) / name).chmod(file)
            for name in folders:
                (Path(place) / name).chmod(folder)
        self.folder.chmod(folder)


def make_lake(folder: Path, spec: Spec, values: list[str]) -> Lake:
    """Write the days of a made-up company as tables, and make the mistake."""
    folder.mkdir(mode=0o755)
    tables = folder / "warehouse"
    for index in range(spec.people):
        for day in range(spec.days):
            for stream, table in person_day(spec, index, day).items():
                if table.num_rows:
                    place = tables / stream / f"p{index:05}"
                    place.mkdir(parents=True, exist_ok=True)
                    write_table(table, place / f"{day:03}.parquet")
    needles = folder / "needles.json"
    needles.write_text(json.dumps(sorted(values)), "utf-8")
    lake = Lake(tables, needles)
    folder.chmod(0o755)
    needles.chmod(0o644)
    lake.open_to_all()
    return lake


def write_table(table: pa.Table, file: Path) -> None:
    """Write one table as such lakes do."""
    pq.write_table(table, file, compression="zstd")


def read_as_somebody_else(folder: Path, needles: Path) -> Exposure:
    """Return what another user of this machine reads below a folder.

    Raises:
        UnavailableError: The reader could not run.
    """
    try:
        who = abroad.somebody_else()
        out = abroad.run_as(who, [str(Path(reader.__file__)), str(folder), str(needles)])
        return to_exposure(json.loads(out), read_by=f"a process under user id {who.pw_uid}")
    except UnavailableError:
        found = reader.read(folder, json.loads(needles.read_text("utf-8")), by_mode=True)
    return to_exposure(found, read_by="a catalogue that judges by the modes of the files")


def to_exposure(found: dict[str, Any], **told: Any) -> Exposure:
    """Return what a reader found as an exposure."""
    if found.get("failed"):
        raise UnavailableError("the tables of the lake are damaged", rule="drill.unable")
    return Exposure(
        people=found["people"],
        records=found["records"],
        segments=found["tables"],
        canaries=found["canaries"],
        told={**told, "tables": found["of"]},
    )


__all__ = ["Lake", "make_lake", "read_as_somebody_else", "to_exposure", "write_table"]
