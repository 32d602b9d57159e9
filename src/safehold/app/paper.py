"""Files that people keep and hand around: requests, signatures, orders on their way from seat to seat."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.charter import Signature
from safehold.errors import InvalidError, MissingError
from safehold.signing import SigningKey


def write_paper(file: Path, data: bytes) -> None:
    """Put a file in the place of an older one; whoever reads meanwhile finds one or the other, whole."""
    temporary = file.with_name(file.name + ".part")
    temporary.write_bytes(data)
    temporary.replace(file)


def add_signature(
    told: Mapping[str, Any], domain: str, *, seat: str, key: SigningKey
) -> dict[str, Any]:
    """Return an order with a seat's signature added, or put in the place of an earlier one.

    Args:
        told: ``order``, canonical JSON, and its ``signatures``.
        domain: What it is signed under.
        seat: The seat.
        key: Its key.
    """
    value = key.sign(domain, str(told["order"]).encode())
    kept = [one for one in told["signatures"] if one["seat"] != seat]
    return {**told, "signatures": [*kept, Signature(seat=seat, value=value).to_json()]}


def put_order(file: Path, version: str, told: Mapping[str, Any]) -> list[str]:
    """Write an order to a file that goes from seat to seat, and return which seats have signed it."""
    write_paper(file, canonical.encode({"v": version, **told}) + b"\n")
    return sorted(str(one["seat"]) for one in told["signatures"])


def get_order(file: Path, version: str, *, rule: str, fix: str | None = None) -> dict[str, Any]:
    """Return ``order`` and ``signatures`` of such a file.

    Raises:
        MissingError: There is no such file.
        InvalidError: It is none of this version.
    """
    try:
        tree = canonical.decode(file.read_bytes().strip())
    except FileNotFoundError as error:
        raise MissingError(f"no such paper: {file.name}", rule=rule, fix=fix) from error
    match tree:
        case {"v": str(found), "order": str(order), "signatures": list(made)} if (
            found == version and len(tree) == 3
        ):
            for one in made:
                Signature.from_json(one)
            return {"order": order, "signatures": made}
        case _:
            raise InvalidError("not a paper of an order", file=file.name, rule=rule, fix=fix)
