"""The process of one house in one session: it holds names and values, one line to each other house, and nothing else.

The keeper starts it when the use is in the ledger. It gets its order as sealed memory and, if it is to be called, a
listening socket. When its lines stand it gives up every file and every further connection (Landlock, where the
kernel has it). What it returns is a line of JSON on its standard output: figures with noise, or an error in our words.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import orjson

from safehold.errors import InvalidError, SafeholdError
from safehold.federation.line import Line
from safehold.federation.link import Credentials, answer, call, print_of
from safehold.federation.psi_sum import Figures, join_set, join_values, size_of
from safehold.federation.secure_sum import join_sum
from safehold.federation.terms import Terms
from safehold.ids import random_bytes
from safehold.sandbox.landlock import confine, find_abi

_SET_PDEATHSIG, _SET_DUMPABLE, _SET_NO_NEW_PRIVS = 1, 4, 38  # prctl(2)
_PATIENCE_S: Final = 120.0  # until every other house is there
_IDLE_S: Final = 300.0
_WHOLE_S: Final = 6 * 3600.0


def main() -> None:
    """Carry out one order, whose descriptors are the arguments: the order, and the listener or -1."""
    order_fd, listener_fd = map(int, sys.argv[1:])
    _harden()
    with os.fdopen(order_fd, "rb") as file:
        order = orjson.loads(file.read())
    try:
        told = {"figures": carry_out(order, listener_fd)}
    except SafeholdError as error:
        told = {"error": error.payload()}
    except Exception as error:  # noqa: BLE001 - its text may hold a value
        told = {"error": SafeholdError(f"a party failed: {type(error).__name__}").payload()}
    sys.stdout.buffer.write(orjson.dumps(told))
    sys.stdout.buffer.flush()


def carry_out(order: Mapping[str, Any], listener_fd: int = -1) -> dict[str, Any]:
    """Take part in a session as an order says, and return its figures.

    Args:
        order: ``terms`` (without size and nonce), ``credentials``, ``calls`` (house -> host and port), ``answers``
            (houses that call), and ``members`` (pairs of name and value) or ``vector`` (int64, base64).
        listener_fd: A listening socket, if anybody is to call.

    Raises:
        SafeholdError: The session ended otherwise.
    """
    lines = _lines(order, listener_fd)
    shown = {name: print_of(one) for name, one in lines.items()}
    idle = order.get("idle_s", _IDLE_S)
    held = {name: Line(one, idle_s=idle, whole_s=_WHOLE_S) for name, one in lines.items()}
    confined = _confine() if order.get("confine", True) else 0
    try:
        started = time.process_time()
        told = _join(order, held)
    except SafeholdError:
        for line in held.values():
            line.refuse("failed")
        raise
    finally:
        for line in held.values():
            line.close()
    return {
        **told,
        "certificates": shown,
        "landlock": confined,
        "cpu_ms": round(1000 * (time.process_time() - started)),
        "memory_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "sent": sum(line.sent for line in held.values()),
        "received": sum(line.received for line in held.values()),
    }


def _join(order: Mapping[str, Any], lines: Mapping[str, Line]) -> dict[str, Any]:
    given = dict(order["terms"])
    for name in ("parties", "streams", "beside"):
        given[name] = tuple(given[name])
    given["nonce"] = random_bytes(32).hex()
    if given["protocol"] == "sum":
        vector = np.frombuffer(b64decode(order["vector"]), np.int64)
        summed = join_sum(lines, Terms(**given, size=len(vector)), vector)
        return {
            "session": summed.session.hex(),
            "vector": b64encode(summed.vector.tobytes()).decode(),
            "peers": {name: _of(peer) for name, peer in summed.peers.items()},
        }
    if set(lines) != set(given["parties"]) - {given["party"]}:  # two, and TLS proved the other
        raise InvalidError("there is not one line to the other house", rule="join.parties")
    (line,) = lines.values()
    members = {str(name).encode(): value for name, value in order["members"]}
    if len(members) != len(order["members"]):
        raise InvalidError("somebody is in the set twice", rule="join.twice")
    draft = Terms(**given, size=1)
    terms = Terms(**given, size=size_of(len(members), draft.reach))
    found: Figures
    if terms.role == "set":
        found = join_set(line, terms, list(members))
    else:
        found = join_values(line, terms, members)
    (peer,) = lines
    return {
        "session": found.session.hex(),
        "people": found.people,
        "at_least": found.at_least,
        "sum": found.total,
        "reach": terms.reach,
        "size": terms.size,
        "peers": {peer: _of(found.peer)},
    }


def _of(peer: Terms) -> dict[str, Any]:
    return {"commitment": peer.commitment, "size": peer.size, "streams": list(peer.streams)}


def _lines(order: Mapping[str, Any], listener_fd: int) -> dict[str, Any]:
    credentials = Credentials(**order["credentials"])
    patience = order.get("patience_s", _PATIENCE_S)
    found = {
        peer: call((str(host), int(port)), credentials, peer=peer, patience_s=patience)
        for peer, (host, port) in sorted(order["calls"].items())
    }
    if order["answers"]:
        if listener_fd < 0:
            raise InvalidError("somebody is to call, and nobody listens", rule="join.listen")
        with socket.socket(fileno=listener_fd) as listener:
            found |= answer(listener, credentials, peers=order["answers"], patience_s=patience)
    return found


def _harden() -> None:
    """Leave no core, be read by nobody, end with the keeper."""
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for option, value in (
        (_SET_PDEATHSIG, signal.SIGKILL),
        (_SET_DUMPABLE, 0),
        (_SET_NO_NEW_PRIVS, 1),
    ):
        if libc.prctl(option, value, 0, 0, 0):
            raise SafeholdError("a party cannot be hardened", rule="join.hardened")


def _confine() -> int:
    """Give up every file and every further connection; return the version of Landlock, 0 without it."""
    libc = ctypes.CDLL(None, use_errno=True)
    abi = find_abi(libc)
    if abi:
        confine(libc, (), abi=abi)
    return abi


if __name__ == "__main__":
    main()
