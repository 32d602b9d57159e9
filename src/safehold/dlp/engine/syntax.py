"""Read an expression of RE2 into a tree, so that what every match must hold can be worked out.

Only the part of the syntax the rules use is read: classes, groups, repeats, alternation, anchors and
flags. What is not known raises, and the rule is then tried on every row.

A set of signs is an integer: bit n for the ASCII sign n, bit 128 for any other code point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from safehold.errors import InvalidError

OTHER: Final = 1 << 128
EVERY: Final = (1 << 129) - 1


def mask_of(signs: str) -> int:
    """Return the set of some signs."""
    mask = 0
    for sign in signs:
        mask |= 1 << ord(sign) if ord(sign) < 128 else OTHER
    return mask


DIGIT: Final = mask_of("0123456789")
WORD: Final = DIGIT | mask_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
SPACE: Final = mask_of("\t\n\f\r ")
_NAMED: Final = {"d": DIGIT, "w": WORD, "s": SPACE}
_PLAIN: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_UPPER: Final = ((1 << 26) - 1) << 65
_LOWER: Final = ((1 << 26) - 1) << 97


@dataclass(frozen=True, slots=True)
class Sign:
    """One sign out of a set."""

    mask: int


@dataclass(frozen=True, slots=True)
class Edge:
    """A place without width: ``b``, ``B``, ``^`` or ``$``."""

    kind: str


@dataclass(frozen=True, slots=True)
class Row:
    """One thing after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several, the first that fits."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """A thing several times; ``most`` is None where there is no limit."""

    part: Node
    least: int
    most: int | None
    greedy: bool


Node: TypeAlias = Sign | Edge | Row | Either | Repeat


def both_cases(mask: int) -> int:
    """Return the set with the other case of each letter in it."""
    return mask | (mask & _UPPER) << 32 | (mask & _LOWER) >> 32


class _Reader:
    def __init__(self, pattern: str) -> None:
        self.text, self.at = pattern, 0

    def peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        if self.at >= len(self.text):
            raise unknown()
        self.at += 1
        return self.text[self.at - 1]

    def either(self, flags: frozenset[str]) -> Node:
        parts = []
        while True:
            row, flags = self.row(flags)
            parts.append(row)
            if self.peek() != "|":
                return parts[0] if len(parts) == 1 else Either(tuple(parts))
            self.take()

    def row(self, flags: frozenset[str]) -> tuple[Node, frozenset[str]]:
        parts: list[Node] = []
        while self.peek() not in ("", "|", ")"):
            if self.text.startswith("(?", self.at) and (end := self._switch()) is not None:
                flags = _switched(flags, self.text[self.at + 2 : end])
                self.at = end + 1
                continue
            parts.append(self.repeat(self.atom(flags)))
        return Row(tuple(parts)), flags

    def _switch(self) -> int | None:
        """Return where a group that only sets flags, such as ``(?i)``, ends."""
        end = self.at + 2
        while end < len(self.text) and self.text[end] in "imsU-":
            end += 1
        return end if self.text[end : end + 1] == ")" else None

    def atom(self, flags: frozenset[str]) -> Node:  # noqa: PLR0911 - one for each kind of sign
        sign = self.take()
        if sign == "(":
            return self.group(flags)
        if sign == "[":
            return Sign(self.sets(flags))
        if sign == ".":
            return Sign(EVERY if "s" in flags else EVERY & ~mask_of("\n"))
        if sign in "^$":
            return Edge(sign)
        if sign == "\\":
            if self.peek() in ("b", "B"):
                return Edge(self.take())
            if self.peek() in ("A", "z"):
                return Edge({"A": "^", "z": "$"}[self.take()])
            return Sign(self._cased(self.escape(), flags))
        if sign in "*+?{":
            raise unknown()
        return Sign(self._cased(mask_of(sign), flags))

    def _cased(self, mask: int, flags: frozenset[str]) -> int:
        return both_cases(mask) if "i" in flags else mask

    def group(self, flags: frozenset[str]) -> Node:
        if self.peek() == "?":
            self.take()
            if self.peek() == "P":
                self.at = self.text.index(">", self.at) + 1
            else:
                end = self.text.find(":", self.at)
                if end < 0 or self.text[self.at : end].strip("imsU-"):
                    raise unknown()
                flags = _switched(flags, self.text[self.at : end])
                self.at = end + 1
        inner = self.either(flags)
        if self.take() != ")":
            raise unknown()
        return inner

    def escape(self) -> int:
        sign = self.take()
        if sign.lower() in _NAMED:
            mask = _NAMED[sign.lower()]
            return EVERY & ~mask if sign.isupper() else mask
        if sign in _PLAIN:
            return mask_of(_PLAIN[sign])
        if (
            sign in "pP"
        ):  # a class of Unicode: wider than it is, which is safe where it is not left out
            if self.take() == "{":
                self.at = self.text.index("}", self.at) + 1
            return EVERY
        if sign == "x":
            digits = self.take()
            if digits == "{":
                end = self.text.index("}", self.at)
                digits, self.at = self.text[self.at : end], end + 1
            else:
                digits += self.take()
            return mask_of(chr(int(digits, 16)))
        if sign.isalnum():
            raise unknown()
        return mask_of(sign)

    def sets(self, flags: frozenset[str]) -> int:
        negated = self.peek() == "^"
        if negated:
            self.take()
        mask, first = 0, True
        while first or self.peek() != "]":
            first = False
            if self.text.startswith("[:", self.at):
                raise unknown()
            low = self._member()
            if (
                self.peek() == "-"
                and self.text[self.at + 1 : self.at + 2] != "]"
                and low.bit_count() == 1
            ):
                self.take()
                high = self._member()
                low = ((1 << high.bit_length()) - 1) & ~(low - 1)
            mask |= low
        self.take()
        if negated and mask == EVERY:
            raise unknown()
        mask = self._cased(mask, flags)
        # a class that leaves out one sign beyond ASCII still holds the others
        return (EVERY & ~mask) | OTHER if negated else mask

    def _member(self) -> int:
        sign = self.take()
        return self.escape() if sign == "\\" else mask_of(sign)

    def repeat(self, node: Node) -> Node:
        while (sign := self.peek()) and sign in "*+?{":
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(sign, (-1, -1))
            self.take()
            if sign == "{":
                end = self.text.index("}", self.at)
                low, comma, high = self.text[self.at : end].partition(",")
                if not low.isdigit():
                    raise unknown()
                self.at = end + 1
                least = int(low)
                most = int(high) if high else (None if comma else least)
            greedy = self.peek() != "?"
            if not greedy:
                self.take()
            node = Repeat(node, least, most, greedy)
        return node


def unknown() -> InvalidError:
    """Return the error for an expression that is not read."""
    return InvalidError("an expression uses syntax that is not read", rule="dlp.syntax")


def _switched(flags: frozenset[str], text: str) -> frozenset[str]:
    on, _, off = text.partition("-")
    return (flags | set(on)) - set(off)


def read_expression(pattern: str) -> Node:
    """Return the tree of an expression.

    Raises:
        InvalidError: It uses syntax that is not read here; RE2 may still take it.
    """
    reader = _Reader(pattern)
    try:
        node = reader.either(frozenset())
    except (ValueError, IndexError) as error:
        raise unknown() from error
    if reader.at != len(pattern):
        raise unknown()
    return node
