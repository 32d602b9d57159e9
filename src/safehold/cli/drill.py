"""``safehold drill``: the incident, tried on this deployment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    moment,
    put,
    say,
)


def register(root: typer.Typer) -> None:
    """Add the command to the command line."""
    root.command()(drill)


def drill(
    *,
    only: Annotated[
        str | None, typer.Option(help="Ids of scenarios, with commas; default: all 25.")
    ] = None,
    levels: Annotated[
        str, typer.Option(help="Levels of the keeper that are tried besides, with commas.")
    ] = "K1,K2,K3,K4",
    quick: Annotated[
        bool, typer.Option("--quick", help="Leave out what only makes figures firmer.")
    ] = False,
    people: Annotated[
        int, typer.Option(min=100, max=2000, help="Made-up people of the twin.")
    ] = 120,
    days: Annotated[int, typer.Option(min=1, max=30, help="Their days.")] = 1,
    truth: Annotated[
        Path | None,
        typer.Option(help="What was planted in a home of made-up people: the demo's --truth."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write the run as one page to this new file.")
    ] = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Try 25 attacks on this deployment, on a twin of it and on a plain lake; 1 if one of them succeeds.

    Nothing of real people is opened. What would change anything is tried on a twin that is made for it.
    """
    from safehold.app.drill.place import Size
    from safehold.app.drill.run import Order, check_order, run_drill, words
    from safehold.assurance.drill.page import render
    from safehold.assurance.drill.report import tell
    from safehold.clock import SystemClock
    from safehold.settings import Home

    order = Order(
        only=words(only),
        levels=words(levels),
        quick=quick,
        size=Size(people=people, days=days),
        truth=None if truth is None else existing(truth),
    )
    check_order(order.only, order.levels)
    place = Home.open(home)
    with keeper(home) as client:
        report = run_drill(place, client, order, say)
    if html is not None:
        html.write_text(render(report.to_json(), made=moment(SystemClock().now_us())), "utf-8")
    if as_json:
        put(report.to_json(), as_json=True)
    else:
        sys.stdout.write(tell(report) + "\n")
    if report.broken:
        raise typer.Exit(1)
