"""A keeper with an instrument of the tests in it: every key that is looked up to open a block is noted in a file.

``python -m tests.chaos.probe FILE serve ...`` is ``safehold serve ...`` with that. The note is written before the key is
handed on, with one ``write`` to a file that is open since the start, so a kill loses none that was used. It says when,
by which process, and of which person and stream; it knows nothing of intents, so that comparing it with the ledger
compares two records that were made apart.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from tests.chaos.inside import begin

from safehold.app.hardening import bound_heaps


def note_releases(file: Path) -> None:
    """Note every key that the vault releases for opening, from now on."""
    from safehold.vault.reader import Reader

    sink = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    keys_of = Reader.keys_of

    def noted(self: Reader, blocks: Sequence[Any]) -> Any:
        found = keys_of(self, blocks)
        held: dict[tuple[str, str], int] = {}
        for block in blocks:
            place = (block.person, block.stream)
            held[place] = held.get(place, 0) + 1
        said = {
            "t_us": time.time_ns() // 1000,
            "pid": os.getpid(),
            "keys": [[*place, count] for place, count in sorted(held.items())],
        }
        os.write(sink, orjson.dumps(said) + b"\n")
        return found

    Reader.keys_of = noted  # type: ignore[method-assign]


def main() -> None:
    """Note releases in the file named first, and do what follows as ``safehold`` does."""
    bound_heaps()  # as ``serve`` does first of all; the instrument loads what loads Arrow
    note_releases(Path(sys.argv[1]))
    del sys.argv[1]
    begin()
    from safehold.cli import main as run

    run()


if __name__ == "__main__":
    main()
