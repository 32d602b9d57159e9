"""The statement of applicability of the two management systems, from how their rows stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SYSTEMS: Final = ("iso-42001", "iso-27701")
_WHO: Final = {"auto": "shown by the system", "assist": "prepared by the system, decided by people"}


def state_applicability(claims: Mapping[str, Any]) -> str:
    """Return the statement as Markdown."""
    says: Mapping[str, str] = claims["controls"]
    charter = claims["charter"]
    lines = [
        "# Statement of applicability",
        "",
        f"Home `{claims['home']}`, {claims['size']} entries of its record."
        + ("" if charter is None else f" Charter {charter['id']}, version {charter['version']}."),
        "",
        f"{claims['legal_text']} Whether a control applies to the whole of an organisation, its management says.",
    ]
    for name in SYSTEMS:
        lines += ["", f"## {claims['frameworks'][name]}", ""]
        lines += [
            "| clause | applies | controls | how | state | why |",
            "|---|---|---|---|---|---|",
        ]
        for row in claims["rows"]:
            if row["framework"] == name:
                controls = "; ".join(f"{one}: {says[one]}" for one in row["controls"])
                lines.append(
                    f"| {row['clause']} | yes: {row['demands']} | {controls} | {_WHO[row['mode']]}"
                    f" | {row['state']} | {row['reason']} |"
                )
    lines += ["", "## What this does not prove", "", *(f"- {one}" for one in claims["limits"])]
    return "\n".join(lines) + "\n"
