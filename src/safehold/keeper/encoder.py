"""A company's own encoder: read from the file that came with a call."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from safehold.errors import InvalidError
from safehold.keeper.recipes import EMBED

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MOST_BYTES: Final = 256 << 20


def own_encoder(
    desk: Desk, descriptors: Sequence[int], settings: dict[str, Any]
) -> tuple[tuple[Mapping[str, Any], pa.Table], ...]:
    """Return a company's own encoder as a part for the sandbox, and put what it is into the settings."""
    if not descriptors:
        return ()
    size = os.fstat(descriptors[0]).st_size
    if size > MOST_BYTES:
        raise InvalidError("the encoder is too large", rule="embedding.encoder.size")
    body = os.pread(descriptors[0], size, 0)
    shape = desk.gatekeeper.settings(EMBED, synthetic=desk.home.synthetic, body=body)
    known = {"encoder": hashlib.sha256(body).hexdigest(), "dims": shape["dims"]}
    if "noise_micro" in settings:
        settings |= known
    elif settings != known:
        raise InvalidError("these vectors are of another encoder", rule="embedding.encoder.other")
    table = pa.table({"body": pa.array([body], pa.large_binary())})
    return (({"encoder": known["encoder"]}, table),)
