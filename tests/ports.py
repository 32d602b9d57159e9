"""Ports of this machine that nobody else takes between the choice and the server that binds them."""

from __future__ import annotations

import os
import random
import socket
from itertools import count

# below those that the kernel gives to whoever asks for any (32768 on): two tests beside each other never meet
_EACH = 2_500
_FIRST = 12_000 + _EACH * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
_NUMBERS = count(random.randrange(_EACH))


def free_port() -> int:
    """Return a port that nobody listens at, another one each time."""
    for _ in range(_EACH):
        port = _FIRST + next(_NUMBERS) % _EACH
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise AssertionError("no port is free")
