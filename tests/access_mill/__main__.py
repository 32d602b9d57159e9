"""`python -m tests.access_mill SEED FOLDER --learn-days 25`: writes one log and its truth."""

import argparse
from pathlib import Path

from tests.access_mill.mill import write


def main() -> None:
    """Reads the command line and writes the two files."""
    parser = argparse.ArgumentParser(prog="tests.access_mill", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--learn-days", type=int, default=25)
    chosen = parser.parse_args()
    events, truth = write(chosen.seed, chosen.folder, learn_days=chosen.learn_days)
    print(f"{events} events, {truth} attacks in {chosen.folder}")


main()
