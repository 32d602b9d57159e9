"""``make bench``: every group in turn, one table of ratios, in bounded time.

``python -m tests.bench [GROUP...]`` runs each group in a process of its own, says on stderr which one and how long it
took, and writes ``rows.json`` and ``table.md`` into the folder ``SAFEHOLD_BENCH_OUT`` (out/bench). With groups named, the
others' rows of an earlier run stay. ``SAFEHOLD_BENCH_MINUTES`` bounds all of it (25, and more stretches the limit of each
group too, for a busy machine): whatever finds no time left is said in the table. The exit code says whether floors held: a goal that is not met is no failure; 2 is a wrong name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.groups import GROUPS, HERE, MORE, find_files
from tests.bench.record import Part, Record, markdown

ROOT = HERE.parents[1]
LEAST_S = 5.0  # a group is not begun with less
MINUTES = 25.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How the process of a group ended: seconds it took, and what was wrong, if anything."""

    took_s: float
    fault: str


def main(names: list[str]) -> int:
    """Run groups; return 0 if all floors held, 1 if not, 2 for a name that no group has."""
    known = [*GROUPS, *([MORE] if find_files(MORE) else [])]
    if unknown := [name for name in names if name not in known]:
        print(f"no group {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    out = Path(os.environ.get("SAFEHOLD_BENCH_OUT", "out/bench"))
    out.mkdir(parents=True, exist_ok=True)
    minutes = float(os.environ.get("SAFEHOLD_BENCH_MINUTES", MINUTES))
    end = time.monotonic() + 60 * minutes
    record = Record.read(out / "rows.json")
    chosen = names or known
    for number, name in enumerate(chosen, start=1):
        left = end - time.monotonic()
        head = f"[{number}/{len(chosen)}] {name}"
        print(f"{head} ...", file=sys.stderr, flush=True)
        part = run(name, out, left, stretch=max(1.0, minutes / MINUTES))
        record.put(part)
        record.write(out / "rows.json")
        (out / "table.md").write_text(markdown(record), "utf-8")
        print(f"{head}: {part.told()}", file=sys.stderr, flush=True)
    mine = [record.parts[name] for name in chosen]
    for text in record.lines(chosen):
        print(text)
    return 1 if any(part.fault for part in mine) else 0


def run(name: str, out: Path, left: float, *, stretch: float = 1.0) -> Part:
    """Run one group and return what it measured, also when it was ended or broke off."""
    group = GROUPS.get(name)
    limit = min(left, stretch * (group.limit_s if group else 180))
    files = find_files(name)
    if limit < LEAST_S or not files:
        why = "no time was left" if files else "its files are not there"
        return Part.absent(name, why)
    with tempfile.TemporaryDirectory(prefix="sh-bench-") as place:
        rows = Path(place) / "rows.json"
        ended = _spawn(files, rows, out / f"{name}.log", limit, group.sizes if group else {})
        return Part.read(name, rows, took_s=ended.took_s, fault=ended.fault)


def _spawn(files: list[Path], rows: Path, log: Path, limit: float, sizes: dict[str, str]) -> Ended:
    environment = {**sizes, **os.environ, "SAFEHOLD_BENCH_ROWS": str(rows)}
    start = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            _command(files), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(limit)
            fault = {0: "", 5: "nothing was measured"}.get(code, f"see {log}")
        except subprocess.TimeoutExpired:
            fault = f"ended after {limit:.0f} s"
        finally:
            _end(process)
    return Ended(time.monotonic() - start, fault)


def _command(files: list[Path]) -> list[str]:
    return [
        sys.executable, "-m", "pytest", "-m", "bench", "-q", "-s", "-p", "no:cacheprovider", *map(str, files),
    ]  # fmt: skip


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a group and whatever it started in its session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
