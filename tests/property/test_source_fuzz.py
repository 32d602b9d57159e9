"""Whatever bytes come, a reader hands out rows or refuses with an error of ours: nothing else, and no value in it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import foreign
from tests.foreign import NOW_US
from tests.ingest_job import run_bytes

from safehold.dlp import Rules
from safehold.errors import SafeholdError
from safehold.ingest.mapping import parse_mapping
from safehold.ingest.shelf import load_mapping
from safehold.ingest.source.mbox import read_message
from safehold.ingest.source.quoted import without_quoted
from safehold.ingest.source.webvtt import read_cue
from safehold.telemetry.stream import STREAMS

EXAMPLES = 40
PEOPLE = {
    one: {"streams": list(STREAMS)} for one in ("ann", "employee-1", *foreign.ADDRESS.values())
}
RULES = {
    stream: Rules(stream=stream, channels=frozenset({"public", "private", "direct"})).to_spec()
    for stream in STREAMS
}


def seed_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        data = foreign.openadapt(Path(folder) / "a.db").read_bytes()
    import sqlite3

    base = sqlite3.connect(":memory:")
    base.deserialize(data)
    base.execute("DELETE FROM screenshot")
    base.commit()
    base.execute("VACUUM")
    return base.serialize()


SEEDS = {
    "activitywatch": ("a.json", foreign.activitywatch()),
    "opencua": ("a.jsonl", foreign.opencua("abc")),
    "slack": ("a.zip", foreign.slack()),
    "mbox": ("a.mbox", foreign.mbox()),
    "webvtt": ("a.vtt", foreign.webvtt()),
    "ibm-hr": ("a.csv", foreign.hr()),
    "openadapt": ("a.db", seed_database()),
}
FUZZ = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip


def mapping_of(name: str) -> dict[str, Any]:
    mapping = load_mapping(name)
    if mapping["person"] == "given":
        mapping["person"] = {"constant": "ann"}
    return mapping


def take(data: bytes, name: str, mapping: Any) -> None:
    """Take bytes in; an error of ours is as good as rows."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            frames = run_bytes(
                data,
                name,
                Path(folder),
                mapping=mapping,
                people=PEOPLE,
                rules=RULES,
                now_us=NOW_US,
                tolerate=0.9,
            )
        except SafeholdError as error:
            assert error.rule
            return
    assert frames.of("done")


