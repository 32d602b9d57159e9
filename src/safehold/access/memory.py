"""Decisions that were made once and would be made again word for word.

A decision is a pure function of the compiled policy, the question and its entities. Of the moment, a policy of ours
asks only two things: whether the grant has ended and whether the data has; of the number of people, whether it is
below some numbers. So those answers stand in what is compared in place of the moments and the number. Of the names of
people, keys and segments it asks only which of them are the same, so they stand in it in the order in which they come:
the same use by another person, under another grant, in another team is decided once. Everything else stands in it
as it was asked; whatever differs in one letter is decided anew. A policy that asks more than this of a moment or of
the number of people is never remembered, and one that asks more of a name is remembered name by name.
What is compared is the SHA-256 of all that.
"""

from __future__ import annotations

import hashlib
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
_SAME: Final = (  # all that a policy of ours asks of names
    'context.holder == ""',
    "context.grant_holder != context.holder",
    "context.grant_segments.contains(resource.segment)",
    "context.grant_operator != principal.operator",
    'principal.operator == ""',
    "resource.owner != principal.sub",
    "resource.owner == principal.sub",
    'resource.owner == ""',
)
_OF_WHO: Final = frozenset({"sub", "operator"})
_OF_DATA: Final = frozenset({"segment", "owner"})
_OF_GRANT: Final = frozenset({"holder", "grant_holder", "grant_operator", "grant_segments"})
# the words of the charter, which say what they mean; an entity of any other kind would be a name
_WORDS: Final = frozenset({"Action", "Gate", "Place", "Purpose", "Role", "Silo", "Stage", "What"})


def _term(*forms: str) -> re.Pattern[str]:
    """Return what finds whole conditions: one that goes on (``people < 2 + 3``) asks something else."""
    return re.compile(rf"([({{]|&&|\|\|)\s*!?\s*(?:{'|'.join(forms)})\s*(?=[)}}]|&&|\|\|)")


_ENDED: Final = _term(*map(re.escape, _KNOWN))
_FEW: Final = _term(r"context\.people < ([0-9]+)")
_EQUAL: Final = _term(*map(re.escape, _SAME))
_ASKED: Final = re.compile(r"\b(?:now|people|expires|grant_expires)\b")
_LITERAL: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//', re.DOTALL)
_INDEX: Final = re.compile(r'\[\s*"')
# who and what as they may stand in a policy that asks for no name: in its head, by kind, and by another attribute
_PLAIN: Final = re.compile(
    r"""\b(?:permit|forbid)\(principal(?:\ is\ \w+)?,\ action[^(){}]*,\ resource\)
    | \bprincipal\ is\ \w+
    | \b(?:principal|resource|context)\.
      (?!(?:sub|operator|segment|owner|holder|grant_holder|grant_operator|grant_segments)\b)\w+""",
    re.VERBOSE,
)
_WHOLE: Final = re.compile(r"\b(?:principal|resource|context)\b")


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
        rename = nameless(policy.cedar)
        key = (id(policy.policies), _key(numbers, question, entities, rename=rename))
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
    text = _read(cedar)
    if text is None:
        return None
    text = _ENDED.sub(r"\1", text)
    found = tuple(sorted({int(one.group(2)) for one in _FEW.finditer(text)}))
    return None if _ASKED.search(_FEW.sub(r"\1", text)) else found


@lru_cache(64)
def nameless(cedar: str) -> bool:
    """Return whether policies ask of the names of people, keys and segments only which of them are the same."""
    text = _read(cedar)
    if text is None or not set(re.findall(r'(\w+)\s*::\s*"', text)) <= _WORDS:
        return False
    return not _WHOLE.search(_PLAIN.sub("", _EQUAL.sub(r"\1", text)))


def _read(cedar: str) -> str | None:
    """Return policies with every text but the empty one blotted out; None of what is not read here."""
    comments = 0

    def blot(found: re.Match[str]) -> str:
        nonlocal comments
        comments += found[0] == "//"
        return '""' if found[0] == '""' else '"?"'

    text = _LITERAL.sub(blot, cedar)
    # a comment could part a word, and an index may spell an attribute in another way
    return None if comments or _INDEX.search(text) else text


def _key(
    numbers: tuple[int, ...], question: dict[str, Any], entities: Any, *, rename: bool
) -> bytes:
    """Return what decides: everything as it is asked, and of moments, people and names only what the policies ask."""
    context, who, data = question["context"], entities[0], entities[1]
    now, people = context["now"], context["people"]
    asked = [
        now < context["grant_expires"],
        now < data["attrs"]["expires"],
        *(people < number for number in numbers),
    ]
    standing = {**context, "now": 0, "grant_expires": 0, "people": asked}
    label = {**data["attrs"], "expires": 0}
    person, uid, thing = who["attrs"], who["uid"], data["uid"]
    names: list[Any] = []
    if rename:
        known: dict[str, int | str] = {"": ""}  # no name is not a name

        def same(name: str) -> int | str:
            return known.setdefault(name, len(known))

        names = [
            *(same(question[one]["id"]) for one in ("principal", "resource")),
            *(same(one) for one in (uid["id"], thing["id"], person["sub"])),
            same(person["operator"]) if "operator" in person else None,
            *(same(label[one]) for one in ("segment", "owner")),
            *(same(context[one]) for one in ("holder", "grant_holder", "grant_operator")),
            # a set: the order in which it was written says nothing
            sorted((same(one) for one in context["grant_segments"]), key=str),
        ]
        uid, thing = uid["type"], thing["type"]
        person = {key: value for key, value in person.items() if key not in _OF_WHO}
        label = {key: value for key, value in label.items() if key not in _OF_DATA}
        standing = {key: value for key, value in standing.items() if key not in _OF_GRANT}
    elif question["principal"] != uid or question["resource"] != thing:
        names = [question["principal"], question["resource"]]
    asked_for = orjson.dumps([uid, person, question["action"], thing, label, standing, names])
    # the text has a kilobyte and more, and thousands of decisions are kept
    return hashlib.sha256(asked_for).digest()
