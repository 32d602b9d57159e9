"""An order to resume on its way from seat to seat: drawn up once, signed where each key lies, then handed in.

A seat needs the paper and its key, and no home. The paper carries the cause, so that whoever signs can read what
they say about it; the order names its hash.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.charters import sign_order
from safehold.app.paper import add_signature, write_paper
from safehold.charter import Signature
from safehold.errors import InvalidError, MissingError
from safehold.keeper.client import KeeperClient
from safehold.keeper.order import Order, domain_of, read_order
from safehold.signing import SigningKey

PAPER_VERSION: Final = "safehold-order-paper/1"
FIX: Final = "draw it up anew: safehold resume --paper FILE --reason WORDS"


def draw_up(home: Path, file: Path, *, reason: str, cause: Path | None) -> dict[str, Any]:
    """Draw up an order to resume that nobody has signed yet.

    Raises:
        InvalidError: There is a file of that name.
    """
    if file.exists():
        raise InvalidError(
            "there is such a file already",
            file=file.name,
            rule="oversight.paper",
            fix="choose another name; to sign it, give --seat and --key and no --reason",
        )
    return _put(file, sign_order(home, "resume", reason=reason, keys={}, cause=cause))


def sign_paper(file: Path, *, seat: str, key: Path) -> dict[str, Any]:
    """Add a seat's signature; whether the key speaks for the seat is seen when the order is handed in."""
    told = _read(file)
    return _put(file, add_signature(told, domain_of("resume"), seat=seat, key=SigningKey.read(key)))


def hand_in(client: KeeperClient, file: Path) -> dict[str, Any]:
    """Hand the order in with all its signatures.

    Raises:
        QuorumError: Too few have signed.
        DeniedError: It is too old, a stop came after it, or what the charter asks for is not there.
    """
    return client.call("resume", **_read(file))


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = canonical.decode(file.read_bytes().strip())
    except FileNotFoundError as error:
        raise MissingError(
            f"no such paper: {file.name}", rule="oversight.paper", fix=FIX
        ) from error
    match tree:
        case {"v": "safehold-order-paper/1", "order": str(text), "signatures": list(made)}:
            told: dict[str, Any] = {name: tree[name] for name in tree if name != "v"}
        case _:
            raise InvalidError(
                "not a paper of an order", file=file.name, rule="oversight.paper", fix=FIX
            )
    for one in made:
        Signature.from_json(one)
    shown = told.get("cause")
    digest = "" if shown is None else hashlib.sha256(str(shown).encode()).hexdigest()
    if set(told) - {"order", "signatures", "cause"} or digest != _order(text).cause:
        raise InvalidError(
            "the paper shows another cause than its order names",
            file=file.name,
            rule="oversight.paper",
            fix=FIX,
        )
    return told


def _order(text: str) -> Order:
    match canonical.decode(text.encode()):
        case {"home": str(home)}:
            return read_order(text.encode(), what="resume", home=home)
        case _:
            raise InvalidError("not an order", rule="oversight.order", fix=FIX)


def _put(file: Path, told: dict[str, Any]) -> dict[str, Any]:
    write_paper(file, canonical.encode({"v": PAPER_VERSION, **told}) + b"\n")
    order = _order(told["order"])
    return {
        "order": order.what,
        "reason": order.reason,
        "drawn_up_us": order.at_us,
        "cause": told.get("cause"),
        "signed": sorted(str(one["seat"]) for one in told["signatures"]),
        "file": file.name,
    }
