"""The card of a model and the datasheet of what it was made from, written when it is made and sealed with it.

Holds: nothing in it is a value of data. Words come from the charter, figures from the egress gate, kinds and days from
the label; people are told as "at least" a round number. After Mitchell et al. 2019 (model cards) and Gebru et al. 2021
(datasheets for datasets).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from safehold.catalog import DatasetLabel
from safehold.charter import Charter
from safehold.clock import date_of

FORMAT: Final = "safehold.model-card/v1"
_LIMITS: Final = (
    "Differential privacy bounds what the model tells about any one person; it is a bound, not a zero.",
    "The promise is about each person's whole contribution; what many people do alike is meant to be learned.",
    "Epsilon adds up: other models and figures of the same purpose count against the same budget.",
    "Nothing was done for fairness between groups of people, and no score is told per group.",
    "The figures are about the people of this home in these days; how the model does elsewhere is not known.",
)
_NO_ATTACKS: Final = "No attack on this model has been recorded."
_TRAINING: Final = (
    "unit", "adjacency", "epsilon_micro", "delta_e12", "epsilon_pld", "epsilon_rdp", "noise_multiplier", "clip",
    "rounds", "sampling_ppm", "actions_per_person", "parameters", "audit",
)  # fmt: skip
_SCORES: Final = ("top1", "top1_error", "macro_f1", "macro_over")


def describe(
    *,
    charter: Charter,
    purpose: str,
    label: DatasetLabel,
    metrics: Mapping[str, Any],
    least: int,
    expires: int,
) -> dict[str, Any]:
    """Return the card of a model that was just made, as canonical JSON values (no floating point).

    Args:
        charter: The charter in force.
        purpose: Name of the one purpose.
        label: Of all it was made from.
        metrics: Figures that passed the egress gate.
        least: Least people the charter lets anything be said about.
        expires: UTC day of the model's end.
    """
    stated = charter.purpose(purpose)
    return {
        "format": FORMAT,
        "purpose": {"name": purpose, "plain": stated.plain, "uses": str(stated.uses)},
        "not_for": [line.words() for line in charter.red_lines],
        "training": {name: _told(metrics[name]) for name in _TRAINING if name in metrics},
        "scores": {name: _told(metrics.get(name)) for name in _SCORES},
        "data": {
            "people": at_least(int(metrics.get("trained", label.people)), least=least),
            "streams": sorted(label.streams),
            "jurisdictions": sorted(label.jurisdictions),
            "from": date_of(label.first_day),
            "to": date_of(label.last_day),
            "min_people": least,
            "collected": "under the charter, from people who had been told and could say no",
            "kept": "sealed, a key for each person; a person who is erased is in no later model",
        },
        "expires": date_of(expires),
        "limits": list(_LIMITS),
    }


def at_least(people: int, *, least: int) -> str:
    """Return a number of people as "at least" 1, 2 or 5 times a power of ten, or that they are too few to tell.

    Args:
        people: How many.
        least: Below it nothing is told.
    """
    if people < least or people < 1:
        return f"fewer than {least}"
    power = 10 ** (len(str(people)) - 1)
    return f"at least {max(step * power for step in (1, 2, 5) if step * power <= people)}"


def complete(
    card: Mapping[str, Any],
    *,
    artifact: str,
    sha256: str,
    attacks: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return a card with what is only known later: its model, and the attacks on it.

    Args:
        card: From ``describe``.
        artifact: Id of the model.
        sha256: Of the model's file, hex.
        attacks: Plain records: ``attack``, ``state`` and figures.
    """
    whole = {
        **card,
        "artifact": artifact,
        "sha256": sha256,
        "attacks": [dict(one) for one in attacks],
    }
    if not attacks:
        whole["limits"] = [*card["limits"], _NO_ATTACKS]
    return whole


def write_markdown(card: Mapping[str, Any]) -> str:
    """Return a complete card as Markdown."""
    purpose, data = card["purpose"], card["data"]
    lines = [
        f"# Model card: {card['artifact']}",
        "",
        purpose["plain"],
        "",
        f"Purpose `{purpose['name']}` ({purpose['uses']}). The model ends on {card['expires']}.",
        f"SHA-256 `{card['sha256']}`.",
        "",
        "## Not for",
        "",
        *(f"- {line}" for line in card["not_for"]),
        "",
        "## How it was trained",
        "",
        *_table(card["training"]),
        "",
        "## How good it is",
        "",
        *_table(card["scores"]),
        "",
        "## Attacks on it",
        "",
        *(
            [
                "- " + ", ".join(f"{name} {value}" for name, value in one.items())
                for one in card["attacks"]
            ]
            or [_NO_ATTACKS]
        ),
        "",
        "## Datasheet: what it was made from",
        "",
        f"- People: {data['people']}; nothing is said about fewer than {data['min_people']}",
        f"- Streams: {', '.join(data['streams'])}",
        f"- Jurisdictions: {', '.join(data['jurisdictions'])}",
        f"- Days: {data['from']} to {data['to']}",
        f"- Collected: {data['collected']}",
        f"- Kept: {data['kept']}",
        "",
        "## Limits",
        "",
        *(f"- {line}" for line in card["limits"]),
    ]
    return "\n".join(lines) + "\n"


def _table(values: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {name} | {'not told' if value is None else value} |" for name, value in values.items()
    ]
    return ["| figure | value |", "|---|---|", *rows]


def _told(value: Any) -> int | str | None:
    # canonical JSON has no floating point: a figure is told as it is written
    return f"{value:.6g}" if isinstance(value, float) else value
