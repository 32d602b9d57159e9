"""Decisions that were made once and would be made again word for word.

A decision is a pure function of the compiled policy, the question and its entities. Of the moment, a policy of ours
asks only two things: whether the grant has ended and whether the data has. So those two answers stand in the key in
place of the moment, and everything else stands in it as it was asked; whatever differs in one letter is decided anew.
A policy that asked anything else of the moment is never remembered.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from safehold.charter import Policy
from safehold.errors import DeniedError

MOST: Final = 4_096
_MOMENT: Final = "context.now"
_KNOWN: Final = tuple(
    f"{_MOMENT} {sign} {end}"
    for sign in ("<", ">=")
    for end in ("resource.expires", "context.grant_expires")
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, without the entry that each time gets one of its own.

    Args:
        kind: Its class.
        message: What happened.
        rule: Which rule.
        fix: What to do.
    """

    kind: type[DeniedError]
    message: str
    rule: str | None
    fix: str | None

    def raised(self) -> DeniedError:
        """Return it as a new error."""
        return self.kind(self.message, rule=self.rule, fix=self.fix)


@dataclass(slots=True)
class Memory:
    """The newest decisions.

    Args:
        most: How many are kept.
    """

    most: int = MOST
    _known: OrderedDict[tuple[int, bytes], tuple[Any, Any]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def recall(
        self, policy: Policy, question: dict[str, Any], entities: Any, decide: Callable[[], Any]
    ) -> Any:
        """Return what was decided for exactly this, or what ``decide`` decides now.

        Raises:
            DeniedError: As ``decide`` does.
        """
        if not timeless(policy.cedar):
            return decide()
        key = (id(policy.policies), _key(question, entities))
        with self._lock:
            held = self._known.get(key)
            if held is not None:
                self._known.move_to_end(key)
        # the entry holds the policies, so that their id is nobody else's while it lives
        if held is not None and held[0] is policy.policies:
            if isinstance(held[1], Refusal):
                raise held[1].raised()
            return held[1]
        try:
            found = decide()
        except DeniedError as error:
            if error.rule is None or not error.rule.startswith("policy."):  # no fault is remembered
                refusal = Refusal(type(error), error.message, error.rule, error.fix)
                self._keep(key, policy.policies, refusal)
            raise
        self._keep(key, policy.policies, found)
        return found

    def _keep(self, key: tuple[int, bytes], policies: Any, found: Any) -> None:
        with self._lock:
            self._known[key] = (policies, found)
            while len(self._known) > self.most:
                self._known.popitem(last=False)


@lru_cache(64)
def timeless(cedar: str) -> bool:
    """Return whether policies ask of the moment only whether grant and data have ended."""
    for known in _KNOWN:
        cedar = cedar.replace(known, "")
    return _MOMENT not in cedar


def _key(question: dict[str, Any], entities: Any) -> bytes:
    context = question["context"]
    now = context["now"]
    expires = entities[1]["attrs"]["expires"]
    standing = {**context, "now": [now < context["grant_expires"], now < expires]}
    return orjson.dumps([{**question, "context": standing}, entities])
