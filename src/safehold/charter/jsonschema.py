"""The charter language as JSON Schema, so that an editor completes keys, knows the words and marks mistakes.

Made from the records themselves, so it knows every key. It says less than ``charter check``: whether a charter means
something is not a question of shape. JSON Schema draft 2020-12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, Final, get_args, get_origin

from safehold.charter import terms, value
from safehold.charter.model import Charter
from safehold.charter.record import hints, key_of, optional, required

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
ID: Final = "urn:safehold:charter:v1"
PAGE: Final = "docs/reference/charter.md"
_DURATION: Final = r"^(0|[1-9][0-9]{0,5})[smhd]$"

# what a YAML 1.2 reader of an editor makes of each kind of value
_READERS: Final[Mapping[Any, dict[str, Any]]] = {
    value.duration: {"type": "string", "pattern": _DURATION, "description": "such as 24h or 14d"},
    value.days: {"type": "string", "pattern": r"^[1-9][0-9]{0,5}d$", "description": "such as 14d"},
    value.every: {"type": "string", "pattern": r"^every [1-9][0-9]{0,5}d$"},
    value.micro: {"type": "number", "minimum": 0},
    value.pico: {"type": "number", "minimum": 0, "maximum": 1},
    value.integer: {"type": "integer", "minimum": 0},
    value.boolean: {"type": "boolean"},
    value.threshold: {
        "type": "string",
        "pattern": r"^(<=|>=|==|<|>)[0-9.]{1,20}$",
        "description": 'a comparison, in quotes: "<=1"',
    },
    value.effect: {
        "type": "string",
        "pattern": r"^[a-z][a-z_]{0,38}[_ ]within [1-9][0-9]{0,5}[smhd]$",
    },
    value.name: {"type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"},
    value.prose: {"type": "string", "minLength": 1, "maxLength": 2000},
    value.word: {"type": "string", "pattern": r"^[A-Za-z0-9:_.@/+-]{1,128}$"},
}
# where a word is a term: its key, and the kind of term that stands there
_TERMS: Final = {
    "participation.legal_basis": ("law", "fides"),
    "participation.opt_in": ("consent", "fides"),
    "data_subjects.include": ("subject", "fides"),
    "data_subjects.exclude": ("subject", "fides"),
    "never_collect": ("category", "fides"),
    "collect.category.fides": ("category", "fides"),
    "collect.category.dpv": ("category", "dpv"),
    "collect.category.sh": ("category", "sh"),
    "purposes.uses.fides": ("use", "fides"),
    "purposes.uses.dpv": ("use", "dpv"),
    "purposes.uses.sh": ("use", "sh"),
    "red_lines.forbid": ("use", "fides"),
    "red_lines.dpv": ("use", "dpv"),
    "red_lines.forbid_terms": ("use", "fides"),
    "red_lines.law": ("law", "fides"),
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a charter."""
    root = _record(Charter, "")
    root["properties"]["signatures"] = {"type": "array", "maxItems": 0}
    return {"$schema": DRAFT, "$id": ID, "title": "Safehold charter", **root}


def _record(kind: Any, path: str) -> dict[str, Any]:
    types, properties, needed = hints(kind), {}, []
    for each in fields(kind):
        name = key_of(each)
        inner = f"{path}.{name}" if path else name
        properties[name] = _value(types[each.name], inner, each.metadata.get("read"))
        if (word := each.metadata.get("none")) is not None:
            properties[name] = {"oneOf": [{"enum": [word]}, properties[name]]}
        if required(each):
            needed.append(name)
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split("\n\n")[0].split()),
        "additionalProperties": False,
        "properties": properties,
        "required": needed,
    }


def _value(declared: Any, path: str, read: Callable[[str], Any] | None) -> dict[str, Any]:
    kind = optional(declared)
    origin = get_origin(kind)
    if origin is tuple:
        return {"type": "array", "items": _value(get_args(kind)[0], path, read)}
    if origin is not None and issubclass(origin, Mapping):
        return {
            "type": "object",
            "propertyNames": _READERS[value.name],
            "additionalProperties": _value(get_args(kind)[1], path, None),
        }
    if read is None:
        return _READERS[value.boolean] if kind is bool else _record(kind, path)
    if isinstance(read, value.OneOf):
        return {"enum": list(read.choices)}
    if path in _TERMS:
        return {"enum": _spellings(*_TERMS[path], alone=path.rpartition(".")[2] in terms.SLOTS)}
    return dict(_READERS[read])


def _spellings(kind: str, vocabulary: str, *, alone: bool) -> list[str]:
    """Return how a term of a kind may be written where one vocabulary is looked in first, or alone."""
    found = set()
    for name, term in terms.catalogue().items():
        home, _, word = name.partition(":")
        if term.kind == kind and (not alone or home in terms.SLOTS[vocabulary]):
            found.add(name)
            if home == vocabulary or (home == "sh" and not alone):
                found.add(word)
    return sorted(found)


__all__ = ["DRAFT", "ID", "schema"]
