# ruff: noqa: INP001 - a script, not a package
"""Write docs/reference/controls.md from the catalogue and the probes: ``python docs/generate_controls.py``."""

from __future__ import annotations

from pathlib import Path

from safehold.assurance.control import Catalogue, shipped
from safehold.assurance.drill.scenario import BY_ID
from safehold.assurance.probe import PROBES

FILE = Path(__file__).parent / "reference" / "controls.md"
HEAD = """# Control catalogue

Which obligation which control answers, and which probe shows it. This page is written from
`src/safehold/assurance/control/catalogue.yaml` by `docs/generate_controls.py`; a test compares them.

What the clauses demand is a short paraphrase of ours. **No counsel has checked it**, and it replaces no reading of the
law. **auto**: the system shows it. **assist**: it prepares, and people decide. How a row's state follows from its
probes: [evidence](evidence.md#states).
"""


def write(catalogue: Catalogue) -> str:
    """Return the page."""
    parts = [
        HEAD,
        "## What no evidence of this system shows\n",
        *(f"- {one}" for one in catalogue.limits),
    ]
    for name, framework in catalogue.frameworks.items():
        parts += [
            f"\n## {framework.title}\n",
            f"`{name}`\n",
            "| row | clause | demands | controls | evidence | mode | probes | limits |",
            "|---|---|---|---|---|---|---|---|",
        ]
        parts += [
            f"| `{row.id}` | {row.clause} | {row.demands} | {', '.join(row.controls)} | {row.evidence} | {row.mode}"
            f" | {', '.join(f'`{one}`' for one in row.probes)} | {' '.join(row.limits) or '-'} |"
            for row in catalogue.rows
            if row.framework == name
        ]
    parts += ["\n## Controls\n", "| control | what Safehold does |", "|---|---|"]
    parts += [f"| {one.id} | {one.says} |" for one in catalogue.controls.values()]
    parts += [
        "\n## Probes\n",
        "Each judges facts that the keeper fetched; the sentence it gives says what it found.\n",
        "| probe | judges |",
        "|---|---|",
    ]
    parts += [f"| `{name}` | {_says(name)} |" for name in sorted(PROBES)]
    return "\n".join(parts) + "\n"


def _says(name: str) -> str:
    family, _, rest = name.partition(".")
    if family == "drill":
        return f"the newest [drill](drill.md) of {rest}, {BY_ID[rest].title}: it held, eight days ago at most"
    if family == "promise":
        return f"the promise measured by `{rest}`, or Safehold's own bound where the charter makes none"
    if family == "document":
        return f"the [document](documents.md) `{rest}` is published under the charter in force"
    if family == "redline":
        return f"a red line of the charter against this ({rest}) is proved"
    if name in ("notice.first", "risk.first"):
        return f"the first `{family}` was published before the first telemetry came in"
    text = (PROBES[name].__doc__ or "").strip().split("\n")[0]
    return text.removeprefix("Judge whether ").rstrip(".")


if __name__ == "__main__":
    FILE.write_text(write(shipped()), encoding="utf-8")
