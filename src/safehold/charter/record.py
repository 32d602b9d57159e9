"""Frozen records to and from trees of JSON: strict both ways, driven by the declared types."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from safehold.charter import value
from safehold.errors import InvalidError

R = TypeVar("R")


def key(
    read: value.Reader | None = None,
    *,
    key: str | None = None,
    later: bool = False,
    none: str | None = None,
    **rest: Any,
) -> Any:
    """Declare a field: how its words are read, and its key in YAML where that differs.

    One that came ``later`` is not written while it has its default, so what was signed before keeps its bytes.
    ``none`` is the word that stands where a record might, in YAML and in the tree, and means that there is none.
    """
    return field(metadata={"read": read, "key": key, "later": later, "none": none}, **rest)


@cache
def hints(kind: type) -> dict[str, Any]:
    """Return the declared types of a record's fields."""
    return get_type_hints(kind)


def key_of(declared: Field[Any]) -> str:
    """Return the YAML key of a field."""
    return declared.metadata.get("key") or declared.name


def optional(kind: Any) -> Any:
    """Return the type without None."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def required(declared: Field[Any]) -> bool:
    """Tell whether a field has no default."""
    return declared.default is MISSING and declared.default_factory is MISSING


def dump(item: Any) -> Any:
    """Return a record as a tree of JSON; keys are field names."""
    if is_dataclass(item) and not isinstance(item, type):
        return {
            each.name: (
                each.metadata.get("none")
                if getattr(item, each.name) is None
                else dump(getattr(item, each.name))
            )
            for each in fields(item)
            if not (each.metadata.get("later") and getattr(item, each.name) == each.default)
        }
    if isinstance(item, Mapping):
        return {key: dump(inner) for key, inner in item.items()}
    if isinstance(item, tuple):
        return [dump(inner) for inner in item]
    return item


def load(kind: type[R], tree: Any) -> R:
    """Read a record from a tree made by ``dump``.

    Raises:
        InvalidError: A key is unknown or missing, or a value has another type.
    """
    return cast("R", _load(kind, tree, kind.__name__.lower()))


def _load(kind: Any, tree: Any, path: str, read: Any = None) -> Any:
    inner = optional(kind)
    if tree is None and inner is not kind:
        return None
    if is_dataclass(inner) and isinstance(inner, type):
        return _load_record(inner, tree, path)
    origin = get_origin(inner)
    if origin is tuple:
        if not isinstance(tree, list):
            raise InvalidError("not a list", field=path, rule="record.type")
        item = get_args(inner)[0]
        return tuple(_load(item, entry, f"{path}[{n}]", read) for n, entry in enumerate(tree))
    if origin is Mapping:
        if not isinstance(tree, dict):
            raise InvalidError("not an object", field=path, rule="record.type")
        item = get_args(inner)[1]
        return {value.name(key): _load(item, entry, f"{path}.{key}") for key, entry in tree.items()}
    if type(tree) is not inner:
        raise InvalidError("a value of another type", field=path, rule="record.type")
    if inner is int and tree < 0:  # no reader makes one, so nobody wrote it in a charter
        raise InvalidError("a number below zero", field=path, rule="record.value")
    if inner is str and read is not None and read(tree) != tree:
        raise InvalidError("not the stored form of this value", field=path, rule="record.value")
    return tree


def _load_record(kind: Any, tree: Any, path: str) -> Any:
    declared = fields(kind)
    later = {each.name for each in declared if each.metadata.get("later")}
    if not isinstance(tree, dict) or set(tree) | later != {each.name for each in declared}:
        raise InvalidError("other keys than this record has", field=path, rule="record.keys")
    for each in declared:
        if each.name in later and each.name in tree and tree[each.name] == each.default:
            raise InvalidError("a default is not written", field=path, rule="record.keys")
    types_ = hints(kind)
    return kind(
        **{
            each.name: _load(
                types_[each.name],
                _spelt(each, tree[each.name], f"{path}.{each.name}"),
                f"{path}.{each.name}",
                each.metadata.get("read"),
            )
            for each in declared
            if each.name in tree
        }
    )


def _spelt(declared: Field[Any], tree: Any, path: str) -> Any:
    """Return the tree of a field, or nothing where the word for nothing stands; that alone says so there."""
    word = declared.metadata.get("none")
    if word is None:
        return tree
    if tree is None:
        raise InvalidError("not the stored form of this value", field=path, rule="record.value")
    return None if tree == word else tree
