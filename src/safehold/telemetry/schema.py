"""Schemas of the eight streams; their names are in ``stream``.

Each stream has two forms. The *wire* form is what a recorder or a file hands in: names of people, devices and
sessions as text, plain strings. It exists only inside the ingestion sandbox and inside a collector. The
*rest* form is what is sealed: pseudonyms as bytes, closed vocabularies as dictionaries, minimisation level and
charter on every row.

Times are microseconds: ``t`` the recorder's wall clock (UTC), ``mono`` monotonic since the session began. At
level L3 there is no timing: ``t`` is the start of the UTC day and ``mono`` is the rank of the event in its
session (1, 2, 3 ...), counted over all streams of that session together.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from safehold.telemetry.stream import HIGH_RATE


def _dictionary(index: pa.DataType) -> pa.DataType:
    return pa.dictionary(index, pa.string())


D8: Final = _dictionary(pa.int8())
D16: Final = _dictionary(pa.int16())
D32: Final = _dictionary(pa.int32())
T: Final = pa.timestamp("us", "UTC")
SPAN: Final = pa.duration("us")


def _field(name: str, kind: pa.DataType, *, null: bool = True) -> pa.Field:
    return pa.field(name, kind, nullable=null)


_WIRE_ENVELOPE: Final = (
    _field("person", pa.string(), null=False),
    _field("device", pa.string(), null=False),
    _field("session", pa.string(), null=False),
    _field("seq", pa.uint32(), null=False),
    _field("t", T, null=False),
    _field("mono", SPAN, null=False),
    _field("app", pa.string()),
    _field("ctx", pa.uint32()),
)

_WIRE: Final[dict[str, tuple[pa.Field, ...]]] = {
    "key": (
        _field("kind", pa.uint8(), null=False),
        _field("code", pa.string()),
        _field("key", pa.string()),
        _field("mods", pa.uint8()),
        _field("repeat", pa.bool_()),
        _field("composing", pa.bool_()),
        _field("field_kind", pa.string()),
        _field("commit", pa.string()),
    ),
    "pointer": (
        _field("kind", pa.uint8(), null=False),
        _field("x", pa.int32()),
        _field("y", pa.int32()),
        _field("display", pa.uint8()),
        _field("button", pa.int8()),
        _field("buttons", pa.uint8()),
        _field("wheel_dx", pa.int16()),
        _field("wheel_dy", pa.int16()),
        _field("target_role", pa.string()),
    ),
    "focus": (
        _field("kind", pa.uint8(), null=False),
        _field("app_name", pa.string()),
        _field("title", pa.string()),
        _field("url_host", pa.string()),
        _field("pid", pa.uint32()),
        _field("left", pa.int32()),
        _field("top", pa.int32()),
        _field("width", pa.int32()),
        _field("height", pa.int32()),
        _field("dur", SPAN),
        _field("afk", pa.bool_()),
    ),
    "chat": (
        _field("platform", pa.string()),
        _field("channel", pa.string(), null=False),
        _field("channel_kind", pa.string(), null=False),
        _field("msg", pa.string(), null=False),
        _field("reply_to", pa.string()),
        _field("participants", pa.list_(pa.string())),
        _field("text", pa.large_string()),
        _field("lang", pa.string()),
        _field("attachments", pa.uint8()),
        _field("edit_of", pa.string()),
    ),
    "ai": (
        _field("provider", pa.string()),
        _field("model", pa.string()),
        _field("conversation", pa.string(), null=False),
        _field("turn", pa.uint16(), null=False),
        _field("role", pa.string(), null=False),
        _field("text", pa.large_string()),
        _field("input_tokens", pa.uint32()),
        _field("output_tokens", pa.uint32()),
        _field("tool", pa.string()),
    ),
    "speech": (
        _field("meeting", pa.string(), null=False),
        _field("speaker", pa.string(), null=False),
        _field("start", pa.duration("ms"), null=False),
        _field("end", pa.duration("ms"), null=False),
        _field("text", pa.large_string()),
        _field("confidence", pa.float32()),
        _field("lang", pa.string()),
    ),
    "metric": (
        _field("name", pa.string(), null=False),
        _field("value", pa.float64(), null=False),
        _field("unit", pa.string()),
        _field("period", pa.duration("s")),
        _field("source", pa.string()),
        _field("scale", pa.string()),
    ),
    "screen": (
        _field("blob", pa.binary(32), null=False),
        _field("width", pa.uint16()),
        _field("height", pa.uint16()),
        _field("bytes", pa.uint32()),
        _field("ocr_regions", pa.uint16()),
        _field("redacted", pa.uint16()),
        _field("trigger", pa.string()),
    ),
}

# where the rest form differs from the wire form: closed vocabularies and pseudonyms
_REST_TYPES: Final[dict[str, dict[str, pa.DataType]]] = {
    "key": {"code": D16, "key": D32, "field_kind": D8},
    "pointer": {"x": pa.int16(), "y": pa.int16(), "target_role": D16},
    "focus": {
        "app_name": D16,
        "url_host": D32,
        "left": pa.int16(),
        "top": pa.int16(),
        "width": pa.int16(),
        "height": pa.int16(),
    },
    "chat": {
        "platform": D8,
        "channel": pa.binary(16),
        "channel_kind": D8,
        "msg": pa.binary(16),
        "reply_to": pa.binary(16),
        "participants": pa.list_(pa.binary(16)),
        "lang": D8,
        "edit_of": pa.binary(16),
    },
    "ai": {
        "provider": D8,
        "model": D16,
        "conversation": pa.binary(16),
        "role": D8,
        "tool": D16,
    },
    "speech": {"meeting": pa.binary(16), "speaker": pa.binary(16), "lang": D8},
    "metric": {"name": D16, "unit": D8, "source": D8, "scale": D8},
    "screen": {"trigger": D8},
}

_REST_ENVELOPE: Final = (
    _field("subject", pa.binary(16), null=False),
    _field("device", pa.binary(8), null=False),
    _field("session", pa.binary(8), null=False),
    _field("seq", pa.uint32(), null=False),
    _field("t", T, null=False),
    _field("mono", SPAN, null=False),
    _field("app", D16),
    _field("ctx", pa.uint32()),
    _field("sens", pa.uint32(), null=False),
    _field("minim", pa.uint8(), null=False),
    _field("policy", pa.binary(8), null=False),
)


def _rest(stream: str) -> pa.Schema:
    kinds = _REST_TYPES[stream]
    head = () if stream in HIGH_RATE else (_field("event_id", pa.binary(16), null=False),)
    body = tuple(
        _field(field.name, kinds.get(field.name, field.type), null=field.nullable)
        for field in _WIRE[stream]
    )
    return pa.schema((*head, *_REST_ENVELOPE, *body))


WIRE: Final[dict[str, pa.Schema]] = {
    stream: pa.schema((*_WIRE_ENVELOPE, *fields)) for stream, fields in _WIRE.items()
}
REST: Final[dict[str, pa.Schema]] = {stream: _rest(stream) for stream in _WIRE}
