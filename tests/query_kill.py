"""A keeper that is killed the moment a query runs: after its intent, before its result.

python -m tests.query_kill FOLDER AT_US TOKEN KEY TEXT STREAM...
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

from tests.keeper_desk import Bench
from tests.query_desk import Asking, Permit, QueryWorkshop, begin
from tests.world import PASSPHRASE, outside

from safehold.access import Holder
from safehold.clock import FixedClock
from safehold.privacy.query import read_query
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.vault.kms import open_sealed


def main(folder: str, at_us: str, token: str, key: str, text: str, *streams: str) -> None:
    """Start the keeper, ask, and be killed."""
    path = Path(folder)
    with outside(path):
        home = Home.open(path / "home")
        root = open_sealed(home.root_file, PASSPHRASE)
        bench = Bench(path, home, root, FixedClock(int(at_us)), {}, workshop=QueryWorkshop())
        begin(bench)
    bench.workshop.before = lambda: os.kill(os.getpid(), signal.SIGKILL)
    grant = SimpleNamespace(streams=streams, recipes=(read_query(text).name,))
    Asking(bench).ask(Permit(grant, Holder(token, SigningKey.read(Path(key)))), text)


if __name__ == "__main__":
    main(*sys.argv[1:])
