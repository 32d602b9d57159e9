"""``safehold capacity``: how many machines a company needs. It asks no home."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from safehold.cli.surface import JsonOption, existing, put

group = typer.Typer(no_args_is_help=True, help="Capacity: how many machines a company needs.")


@group.callback()
def capacity() -> None:
    """Capacity: how many machines a company needs."""


@group.command("plan")
def plan_(
    *,
    people: Annotated[int, typer.Option(help="Whose events come in.", min=1)] = 80_000,
    costs: Annotated[
        Path | None,
        typer.Option(help="What work costs, measured on your machine; ours if left out."),
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Your table of prices, JSON; an assumption if left out.")
    ] = None,
    way: Annotated[
        str, typer.Option(help="gateways: files of many people; devices: each hands in its own.")
    ] = "gateways",
    batch: Annotated[
        float, typer.Option(help="Minutes that are gathered before a file is handed over.")
    ] = 15.0,
    gateway: Annotated[int, typer.Option(help="People of one gateway.", min=1)] = 1_000,
    limit: Annotated[
        float, typer.Option(help="How busy a part may be at the busiest minute.")
    ] = 0.6,
    cores: Annotated[int, typer.Option(help="Cores of a machine.", min=1)] = 8,
    memory: Annotated[int, typer.Option(help="GB of memory of a machine.", min=1)] = 32,
    days: Annotated[int, typer.Option(help="Days that blocks stay.", min=1)] = 30,
    curves: Annotated[
        bool, typer.Option("--curves", help="The whole day too, in steps of five minutes.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Plan a day of a company: what is full first, machines by role, what waits, what rests, what it costs."""
    from safehold.app.capacity.costs import read_costs
    from safehold.app.capacity.day import Day
    from safehold.app.capacity.plan import Setting, plan
    from safehold.app.capacity.price import read_prices

    told: dict[str, Any] = plan(
        read_costs(None if costs is None else existing(costs)),
        Day(people=people),
        Setting(
            batch_minutes=batch,
            gateway_people=gateway,
            way=way,
            limit=limit,
            node_cores=cores,
            node_gb=memory,
            retention_days=days,
        ),
        read_prices(None if prices is None else existing(prices)),
    )
    if not curves:
        del told["curves"]
    put(told, as_json=as_json)
