"""The gate at feature extraction: what can be concluded from a derived column, by its lineage.

Text can be scanned for words about somebody's performance. A column of typing speeds holds no word
at all and tells more. So a column that a recipe makes is judged by the columns it was made from:
each column of a stream carries tags (``pace``, ``presence``, ``rating`` ...), a derived column carries
those of all its sources, and only a reduction of the table below takes one away. A tag lets
conclusions of some groups of classes be drawn; where the charter masks a group in a stream, no
feature of that stream may let one of it be drawn. This is exact: nothing is guessed from values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import pyarrow as pa

from safehold.dlp.classes import GROUPS
from safehold.dlp.scan import scan_names
from safehold.errors import DeniedError, InvalidError
from safehold.telemetry.schema import REST
from safehold.telemetry.stream import Level

_UNTIMED: Final = frozenset({"pace", "presence"})  # what the times of a stream tell; gone at L3


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column that a recipe makes, and from what.

    Args:
        name: Its name.
        sources: Columns of streams, such as ``key.key``.
        reductions: Names of reductions that were applied, from ``lineage.json``.
    """

    name: str
    sources: frozenset[str]
    reductions: frozenset[str] = frozenset()


@cache
def load_lineage() -> Mapping[str, Any]:
    """Return tags by column, conclusions by tag, and reductions.

    Raises:
        InvalidError: The data names a column, tag or group that does not exist, or misses a column.
    """
    data: dict[str, Any] = json.loads(files("safehold.dlp").joinpath("lineage.json").read_bytes())
    columns, tags = data["columns"], data["tags"]
    known = {f"{stream}.{field}" for stream, schema in REST.items() for field in schema.names}
    named = {tag for listed in columns.values() for tag in listed}
    taken = {tag for item in data["reductions"].values() for tag in item["takes"]}
    groups = {group for item in tags.values() for group in item["groups"]}
    if set(columns) != known or named - set(tags) or taken - set(tags) or groups - set(GROUPS):
        raise InvalidError("the table of lineage does not fit the streams", rule="dlp.lineage")
    return data


def tags_of(feature: Feature, levels: Mapping[str, Level]) -> frozenset[str]:
    """Return what a column still tells of its sources.

    Args:
        feature: The column.
        levels: Level of each stream; a stream that is not listed is taken as raw.

    Raises:
        InvalidError: A source or a reduction is not known.
    """
    data = load_lineage()
    tags: set[str] = set()
    for source in feature.sources:
        if source not in data["columns"]:
            raise InvalidError(
                "a feature names a source that no stream has",
                field=feature.name,
                rule="dlp.lineage",
                fix="name a stream and one of its columns: key.kind",
            )
        found = set(data["columns"][source])
        if levels.get(source.partition(".")[0], Level.L0) >= Level.L3:
            found -= _UNTIMED
        tags |= found
    for name in feature.reductions:
        if name not in data["reductions"]:
            raise InvalidError(
                "a feature names a reduction that is not known",
                field=feature.name,
                rule="dlp.lineage",
                fix="see the table of reductions",
            )
        tags -= set(data["reductions"][name]["takes"])
    return frozenset(tags)


def admit_features(
    features: Iterable[Feature],
    *,
    forbidden: Mapping[str, frozenset[str]],
    levels: Mapping[str, Level],
) -> None:
    """Refuse columns that let something be concluded which the charter masks.

    Args:
        features: What a recipe makes.
        forbidden: Groups of classes that the charter masks, by stream.
        levels: Level of each stream.

    Raises:
        DeniedError: A column would tell what is masked, or its name does.
        InvalidError: A source or a reduction is not known.
    """
    data, listed = load_lineage(), list(features)
    for feature in listed:
        masked = frozenset[str]().union(
            *(forbidden.get(source.partition(".")[0], frozenset()) for source in feature.sources)
        )
        for tag in sorted(tags_of(feature, levels)):
            if both := sorted(masked & set(data["tags"][tag]["groups"])):
                raise DeniedError(
                    f"the feature '{feature.name}' tells {data['tags'][tag]['about']}, and the charter"
                    f" masks {', '.join(both)} in what it is made from",
                    rule=f"dlp.lineage.{tag}",
                    fix="leave the column out, or make it from columns that do not tell this",
                )
    if scan_names(feature.name for feature in listed).num_rows:
        raise DeniedError(
            "the name of a feature holds something sensitive",
            rule="dlp.lineage.name",
            fix="name columns by what they are",
        )


def admit_columns(schema: pa.Schema, features: Iterable[Feature]) -> None:
    """Refuse a table with a column that no lineage was declared for, or with free text.

    Args:
        schema: Schema of the derived table.
        features: What the recipe declared.

    Raises:
        DeniedError: A column has no lineage, or can hold any text.
    """
    declared = {feature.name for feature in features}
    for field in schema:
        if field.name not in declared:
            raise DeniedError(
                "a derived column has no lineage",
                rule="dlp.lineage.column",
                fix="declare its sources",
            )
        kind = field.type
        while pa.types.is_nested(kind) and not pa.types.is_struct(kind):
            kind = kind.value_type
        if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_struct(kind):
            raise DeniedError(
                "a derived column can hold any text",
                rule="dlp.lineage.text",
                fix="use a dictionary over a closed list of words",
            )
