"""What came of a run: as JSON for machines, and as tables for docs/reference/soak.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from tests.chaos.growth import Growth
from tests.chaos.judge import Finding
from tests.chaos.look import INTENT, RESULT, Held
from tests.chaos.plan import Plan
from tests.chaos.record import ACKED, DOUBT, REFUSED, Record

BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
# a part is back when a load that needs it succeeds with something it began after the fault
PROVEN_BY: Mapping[str, frozenset[str]] = {
    "leader": frozenset({"beat", "choices"}),
    "standby": frozenset({"beat", "choices"}),
    "portal": frozenset({"reads"}),
    "database": frozenset({"beat", "choices"}),
    "front": frozenset({"http"}),
    "consumer": frozenset({"queue"}),
    "queue": frozenset({"queue"}),
    "store": frozenset({"collectors", "files", "uses"}),
    "worker": frozenset({"collectors", "files", "uses"}),
}


@dataclass(frozen=True, slots=True)
class Recovery:
    """How it went on after one fault.

    Args:
        first_s: Seconds until the first success; infinity if there was none.
        down_s: Seconds that it was held down.
        alone: Whether no other fault came in between.
    """

    first_s: float
    down_s: float
    alone: bool


def recoveries(record: Record) -> dict[str, list[Recovery]]:
    """Return how it went on after each fault, by its kind."""
    found: dict[str, list[Recovery]] = {}
    for one in record.struck:
        loads = PROVEN_BY.get(one.name.split()[0])
        if loads is None:
            continue
        ends = [
            done.ended for done in record.done if done.load in loads and done.began >= one.began
        ]
        first = min(ends, default=float("inf"))
        alone = not any(
            other is not one and other.began < first and other.ended > one.began
            for other in record.struck
        )
        again = Recovery(first - one.began, one.ended - one.began, alone)
        found.setdefault(one.name, []).append(again)
    return found


def never_back(record: Record) -> list[Finding]:
    """Return faults after which nothing succeeded any more."""
    return [
        Finding("broken", f"nothing succeeded after: {name}")
        for name, times in recoveries(record).items()
        if any(one.first_s == float("inf") for one in times)
    ]


def figures(
    plan: Plan, record: Record, held: Held, growth: Sequence[Growth], findings: Sequence[Finding]
) -> dict[str, Any]:
    """Return everything that is told of a run, as one object."""
    states = Counter(_state(one) for one in record.events.values())
    kinds = Counter(one.kind for one in held.leaves)
    outcomes = Counter(one.outcome for one in held.leaves if one.kind == RESULT)
    return {
        "seed": plan.seed,
        "seconds": plan.seconds,
        "faults": len(record.struck),
        "events": {
            "acknowledged": states[ACKED],
            "in_doubt": states[DOUBT],
            "refused": states[REFUSED],
            "held": sum(held.events.values()),
        },
        "ledger": {
            "entries": len(held.leaves),
            "intents": kinds[INTENT],
            "outcomes": dict(sorted(outcomes.items())),
            "choices": kinds["choice"],
            "erasures": kinds["erasure"] // 2,
        },
        "releases": {
            "lookups": len(held.releases),
            "keys": sum(one.count for one in held.releases),
        },
        "operations": dict(sorted(Counter(one.load for one in record.done).items())),
        "refusals": {
            f"{load} {rule}": count for (load, rule), count in sorted(record.failed.items())
        },
        "recovery": {name: _told(times) for name, times in sorted(recoveries(record).items())},
        "growth": [
            {
                "part": one.part,
                "lives": one.lives,
                "minutes": one.minutes,
                "memory_kb_min": round(one.memory / 1e3, 1),
                "files_min": round(one.files, 3),
                "threads_min": round(one.threads, 3),
                "most_mb": round(one.most_memory / 1e6),
                "most_files": one.most_files,
            }
            for one in growth
        ],
        "findings": dict(sorted(Counter(one.kind for one in findings).items())),
    }


def _told(times: Sequence[Recovery]) -> dict[str, Any]:
    alone = [one for one in times if one.alone]
    return {
        "n": len(times),
        "alone": len(alone),
        "median_s": _short(median(one.first_s for one in alone)) if alone else None,
        "after_s": _short(median(max(0.0, one.first_s - one.down_s) for one in alone))
        if alone
        else None,
        "max_s": _short(max(one.first_s for one in times)),
        "down_s": _short(max(one.down_s for one in times)),
    }


def markdown(told: Mapping[str, Any]) -> str:
    """Return the tables of a run."""
    events, ledger, releases = told["events"], told["ledger"], told["releases"]
    wrong = told["findings"]
    lines = [
        f"{told['seconds'] / 60:.0f} minutes, {told['faults']} faults, seed {told['seed']}.",
        "",
        "| what | count |",
        "|---|---|",
        f"| events acknowledged | {events['acknowledged']:,} |",
        f"| events whose answer was lost, and that came once or not at all | {events['in_doubt']:,} |",
        f"| events refused | {events['refused']:,} |",
        f"| events that opened in the end | {events['held']:,} |",
        f"| acknowledged and lost | {wrong.get('lost', 0)} |",
        f"| held twice | {wrong.get('duplicated', 0)} |",
        f"| refused or unknown, and held | {wrong.get('invented', 0)} |",
        f"| look-ups of keys for opening | {releases['lookups']:,} ({releases['keys']:,} keys) |",
        f"| of these without an entry that covers them | {wrong.get('release', 0)} |",
        f"| entries of the ledger | {ledger['entries']:,} |",
        f"| runs, and how they ended | {ledger['intents']:,}: {_counts(ledger['outcomes'])} |",
        f"| choices and erasures undone | {wrong.get('undone', 0) + wrong.get('erased', 0)} |",
        f"| operations that succeeded | {_counts(told['operations'])} |",
        "",
        "| fault | n | alone | first success: median | after it was back: median | first success: max | held down: max |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, one in told["recovery"].items():
        lines.append(
            f"| {name} | {one['n']} | {one['alone']} | {_time(one['median_s'])} | {_time(one['after_s'])} | "
            f"{_time(one['max_s'])} | {_time(one['down_s'])} |"
        )
    lines += [
        "",
        "| part | lives long enough | minutes | memory a minute | descriptors a minute | threads a minute | most memory | most descriptors |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for part in told["growth"]:
        told_slope = part["lives"] > 0
        slopes = (
            f"{part['memory_kb_min']:,} kB | {part['files_min']} | {part['threads_min']}"
            if told_slope
            else "- | - | -"
        )
        lines.append(
            f"| {part['part']} | {part['lives']} | {part['minutes']} | {slopes} | {part['most_mb']} MB | "
            f"{part['most_files']} |"
        )
    return "\n".join(lines) + "\n"


def put_into(page: Path, text: str) -> None:
    """Replace what a page says was measured."""
    before, _, rest = page.read_text("utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", "utf-8")


def _state(states: Sequence[str]) -> str:
    return next(one for one in (ACKED, DOUBT, REFUSED) if one in states)


def _counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in of.items())


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds} s"


def _short(seconds: float) -> float:
    return round(seconds, 2) if seconds < 10 else round(seconds, 1)
