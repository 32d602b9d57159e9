"""What a run of the suite found, by group, as JSON, as lines and as Markdown."""

from __future__ import annotations

import json
import os
import platform
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from tests.bench.board import ABSENT, HEAD, LOST, MISSED, WIDTHS, WON, Row, line
from tests.bench.groups import GROUPS

FORM = "safehold/bench/v1"


@dataclass(frozen=True, slots=True)
class Part:
    """What one group found.

    Args:
        name: Of the group.
        rows: Of the table.
        notes: Lines below it.
        curves: How work grew.
        took_s: Seconds on the clock.
        load: Processes that were waiting for the cores when it ended, the average of a minute.
        at: When it ended, seconds since 1970.
        fault: Why it did not run to its end, or which floor was missed; empty if neither.
    """

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    curves: tuple[dict[str, Any], ...] = ()
    took_s: float = 0.0
    load: float = 0.0
    at: int = 0
    fault: str = ""

    @classmethod
    def absent(cls, name: str, why: str) -> Self:
        """Return a group that was not run: one row says why."""
        row = Row(name, _title(name), "-", why, None, "(none)", ABSENT)
        return cls(name, (row,), at=int(time.time()))

    @classmethod
    def read(cls, name: str, path: Path, *, took_s: float, fault: str) -> Self:
        """Return what the process of a group left behind."""
        told = json.loads(path.read_text("utf-8")) if path.exists() else {}
        rows = tuple(Row(**{**one, "group": name}) for one in told.get("rows", ()))
        broken = [row.fault for row in rows if row.fault]
        if fault.startswith("ended") or not rows:
            why = fault or "nothing was measured"
            rows += (Row(name, f"{_title(name)}: the rest", "-", why, None, "(none)", ABSENT),)
        return cls(
            name, rows, tuple(text for _, text in told.get("notes", ())),
            tuple(told.get("curves", ())), round(took_s, 1), round(os.getloadavg()[0], 1),
            int(time.time()), "; ".join(broken) or fault,
        )  # fmt: skip

    def told(self) -> str:
        """Return the line of progress."""
        states = Counter(row.state for row in self.rows)
        text = f"{self.took_s:.0f} s, {len(self.rows)} rows"
        for state in (MISSED, ABSENT):
            if states[state]:
                text += f", {states[state]} {state}"
        return text + (f"; FLOORS: {self.fault}" if self.fault else "")


def _title(name: str) -> str:
    return GROUPS[name].title if name in GROUPS else "more"


@dataclass(slots=True)
class Record:
    """All groups that were ever run into one folder, the newest of each."""

    parts: dict[str, Part] = field(default_factory=dict)
    machine: str = ""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what an earlier run wrote; nothing, if there is none."""
        if not path.exists():
            return cls()
        told = json.loads(path.read_text("utf-8"))
        parts = {}
        for one in told["groups"]:
            fields = {**one, "rows": tuple(Row(**row) for row in one["rows"])}
            fields |= {"notes": tuple(one["notes"]), "curves": tuple(one["curves"])}
            parts[one["name"]] = Part(**fields)
        return cls(parts, told["machine"])

    def put(self, part: Part) -> None:
        """Take in what a group found, in place of what it found before."""
        self.parts[part.name] = part
        cores = len(os.sched_getaffinity(0))
        self.machine = f"{cores} cores, {platform.machine()}, Python {platform.python_version()}"

    def ordered(self) -> list[Part]:
        """Return the groups in the order of a run."""
        order = {name: at for at, name in enumerate(GROUPS)}
        return sorted(self.parts.values(), key=lambda one: order.get(one.name, len(order)))

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        told = {
            "form": FORM,
            "machine": self.machine,
            "groups": [asdict(part) for part in self.ordered()],
        }
        path.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")

    def lines(self, names: list[str]) -> list[str]:
        """Return the one table of some groups as lines, with what it comes to."""
        parts = [part for part in self.ordered() if part.name in names]
        lines = [line(HEAD), "-" * (sum(WIDTHS) + len(WIDTHS))]
        for part in parts:
            lines += ["", f"{part.name}: {_title(part.name)} ({part.took_s:.0f} s)"]
            lines += [line(row.cells()) for row in part.rows]
            lines += [f"  {text}" for text in part.notes]
        return [*lines, "", summary(parts)]


def summary(parts: list[Part]) -> str:
    """Return in one line what a table comes to, losses as plainly as wins."""
    rows = [row for part in parts for row in part.rows]
    states = Counter(row.state for row in rows)
    verdicts = Counter(row.verdict for row in rows)
    rivals = sum(verdicts[one] for one in verdicts if one)
    faults = [part.name for part in parts if part.fault]
    return (
        f"{len(rows)} rows. Goals: {states['met']} met, {states[MISSED]} NOT MET. Against rivals: {verdicts[WON]} won, "
        f"{verdicts[LOST]} lost of {rivals}. Not measured here: {states[ABSENT]}. "
        + (f"Floors missed: {', '.join(faults)}." if faults else "All floors held.")
    )


def markdown(record: Record) -> str:
    """Return the table of a record as Markdown: one section a group."""
    parts = record.ordered()
    said = [summary(parts), ""]
    for part in parts:
        day = time.strftime("%d %B %Y", time.gmtime(part.at)).lstrip("0")
        said += [
            f"### {_title(part.name)[:1].upper()}{_title(part.name)[1:]} (`{part.name}`)", "",
            f"{day}, {part.took_s:.0f} s, load {part.load:g}."
            + (f" Faults: {part.fault}." if part.fault else ""),
            "", "| what | ours | against, in the same run | ratio | goal | | |", "|---|---|---|---|---|---|---|",
        ]  # fmt: skip
        said += [_row(row) for row in part.rows]
        said += ["", *(f"- {_plain(text)}" for text in part.notes), *([""] if part.notes else [])]
    return "\n".join(said).rstrip() + "\n"


def _row(row: Row) -> str:
    goal = (
        "none" if row.goal.startswith("(none") else row.goal.replace(">=", "≥").replace("<=", "≤")
    )
    state = f"**{row.state.lower()}**" if row.state == MISSED else row.state
    verdict = f"**{row.verdict}**" if row.verdict == LOST else row.verdict
    cells = (row.what, row.ours, row.peer, row.shown, goal, state, verdict)
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")
