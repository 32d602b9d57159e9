"""Which machine finds the words and rare shapes of the gate. Both find the same; only the cost differs.

``default`` needs nothing beyond the core. ``fast`` uses Vectorscan and needs ``safehold[fast]``; asked for
without it, it is refused rather than replaced. What follows the gate, and so every span, is the same code.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import Final

from safehold.errors import InvalidError

TIERS: Final = ("default", "fast")
VARIABLE: Final = "SAFEHOLD_DLP_TIER"
# what a span is; changes whenever the same rules may give other spans
MEANING: Final = "safehold.engine/2 rows alone, leftmost first, checks see 96 bytes around"
_CURRENT: Final[ContextVar[str | None]] = ContextVar("tier", default=None)


def admit_tier(name: str) -> str:
    """Return the name of a tier that can run here.

    Raises:
        InvalidError: There is no such tier, or what it needs is not installed.
    """
    if name not in TIERS:
        raise InvalidError(
            "there is no such tier", rule="dlp.tier", fix=f"one of {', '.join(TIERS)}"
        )
    if name == "fast" and find_spec("hyperscan") is None:
        raise InvalidError(
            "the fast tier is not installed", rule="dlp.tier", fix="pip install 'safehold[fast]'"
        )
    return name


def current_tier() -> str:
    """Return the tier in use: of ``using_tier``, else of the environment, else ``default``.

    Raises:
        InvalidError: The tier asked for cannot run here.
    """
    return _CURRENT.get() or admit_tier(os.environ.get(VARIABLE) or TIERS[0])


@contextmanager
def using_tier(name: str) -> Iterator[None]:
    """Use one tier within a block, in this thread and what it awaits.

    Raises:
        InvalidError: The tier cannot run here.
    """
    token = _CURRENT.set(admit_tier(name))
    try:
        yield
    finally:
        _CURRENT.reset(token)
