"""`python -m tests.access_port SEED FOLDER --learn-days 25`."""

import argparse
from pathlib import Path

from tests.access_port import write


def main() -> None:
    """Write one log."""
    parser = argparse.ArgumentParser(prog="python -m tests.access_port", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--learn-days", type=int, default=25)
    asked = parser.parse_args()
    for path in write(asked.seed, asked.folder, asked.learn_days):
        print(path)


if __name__ == "__main__":
    main()
