"""`python -m tests.access_loom SEED FOLDER --learn-days 25`."""

import argparse
from pathlib import Path

from tests.access_loom import write

parser = argparse.ArgumentParser(prog="access_loom", description="Writes a made-up access log.")
parser.add_argument("seed", type=int)
parser.add_argument("folder", type=Path)
parser.add_argument("--learn-days", type=int, default=25)
args = parser.parse_args()
for path in write(args.seed, args.folder, args.learn_days):
    print(path)
