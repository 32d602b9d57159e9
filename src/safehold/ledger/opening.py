"""Opens the side-car of one leaf, and checks everything that binds the two."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from safehold import canonical
from safehold.errors import TamperedError
from safehold.ledger.entry import Opening, SidecarSealer, open_bound, unseal, unseal_values


def open_leaf(leaf: bytes, sealed: bytes, sidecar: SidecarSealer) -> Opening:
    """Open the side-car of a leaf and check everything that binds the two.

    Raises:
        TamperedError: They do not belong together.
        ShreddedError: The key of the side-car is gone.
    """
    said = orjson.loads(leaf)
    if canonical.b64(hashlib.sha256(sealed).digest()) != said["ct"]:
        raise TamperedError("a side-car is not the one its leaf names", rule="ledger.sidecar")
    plaintext = open_bound(
        leaf, sidecar, segment=said["seg"], month=month_of(said["t"]), sealed=sealed
    )
    return unseal(leaf, plaintext)


@dataclass(frozen=True, slots=True)
class Said:
    """What a side-car says of who did what, checked; whose data it is about stays closed."""

    actor: str
    object: str
    detail: dict[str, Any]


def open_said(leaf: bytes, said: Mapping[str, Any], sealed: bytes, sidecar: SidecarSealer) -> Said:
    """Open a side-car for actor, object and detail alone, and check those against the leaf.

    Cheap, for whoever reads many: the set of people is neither read nor hashed.

    Args:
        leaf: Its stored bytes.
        said: The same, parsed.
        sealed: The side-car.
        sidecar: Opens it.

    Raises:
        TamperedError: They do not belong together.
        ShreddedError: The key of the side-car is gone.
    """
    if canonical.b64(hashlib.sha256(sealed).digest()) != said["ct"]:
        raise TamperedError("a side-car is not the one its leaf names", rule="ledger.sidecar")
    plaintext = open_bound(
        leaf, sidecar, segment=said["seg"], month=month_of(said["t"]), sealed=sealed
    )
    values = unseal_values(said, plaintext)
    return Said(values[0].decode(), values[1].decode(), orjson.loads(values[2]))


def month_of(at_ms: int) -> int:
    """Return the UTC month of a time in milliseconds as ``year * 100 + month``."""
    moment = time.gmtime(at_ms // 1000)
    return moment.tm_year * 100 + moment.tm_mon
