"""The opener as a process: ``safehold worker serve`` on a worker, or a child of a keeper that starts Ray itself.

As a child it reads one JSON line from standard input, answers ``{"ready": true}``, and ends with standard input.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import orjson

from safehold.app.hardening import harden
from safehold.canonical import unb64
from safehold.cluster.opener import Identity, Opener
from safehold.errors import InvalidError, SafeholdError
from safehold.keeper.program import name_program
from safehold.sandbox.launch import Launcher
from safehold.signing import SigningKey, VerifyKey
from safehold.vault.guarded import scrub


def open_for(
    *,
    home: str,
    name: str,
    key: SigningKey,
    keeper: VerifyKey,
    path: Path,
    carriers: frozenset[int] = frozenset(),
) -> Opener:
    """Return an opener that listens; this process is kept from debuggers and dumps from now on.

    Args:
        home: Of which home it takes work.
        name: Of the worker.
        key: Its identity.
        keeper: The keeper whose warrants it believes.
        path: Its socket.
        carriers: User ids that may speak to it, besides its own.

    Raises:
        InvalidError: The socket cannot be made there.
    """
    harden()
    identity = Identity(home=home, name=name, key=key, keeper=keeper, program=name_program())
    path.unlink(missing_ok=True)  # of one that was killed
    try:
        return Opener(identity, Launcher(), path, carriers=carriers)
    except OSError as error:
        raise InvalidError(
            f"the opener's socket cannot be made: {error.strerror or 'its path is too long'}",
            rule="cluster.socket",
            fix="a path of at most 100 characters in a folder of its own",
        ) from error


def run(opener: Opener, *, ready: Callable[[], None]) -> None:
    """Serve carriers until a signal asks to finish; sandboxes that run are ended.

    Args:
        opener: What serves.
        ready: Called once a signal would be heard.
    """

    def finish(_signal: int, _frame: FrameType | None) -> None:
        threading.Thread(target=opener.close, daemon=True).start()

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, finish)
    ready()
    opener.serve()
    opener.close()


def main() -> int:
    """Run as a child of a keeper."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="opener: %(message)s")
    try:
        line = sys.stdin.buffer.readline()
        order = orjson.loads(line)
        scrub(line)
        opener = open_for(
            home=order["home"],
            name=order["name"],
            key=SigningKey(unb64(order.pop("seed"))),
            keeper=VerifyKey.from_text(order["keeper"]),
            path=Path(order["path"]),
        )
    except SafeholdError as error:
        sys.stdout.buffer.write(orjson.dumps({"error": error.payload()}) + b"\n")
        return error.exit_code
    sys.stdout.buffer.write(b'{"ready": true}\n')
    sys.stdout.buffer.flush()
    threading.Thread(target=opener.serve, daemon=True).start()
    while os.read(0, 4096):
        pass
    opener.close()
    with contextlib.suppress(
        OSError
    ):  # the keeper may have been killed, and made this folder for the socket alone
        Path(order["path"]).parent.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main())
