"""``safehold alert``: what the sentinel says about who uses the data."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safehold.cli.surface import JsonOption, existing, progress_bar, put, say

if TYPE_CHECKING:
    from safehold.sentinel import Alert

group = typer.Typer(
    no_args_is_help=True, help="Alerts: who uses the data in a way that is unusual for them."
)


@group.command()
def replay(
    events: Annotated[Path, typer.Argument(help="Events, one JSON object a line.")],
    *,
    learn_days: Annotated[
        int, typer.Option(help="Days from the first event that only teach.", min=0, max=366)
    ] = 14,
    budget: Annotated[
        float, typer.Option(help="False alerts borne a day for each 100 principals.", min=0.01)
    ] = 2.0,
    live: Annotated[
        bool,
        typer.Option(
            "--live",
            help="Lines of safehold alert events, judged as beside a keeper: hard limits too.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the sentinel over a file of events and print its alerts, with the numbers of the lines that show each.

    Needs no home and no keeper; the same file gives the same alerts.
    """
    from safehold.sentinel import Sentinel, Settings
    from safehold.sentinel.lines import in_order, read_events
    from safehold.sentinel.reading import Reading, read_lines

    sentinel = Sentinel(Settings(learn_days=learn_days, budget=budget))
    judge = Reading(sentinel) if live else sentinel
    with existing(events).open("rb") as file:
        found = in_order((read_lines if live else read_events)(file, events.name))
    gc.freeze()  # what was read stays until the end: to look through it again and again costs a twentieth
    alerts: list[Alert] = []
    with progress_bar("watching", quiet=as_json) as show:
        for place, event in enumerate(found):
            if place % 20_000 == 0:
                show({"done": place, "of": len(found)})
            alerts += judge.observe(event)
    if as_json:
        put(
            {
                "alerts": [alert.to_json() for alert in alerts],
                "events": len(found),
                "principals": len({event.principal for event in found}),
                "learn_days": learn_days,
                "budget": budget,
                "learning": sentinel.learning,
                "thresholds": _thresholds(sentinel),
            },
            as_json=True,
        )
        return
    for alert in alerts:
        print(
            f"{alert.to_json()['t']}  {alert.severity}  {alert.signal}  {alert.principal}: {alert.sentence}"
        )
        print(f"    {'entries' if live else 'lines'} {', '.join(map(str, alert.events))}")
    say(f"{len(alerts):,} alerts about {len(found):,} events")
    if sentinel.learning:
        say("learning: the file ends before the days that only teach do, so nothing was told")


def _thresholds(sentinel: Any) -> dict[str, float]:
    return {name: round(value, 3) for name, value in sentinel.thresholds.now.items()}
