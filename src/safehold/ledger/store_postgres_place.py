"""Where in PostgreSQL a log lies, and how it may be reached: server, schema, lock."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from safehold.errors import InvalidError

_DEFAULTS: Final = {
    "application_name": "safehold-ledger",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    # a server or a network that went away is noticed within half a minute
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


def schema_of(origin: str) -> str:
    """Return the schema that holds a log: ``ledger_`` and half of the origin's SHA-256 in hex."""
    return f"ledger_{hashlib.sha256(origin.encode()).hexdigest()[:32]}"


def lock_of(origin: str) -> int:
    """Return the 64-bit number of the advisory lock of a log."""
    digest = hashlib.sha256(b"sh/ledger-lock/v1\0" + origin.encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def check_place(said: dict[str, Any]) -> dict[str, Any]:
    """Return what a URL says with everything that it leaves open.

    Raises:
        InvalidError: No host, a password, or a network with less than ``sslmode=verify-full``.
    """
    ports = str(said.get("port") or "").replace(",", "") or "0"
    if not said.get("host") or not ports.isdecimal():
        raise InvalidError(
            "a ledger URL looks like postgresql://user@host/database",
            rule="ledger.url",
            fix="for a Unix socket: postgresql:///database?host=/run/postgresql&user=name",
        )
    if {"password", "sslpassword"} & said.keys():
        raise InvalidError(
            "a ledger URL holds no password",
            rule="ledger.url",
            fix="use peer or certificate authentication, or name a password file: passfile=...",
        )
    hosts = [*str(said["host"]).split(","), *str(said.get("hostaddr") or "127.0.0.1").split(",")]
    near = all(one.startswith("/") or one in _LOCAL for one in hosts)
    if not near and said.setdefault("sslmode", "verify-full") != "verify-full":
        raise InvalidError(
            "a database across a network has to prove who it is",
            rule="ledger.url",
            fix="sslmode=verify-full, with sslrootcert=... if its authority is your own",
        )
    # of several servers the one that is written to; a standby alone is refused
    return {**_DEFAULTS, **said, "target_session_attrs": "read-write"}
