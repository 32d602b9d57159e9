"""``python -m tests.chaos --seconds 600``: one run by hand; ``--plan FILE`` plays an old one again."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
from pathlib import Path

from tests.chaos.drive import LONG, SHORT, drive
from tests.chaos.judge import tell
from tests.chaos.plan import Plan, make_plan, short_plan


def main() -> int:
    """Do it, and return 1 if anything is wrong."""
    words = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    words.add_argument("--seconds", type=float, default=600, help="of load")
    words.add_argument("--seed", type=int, default=secrets.randbelow(1 << 31))
    words.add_argument("--short", action="store_true", help="the short form")
    words.add_argument("--plan", type=Path, help="a plan.json that an earlier run left")
    words.add_argument("--out", type=Path, required=True, help="a new folder")
    said = words.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that everything is taken down
    if said.plan:
        plan = Plan.read(said.plan)
    else:
        plan = short_plan(said.seed) if said.short else make_plan(said.seed, said.seconds)
    came = drive(said.out / "site", plan, SHORT if said.short else LONG)
    sys.stdout.write((said.out / "table.md").read_text("utf-8"))
    sys.stdout.write(tell(came.findings) + "\n")
    return 1 if came.findings else 0


if __name__ == "__main__":
    sys.exit(main())
