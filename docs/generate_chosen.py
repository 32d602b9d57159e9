# ruff: noqa: INP001 - a script, not a package
"""Write what the gate of detection looks for on behalf of each shipped rule; run it after a change of the rules.

python docs/generate_chosen.py
"""

from __future__ import annotations

from pathlib import Path

import safehold.dlp.engine
from safehold.dlp.engine.chosen import PLACE, ship
from safehold.dlp.pattern import load_patterns

if __name__ == "__main__":
    (Path(safehold.dlp.engine.__file__).parent / PLACE).write_bytes(
        ship((rule.pattern, rule.needs) for rule in load_patterns())
    )
