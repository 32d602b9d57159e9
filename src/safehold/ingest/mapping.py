"""The mapping language: how a foreign file becomes wire-form events, stated without code.

The language is described in ``docs/reference/mapping.md``.
"""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import InvalidError
from safehold.ingest.expression import Expression, parse_expression
from safehold.telemetry.schema import STREAMS, WIRE

VERSION: Final = "safehold.mapping/v1"
KINDS: Final = frozenset({"integer", "number", "text", "flag", "texts"})
UNITS: Final = {"us": 1, "ms": 1_000, "s": 1_000_000, "min": 60_000_000}
_TOP: Final = frozenset(
    {"mapping", "name", "about", "stream", "columns", "ignore", "person", "device", "session",
     "seq", "time", "fields", "tolerate"}
)  # fmt: skip
_TIME: Final = frozenset({"unit", "from", "press", "release", "rebase", "disorder"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRule:
    """Where the time of an event comes from.

    Args:
        column: The column with the time of the event, empty with ``press`` and ``release``.
        press: The column with the time a key or button went down.
        release: The column with the time it came up.
        unit_us: Microseconds of one unit.
        rebase: Whether times are relative to the start of a session and are anchored at the import.
        clamp: Whether a time that runs backwards within a session is raised to the one before it.
    """

    column: str = ""
    press: str = ""
    release: str = ""
    unit_us: int = 1
    rebase: bool = False
    clamp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How one kind of file becomes wire-form events.

    Args:
        name: Its name.
        about: One line about it.
        wire: Whether the file holds the wire form itself.
        stream: The stream, or the expression that tells it row by row.
        columns: Foreign columns and their kinds; empty for the wire form.
        ignore: Columns that may be there and are not read.
        person, device, session: Who, on what, and when it began.
        seq: The column that numbers events; empty to count them.
        time: Where the time comes from.
        fields: For each stream, each field and its expression.
        tolerate: Share of refused rows this format is known for, 0 to 1.
    """

    name: str
    about: str = ""
    wire: bool = False
    stream: str | Expression = ""
    columns: AnyMapping[str, str]
    ignore: frozenset[str] = frozenset()
    person: Expression | None = None
    device: Expression | None = None
    session: Expression | None = None
    seq: str = ""
    time: TimeRule = TimeRule()
    fields: AnyMapping[str, AnyMapping[str, Expression]]
    tolerate: float = 0.0

    @property
    def session_columns(self) -> tuple[str, ...]:
        """The foreign columns that together tell one session from another."""
        if self.wire:
            return ("person", "device", "session")
        parts = (self.person, self.device, self.session)
        return tuple(dict.fromkeys(column for part in parts if part for column in part.columns))


def parse_mapping(value: Any) -> Mapping:
    """Read a mapping from plain values.

    Raises:
        InvalidError: A key is not known or missing, or a value does not fit.
    """
    if not isinstance(value, AnyMapping) or value.get("mapping") != VERSION:
        raise InvalidError(
            f"a mapping begins with mapping: {VERSION}", field="mapping", rule="mapping.version"
        )
    for key in value:
        if key not in _TOP:
            raise InvalidError(
                "this key is not known", field=str(key)[:40], rule="mapping.unknown_key"
            )
    name = str(value.get("name") or "")
    if not name:
        raise InvalidError("a mapping has a name", field="name", rule="mapping.name")
    tolerate = value.get("tolerate", 0)
    if isinstance(tolerate, bool) or not isinstance(tolerate, int | float) or not 0 <= tolerate < 1:
        raise InvalidError(
            "tolerate is a share of rows, 0 up to but not 1",
            field="tolerate",
            rule="mapping.tolerate",
        )
    stream = _parse_stream(value.get("stream"))
    if value.get("fields") == "wire":
        return Mapping(
            name=name,
            about=str(value.get("about", "")),
            wire=True,
            stream=stream,
            columns={},
            ignore=frozenset(value.get("ignore", ())),
            fields={},
            tolerate=float(tolerate),
        )
    return _parse_foreign(value, name=name, stream=stream, tolerate=float(tolerate))


def _parse_stream(value: Any) -> str | Expression:
    if isinstance(value, str):
        if value not in STREAMS:
            raise InvalidError(
                f"the stream is not one of {', '.join(STREAMS)}",
                field="stream",
                rule="mapping.unknown_stream",
            )
        return value
    expression = parse_expression(value, place="stream")
    for target in (expression.translate or {}).values():
        if target not in STREAMS:
            raise InvalidError(
                f"a stream is not one of {', '.join(STREAMS)}",
                field="stream.translate",
                rule="mapping.unknown_stream",
            )
    return expression


def _parse_foreign(
    value: AnyMapping[str, Any], *, name: str, stream: str | Expression, tolerate: float
) -> Mapping:
    columns = value.get("columns")
    if not isinstance(columns, AnyMapping) or not columns:
        raise InvalidError(
            "columns names each column of the file and its kind",
            field="columns",
            rule="mapping.columns",
        )
    for column, kind in columns.items():
        if kind not in KINDS:
            raise InvalidError(
                f"a column is one of {', '.join(sorted(KINDS))}",
                field=f"columns.{column}",
                rule="mapping.kind",
            )
    fields = _parse_fields(value.get("fields"), stream)
    who = {
        key: parse_expression(value.get(key), place=key) for key in ("person", "device", "session")
    }
    mapping = Mapping(
        name=name,
        about=str(value.get("about", "")),
        stream=stream,
        columns=dict(columns),
        ignore=frozenset(str(column) for column in value.get("ignore", ())),
        seq=_parse_seq(value.get("seq", "count")),
        time=_parse_time(value.get("time")),
        fields=fields,
        tolerate=tolerate,
        person=who["person"],
        device=who["device"],
        session=who["session"],
    )
    _check_columns(mapping)
    return mapping


def _parse_fields(value: Any, stream: str | Expression) -> dict[str, dict[str, Expression]]:
    if not isinstance(value, AnyMapping) or not value:
        raise InvalidError(
            "fields names, for each stream, each field", field="fields", rule="mapping.fields"
        )
    targets = {stream} if isinstance(stream, str) else set((stream.translate or {}).values())
    result: dict[str, dict[str, Expression]] = {}
    for target, members in value.items():
        if target not in targets:
            raise InvalidError(
                "fields are given for a stream the mapping does not make",
                field=f"fields.{target}",
                rule="mapping.unknown_stream",
            )
        known = set(WIRE[target].names) - {"person", "device", "session", "seq", "t", "mono"}
        result[target] = {}
        for field, item in dict(members or {}).items():
            place = f"fields.{target}.{field}"
            if field not in known:
                raise InvalidError(
                    "this field is not known", field=place, rule="mapping.unknown_field"
                )
            result[target][field] = parse_expression(item, place=place)
    if missing := sorted(targets - set(result)):
        raise InvalidError(
            f"fields of stream {missing[0]} are missing", field="fields", rule="mapping.fields"
        )
    return result


def _parse_seq(value: Any) -> str:
    if value == "count":
        return ""
    expression = parse_expression(value, place="seq")
    if not expression.plain:
        raise InvalidError(
            "seq is count, or {from: column}", field="seq", rule="mapping.expression"
        )
    return expression.columns[0]


def _parse_time(value: Any) -> TimeRule:
    if not isinstance(value, AnyMapping):
        raise InvalidError("time is missing", field="time", rule="mapping.time")
    for key in value:
        if key not in _TIME:
            raise InvalidError(
                "this key is not known", field=f"time.{str(key)[:40]}", rule="mapping.unknown_key"
            )
    pair = "press" in value and "release" in value
    if pair == ("from" in value) or ("press" in value) != ("release" in value):
        raise InvalidError("time has from, or press and release", field="time", rule="mapping.time")
    if value.get("unit", "us") not in UNITS:
        raise InvalidError(
            f"a unit is one of {', '.join(UNITS)}", field="time.unit", rule="mapping.time"
        )
    if value.get("rebase", "import") != "import" or value.get("disorder", "clamp") not in (
        "clamp",
        "refuse",
    ):
        raise InvalidError(
            "rebase is import; disorder is clamp or refuse", field="time", rule="mapping.time"
        )
    return TimeRule(
        column=str(value.get("from", "")),
        press=str(value.get("press", "")),
        release=str(value.get("release", "")),
        unit_us=UNITS[value.get("unit", "us")],
        rebase="rebase" in value,
        clamp=value.get("disorder") == "clamp",
    )


def _check_columns(mapping: Mapping) -> None:
    used: dict[str, str] = {}
    for place, expression in (
        ("person", mapping.person),
        ("device", mapping.device),
        ("session", mapping.session),
        ("stream", mapping.stream),
        *(
            (f"fields.{stream}.{name}", expression)
            for stream, members in mapping.fields.items()
            for name, expression in members.items()
        ),
    ):
        if isinstance(expression, Expression):
            used.update(dict.fromkeys(expression.uses, place))
    time = mapping.time
    used.update({column: "time" for column in (time.column, time.press, time.release) if column})
    if mapping.seq:
        used[mapping.seq] = "seq"
    for column, place in used.items():
        if column not in mapping.columns:
            raise InvalidError(
                f"column {column} is used but not listed under columns",
                field=place,
                rule="mapping.columns",
            )
    if time.press and (mapping.seq or mapping.stream != "key"):
        raise InvalidError(
            "press and release make key events and number them by counting",
            field="time",
            rule="mapping.time",
        )
