"""Files made to hurt: each is refused with a rule and without a value, in bounded memory and linear time."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests import foreign
from tests.foreign import NOW_US, START_S
from tests.ingest_job import run_bytes, run_path

from safehold.errors import InvalidError
from safehold.ingest.shelf import load_mapping

CANARY = "Zx9-canary-must-not-show"
PEOPLE = {
    one: {"streams": ["chat", "focus", "speech", "pointer", "key", "ai"]}
    for one in ("ann", *foreign.ADDRESS.values())
}


def given(name: str) -> dict[str, Any]:
    mapping = load_mapping(name)
    if mapping["person"] == "given":
        mapping["person"] = {"constant": "ann"}
    return mapping


def take(data: bytes, name: str, tmp_path: Path, mapping: str, **more: Any) -> Any:
    more = {"people": PEOPLE, "now_us": NOW_US, **more}
    return run_bytes(data, name, tmp_path, mapping=given(mapping), **more)


def refuse(data: bytes, name: str, tmp_path: Path, mapping: str, **more: Any) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        take(data, name, tmp_path, mapping, **more)
    assert CANARY not in str(caught.value.payload())
    return caught.value


# --- JSON


@pytest.mark.parametrize("opening", [b"[", b'{"buckets":'])
def test_deep_nesting_is_refused(tmp_path: Path, opening: bytes) -> None:
    assert refuse(opening * 100_000, "a.json", tmp_path, "activitywatch").rule == "source.json"
    closing = b"]" if opening == b"[" else b"}"
    whole = opening * 5_000 + b"1" + closing * 5_000
    assert refuse(whole, "a.json", tmp_path, "activitywatch").rule == "source.json"


def test_many_empty_values_are_counted_before_they_are_made(tmp_path: Path) -> None:
    data = b'{"buckets":[' + b"[]," * 5_000_000 + b"1]}"
    started = time.process_time()
    tracemalloc.start()
    error = refuse(data, "a.json", tmp_path, "activitywatch")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error.rule == "source.size"
    assert peak < 3 * len(data)
    assert time.process_time() - started < 30


def test_a_word_that_every_row_repeats_does_not_multiply_the_file(tmp_path: Path) -> None:
    """A kind of billion laughs: one long text above, very many rows below that all ask for it."""
    event = {"timestamp": foreign.iso(0), "duration": 0, "data": {"app": "a"}}
    bucket = {"id": "b", "type": "currentwindow", "hostname": "h", "note": "x" * 500_000}
    data = json.dumps({"buckets": {"a": {**bucket, "events": [event] * 20_000}}}).encode()
    mapping = given("activitywatch")
    mapping["columns"]["title"] = {"path": "bucket.note"}
    with pytest.raises(InvalidError) as caught:
        run_bytes(
            data,
            "a.json",
            tmp_path,
            mapping=mapping,
            people=PEOPLE,
            now_us=NOW_US,
            limits={"amplify": 10},
        )
    assert caught.value.rule == "source.amplified"


def test_aliases_in_a_mapping_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    path = tmp_path / "laughs.yaml"
    path.write_text("mapping: safehold.mapping/v1\n" + "\n".join(lines))
    with pytest.raises(InvalidError) as caught:
        load_mapping(path)
    assert caught.value.rule == "mapping.alias"


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\xff\xfe{\x00}\x00", "source.json"),
        ('{"buckets": {"é": 1}}'.encode("latin-1"), "source.json"),
        (b'{"buckets": {"a": {"events": [{"data": {"title": "\\ud800"}}]}}}', "source.json"),
        (b"{}{}", "source.json"),
        (b'{"buckets": NaN}', "source.json"),
    ],
)
def test_what_is_not_json_is_refused(tmp_path: Path, data: bytes, rule: str) -> None:
    assert refuse(data, "a.json", tmp_path, "activitywatch").rule == rule


def test_a_nul_in_a_title_refuses_its_row(tmp_path: Path) -> None:
    event = {
        "timestamp": foreign.iso(0),
        "duration": 1,
        "data": {"app": "a", "title": f"{CANARY}\0"},
    }
    data = {
        "buckets": {"b": {"id": "b", "type": "currentwindow", "hostname": "h", "events": [event]}}
    }
    assert (
        refuse(json.dumps(data).encode(), "a.json", tmp_path, "activitywatch").rule == "source.nul"
    )


@pytest.mark.parametrize(
    ("when", "rule"),
    [
        ("9999-12-31T23:59:59+00:00", "time.future"),
        ("1900-01-01T00:00:00+00:00", "time.before_1970"),
        ("0001-01-01T00:00:00+14:00", "time.before_1970"),
        ("yesterday", "time.format"),
        ("", "time.format"),
        ("2024-13-01T00:00:00Z", "time.format"),
        ("2024-01-01T00:00:00+99:99", "time.format"),
        ("٢٠٢٤-01-01T00:00:00Z", "time.format"),
        ("2" * 60_000, "time.format"),
        (None, "time.format"),
    ],
)
def test_an_absurd_time_refuses_its_row(tmp_path: Path, when: Any, rule: str) -> None:
    events = [{"timestamp": when, "duration": 1, "data": {"app": "a"}}]
    data = {
        "buckets": {"b": {"id": "b", "type": "currentwindow", "hostname": "h", "events": events}}
    }
    assert refuse(json.dumps(data).encode(), "a.json", tmp_path, "activitywatch").rule == rule


@pytest.mark.parametrize("value", [1e300, -1e300, 2**53 + 1.0, "1e400", "nan", [], {}, True])
def test_an_absurd_number_refuses_its_row_or_is_clamped(tmp_path: Path, value: Any) -> None:
    row = {"time_stamp": 1.0, "action": "move", "x": value, "y": 0}
    try:
        frames = take(json.dumps(row).encode() + b"\n", "a.jsonl", tmp_path, "opencua")
        assert frames.tally()["clamped"] == {"pointer.x": 1}
    except InvalidError as error:
        assert error.rule in {"source.type", "source.range", "wire.range", "source.json"}


def test_absurd_times_of_a_recorder_refuse_their_rows(tmp_path: Path) -> None:
    for value in (-1.0, 1e30, -1e30):
        row = {"time_stamp": value, "action": "move", "x": 1, "y": 0}
        error = refuse(json.dumps(row).encode() + b"\n", "a.jsonl", tmp_path, "opencua")
        assert error.rule in {"time.before_session", "wire.range"}


def test_events_out_of_order_are_put_in_order_and_doubles_are_not_taken_twice(
    tmp_path: Path,
) -> None:
    rows = [
        {"time_stamp": t, "action": "click", "x": 1, "y": 1, "button": "left", "pressed": True}
        for t in (5.0, 3.0, 4.0, 4.0)
    ]
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    frames = take(data, "a.jsonl", tmp_path, "opencua")
    assert frames.tally()["taken"]["pointer"] == 4
    ranks = [one for table in frames.tables("pointer") for one in table.column("mono").to_pylist()]
    assert ranks == sorted(ranks)


# --- mail


def box(*messages: bytes) -> bytes:
    return b"".join(b"From x Fri Oct  4 10:00:00 2024\n" + one + b"\n" for one in messages)


def letter(**headers: str) -> bytes:
    base = {
        "From": "ann@acme.example", "To": "bob@acme.example", "Message-ID": "<a@b>",
        "Date": foreign.mail("a@b", "c@d", "", minute=0).split(b"Date: ")[1].split(b"\n")[0].decode(),
    } | headers  # fmt: skip
    return (
        "".join(f"{key}: {value}\n" for key, value in base.items() if value).encode() + b"\nhello\n"
    )


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (letter(Date=""), "mail.date"),
        (letter(Date="Mon, 99 Foo 2024 99:99:99 +9999"), "mail.date"),
        (letter(Date="Fri, 04 Oct 9999 10:00:00 +0000"), "time.future"),
        (letter(Date="Fri, 04 Oct 1901 10:00:00 +0000"), "time.before_1970"),
        (letter(From=""), "mail.sender"),
        (letter(From="ann@acme.example, eve@acme.example"), "mail.sender"),
        (letter(From="nobody"), "mail.sender"),
        (letter(**{"Content-Type": "text/plain; charset=zlib"}), "mail.charset"),
        (letter(**{"Content-Type": "text/plain; charset=punycode"}), "mail.charset"),
        (letter(**{"Content-Type": f"text/plain; charset={CANARY}"}), "mail.charset"),
        (letter() + b"\xff\xfe\n", "mail.charset"),
        (letter() + b"a\0b\n", "source.nul"),
        (b"X: y\n" * 2_000 + letter(), "source.mail"),
        (
            b"".join(
                b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n)
                for n in range(500)
            ),
            "source.mail",
        ),
    ],
)
def test_a_mail_that_cannot_be_read_refuses_its_row(tmp_path: Path, data: bytes, rule: str) -> None:
    frames = take(box(data, letter(**{"Message-ID": "<good@x>"})), "a.mbox", tmp_path, "mbox", tolerate=0.9,
                  rules={"chat": chat_rules()})  # fmt: skip
    assert frames.tally()["refused"] == {rule: 1}
    assert frames.tally()["taken"] == {"chat": 1}


@pytest.mark.parametrize(
    "to",
    [
        "",
        "<" * 5_000,
        "a@b, " * 40_000,
        "undisclosed-recipients:;",
        "bob@acme.example, everybody",
        "list: ;",
    ],
)
def test_a_mail_whose_readers_are_not_known_is_dropped(tmp_path: Path, to: str) -> None:
    frames = take(box(letter(To=to)), "a.mbox", tmp_path, "mbox", rules={"chat": chat_rules()})
    assert frames.tally()["dropped"] == {"participants_unknown": 1}


def chat_rules() -> dict[str, Any]:
    from safehold.dlp import Rules

    spec: dict[str, Any] = Rules(
        stream="chat", channels=frozenset({"public", "direct", "private"})
    ).to_spec()
    return spec


def test_words_hidden_by_an_encoding_are_read_and_masked(tmp_path: Path) -> None:
    hidden = letter(**{"Content-Type": "text/plain; charset=utf-7"}).replace(
        b"hello", b"my card +ADQ-111 1111 1111 1111"
    )
    subject = letter(Subject="=?utf-8?B?Y2FyZCA0MTExIDExMTEgMTExMSAxMTEx?=")
    frames = take(box(hidden, subject), "a.mbox", tmp_path, "mbox", rules={"chat": chat_rules()})
    assert frames.tally()["masked"]["CARD"] == 2
    assert not [body for _, body in frames.all if b"1111" in body]


def test_a_mail_larger_than_the_limit_refuses_its_row_alone(tmp_path: Path) -> None:
    long = letter() + b"x\n" * 200_000
    frames = take(box(long, letter(**{"Message-ID": "<b@c>"})), "a.mbox", tmp_path, "mbox", tolerate=0.9,
                  rules={"chat": chat_rules()}, limits={"document_bytes": 100_000})  # fmt: skip
    assert frames.tally()["refused"] == {"source.size": 1}
    assert frames.tally()["taken"] == {"chat": 1}


# --- transcripts


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"no transcript\n\n1", "source.vtt"),
        (b"WEBVTT\n\n00:01.000 --> nonsense\nann: x", "source.vtt"),
        (b"WEBVTT\n\n00:05.000 --> 00:01.000\nann: x", "time.release_before_press"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nann: \xff\xfe", "source.utf8"),
        (b"WEBVTT\n\n00:01.000 --> 00:02.000\nann: a\0b", "source.nul"),
        (b"WEBVTT\n\n" + b"x" * (5 << 20), "source.line"),
    ],
)
def test_a_transcript_that_cannot_be_read_is_refused(
    tmp_path: Path, data: bytes, rule: str
) -> None:
    assert refuse(data, "a.vtt", tmp_path, "webvtt").rule == rule


# --- names


def test_an_address_in_a_name_is_counted_and_never_shown(tmp_path: Path) -> None:
    files = foreign.slack_files() | {"general/of eve.jones@acme.example.json": []}
    path = tmp_path / "eve.jones@acme.example.zip"
    path.write_bytes(foreign.zipped(files))
    frames = run_path(path, people=PEOPLE, now_us=NOW_US)
    assert frames.tally()["masked"]["SOURCE_NAME"] >= 2
    path.write_bytes(foreign.slack()[:-3])
    with pytest.raises(InvalidError) as caught:
        run_path(path, people=PEOPLE, now_us=NOW_US)
    assert "jones" not in str(caught.value.payload())


def test_a_column_named_after_somebody_is_counted(tmp_path: Path) -> None:
    data = foreign.hr().replace(b"MonthlyIncome", b"eve.jones@acme.example")
    mapping = load_mapping("ibm-hr")
    mapping["ignore"].append("eve.jones@acme.example")
    frames = run_bytes(data, "hr.csv", tmp_path, mapping=mapping, people=PEOPLE, now_us=NOW_US)
    assert frames.tally()["masked"] == {"SOURCE_NAME": 1}


# --- time


def mails(size: int) -> bytes:
    return box(letter() + b"> a\n" * (size // 4))


def angle(size: int) -> bytes:
    return b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + b"<v " * (size // 3)


def colons(size: int) -> bytes:
    return b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + b"a" * size


def addresses(size: int) -> bytes:
    return box(letter(To="(" * min(size, 60_000)) + b"x" * size)


def introductions(size: int) -> bytes:
    return box(letter() + b"On wrote a@b\n" * (size // 13))


def slack_text(size: int) -> bytes:
    message = {
        "type": "message",
        "user": "U1",
        "ts": f"{START_S}.000000",
        "text": "<@" * min(size // 2, 400_000),
    }
    return foreign.zipped({**foreign.slack_files(), "general/2024-10-04.json": [message]})


@pytest.mark.parametrize(
    ("make", "name", "mapping"),
    [
        (mails, "a.mbox", "mbox"),
        (introductions, "a.mbox", "mbox"),
        (addresses, "a.mbox", "mbox"),
        (angle, "a.vtt", "webvtt"),
        (colons, "a.vtt", "webvtt"),
        (slack_text, "a.zip", "slack"),
    ],
)
def test_time_grows_with_the_size_and_not_with_its_square(
    tmp_path: Path, make: Callable[[int], bytes], name: str, mapping: str
) -> None:
    """Sixteen times the size: a square would take 256 times as long; 64 leaves room for noise."""

    def cost(size: int) -> float:
        data, started = make(size), time.process_time()
        try:
            take(data, name, tmp_path, mapping, tolerate=0.9, rules={"chat": chat_rules()})
        except InvalidError:
            pass
        return time.process_time() - started

    cost(1 << 10)
    small = max(cost(1 << 16), 0.05)
    assert cost(1 << 20) < 64 * small
