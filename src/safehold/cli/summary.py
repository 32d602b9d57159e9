"""The one-screen summary of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

MOST_ROWS = 6


def show_run(result: Mapping[str, Any]) -> None:
    """Print what a run took, left out and made."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    _sources(console, result["sources"])
    _model(console, result)
    _record(console, result)


def show_demo(result: Mapping[str, Any]) -> None:
    """Print the same for the demo, with what it proved about itself."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    people = result["people"]
    console.print(
        f"[bold]{people['enrolled']:,} made-up people[/bold]: {people['participating']:,} take part, "
        f"{people['withdrawn']:,} withdrew after recording, {people['paused']:,} are paused now"
    )
    _sources(console, result["sources"])
    _model(console, result)
    _record(console, result)
    search = result["search"]
    console.print(
        f"searched {search['files']:,} files for {search['looked_for']:,} planted secrets, raw, UTF-16 and "
        f"base64, in plain and compressed: [bold]{search['found']} found[/bold]"
    )
    console.print(f"report: {result['report']}   ({result['seconds']:.0f} s)")
    home = Path(result["report"]).parent
    console.print(f"its pages, as a cast of made-up people: safehold portal try --home {home}")


def _sources(console: Any, sources: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table

    table = Table(title=None, box=None, pad_edge=False)
    table.add_column("source")
    for name in ("taken", "masked", "dropped", "refused"):
        table.add_column(name, justify="right")
    for source in sources:
        totals = source["totals"]
        table.add_row(
            source["file"] + (" (taken before)" if source["already"] else ""),
            *(f"{totals.get(name, 0):,}" for name in ("taken", "masked", "dropped", "refused")),
        )
    console.print(table)
    for group in ("taken", "masked", "dropped", "refused"):
        counts: dict[str, int] = {}
        for source in sources:
            for name, count in source[group].items():
                counts[name] = counts.get(name, 0) + count
        if counts:
            top = sorted(counts.items(), key=lambda item: -item[1])
            words = ", ".join(f"{name} {count:,}" for name, count in top[:MOST_ROWS])
            more = f", and {len(top) - MOST_ROWS} more" if len(top) > MOST_ROWS else ""
            console.print(f"  {group}: {words}{more}")
    if hint := _forgotten(sources):
        console.print(hint)
    for source in sources:
        for refusal in source["refusals"][:3]:
            console.print(
                f"  refused: {source['file']} row {refusal['row']} field {refusal['field']}: {refusal['rule']}"
            )


def _forgotten(sources: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what to tell somebody whose files hold only events of people who do not take part."""
    names = [
        source["file"]
        for source in sources
        if not source["totals"].get("taken") and source["dropped"].get("not_participating")
    ]
    if not names:
        return None
    return (
        f"  [bold]nothing was taken from {', '.join(names)}[/bold]: nobody in it takes part. "
        "Enrol those who opted in (safehold people enrol) and run again"
    )


def _model(console: Any, result: Mapping[str, Any]) -> None:
    training = result.get("training", {})
    if "artifact" in training and not training["models"]:
        console.print(
            f"[bold]model[/bold] over {training['people']:,} people, epsilon {training['epsilon']:.2f}; "
            "they are too few to say how good it is"
        )
        return
    if "models" not in training:
        why = training.get("refused") or training.get("skipped")
        console.print(f"model: none ({why})")
        if training.get("entry") is not None:
            console.print(f"  rule {training['rule']}, ledger entry {training['entry']}")
        return
    console.print(
        f"[bold]model[/bold] over {training['people']:,} people, epsilon {training['epsilon']:.2f}, "
        f"delta {training['delta']:.0e}, per person"
    )
    for row in training["models"]:
        mark = "[bold]" if row.get("private") else ""
        end = "[/bold]" if mark else ""
        console.print(
            f"  {mark}{row['name']:<14} top-1 {row['top1']:.3f}   macro-F1 {row['macro_f1']:.3f}{end}"
        )
    _noisy(console, training)


def _noisy(console: Any, training: Mapping[str, Any]) -> None:
    noisy = training["noisy"]
    if noisy["top1"] is not None:
        console.print(
            f"  what may be released about real people: top-1 {noisy['top1']:.3f} "
            f"(itself private: noise of standard deviation {noisy['top1_error']:.3f})"
        )


def _record(console: Any, result: Mapping[str, Any]) -> None:
    status, proof = result["status"], result["verification"]
    console.print(
        f"{status['counts']['blocks']:,} sealed blocks; sandbox {status['sandbox_level']}, keeper "
        f"{status['keeper_level']}; ledger: {proof['size']:,} entries, [bold]verified[/bold] against "
        f"{len(proof.get('witnesses', []))} witness outside the home"
    )
