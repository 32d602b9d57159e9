"""Where a model of detection goes once it is trained."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def put_model(out: Path, data: bytes, about: Mapping[str, Any]) -> dict[str, Any]:
    """Put a packed model in place of what was there, whole or not at all, and return what is told of it.

    Args:
        out: Where it goes.
        data: The model.
        about: What it was trained on.
    """
    part = out.with_name(out.name + ".part")
    part.write_bytes(data)
    part.replace(out)
    return {
        **about,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "out": str(out),
    }
