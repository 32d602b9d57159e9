"""Decisions that were made once and would be made again word for word.

A decision is a pure function of the compiled policy, the question and its entities. Of the moment, a policy of ours
asks only two things: whether the grant has ended and whether the data has; of the number of people, whether it is
below some numbers. So those answers stand in the key in place of the moments and the number, and everything else
stands in it as it was asked; whatever differs in one letter is decided anew. A policy that asks more than this of a
moment or of the number of people is never remembered.
"""

from __future__ import annotations

import re
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
_ENDS: Final = ("resource.expires", "context.grant_expires")
_KNOWN: Final = tuple(f"context.now {sign} {end}" for sign in ("<", ">=") for end in _ENDS)
_PEOPLE: Final = re.compile(r"context\.people < ([0-9]+)(?![0-9])")
_ASKED: Final = ("context.now", "context.people", *_ENDS)


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
        numbers = bounds(policy.cedar)
        if numbers is None:
            return decide()
        key = (id(policy.policies), _key(numbers, question, entities))
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
def bounds(cedar: str) -> tuple[int, ...] | None:
    """Return the numbers of people that policies ask about; None if they ask more of moments or people than that."""
    for known in _KNOWN:
        cedar = cedar.replace(known, "")
    found = tuple(sorted({int(one) for one in _PEOPLE.findall(cedar)}))
    cedar = _PEOPLE.sub("", cedar)
    return None if any(name in cedar for name in _ASKED) else found


def _key(numbers: tuple[int, ...], question: dict[str, Any], entities: Any) -> bytes:
    """Return what decides: everything as it is asked, and of moments and people only what the policies ask."""
    context, who, data = question["context"], entities[0], entities[1]
    now, people = context["now"], context["people"]
    asked = [
        now < context["grant_expires"],
        now < data["attrs"]["expires"],
        *(people < number for number in numbers),
    ]
    standing = {**context, "now": 0, "grant_expires": 0, "people": asked}
    label = {**data, "attrs": {**data["attrs"], "expires": 0}}
    return orjson.dumps([{**question, "context": standing}, who, label])
