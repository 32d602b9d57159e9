"""What machines cost: by a table that whoever asks gives. The table here is an assumption, and nobody's offer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """In one currency.

    Args:
        core_hour: Of a machine's core.
        gb_hour: Of a GB of its memory.
        stored_gb_month: Of sealed objects.
        disk_gb_month: Of the disks of keepers: ledger and control database.
        thousand_puts: Objects written.
        currency: Its name.
        assumed: Whether nobody gave it.
    """

    core_hour: float = 0.04
    gb_hour: float = 0.005
    stored_gb_month: float = 0.023
    disk_gb_month: float = 0.10
    thousand_puts: float = 0.005
    currency: str = "units"
    assumed: bool = True


def read_prices(file: Path | None) -> Prices:
    """Return the prices of a file, JSON with the names of ``Prices``; the assumption without one.

    Raises:
        InvalidError: It is no such file.
    """
    if file is None:
        return Prices()
    known = {one.name for one in fields(Prices)} - {"assumed"}
    try:
        tree: Any = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidError("not JSON", rule="capacity.prices") from error
    if not isinstance(tree, dict) or not set(tree) <= known:
        raise InvalidError(
            "not a table of prices", rule="capacity.prices", fix=", ".join(sorted(known))
        )
    for name, value in tree.items():
        if name != "currency" and (not isinstance(value, int | float) or value < 0):
            raise InvalidError("a price is a number", field=name, rule="capacity.prices")
    return Prices(**tree, assumed=False)


def bill(
    prices: Prices,
    roles: Mapping[str, Mapping[str, float]],
    storage: Mapping[str, float],
    *,
    node_cores: int,
    node_gb: int,
    objects: float,
    days: int,
) -> dict[str, Any]:
    """Return what a month of 30 days costs, part by part."""
    hours = 24 * 30
    nodes = sum(one["nodes"] for one in roles.values())
    kept = storage["days_1_gb"] * days
    parts = {
        "machines": nodes * hours * (node_cores * prices.core_hour + node_gb * prices.gb_hour),
        "objects": kept * prices.stored_gb_month,
        "disks": storage["ledger_gb_a_year"] * prices.disk_gb_month,
        "writes": objects * 30 / 1_000 * prices.thousand_puts,
    }
    return {
        "currency": prices.currency,
        "assumed": prices.assumed,
        "month": sum(parts.values()),
        **parts,
        "nodes": nodes,
    }
