"""``python -m safehold.workforce.samples``: files of made-up people, to try things out with."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from safehold.clock import SystemClock, day_of
from safehold.workforce.files import write_files
from safehold.workforce.people import roster
from safehold.workforce.spec import Spec


def write_samples(spec: Spec, folder: Path, *, form: str = "parquet") -> None:
    """Write one file per stream, and ``people.csv`` with who opted in to what.

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


def main() -> None:
    """Read the command line and write the samples."""
    parser = argparse.ArgumentParser(description="Write files of made-up people.")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--pace", type=int, default=3_200, help="events a person makes a day")
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
    )
    write_samples(spec, asked.out, form=asked.format)


if __name__ == "__main__":
    main()
