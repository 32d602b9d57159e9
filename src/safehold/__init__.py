"""Safehold: a pipeline for the most sensitive telemetry, whose promises can be checked.

>>> import safehold
>>> with safehold.connect("home") as session:  # doctest: +SKIP
...     request = session.request("train_ui_agent", reason="ticket ML-12").wait()

``connect`` is loaded when it is first named, so that the command line and the keeper start without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safehold.sdk.connection import connect

__all__ = ["connect"]


def __getattr__(name: str) -> Any:
    if name == "connect":
        from safehold.sdk.connection import connect  # noqa: PLC0415 - only who uses it loads it

        return connect
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
