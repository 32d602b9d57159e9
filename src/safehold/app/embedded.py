"""Start the keeper of a home as a process of its own, and find one that runs.

The secret that opens the root goes to it through a pipe, never by argument or environment. It lives as long as the
pipe: when the caller ends, however it ends, the keeper ends too.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from safehold.errors import UnavailableError, revive
from safehold.keeper.client import KeeperClient
from safehold.settings import Home

PATIENCE_S = 60.0


@contextmanager
def connect(home: Home, secret: dict[str, Any] | None) -> Iterator[KeeperClient]:
    """Yield a line to the keeper of a home; start one for the time being if none runs.

    Args:
        home: The home.
        secret: What opens the root, as ``custody.unlock`` takes it, or None.

    Raises:
        UnavailableError: None runs and there is nothing to open the root with.
    """
    client = KeeperClient(*home.sockets)
    if answers(client):
        yield client
        return
    if secret is None:
        raise UnavailableError(
            "no keeper runs for this home and nothing was given to open its root",
            rule="keeper.locked",
            fix="set SAFEHOLD_PASSPHRASE, or SAFEHOLD_UNLOCK_FILE for a root elsewhere, or start `safehold serve`",
        )
    with start(home, {"secret": secret}):
        yield client


def answers(client: KeeperClient) -> bool:
    """Return whether a keeper answers."""
    try:
        client.call("hello")
    except UnavailableError:
        return False
    return True


@contextmanager
def start(home: Home, order: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Start a keeper, wait until it is ready, yield what it said, and end it afterwards."""
    process = subprocess.Popen(
        # -P: no module of the directory it happens to be started in
        [sys.executable, "-P", "-m", "safehold.app.keeper", str(home.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=keeper_environment(),
        start_new_session=True,
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise UnavailableError("the keeper has no pipes", rule="keeper.start")
        with contextlib.suppress(BrokenPipeError):  # it died: the missing line below says so
            process.stdin.write(orjson.dumps(order) + b"\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise UnavailableError(
                "the keeper did not start", rule="keeper.start", fix="safehold doctor"
            )
        message: dict[str, Any] = orjson.loads(line)
        if "error" in message:
            raise revive(message["error"])
        yield message
    finally:
        _end(process)


def keeper_environment() -> dict[str, str]:
    """Return the environment a keeper starts with: no secrets, only where things are."""
    keep = (
        *("PATH", "HOME", "LANG", "TZ", "SAFEHOLD_OUTSIDE", "XDG_STATE_HOME", "PYTHONPATH"),
        # where credentials of an object store, a token and certificates lie; never the credentials themselves
        *("AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
        *("SSL_CERT_FILE", "SOFTHSM2_CONF"),
    )
    # what ``bound_heaps`` would say too late: as the keeper begins, Arrow is loaded
    heaps = {"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    return {name: os.environ[name] for name in keep if name in os.environ} | heaps


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # the keeper's sign to finish
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    if process.poll() is None:
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
