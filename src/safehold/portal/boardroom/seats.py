"""The keys by which a visitor's seats speak, so that what a passkey signed is known for theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def keys_of(board: Mapping[str, Any], seats: Sequence[str]) -> list[str]:
    """Return the public keys of some seats, as text.

    Args:
        board: What ``board.show`` told.
        seats: Names of seats.

    Returns:
        Their keys by the roster, and the new key of whoever a proposal would put on one of all seats.
    """
    keys = [one["key"] for one in board["roster"]["seats"] if one["name"] in seats]
    changes = [one.get("change", {}) for one in board["proposals"]]
    return [*keys, *(one["key"] for one in changes if one.get("key"))]


def key_by_seat(board: Mapping[str, Any]) -> dict[str, str]:
    """Return of each seat its public key by the roster, as text."""
    return {one["name"]: one["key"] for one in board["roster"]["seats"]}
