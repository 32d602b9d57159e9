"""What signs weigh: the statistics that are sums of weak signs, each with the weight of every sign that it counts.

The weights were fitted on development logs by five authors, at a fixed cost (``docs/adr/0067``); the reference page
says what each sign is, and a test holds its table against this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

WEIGHTS: Final[Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "join": {
            "pair": 0.42,
            "homes": 0.2,
            "families": 0.2,
            "unmet": 0.9,
            "many": 0.15,
            "object": 0.4,
            "closed": 1.2,
            "far": 0.1,
            "extra": 0.1,
            "action": 0.6,
            "approved": -0.3,
        },
        "segment": {
            "segment": 0.3,
            "object": 0.15,
            "closed": 0.4,
            "apart": 0.3,
            "far": 0.1,
            "unasked": 0.55,
            "amiss": 0.3,
            "strange": 0.5,
            "extra": 0.5,
            "action": 0.35,
            "hour": 0.15,
            "denied": -0.3,  # whoever was refused has used nothing, and mostly asks next
            "machine": 0.2,  # it has less reason to look about
            "approved": -0.7,
        },
        # where they are at home already: it is the thing that tells
        "object": {
            "object": 0.3,
            "closed": 0.35,
            "apart": 0.8,
            "far": 0.2,
            "amiss": 0.4,
            "strange": 0.2,
            "extra": 0.8,
            "action": 0.4,
            "hour": 0.3,
            "again": 0.3,
            "approved": -0.8,
        },
        "artifact": {
            "segment": 0.15,
            "object": 0.2,
            "family": 0.05,
            "closed": 0.1,
            "apart": 0.2,
            "far": 0.1,
            "unasked": 1.0,
            "bare": 0.25,
            "off": 2.2,
            "extra": 0.2,
            "action": 0.7,
            "hour": 0.1,
            "refused": 0.5,
            "approved": -0.4,
        },
        "export": {
            "segment": 0.1,
            "object": 0.1,
            "family": 0.05,
            "closed": 0.1,
            "apart": 0.2,
            "far": 0.1,
            "unasked": 0.8,
            "bare": 0.25,
            "off": 0.7,
            "extra": 0.1,
            "action": 0.5,
            "hour": 0.3,
            "refused": 0.5,
            "larger": 0.4,
            "row": 0.2,
            "approved": -0.8,
        },
    }
)


def weigh(statistic: str, signs: Mapping[str, float]) -> float:
    """Return the sum of signs, each times its weight.

    Args:
        statistic: Which sum it is.
        signs: How much there is of each; more than it counts may be among them.

    Raises:
        KeyError: One that it counts is not among them.
    """
    total = 0.0  # and not ``sum``, which rounds otherwise from Python 3.12 on: state is the same everywhere
    for name, weight in WEIGHTS[statistic].items():
        total += weight * signs[name]
    return total
