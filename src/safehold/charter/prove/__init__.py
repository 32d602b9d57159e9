"""The promises of a charter, proved for the policy that it compiles to.

>>> from safehold import charter
>>> from safehold.charter.prove import prove
>>> proof = prove(charter.compile(charter.load(charter.shipped("example"))))
>>> proof.held[0].id
'red_line.no-performance-use'
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from safehold.charter.compile import Policy
from safehold.charter.model import Charter
from safehold.charter.prove.refusal import NotProvedError
from safehold.charter.prove.result import CLOSED_WORLD, Counterexample, Held, Proof, ReachableError
from safehold.charter.review import check_meaning
from safehold.charter.types import schema

_LOCK: Final = threading.Lock()
_PROVED: Final[dict[bytes, Proof]] = {}
_MOST: Final = 64  # proofs kept in memory


def prove(
    policy: Policy,
    *,
    thorough: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Proof:
    """Return the proof that a compiled charter holds every promise.

    A proof is remembered for the very charter, policies and types that it was made for.

    Args:
        policy: The compiled charter.
        thorough: Look for permits that can never fire and forbids that change nothing too.
        progress: Is told how far the proof is.

    Raises:
        ReachableError: A promise can be broken; its counterexample says how. A ``RedLineError``.
        NotProvedError: Neither proved nor refuted, or not valid. An ``InvalidError``.
    """
    return _prove(policy.charter, policy.cedar, policy.schema, thorough=thorough, progress=progress)


def prove_text(
    charter: Charter,
    cedar: str,
    *,
    thorough: bool = False,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Proof:
    """Return the proof that a text of Cedar policies holds every promise of a charter.

    Raises:
        ReachableError: A promise can be broken. Where the text does not pass strict validation
            either, the message says so too.
        NotProvedError: Neither proved nor refuted, or not valid.
        InvalidError: The text does not parse, or the charter itself is refused.
    """
    check_meaning(charter)
    return _prove(charter, cedar, schema(charter), thorough=thorough, progress=progress)


def fingerprint(policy: Policy) -> bytes:
    """Return the SHA-256 of a compiled charter together with the program and the solver that would prove it.

    What was proved once needs no second proof as long as none of these has changed.
    """
    return _digest(
        policy.charter.digest(), policy.cedar.encode(), policy.schema.encode(), _program()
    )


def _digest(*parts: bytes) -> bytes:
    """Return the SHA-256 over the SHA-256 of each part."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()


@cache
def _program() -> bytes:
    """Return the SHA-256 of the charter package's files and of the solver's version."""
    state = hashlib.sha256(version("z3-solver").encode())
    home = Path(__file__).parents[1]
    for file in sorted([*home.rglob("*.py"), *home.glob("*.json")]):
        state.update(hashlib.sha256(file.read_bytes()).digest())
    return state.digest()


def _prove(
    charter: Charter,
    cedar: str,
    types: str,
    *,
    thorough: bool,
    progress: Callable[[dict[str, Any]], None] | None,
) -> Proof:
    # z3 takes 60 ms to load, and most commands never prove anything
    from safehold.charter.prove.proof import Prover  # noqa: PLC0415

    key = _digest(charter.digest(), cedar.encode(), types.encode(), bytes((thorough,)))
    with _LOCK:
        if key not in _PROVED:
            proof = Prover(charter, cedar, types, progress=progress).run(thorough=thorough)
            while len(_PROVED) >= _MOST:
                del _PROVED[next(iter(_PROVED))]
            _PROVED[key] = proof
        return _PROVED[key]


__all__ = [
    "CLOSED_WORLD",
    "Counterexample",
    "Held",
    "NotProvedError",
    "Proof",
    "ReachableError",
    "fingerprint",
    "prove",
    "prove_text",
]
