# ruff: noqa: INP001 - a script, not a package
"""Write the table of scenarios into docs/reference/drill.md; with a saved run, draw docs/pictures/drill.svg as well.

python docs/generate_drill.py [RUN.json]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from safehold.assurance.drill.judge import Bound, Limit
from safehold.assurance.drill.picture import draw
from safehold.assurance.drill.scenario import SCENARIOS

PAGE = Path(__file__).parent / "reference" / "drill.md"
PICTURE = Path(__file__).parent / "pictures" / "drill.svg"
BEGIN, END = "<!-- table -->", "\nHow fourteen"


def table() -> str:
    """Return the scenarios with their limits."""
    rows = ["| id | what happens | attacker | facts | limit |", "|---|---|---|---|---|"]
    rows += [
        f"| {one.id} | {one.title} | {one.attacker} | {one.fact} | {limit_in_words(one.limit)} |"
        for one in SCENARIOS
    ]
    return "\n".join(rows)


def limit_in_words(limit: Limit) -> str:
    """Return a limit in words."""
    rest, live = _bound(limit.at_rest), _bound(limit.live)
    words = [rest] if rest == live else [f"at rest {rest}", f"live {live}"]
    if limit.detect_s is not None:
        words.append(f"noticed within {limit.detect_s:g} s")
    if limit.contain_s is not None:
        words.append(f"ended within {limit.contain_s:g} s")
    return "; ".join(words)


def _bound(bound: Bound) -> str:
    said = {name: getattr(bound, name) for name in Bound.__dataclass_fields__}
    known = {name: most for name, most in said.items() if most is not None}
    if not known:
        return "told, not bounded"
    if set(known.values()) == {0} and len(known) == len(said):
        return "nothing"
    return ", ".join(f"{most} {name}" for name, most in known.items())


def with_table(page: str) -> str:
    """Return the page with its table written anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
    if len(sys.argv) > 1:
        run = json.loads(Path(sys.argv[1]).read_text("utf-8"))
        PICTURE.write_text(draw(run["scenarios"]) + "\n", "utf-8")
