"""What the command line does to prove a charter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from safehold.charter import compile as compile_charter
from safehold.charter import load
from safehold.charter.prove import prove, prove_text
from safehold.errors import InvalidError

MOST: Final = 4 << 20  # bytes of a policy text; the compiled example has 20 thousand


def prove_charter(
    path: Path,
    policy: Path | None,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Prove a charter's promises for the policy it compiles to, or for another text of Cedar.

    Raises:
        ReachableError: A promise can be broken; the message is a sentence that says how.
        NotProvedError: Neither proved nor refuted.
    """
    charter = load(path)
    if policy is None:
        compiled = compile_charter(charter)
        return prove(compiled, thorough=True, progress=progress).to_json()
    return prove_text(charter, _read(policy), thorough=True, progress=progress).to_json()


def _read(path: Path) -> str:
    with path.open("rb") as file:
        text = file.read(MOST + 1)
    if len(text) > MOST:
        raise InvalidError("the policy is too long", file=path.name, rule="charter.cedar.parse")
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidError(
            "the policy is no UTF-8 text", file=path.name, rule="charter.cedar.parse"
        ) from error


__all__ = ["prove_charter"]
