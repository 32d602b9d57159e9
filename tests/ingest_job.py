"""Jobs and small sources for the tests of ingest."""

from __future__ import annotations

import io
import os
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq

from safehold.dlp import Rules
from safehold.ingest import recipe
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import Level

DAY_US = 86_400_000_000
NOW_US = 20_000 * DAY_US + 12 * 3_600_000_000
STREAMS = ("key", "pointer", "chat", "ai", "focus")


def rules_spec(stream: str, level: int = 3) -> dict[str, Any]:
    spec: dict[str, Any] = Rules(stream=stream, level=Level(level)).to_spec()
    return spec


def job(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "source": source,
        "now_us": NOW_US,
        "pseudonym_key": "11" * 32,
        "policy": "22" * 32,
        "rules": {stream: rules_spec(stream) for stream in STREAMS},
        "keep_days": {},
        "people": {"ann": {"streams": list(STREAMS)}, "bob": {"streams": list(STREAMS)}},
        "cohorts": [],
        **more,
    }


class Frames:
    """Frames of one run, in order."""

    def __init__(self) -> None:
        self.all: list[tuple[dict[str, Any], bytes]] = []

    def __call__(self, header: Any, body: bytes | memoryview = b"") -> None:
        self.all.append((dict(header), bytes(body)))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [header for header, _ in self.all if header["type"] == kind]

    def tables(self, stream: str) -> list[pa.Table]:
        return [
            pa.ipc.open_stream(body).read_all()
            for header, body in self.all
            if header["type"] == "batch" and header["stream"] == stream
        ]

    def tally(self) -> dict[str, Counter[str]]:
        total: dict[str, Counter[str]] = {}
        for header in self.of("chunk"):
            for name, counts in header["tally"].items():
                total.setdefault(name, Counter()).update(counts)
        return total


def run_bytes(data: bytes, name: str, tmp_path: Path, **more: Any) -> Frames:
    path = tmp_path / "source"
    path.write_bytes(data)
    return run_path(path, name, **more)


def run_path(path: Path, name: str | None = None, **more: Any) -> Frames:
    source = {"kind": "file", "name": name or path.name}
    for key in ("mapping", "format"):
        if key in more:
            source[key] = more.pop(key)
    frames = Frames()
    fd = os.open(path, os.O_RDONLY)
    try:
        recipe.main(job(source, **more), [fd], frames)
    finally:
        os.close(fd)
    return frames


def key_rows(text: str, *, person: str = "ann", session: str = "s1") -> list[dict[str, Any]]:
    """Type a text: key down and key up, 100 ms apart."""
    rows = []
    for number, letter in enumerate(text):
        for kind in (1, 0):
            mono = number * 100_000 + (0 if kind else 40_000)
            rows.append(
                {
                    "person": person, "device": "d1", "session": session, "seq": len(rows),
                    "t": NOW_US - 3_600_000_000 + mono, "mono": mono, "kind": kind, "key": letter,
                    "field_kind": "text",
                }
            )  # fmt: skip
    return rows


def pointer_rows(count: int, *, person: str = "ann", session: str = "s1") -> list[dict[str, Any]]:
    return [
        {
            "person": person, "device": "d1", "session": session, "seq": number,
            "t": NOW_US - 3_600_000_000 + number * 50_000, "mono": number * 50_000, "kind": 3,
            "x": number % 1000, "y": number % 700, "button": 0, "target_role": "button|save",
        }
        for number in range(count)
    ]  # fmt: skip


def chat_row(number: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "person": "ann", "device": "d1", "session": "s1", "seq": number,
        "t": NOW_US - 3_600_000_000 + number * 1_000_000, "mono": number * 1_000_000,
        "channel": "general", "channel_kind": "channel", "msg": f"m{number}",
        "participants": ["ann", "bob"], "text": "the build is green", **more,
    }  # fmt: skip


def wire_table(stream: str, rows: list[dict[str, Any]]) -> pa.Table:
    schema = WIRE[stream]
    flat = pa.schema(
        [
            item.with_type(pa.int64())
            if pa.types.is_timestamp(item.type) or pa.types.is_duration(item.type)
            else item
            for item in schema
        ]
    )
    columns = [
        pa.array([row.get(item.name) for row in rows], item.type).cast(schema.field(item.name).type)
        for item in flat
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def as_parquet(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def as_jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(orjson.dumps(row) + b"\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [
        pa.array([" ".join(v) if isinstance(v := row.get(name), list) else v for row in rows])
        for name in names
    ]
    sink = io.BytesIO()
    pcsv.write_csv(pa.table(columns, names=names), sink)
    return sink.getvalue()
