"""What the command line does about containment; seat keys stay on this side.

An order to lift goes from seat to seat as a paper. A seat needs the paper and its key, and no home; the order says
what is lifted, so that whoever signs can read what they give back.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.paper import add_signature, get_order, put_order
from safehold.charter import Signature
from safehold.clock import SystemClock
from safehold.errors import InvalidError, MissingError
from safehold.keeper.client import KeeperClient
from safehold.keeper.containing import (
    CONTAIN,
    LIFT,
    ContainmentOrder,
    domain_of,
    read_order,
    write_order,
)
from safehold.settings import Home
from safehold.signing import SigningKey

PAPER: Final = "safehold-containment-paper/1"
FIX: Final = "draw it up anew: safehold containment lift ENTRY --paper FILE --reason WORDS"
_RULE: Final = "containment.paper"


def begin(
    client: KeeperClient,
    home: Path,
    wish: Mapping[str, Any],
    *,
    seat: str | None = None,
    key: Path | None = None,
) -> dict[str, Any]:
    """Contain something: by the order of a seat, or on behalf of whoever is signed in.

    Args:
        client: The keeper.
        home: The home it is for.
        wish: ``what``, ``target``, ``reason``, and ``of`` where it answers an alert or an incident.
        seat: A seat of the board.
        key: Its key file.
    """
    if seat is None or key is None:
        return client.call("contain", **wish)
    text = write_order(CONTAIN, home=Home.open(home).id, at_us=SystemClock().now_us(), **wish)
    return client.call("contain", **_signed(text, CONTAIN, {seat: SigningKey.read(key)}))


def lift(
    client: KeeperClient, home: Path, entry: int, *, reason: str, keys: Mapping[str, SigningKey]
) -> dict[str, Any]:
    """Lift a containment as all of some seats."""
    return client.call(
        "containment.lift", **_signed(_draft(client, home, entry, reason), LIFT, keys)
    )


def draw_up(
    client: KeeperClient, home: Path, file: Path, entry: int, *, reason: str
) -> dict[str, Any]:
    """Draw up an order to lift that nobody has signed yet.

    Raises:
        MissingError: No such containment is in force.
        InvalidError: There is a file of that name.
    """
    if file.exists():
        raise InvalidError(
            "there is such a file already",
            file=file.name,
            rule=_RULE,
            fix="choose another name; to sign it, give --seat and --key and no --reason",
        )
    return _put(file, _signed(_draft(client, home, entry, reason), LIFT, {}))


def sign_paper(file: Path, *, seat: str, key: Path) -> dict[str, Any]:
    """Add a seat's signature; whether the key speaks for the seat is seen when the order is handed in."""
    told = _read(file)
    return _put(file, add_signature(told, domain_of(LIFT), seat=seat, key=SigningKey.read(key)))


def hand_in(client: KeeperClient, file: Path) -> dict[str, Any]:
    """Hand the order in with all its signatures.

    Raises:
        QuorumError: Too few have signed who count.
        DeniedError: It is too old, or was carried out.
    """
    told = _read(file)
    return client.call("containment.lift", order=told["order"], signatures=told["signatures"])


def _draft(client: KeeperClient, home: Path, entry: int, reason: str) -> bytes:
    held = [one for one in client.call("containment.list")["containments"] if one["entry"] == entry]
    if not held:
        raise MissingError(
            "no such containment is in force",
            rule="containment.missing",
            fix="safehold containment list",
        )
    return write_order(
        LIFT,
        home=Home.open(home).id,
        at_us=SystemClock().now_us(),
        entry=entry,
        what=held[0]["what"],
        target=held[0]["target"],
        reason=reason,
    )


def _signed(text: bytes, order: str, keys: Mapping[str, SigningKey]) -> dict[str, Any]:
    return {
        "order": text.decode(),
        "signatures": [
            Signature(seat=seat, value=key.sign(domain_of(order), text)).to_json()
            for seat, key in keys.items()
        ],
    }


def _read(file: Path) -> dict[str, Any]:
    told = get_order(file, PAPER, rule=_RULE, fix=FIX)
    _order(told["order"])
    return told


def _order(text: str) -> ContainmentOrder:
    match canonical.decode(text.encode()):
        case {"home": str(home)}:
            return read_order(text.encode(), order=LIFT, home=home)
        case _:
            raise InvalidError("not an order about containment", rule=_RULE, fix=FIX)


def _put(file: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    order = _order(told["order"])
    return {
        "order": order.order,
        "entry": order.entry,
        "what": order.wish.what,
        "target": order.wish.target,
        "reason": order.wish.reason,
        "drawn_up_us": order.at_us,
        "signed": put_order(file, PAPER, told),
        "file": file.name,
    }
