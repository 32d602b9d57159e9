"""Tries every file below some folders, and a socket, as whoever runs it; prints what it got into, never what is in it.

A program of its own, so that it can run under another user id.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any


def trespass(door: str, places: list[str]) -> dict[str, Any]:
    """Return which files could be read, how many were seen, and whether the socket took us."""
    opened: list[str] = []
    seen = 0
    for place in places:
        for folder, _, files in os.walk(place):
            for name in files:
                seen += 1
                path = Path(folder) / name
                try:
                    with path.open("rb") as file:
                        file.read(1)
                except OSError:
                    continue
                opened.append(str(path))
    link = socket.socket(socket.AF_UNIX)
    link.settimeout(10)
    let_in = False
    try:
        link.connect(door)
        link.sendall(b"?")
        let_in = bool(link.recv(1))
    except OSError:
        pass
    finally:
        link.close()
    return {"opened": opened, "seen": seen, "let_in": let_in}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(trespass(sys.argv[1], sys.argv[2:])))
