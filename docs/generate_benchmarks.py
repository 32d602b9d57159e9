# ruff: noqa: INP001 - a script, not a package
"""Write the table of docs/reference/benchmarks.md: ``PYTHONPATH=. python docs/generate_benchmarks.py [ROWS.json]``.

With a file (out/bench/rows.json, from ``make bench``) its groups are kept in docs/reference/benchmarks.json first;
groups that it does not have stay. The part of the page between the two marks is replaced. ``--check`` says whether page
and record agree.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.bench.record import Record, markdown

PAGE = Path(__file__).parent / "reference" / "benchmarks.md"
KEPT = PAGE.with_suffix(".json")
BEGIN, END = "<!-- bench: begin, made by docs/generate_benchmarks.py -->", "<!-- bench: end -->"


def page_of(text: str, record: Record) -> str:
    """Return the page with the table of a record in it."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    body = f"Machine: {record.machine}.\n\n{markdown(record)}"
    return f"{head}{BEGIN}\n\n{body}\n{END}{tail}"


def main(given: list[str]) -> int:
    """Replace or check; return 1 if a check fails."""
    record = Record.read(KEPT)
    text = PAGE.read_text("utf-8")
    if given == ["--check"]:
        return 0 if page_of(text, record) == text else 1
    for name in given:
        newer = Record.read(Path(name))
        record.parts |= newer.parts
        record.machine = newer.machine
    record.write(KEPT)
    PAGE.write_text(page_of(text, record), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
