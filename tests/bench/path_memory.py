"""Takes one file in, in a process of its own: ``python -m tests.bench.path_memory FOLDER FILE`` prints the peak of its memory.

The peak is of the keeper (this process) and of all processes of the sandbox together, looked at 30 times a second.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench.path_desk import Memory, opened


def main(folder: Path, file: Path) -> None:
    """Print ``{"peak": bytes, "keeper": bytes, "seconds": ...}``."""
    with opened(folder, level="L3") as bench:
        with Memory(own=True) as memory:
            keeper, sandbox, _ = bench.take(file)
        print(json.dumps({"peak": memory.peak, "keeper": memory.mine, "cpu": keeper + sandbox}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
