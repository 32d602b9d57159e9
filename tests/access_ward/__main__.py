"""`python -m tests.access_ward SEED FOLDER --learn-days 25`."""

import argparse
from pathlib import Path

from . import write

parser = argparse.ArgumentParser(prog="tests.access_ward", description="Writes one made-up log.")
parser.add_argument("seed", type=int)
parser.add_argument("folder", type=Path)
parser.add_argument("--learn-days", type=int, default=25)
given = parser.parse_args()
for written in write(given.seed, given.folder, given.learn_days):
    print(written)
