"""The answer of ``evidence.controls`` as a table for a page or a terminal: by framework, with words for states."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safehold.assurance.evidence.outline import WORDS


def controls(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every framework with its obligations, each with the probes behind it and the entries that show them.

    Args:
        answer: What the verb answers; nothing else is asked for.
    """
    probes: Mapping[str, Mapping[str, Any]] = answer["probes"]
    return [
        {
            "framework": name,
            "title": title,
            "counts": dict(answer["counts"].get(name, {})),
            "rows": [_row(row, probes) for row in answer["controls"] if row["framework"] == name],
        }
        for name, title in answer["frameworks"].items()
        if name in answer["counts"]
    ]


def _row(row: Mapping[str, Any], probes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        **{key: row[key] for key in ("id", "clause", "demands", "controls", "evidence", "limits")},
        "people_decide": row["mode"] == "assist",
        "state": row["state"],
        "word": WORDS[row["state"]],
        "reason": row["reason"],
        "probes": [
            {
                "probe": name,
                "state": probes[name]["state"],
                "word": WORDS[probes[name]["state"]],
                "reason": probes[name]["reason"],
                "entries": [one["leaf"] for one in probes[name]["shown"]],
                "decides": name in row["because"],
            }
            for name in row["probes"]
        ],
    }