@st.composite
def spoiled(draw: st.DrawFn, seed: bytes) -> bytes:
    """A good file with bytes changed, put in, taken out and doubled."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case 1:
                data[at:at] = draw(
                    st.sampled_from(
                        [
                            b"\0",
                            b"\xff\xfe",
                            b"\n\n",
                            b'"',
                            b"{",
                            b"[",
                            b"]",
                            b"<v ",
                            b"--",
                            b":",
                            b",",
                            b"9" * 30,
                        ]
                    )
                )
            case 2:
                del data[at : at + draw(st.integers(1, 200))]
            case _:
                data[at:at] = data[at : at + draw(st.integers(1, 200))]
    return bytes(data)


@pytest.mark.parametrize("name", SEEDS)
@FUZZ
@given(data=st.data())
def test_a_spoiled_file_gives_rows_or_an_error_of_ours(name: str, data: st.DataObject) -> None:
    file, seed = SEEDS[name]
    take(data.draw(spoiled(seed)), file, mapping_of(name))


@pytest.mark.parametrize("name", SEEDS)
@FUZZ
@given(data=st.binary(max_size=400))
def test_any_bytes_give_rows_or_an_error_of_ours(name: str, data: bytes) -> None:
    take(data, SEEDS[name][0], mapping_of(name))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(["U1", "message", "1.5"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@FUZZ
@given(
    events=st.lists(
        st.fixed_dictionaries({"timestamp": VALUES, "duration": VALUES, "data": VALUES}), max_size=4
    ),
    kind=VALUES,
)
def test_any_values_in_an_activitywatch_export(events: list[Any], kind: Any) -> None:
    bucket = {"id": "b", "type": kind, "hostname": "h", "events": events}
    typed = {"id": "c", "type": "currentwindow", "hostname": "h", "events": events}
    take(
        json.dumps({"buckets": {"b": bucket, "c": typed}}).encode(),
        "a.json",
        mapping_of("activitywatch"),
    )


@FUZZ
@given(
    message=st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(
            ("type", "user", "ts", "text", "subtype", "thread_ts", "files", "bot_id"), VALUES
        ),
    ),
    users=VALUES,
    dms=VALUES,
)
def test_any_values_in_a_slack_export(message: Any, users: Any, dms: Any) -> None:
    whole = {"type": "message", "user": "U1", "ts": f"{foreign.START_S}.5", **message}
    files = {
        **foreign.slack_files(), "users.json": users, "dms.json": dms, "D1/2024-10-04.json": [whole, message]
    }  # fmt: skip
    data = foreign.zipped({name: json.dumps(value).encode() for name, value in files.items()})
    take(data, "a.zip", mapping_of("slack"))


@FUZZ
@given(
    rows=st.lists(
        st.tuples(
            *[
                st.none()
                | st.integers(-(2**63), 2**63 - 1)
                | st.floats()
                | st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
                | st.binary(max_size=9)
            ]
            * 4
        ),
        max_size=5,
    )
)
def test_any_cells_in_a_database(rows: list[Any]) -> None:
    import sqlite3

    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE action_event (name, timestamp, recording_id, element_state)")
    base.execute("CREATE TABLE window_event (title, timestamp, recording_id, width)")
    base.executemany("INSERT INTO action_event VALUES (?, ?, ?, ?)", rows)
    base.executemany("INSERT INTO window_event VALUES (?, ?, ?, ?)", rows)
    base.commit()
    take(base.serialize(), "a.db", mapping_of("openadapt"))


@FUZZ
@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "From",
                    "To",
                    "Date",
                    "Subject",
                    "Content-Type",
                    "Content-Disposition",
                    "References",
                ]
            ),
            st.text(max_size=40),
        ),
        max_size=6,
    ),
    body=st.binary(max_size=200),
)
def test_any_mail_is_read_or_refused_by_a_rule(headers: list[tuple[str, str]], body: bytes) -> None:
    data = (
        "".join(f"{name}: {value}\n" for name, value in headers).encode("utf-8", "replace")
        + b"\n"
        + body
    )
    found = read_message(data)
    assert isinstance(found, dict) or found.split(".")[0] in ("mail", "source")


@FUZZ
@given(text=st.text(alphabet="On wrote:>-_ \n@ab|Von: schrieb", max_size=300))
def test_what_is_left_of_a_mail_begins_as_it_did_and_holds_no_quoted_line(text: str) -> None:
    left = without_quoted(text)
    assert not [line for line in left.split("\n") if line.lstrip(" \t").startswith(">")]
    assert len(left) <= len(text) + len("[QUOTE]") * (text.count("\n") + 1)


@FUZZ
@given(
    lines=st.lists(st.text(alphabet="<v />:Aa1.,- \n0>&;", max_size=60), min_size=1, max_size=5),
    last=st.none() | st.text(max_size=5),
)
def test_no_cue_gives_words_to_somebody_it_does_not_name(
    lines: list[str], last: str | None
) -> None:
    block = ["1-2", "00:00:01.000 --> 00:00:02.000", *lines]
    found = read_cue(block, ("x", last))
    assert not isinstance(found, str)
    for segment in found[1]:
        assert segment["speaker"] is None or segment["speaker"] in " ".join(" ".join(lines).split())


@FUZZ
@given(
    value=st.dictionaries(
        st.sampled_from(
            [
                "name",
                "stream",
                "columns",
                "rows",
                "tables",
                "where",
                "spread",
                "time",
                "fields",
                "person",
                "device",
                "session",
                "format",
                "sort",
            ]
        ),
        VALUES,
    )
)
def test_any_mapping_is_read_or_refused(value: dict[str, Any]) -> None:
    try:
        parse_mapping({**load_mapping("slack"), **value})
    except SafeholdError as error:
        assert error.rule
