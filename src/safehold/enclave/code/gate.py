"""The gate of a script: what leaves is a counter, a word of a closed list, or one bounded number for the trusted side.

Nothing of what a script sends is passed on: each message is checked for being one of three, and built anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from safehold.access.code import Plan
from safehold.errors import DeniedError, TamperedError

LARGEST: Final = 2**53 - 1
MOST_FRAMES: Final = 64


class CodeGate:
    """Admit the messages of one sandbox.

    Args:
        plan: What the script may send.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._kinds: set[str] = set()
        self._words: set[str] = set()
        self._frames = 0

    def admit(
        self, header: Mapping[str, Any], body: bytes | bytearray | memoryview
    ) -> dict[str, Any]:
        """Return a message, built anew: ``{"counts": {...}}``, ``{"word": ...}`` or ``{"figure": ...}``.

        Raises:
            TamperedError: It is no message in its only form.
            DeniedError: This script may not send it.
        """
        self._frames += 1
        if self._frames > MOST_FRAMES:
            raise DeniedError("the script sends more messages than it may", rule="egress.budget")
        if len(body):
            raise TamperedError("a message of this type has no body", rule="egress.body")
        allowed = {"figure"} if self._plan.out == "figure" else {"counts", "word"}
        kind = header.get("type")
        if not isinstance(kind, str) or kind not in allowed:
            raise DeniedError(
                "the script sent a message it may not send",
                rule="egress.type",
                fix="only typed messages leave an enclave; rows and vectors do not",
            )
        if kind != "word":
            if kind in self._kinds:
                raise TamperedError("the same message came twice", rule="egress.once")
            self._kinds.add(kind)
        return getattr(self, f"_{kind}")(header)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Pass: a script that sent nothing said nothing."""

    def _counts(self, header: Mapping[str, Any]) -> dict[str, Any]:
        _keys(header, {"type", "values"})
        values = header["values"]
        if not isinstance(values, dict):
            raise TamperedError("counters are no counters", rule="egress.number")
        if not values.keys() <= set(self._plan.counters):
            raise DeniedError(
                "a counter that the script's block does not list",
                rule="egress.text",
                fix="counters = [...] in the block at its head",
            )
        for value in values.values():
            if type(value) is not int or not -LARGEST <= value <= LARGEST:
                raise TamperedError("a counter is no whole number", rule="egress.number")
        return {"counts": {name: values[name] for name in self._plan.counters if name in values}}

    def _word(self, header: Mapping[str, Any]) -> dict[str, Any]:
        _keys(header, {"type", "word"})
        for word in self._plan.words:
            if header["word"] == word and word not in self._words:
                self._words.add(word)
                return {"word": word}
        raise DeniedError(
            "a word that the script's block does not list, or one that was said before",
            rule="egress.text",
            fix="words = [...] in the block at its head",
        )

    def _figure(self, header: Mapping[str, Any]) -> dict[str, Any]:
        _keys(header, {"type", "value"})
        value = header["value"]
        if type(value) not in (int, float) or not math.isfinite(value):
            raise TamperedError("a figure is no number", rule="egress.number")
        return {"figure": min(max(float(value), self._plan.least), self._plan.most)}


def _keys(header: Mapping[str, Any], expected: set[str]) -> None:
    if set(header) != expected:
        raise TamperedError("a header has other keys than its type", rule="egress.header")
