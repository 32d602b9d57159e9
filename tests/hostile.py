"""Files made to hurt: taken in, or refused without a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests import foreign
from tests.foreign import NOW_US
from tests.ingest_job import run_bytes

from safehold.errors import InvalidError
from safehold.ingest.shelf import load_mapping

CANARY = "Zx9-canary-must-not-show"
PEOPLE = {
    one: {"streams": ["chat", "focus", "speech", "pointer", "key", "ai"]}
    for one in ("ann", *foreign.ADDRESS.values())
}


def given(name: str) -> dict[str, Any]:
    """Return a shipped mapping; where the format names nobody, the events are ann's."""
    mapping = load_mapping(name)
    if mapping["person"] == "given":
        mapping["person"] = {"constant": "ann"}
    return mapping


def take(data: bytes, name: str, tmp_path: Path, mapping: str, **more: Any) -> Any:
    """Take a file in."""
    more = {"people": PEOPLE, "now_us": NOW_US, **more}
    return run_bytes(data, name, tmp_path, mapping=given(mapping), **more)


def refuse(data: bytes, name: str, tmp_path: Path, mapping: str, **more: Any) -> InvalidError:
    """Take a file in that must be refused, and return the error, which holds no value."""
    with pytest.raises(InvalidError) as caught:
        take(data, name, tmp_path, mapping, **more)
    assert CANARY not in str(caught.value.payload())
    return caught.value
