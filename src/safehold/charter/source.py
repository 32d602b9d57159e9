"""YAML 1.2 text to a tree of nodes that know their lines; nothing is guessed.

1. Scalars stay text. What a word means is decided by the key it stands under, never by how it
   looks.
2. Unquoted ``on``, ``off``, ``yes`` and ``no`` are refused: YAML 1.1 tools read them as booleans,
   and a tool that
   then drops a restriction widens what is allowed.
3. A key stands once. Anchors, aliases, tags and further documents are refused, so the text cannot
   grow when it is
   read.
4. Size, depth and number of nodes are bounded.
5. A comma splits unquoted prose inside ``{...}`` into a sentence and a word group without a value.
   After the keys
   in ``PROSE``, which carry no machine meaning, the pieces are joined again; anywhere else a key
   without a value is
   refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)

from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a charter may be.

    Args:
        size: UTF-8 bytes.
        depth: Nesting of lists and mappings.
        nodes: Scalars, lists and mappings together.
    """

    size: int = 262_144
    depth: int = 12
    nodes: int = 20_000


LIMITS: Final = Limits()
AMBIGUOUS: Final = frozenset({"on", "off", "yes", "no"})
PROSE: Final = frozenset({"rule", "says", "plain"})
EMPTY: Final = frozenset({"", "~", "null"})


@dataclass(frozen=True, slots=True)
class Scalar:
    """A word, as written.

    Args:
        text: Its characters.
        plain: True if it stood without quotes.
        line: Line number, from 1.
    """

    text: str
    plain: bool
    line: int


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list.

    Args:
        items: Its nodes.
        line: Line number, from 1.
    """

    items: tuple[Node, ...]
    line: int


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and their nodes.

    Args:
        items: By key, in the order written.
        keys: The key nodes, for their lines.
        line: Line number, from 1.
    """

    items: dict[str, Node]
    keys: dict[str, Scalar]
    line: int


Node = Scalar | Sequence | Mapping


def read(text: str, *, name: str, limits: Limits = LIMITS) -> Node:
    """Return the tree of a YAML text.

    Args:
        text: The document.
        name: File name for errors.
        limits: Bounds that hold before and while the text is read.

    Raises:
        InvalidError: Not YAML 1.2, or one of the rules above is broken; ``row`` is the line.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidError("not valid Unicode", file=name, rule="charter.utf8") from error
    if size > limits.size:
        raise InvalidError(f"larger than {limits.size} bytes", file=name, rule="charter.size")
    return _Reader(name, limits).read(text)


class _Reader:
    """Builds the tree from parser events, one at a time."""

    def __init__(self, name: str, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.nodes = 0

    def read(self, text: str) -> Node:
        events = self._events(text)
        root: Node | None = None
        for event in events:
            if isinstance(event, StreamStartEvent | StreamEndEvent | DocumentEndEvent):
                continue
            if isinstance(event, DocumentStartEvent):
                if root is not None:
                    raise self._refuse("a second document", event, "charter.documents")
                if event.version not in (None, (1, 2)) or event.tags:
                    raise self._refuse("a directive other than YAML 1.2", event, "charter.yaml")
                continue
            root = self._node(event, events, 0)
        if root is None:
            raise InvalidError("the document is empty", file=self.name, row=1, rule="charter.empty")
        return root

    def _events(self, text: str) -> Iterator[Event]:
        yaml = YAML(typ="safe", pure=True)
        yaml.version = (1, 2)
        try:
            yield from yaml.parse(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise InvalidError(
                "not YAML 1.2",
                file=self.name,
                row=mark.line + 1 if mark is not None else None,
                rule="charter.yaml",
            ) from error
        # the foreign parser meets text nobody vetted; whatever it throws means the text is not YAML
        except (
            YAMLError,
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            ArithmeticError,
            RuntimeError,
            AssertionError,
        ) as error:
            raise InvalidError("not YAML 1.2", file=self.name, rule="charter.yaml") from error

    def _node(self, event: Event, events: Iterator[Event], depth: int) -> Node:
        self.nodes += 1
        if depth > self.limits.depth or self.nodes > self.limits.nodes:
            raise self._refuse("nested too deeply or too long", event, "charter.bounds")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None) is not None:
            raise self._refuse("anchors and aliases", event, "charter.anchor")
        if _tagged(event):
            raise self._refuse("a tag", event, "charter.tag")
        match event:
            case ScalarEvent():
                return self._scalar(event)
            case SequenceStartEvent():
                items = []
                for inner in events:
                    if isinstance(inner, SequenceEndEvent):
                        break
                    items.append(self._node(inner, events, depth + 1))
                return Sequence(tuple(items), _line(event))
            case MappingStartEvent():
                return self._mapping(event, events, depth)
            case _:
                raise self._refuse("this construct", event, "charter.yaml")

    def _mapping(self, event: Event, events: Iterator[Event], depth: int) -> Mapping:
        items: dict[str, Node] = {}
        keys: dict[str, Scalar] = {}
        last = ""
        for inner in events:
            if isinstance(inner, MappingEndEvent):
                break
            key = self._node(inner, events, depth + 1)
            if not isinstance(key, Scalar):
                raise self._refuse("a key that is not a word", inner, "charter.key")
            if key.text in items:
                raise InvalidError(
                    "a key stands twice",
                    file=self.name,
                    row=key.line,
                    rule="charter.duplicate_key",
                    fix="keep one of the two",
                )
            value = next(events)
            before = items.get(last)
            if (
                last in PROSE
                and isinstance(before, Scalar)
                and before.plain
                and getattr(event, "flow_style", False)
                and _absent(value)
            ):
                items[last] = Scalar(f"{before.text}, {key.text}", plain=True, line=before.line)
                continue
            last = key.text
            keys[last] = key
            items[last] = self._node(value, events, depth + 1)
        return Mapping(items, keys, _line(event))

    def _scalar(self, event: Any) -> Scalar:
        plain = event.style is None or event.style == ""
        word = event.value
        if plain and word.casefold() in AMBIGUOUS:
            raise InvalidError(
                "on, off, yes and no mean different things to different readers",
                file=self.name,
                row=_line(event),
                rule="charter.ambiguous_word",
                fix="write true or false, or put the word in quotes",
            )
        if plain and word.casefold() in EMPTY:
            raise InvalidError(
                "a key without a value",
                file=self.name,
                row=_line(event),
                rule="charter.empty_value",
                fix="write the value, or leave the key out",
            )
        return Scalar(word, plain, _line(event))

    def _refuse(self, what: str, event: Event, rule: str) -> InvalidError:
        return InvalidError(
            f"{what} cannot stand here", file=self.name, row=_line(event), rule=rule
        )


def _line(event: Any) -> int:
    mark = event.start_mark
    return int(mark.line) + 1 if mark is not None else 1


def _absent(event: Any) -> bool:
    return isinstance(event, ScalarEvent) and event.value == "" and event.style is None


def _tagged(event: Any) -> bool:
    return getattr(event, "tag", None) is not None
