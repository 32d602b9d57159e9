"""``python -m safehold.workforce.samples``: files of made-up people, to try things out with."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import pyarrow.parquet as pq

from safehold.clock import SystemClock, day_of
from safehold.workforce.files import write_files
from safehold.workforce.life import lives
from safehold.workforce.misuse import traces
from safehold.workforce.people import roster
from safehold.workforce.spec import FIRST, SIZES, WHOLE, Spec
from safehold.workforce.truth import truth


def write_samples(spec: Spec, folder: Path, *, form: str = "parquet") -> None:
    """Write one file per stream, and ``people.csv`` with who opted in to what.

    Of the whole edition also ``lives.parquet`` (what happened to people), ``truth.parquet`` (what
    was planted) and ``traces.parquet`` (who used the data, misuse labelled).

    Args:
        spec: The company.
        folder: Where to write; it is made if it is missing.
        form: ``parquet``, ``jsonl`` or ``csv``.
    """
    write_files(spec, folder, form)
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["person", "jurisdiction", "streams"])
        for one in roster(spec):
            writer.writerow([one.id, one.jurisdiction, " ".join(sorted(one.consent))])
    if spec.edition >= WHOLE:
        for name, table in (("lives", lives), ("truth", truth), ("traces", traces)):
            pq.write_table(table(spec), folder / f"{name}.parquet", compression="zstd")


def main() -> None:
    """Read the command line and write the samples."""
    parser = argparse.ArgumentParser(description="Write files of made-up people.")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pace", type=int, default=3_200, help="events a person makes a day")
    parser.add_argument("--edition", type=int, default=FIRST, help="1: five streams; 2: all")
    parser.add_argument("--size", choices=list(SIZES), help="an agreed size, of the whole edition")
    parser.add_argument("--format", default="parquet", choices=["parquet", "jsonl", "csv"])
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    today = day_of(SystemClock().now_us())
    spec = Spec(
        people=asked.people,
        days=asked.days,
        seed=asked.seed,
        start_day=today - asked.days,
        pace=asked.pace,
        edition=asked.edition,
    )
    if asked.size:
        days = SIZES[asked.size][1]
        spec = Spec.sized(asked.size, start_day=today - days, seed=asked.seed)
    write_samples(spec, asked.out, form=asked.format)


if __name__ == "__main__":
    main()
