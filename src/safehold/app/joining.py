"""``safehold join``: a house's part of a session with others, and a rehearsal of one on made-up names."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safehold.access.certificate import certify_self
from safehold.app.crossing import PartyProcesses
from safehold.clock import SystemClock
from safehold.errors import ConflictError, InvalidError, UnavailableError
from safehold.ids import random_bytes

if TYPE_CHECKING:
    from safehold.app.permit import Pass
    from safehold.keeper.client import KeeperClient, Progress

LARGEST_PEM: Final = 1 << 20
MADE_UP: Final = 2_000_000  # people of a rehearsal
_REHEARSED: Final = ("set.rehearsal", "values.rehearsal")


def make_identity(name: str, folder: Path, *, days: int) -> dict[str, Any]:
    """Write a certificate and its key for this house, the key for its owner alone.

    Raises:
        ConflictError: There is one already.
    """
    certificate, key = certify_self(name, days=days, now_us=SystemClock().now_us())
    folder.mkdir(parents=True, exist_ok=True)
    files = folder / f"{name}.pem", folder / f"{name}.key"
    if any(file.exists() for file in files):
        raise ConflictError("this house has a certificate there already", rule="join.identity")
    for file, text, mode in zip(files, (certificate, key), (0o644, 0o600), strict=True):
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "w") as out:
            out.write(text)
    return {"name": name, "certificate": str(files[0]), "key": str(files[1]), "days": days}


def join(
    client: KeeperClient,
    permit: Pass,
    verb: str,
    order: Mapping[str, Any],
    *,
    listen: str | None,
    progress: Progress,
) -> dict[str, Any]:
    """Take part in a session.

    Args:
        client: The keeper.
        permit: A grant for the recipe ``join``.
        verb: ``join.psi-sum`` or ``join.sum``.
        order: As ``keeper.joins`` takes it.
        listen: Where to listen, if another house is to call.
        progress: Told how far it is.
    """
    with listening(listen) as listener:
        return permit.join(
            client, verb, order, progress, None if listener is None else listener.fileno()
        )


@contextmanager
def listening(address: str | None) -> Iterator[socket.socket | None]:
    """Yield a listening socket, or nothing without an address.

    Raises:
        UnavailableError: Nobody can listen there.
    """
    if address is None:
        yield None
        return
    host, port = address_of(address)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=8)
    except OSError as error:
        raise UnavailableError(
            "nobody can listen at this address", rule="join.listen", fix="another host or port"
        ) from error
    with listener:
        yield listener


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of ``host:port``.

    Raises:
        InvalidError: It is none.
    """
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise InvalidError("an address is host:port", rule="join.address")
    return host.strip("[]"), int(port)


def credentials_of(certificate: Path, key: Path, authorities: Sequence[Path]) -> dict[str, str]:
    """Return what this end proves itself with, read out of files.

    Raises:
        InvalidError: A file is too large, or others can read the key.
    """
    for file in (certificate, key, *authorities):
        if file.stat().st_size > LARGEST_PEM:
            raise InvalidError("a file is too large", file=file.name, rule="join.credentials")
    if key.stat().st_mode & 0o077:
        raise InvalidError(
            "others can read this key", file=key.name, rule="join.credentials", fix="chmod 600"
        )
    return {
        "certificate": certificate.read_text("ascii"),
        "key": key.read_text("ascii"),
        "authorities": "\n".join(file.read_text("ascii") for file in authorities),
    }


def rehearse(
    *, people: int, common: int, clamp: int, epsilon_micro: int, least: int
) -> dict[str, Any]:
    """Carry out one private intersection-sum of made-up names, with a process and an end of TLS for each house.

    Nothing of any home is used. It says what is true beside what came out, and what it cost.

    Args:
        people: Names in each house.
        common: How many of them are in both.
        clamp: The most a value may be.
        epsilon_micro: Epsilon of the session, millionths.
        least: Fewest people in both.

    Raises:
        InvalidError: There can be no such houses.
        DeniedError: Too few are in both.
    """
    if not 1 <= common <= people <= MADE_UP or not 1 <= clamp <= 1_000_000:
        raise InvalidError("no such houses", rule="join.rehearsal", fix="common <= people")
    names = [f"made-up-{number}" for number in range(2 * people - common)]
    values = {name: (number * 7919) % (clamp + 1) for number, name in enumerate(names)}
    held = names[:people], names[people - common :]
    identities = [certify_self(one, days=1, now_us=SystemClock().now_us()) for one in _REHEARSED]
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(2) as pool:
        started = time.monotonic()
        asked = [
            pool.submit(
                _rehearsed,
                {
                    "terms": _terms(place, clamp, epsilon_micro, least),
                    "credentials": {
                        "certificate": identities[place][0],
                        "key": identities[place][1],
                        "authorities": identities[1 - place][0],
                    },
                    "calls": {}
                    if place == 0
                    else {_REHEARSED[0]: ["127.0.0.1", listener.getsockname()[1]]},
                    "answers": [_REHEARSED[1]] if place == 0 else [],
                    "members": [[name, values[name] if place else 0] for name in held[place]],
                },
                listener.fileno() if place == 0 else None,
            )
            for place in (0, 1)
        ]
        left, right = (one.result() for one in asked)
    true = set(held[0]) & set(held[1])
    return {
        "true": {"people": len(true), "sum": sum(values[name] for name in true)},
        "found": {name: left[name] for name in ("people", "at_least", "sum")},
        "agree": all(left[name] == right[name] for name in ("people", "sum", "session")),
        "seconds": round(time.monotonic() - started, 2),
        "houses": [
            {
                "role": role,
                "cpu_s": told["cpu_ms"] / 1000,
                "memory_mib": round(told["memory_kib"] / 1024, 1),
                "sent_bytes": told["sent"],
                "elements": told["size"],
                "landlock": told["landlock"],
            }
            for role, told in (("set", left), ("values", right))
        ],
        "limits": [
            "both houses ran on this machine, and their names were made up",
            "the houses keep to the protocol (semi-honest); see the explanation of joins",
        ],
    }


def _rehearsed(order: Mapping[str, Any], listener: int | None) -> dict[str, Any]:
    with PartyProcesses().start(order, listener) as party:
        return party.wait()


def _terms(place: int, clamp: int, epsilon_micro: int, least: int) -> dict[str, Any]:
    streams = (["focus"], ["metric"])
    return {
        "protocol": "psi-sum",
        "purpose": "rehearsal",
        "party": _REHEARSED[place],
        "parties": list(_REHEARSED),
        "streams": streams[place],
        "beside": streams[1 - place],
        "role": ("set", "values")[place],
        "clamp": clamp,
        "epsilon_count_micro": epsilon_micro // 2,
        "epsilon_sum_micro": epsilon_micro - epsilon_micro // 2,
        "delta_e12": 1_000_000,
        "least": least,
        "layout": "",
        "commitment": random_bytes(32).hex(),
    }
