"""Where in PostgreSQL something of ours lies, and how it may be reached.

The ledger's journal and the control database are named by a URL each, kept outside the home. Neither holds a
password, and across a network the server has to prove who it is: whoever answers in its place could acknowledge
what was never kept.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

from safehold.errors import InvalidError

_DEFAULTS: Final = {
    "client_encoding": "utf8",
    "connect_timeout": "10",
    # a server or a network that went away is noticed within half a minute
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
OLDEST: Final = 14  # major version of the server
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")


def check_place(said: dict[str, Any], *, name: str, rule: str) -> dict[str, Any]:
    """Return what a URL says with everything that it leaves open.

    Args:
        said: The URL's options.
        name: What it is called, such as ``ledger``.
        rule: The rule of a refusal.

    Raises:
        InvalidError: No host, a password, or a network with less than ``sslmode=verify-full``.
    """
    ports = str(said.get("port") or "").replace(",", "") or "0"
    if not said.get("host") or not ports.isdecimal():
        raise InvalidError(
            f"a {name} URL looks like postgresql://user@host/database",
            rule=rule,
            fix="for a Unix socket: postgresql:///database?host=/run/postgresql&user=name",
        )
    if {"password", "sslpassword"} & said.keys():
        raise InvalidError(
            f"a {name} URL holds no password",
            rule=rule,
            fix="use peer or certificate authentication, or name a password file: passfile=...",
        )
    hosts = [*str(said["host"]).split(","), *str(said.get("hostaddr") or "127.0.0.1").split(",")]
    near = all(one.startswith("/") or one in _LOCAL for one in hosts)
    if not near and said.setdefault("sslmode", "verify-full") != "verify-full":
        raise InvalidError(
            "a database across a network has to prove who it is",
            rule=rule,
            fix="sslmode=verify-full, with sslrootcert=... if its authority is your own",
        )
    # of several servers the one that is written to; a standby alone is refused
    return {
        "application_name": f"safehold-{name}",
        **_DEFAULTS,
        **said,
        "target_session_attrs": "read-write",
    }


def why_forgetful(
    version: int, fsync: str, pages: str, commit: str, standbys: str
) -> tuple[str, str] | None:
    """Return why a server would not keep what it acknowledges, and what mends it; nothing for one that does.

    Args:
        version: ``server_version_num``.
        fsync: That setting.
        pages: ``full_page_writes``.
        commit: ``synchronous_commit``.
        standbys: ``synchronous_standby_names``.
    """
    if version < OLDEST * 10_000:
        return f"it is older than PostgreSQL {OLDEST}", "a newer server"
    if (fsync, pages) != ("on", "on"):
        return "fsync or full_page_writes is off", "fsync=on and full_page_writes=on"
    if commit == "off":
        return "synchronous_commit is off", "synchronous_commit=on for this role"
    if standbys and commit not in ("on", "remote_apply"):
        return "commits do not wait for the standbys", "synchronous_commit=on for this role"
    return None


def schema_of(home: str) -> str:
    """Return the schema that holds the control database of a home, by the name of its log.

    It is ``control_`` and half of the SHA-256 in hexadecimal, and so needs no quotes.
    """
    return f"control_{hashlib.sha256(home.encode()).hexdigest()[:32]}"


def lock_of(schema: str, what: str) -> int:
    """Return the 64-bit number of an advisory lock of a control database.

    Args:
        schema: Where it lies.
        what: ``turn`` (of a transaction that may write) or ``lead`` (of the keeper that leads).
    """
    digest = hashlib.sha256(b"sh/control-lock/v1\0" + f"{schema}/{what}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)
