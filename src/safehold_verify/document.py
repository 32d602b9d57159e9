"""Documents that are hashed or signed: one value, one spelling; sorted keys, UTF-8, no fractions."""

from __future__ import annotations

import json
from typing import Any

from safehold_verify.errors import VerificationError


def read_document(data: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object in its one spelling.

    Raises:
        VerificationError: It is not.
    """
    try:
        tree = json.loads(data, parse_float=_no_fraction, parse_constant=_no_fraction)
    except (ValueError, RecursionError) as error:
        raise VerificationError("not JSON", where=where) from error
    if not isinstance(tree, dict) or spell(tree, where) != data:
        raise VerificationError("not in the canonical spelling", where=where)
    return tree


def spell(tree: Any, where: str) -> bytes:
    """Return the one spelling of a value that was read from JSON.

    Raises:
        VerificationError: It has none.
    """
    try:
        text = json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise VerificationError("not a document", where=where) from error


def _no_fraction(_text: str) -> Any:
    raise ValueError
