"""A run for people: one line a scenario, the headline, and what it does not show."""

from __future__ import annotations

from safehold.assurance.drill.judge import UNABLE
from safehold.assurance.drill.outcome import Findings
from safehold.assurance.drill.result import LIMITS, Report, Result, Try

COLUMNS = ("people", "records", "segments", "canaries")


def tell(report: Report) -> str:
    """Return a run as text."""
    head = report.headline()
    lines = [
        (
            f"drill {report.run}: {head['held']} of {head['of']} held, {head['broken']} broken,"
            f" {head['could_not_run']} could not run"
        ),
        (
            f"people exposed over {len(head['over'])} scenarios: {head['people_exposed_at_rest']} at rest,"
            f" {head['people_exposed_live']} inside one running segment"
            f" (a plain lake: {head['people_exposed_in_the_lake']})"
        ),
        (
            f"rewrites of the record noticed: {head['rewrites_noticed'] or '-'};"
            f" accesses missing in trails: {_known(head['trail_missing'])};"
            f" seconds until a stop had ended everything: {_known(head['stop_s'])}"
        ),
        "",
        f"{'':4} {'':28} {'':14} {'exposed':>23}   {'the lake':>23}   guards off",
        (
            f"{'id':4} {'scenario':28} {'status':14} {'people/rows/segm./can.':>23}  "
            f" {'people/rows/tables/can.':>23}"
        ),
    ]
    lines += [_line(one) for one in report.results]
    lines += ["", *(f"{one.scenario.id}: {one.reason}" for one in report.results if one.reason)]
    if blind := head["does_not_discriminate"]:
        lines.append(f"does not discriminate (held with its guards off): {', '.join(blind)}")
    for one in report.results:
        for name, level in one.levels.items():
            state = level.state(one.scenario)
            why = f": {level.reason}" if state == UNABLE else f" {counts(level)}"
            lines.append(f"{one.scenario.id} at {name}: {state}{why}")
    if twin := report.twin:
        why = f" ({twin['why_not_own']})" if twin["why_not_own"] else ""
        lines += ["", f"the twin ran under {twin['charter']} charter{why}, but that:"]
        lines += [f"  {text}" for text in twin["changed"]]
    lines += ["", "limits:", *(f"  {text}" for text in LIMITS)]
    return "\n".join(lines)


def _known(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:g}"


def _line(one: Result) -> str:
    control = one.control.state(one.scenario)
    word = {"broken": "red, as it must be", "held": "DOES NOT DISCRIMINATE"}.get(control, control)
    return (
        f"{one.scenario.id:4} {one.scenario.title:28} {one.status:14} {counts(one.attempt):>23}  "
        f" {counts(one.lake):>23}   {word}"
    )


def counts(tried: Try) -> str:
    """Return the four counts of one try, or a dash."""
    if tried.found is None:
        return "-"
    whole = Findings(at_rest=tried.found.at_rest, live=tried.found.live).whole
    return "/".join("-" if (n := getattr(whole, name)) is None else str(n) for name in COLUMNS)


__all__ = ["counts", "tell"]
