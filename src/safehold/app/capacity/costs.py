"""What work costs: figures that were measured, each with where it comes from; read from a file, never built in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

from safehold.errors import InvalidError

VERSION: Final = "safehold-costs/1"
MEASURED: Final = "measured"
RECORDED: Final = "recorded"  # in docs/reference/benchmarks.md, in another run
ASSUMED: Final = "assumed"
STREAMS: Final = ("key", "pointer", "other")


@dataclass(frozen=True, slots=True)
class Costs:
    """Figures by name.

    Args:
        date: When they were measured.
        machine: On what.
        figures: Value of each.
        origins: Where each comes from: ``measured``, ``recorded`` or ``assumed``.
    """

    date: str
    machine: str
    figures: Mapping[str, float]
    origins: Mapping[str, str]

    def __getitem__(self, name: str) -> float:
        try:
            return self.figures[name]
        except KeyError as error:
            raise InvalidError(
                f"the measurement lacks {name}",
                rule="capacity.costs",
                fix="python -m tests.capacity_desk measure FILE",
            ) from error

    def points(self, name: str) -> list[tuple[float, float]]:
        """Return what was measured of one thing at several sizes, as ``name@SIZE``: pairs of size and value, in order.

        Raises:
            InvalidError: It was measured at none.
        """
        found = [
            (float(key.partition("@")[2]), value)
            for key, value in self.figures.items()
            if key.partition("@")[0] == name
        ]
        if not found:
            self[name]  # says what is missing
        return sorted(found)


def read_costs(file: Path | None = None) -> Costs:
    """Return the figures of a file; those that came with the program without one.

    Raises:
        InvalidError: It is no such file.
    """
    data = (
        file.read_bytes()
        if file is not None
        else resources.files(__package__).joinpath("measured.json").read_bytes()
    )
    try:
        tree: Any = json.loads(data)
    except ValueError as error:
        raise InvalidError("not JSON", rule="capacity.costs") from error
    match tree:
        case {
            "version": "safehold-costs/1",
            "date": str(date),
            "machine": str(machine),
            "figures": dict(found),
        }:
            pass
        case _:
            raise InvalidError("not a file of costs", rule="capacity.costs")
    figures, origins = {}, {}
    for name, one in found.items():
        match one:
            case {"value": float() | int() as value, "from": str(origin)} if (
                value >= 0 and origin in {MEASURED, RECORDED, ASSUMED}
            ):
                figures[str(name)], origins[str(name)] = float(value), origin
            case _:
                raise InvalidError(f"not a cost: {name}", rule="capacity.costs")
    return Costs(date, machine, figures, origins)
