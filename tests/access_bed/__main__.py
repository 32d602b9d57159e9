"""The command line: `python -m tests.access_bed SEED FOLDER --learn-days 25`."""

import argparse
from pathlib import Path

from tests.access_bed.making import write


def main() -> None:
    """Write one log and its truth."""
    parser = argparse.ArgumentParser(prog="python -m tests.access_bed", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--learn-days", type=int, default=25)
    given = parser.parse_args()
    log = write(given.seed, given.folder, learn_days=given.learn_days)
    print(f"{len(log.events)} events, {len(log.truths)} attacks in {given.folder}")


main()
