"""Every clause of a charter by its key, so that something that runs can be compared with it one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from safehold.charter.model import Charter
from safehold.charter.record import key_of

Value = str | int | bool | list[str] | None


def clauses(charter: Charter) -> dict[str, Value]:
    """Return every clause of a charter.

    Returns:
        Values by dotted key, spelt as in YAML; an entry of a list that has a name is found by it:
        ``collect.keys.keep`` is 14 (days), ``purposes.train_ui_agent.privacy.epsilon`` is 4000000
        (millionths), ``oversight.stop.effect.within_s`` is 60.
    """
    return dict(_walk(charter, ""))


def _walk(item: Any, path: str) -> Iterator[tuple[str, Value]]:
    if is_dataclass(item) and not isinstance(item, type):
        for each in fields(item):
            yield from _walk(getattr(item, each.name), _join(path, key_of(each)))
    elif isinstance(item, Mapping):
        for name, inner in item.items():
            yield from _walk(inner, _join(path, name))
    elif isinstance(item, tuple) and any(is_dataclass(entry) for entry in item):
        for entry in item:
            yield from _walk(entry, _join(path, _name_of(entry)))
    elif isinstance(item, tuple):
        yield path, list(item)
    else:
        yield path, item


def _name_of(entry: Any) -> str:
    name = getattr(entry, "what", None) or entry.id
    return str(name)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
