"""Where mappings come from: files, the shipped ones, or a guess by the columns of a source."""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from importlib import resources
from io import StringIO
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent

from safehold.errors import InvalidError
from safehold.ingest.mapping import NESTED, VERSION, Mapping, parse_mapping
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import STREAMS

SHIPPED: Final = (
    "aalto", "activitywatch", "balabit", "canonical", "ibm-hr", "irc", "mbox", "miniwob", "openadapt",
    "opencua", "sapimouse", "slack", "webvtt",
)  # fmt: skip
_LARGEST_FILE: Final = 256 * 1024


def load_mapping(name: str | Path) -> dict[str, Any]:
    """Read a mapping file, or a shipped mapping by its name, and check it.

    Args:
        name: A path to a YAML file, or one of the shipped names.

    Returns:
        The mapping as plain values, ready for a job's ``source.mapping``.

    Raises:
        InvalidError: There is no such file.
        InvalidError: It is not YAML 1.2, or not a mapping; the message tells the line.
    """
    if str(name) in SHIPPED:
        text = (
            resources.files("safehold.ingest")
            .joinpath("mappings", f"{name}.yaml")
            .read_text("utf-8")
        )
        return _parse_text(text, name=str(name))
    path = Path(name)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise InvalidError(
            f"there is no mapping {path.name}",
            rule="mapping.file",
            fix=f"name a file, or one of {', '.join(SHIPPED)}",
        ) from error
    except OSError as error:
        raise InvalidError("cannot be read", file=path.name, rule="mapping.file") from error
    if len(data) > _LARGEST_FILE:
        raise InvalidError("a mapping has at most 256 KiB", file=path.name, rule="mapping.size")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidError("not UTF-8", file=path.name, rule="mapping.utf8") from error
    return _parse_text(text, name=path.name)


def _parse_text(text: str, *, name: str) -> dict[str, Any]:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 2)
    yaml.allow_duplicate_keys = False
    try:
        if any(isinstance(event, AliasEvent) for event in yaml.parse(StringIO(text))):
            # a few aliases of aliases stand for more than any memory holds
            raise InvalidError("a mapping has no aliases", file=name, rule="mapping.alias")
        value = yaml.load(StringIO(text))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InvalidError(
            f"line {line} is not YAML 1.2, or repeats a key", file=name, rule="mapping.yaml"
        ) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise InvalidError("not YAML 1.2", file=name, rule="mapping.yaml") from error
    try:
        parse_mapping(value)
    except InvalidError as error:
        key = error.message.rpartition("(field ")[2].rstrip(")")
        line = _line_of(text, key)
        raise InvalidError(
            f"line {line}: {error.message}" if line else error.message,
            file=name,
            rule=error.rule,
            fix=error.fix,
        ) from error
    return dict(value)


def _line_of(text: str, place: str) -> int:
    """Return the line on which the last part of a dotted place is written, 0 if none is."""
    line, lines = 0, text.splitlines()
    for part in place.split("."):
        for number in range(line, len(lines)):
            if lines[number].strip().lstrip("{").startswith((f"{part}:", f'"{part}":')):
                line = number
                break
        else:
            return line + 1 if line else 0
    return line + 1


def shipped_mappings() -> dict[str, Mapping]:
    """Return the mappings that come with Safehold, by name."""
    return {name: parse_mapping(load_mapping(name)) for name in SHIPPED}


def wire_mapping(stream: str) -> dict[str, Any]:
    """Return the mapping of a file that holds the wire form of one stream."""
    return {"mapping": VERSION, "name": f"wire-{stream}", "stream": stream, "fields": "wire"}


def describe(mapping: AnyMapping[str, Any] | Mapping) -> dict[str, Any]:
    """Return what a mapping does, in plain values for people and for ``--json``."""
    parsed = mapping if isinstance(mapping, Mapping) else parse_mapping(mapping)
    streams = sorted(parsed.fields) or (
        [parsed.stream] if isinstance(parsed.stream, str) else list(STREAMS)
    )
    return {
        "name": parsed.name,
        "about": parsed.about,
        "streams": streams,
        "columns": dict(parsed.columns),
        "ignored": sorted(parsed.ignore),
        "fields": {stream: sorted(members) for stream, members in parsed.fields.items()},
        "format": parsed.shape.format or "parquet, jsonl or csv",
        "person": "in the file" if parsed.wire or parsed.person else "given with --person",
        "times": "anchored at the import" if parsed.time.rebase else "as recorded",
        "tolerate": parsed.tolerate,
    }


def mapping_of_format(form: str, *, name: str) -> dict[str, Any]:
    """Return the one shipped mapping of a format that nests.

    Raises:
        InvalidError: There is none, or several.
    """
    fits = [
        load_mapping(known)
        for known in SHIPPED
        if parse_mapping(load_mapping(known)).shape.format == form
    ]
    if len(fits) != 1:
        raise InvalidError(
            "several mappings read this format" if fits else "no shipped mapping reads this format",
            file=name or None,
            rule="mapping.guess",
            fix="name a mapping: a file, or one of " + ", ".join(SHIPPED),
        )
    return fits[0]


def guess_mapping(schema: pa.Schema, *, name: str = "") -> dict[str, Any]:
    """Return the one mapping whose columns are those of a file.

    Args:
        schema: Columns of the file; kinds are compared where the format has them.
        name: Name of the file; it settles a tie between formats with the same columns.

    Raises:
        InvalidError: No mapping fits, or several do.
    """
    columns = set(schema.names)
    if "stream" in columns:
        return load_mapping("canonical")
    fits = []
    for stream, wire in WIRE.items():
        needed = {field.name for field in wire if not field.nullable}
        if needed <= columns <= set(wire.names):
            fits.append(wire_mapping(stream))
    if len(fits) == 1:
        return fits[0]
    for known in SHIPPED:
        mapping = parse_mapping(load_mapping(known))
        needed = set(mapping.columns) - mapping.ignore
        if (
            not mapping.wire
            and mapping.shape.format not in NESTED
            and needed <= columns <= set(mapping.columns) | mapping.ignore
            and all(_kind_fits(schema.field(item).type, mapping.columns[item]) for item in needed)
        ):
            fits.append(load_mapping(known))
    if len(fits) > 1:
        fits = [fit for fit in fits if Path(name).stem.startswith(str(fit["name"]))] or fits
    if len(fits) != 1:
        raise InvalidError(
            "no shipped mapping has these columns" if not fits else "several mappings fit",
            file=name or None,
            rule="mapping.guess",
            fix="name a mapping: a file, or one of " + ", ".join(SHIPPED),
        )
    return fits[0]


def _kind_fits(kind: pa.DataType, wanted: str) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_binary(kind) or pa.types.is_null(kind):
        return True  # a text format: kinds are checked value by value
    if wanted == "integer":
        return bool(pa.types.is_integer(kind))
    if wanted == "text":
        return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
    return True
