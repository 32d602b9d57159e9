"""From a file to a charter: structure first, then meaning; every error names its line."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, Final, cast, get_args, get_origin

from safehold.charter import record, source, value
from safehold.charter.model import Charter
from safehold.charter.review import review
from safehold.charter.source import Mapping, Node, Scalar, Sequence
from safehold.charter.value import Reader
from safehold.errors import InvalidError, MissingError

SIGNATURES: Final = "signatures"  # stands in the document for its readers; signatures are detached
QUOTED: Final = frozenset({value.threshold})  # <=1 is an operator only where it is quoted


def load(path: Path) -> Charter:
    """Return the charter in a file.

    Raises:
        MissingError: There is no such file.
        InvalidError: It is no charter; ``row`` is the line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(source.LIMITS.size + 1)
    except FileNotFoundError as error:
        raise MissingError(
            f"no charter {path.name}",
            rule="charter.file",
            fix="name the YAML file; two to start from come with Safehold: example.yaml, demo.yaml",
        ) from error
    except OSError as error:
        raise InvalidError(
            "cannot be read",
            file=path.name,
            rule="charter.file",
            fix="name a file that you may read",
        ) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidError(
            "not UTF-8",
            file=path.name,
            row=data.count(b"\n", 0, error.start) + 1,
            rule="charter.utf8",
            fix="save the file as UTF-8",
        ) from error
    return parse(text, name=path.name)


def parse(text: str, *, name: str = "charter") -> Charter:
    """Return the charter in a text.

    Args:
        text: YAML 1.2.
        name: What to call it in errors.

    Raises:
        InvalidError: It is no charter; ``row`` is the line, from 1.
    """
    builder = _Builder(name)
    root = source.read(text, name=name)
    if not isinstance(root, Mapping):
        raise InvalidError("not a mapping of keys", file=name, row=1, rule="charter.shape")
    charter = cast("Charter", builder.record(Charter, _detach(root, name), ""))
    for problem in review(charter):
        raise InvalidError(
            problem.message,
            rule=problem.rule,
            fix=problem.fix,
            file=name,
            row=builder.line(problem.field),
            field=problem.field,
        )
    return charter


def _detach(root: Mapping, name: str) -> Mapping:
    node = root.items.get(SIGNATURES)
    if node is not None and not (isinstance(node, Sequence) and not node.items):
        raise InvalidError(
            "signatures are kept beside a charter, never in it",
            file=name,
            row=node.line,
            field=SIGNATURES,
            rule="charter.signatures",
            fix="leave the list empty",
        )
    rest = {key: item for key, item in root.items.items() if key != SIGNATURES}
    return Mapping(rest, root.keys, root.line)


class _Builder:
    """Reads nodes as the records declare, and remembers on which line each field stood."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[str, int] = {}

    def line(self, field: str) -> int:
        """Return the line of a field, or of the nearest thing around it."""
        while field and field not in self.lines:
            field = field.rpartition(".")[0]
        return self.lines.get(field, 1)

    def record(self, kind: Any, node: Node, path: str) -> Any:
        if not isinstance(node, Mapping):
            raise self._refuse("expected keys and values", node, path, "charter.shape")
        declared = {record.key_of(field): field for field in fields(kind)}
        for key, mark in node.keys.items():
            if key not in declared and key in node.items:
                raise InvalidError(
                    "a key this charter language does not have",
                    file=self.name,
                    row=mark.line,
                    field=path or None,
                    rule="charter.unknown_key",
                    fix="the keys are listed in docs/reference/charter.md",
                )
        types_ = record.hints(kind)
        values: dict[str, Any] = {}
        for key, field in declared.items():
            inner = f"{path}.{key}" if path else key
            if key in node.items and self._none(field, node.items[key], inner):
                values[field.name] = None
            elif key in node.items:
                values[field.name] = self.value(
                    types_[field.name], node.items[key], inner, field.metadata.get("read")
                )
            elif record.required(field):
                raise self._refuse(f"the key {key} is missing", node, path, "charter.missing_key")
        return kind(**values)

    def _none(self, field: Field[Any], node: Node, path: str) -> bool:
        """Tell whether the word for no record stands here; any other word is refused."""
        word = field.metadata.get("none")
        if word is None or not isinstance(node, Scalar):
            return False
        self.lines[path] = node.line
        if node.text != word:
            raise self._refuse(f"{word}, or keys and values", node, path, "charter.choice")
        return True

    def value(self, declared: Any, node: Node, path: str, read: Reader | None) -> Any:
        self.lines[path] = node.line
        kind = record.optional(declared)
        origin = get_origin(kind)
        if origin is tuple:
            if not isinstance(node, Sequence):
                raise self._refuse("expected a list", node, path, "charter.shape")
            item = get_args(kind)[0]
            return tuple(
                self.value(item, entry, f"{path}.{n}", read) for n, entry in enumerate(node.items)
            )
        if origin is MappingType:
            if not isinstance(node, Mapping):
                raise self._refuse("expected keys and values", node, path, "charter.shape")
            return self._named(get_args(kind)[1], node, path)
        if read is None and kind is not bool:
            return self.record(kind, node, path)
        return self._word(read or value.boolean, node, path)

    def _named(self, kind: Any, node: Mapping, path: str) -> dict[str, Any]:
        found = {}
        for key, entry in node.items.items():
            self._word(value.name, node.keys[key], path)
            found[key] = self.value(kind, entry, f"{path}.{key}", None)
        return found

    def _word(self, read: Reader, node: Node, path: str) -> Any:
        if not isinstance(node, Scalar):
            raise self._refuse("expected one value", node, path, "charter.shape")
        if read in QUOTED and node.plain:
            raise self._refuse("a comparison stands in quotes", node, path, "charter.threshold")
        if read in _BARE and not node.plain:
            raise self._refuse("this value stands without quotes", node, path, "charter.quoted")
        try:
            return read(node.text)
        except InvalidError as error:
            raise self._refuse(error.message, node, path, error.rule or "charter.value") from error

    def _refuse(self, message: str, node: Node, path: str, rule: str) -> InvalidError:
        return InvalidError(message, file=self.name, row=node.line, field=path or None, rule=rule)


_BARE: Final = frozenset(
    {value.boolean, value.integer, value.micro, value.pico, value.duration, value.days}
)
