"""Finding spans: classes, offsets, and what must not be found."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from safehold.dlp import mask_text, scan, scan_names
from safehold.dlp.check import luhn_holds, mod97_of
from safehold.dlp.classes import CLASSES, GROUPS, NAMES
from safehold.dlp.pattern import compile_expression, data_version, load_patterns
from safehold.dlp.scan import find_spans
from safehold.errors import InvalidError

FOUND = [
    ("EMAIL", "write to ann.lee+x@mail.example.org today", "ann.lee+x@mail.example.org"),
    ("PHONE", "ring +44 20 7946 0958 now", "+44 20 7946 0958"),
    ("PHONE", "call (415) 555-1234", "(415) 555-1234"),
    ("PHONE", "extension 304675 please", "304675"),
    ("SSN", "it is 123-45-6789.", "123-45-6789"),
    ("SSN", "ssn 123456789", "123456789"),
    ("CARD", "card 4111 1111 1111 1111", "4111 1111 1111 1111"),
    ("CARD", "pay 4111-1111-1111-1111", "4111-1111-1111-1111"),
    ("CARD", "4111111111111111", "4111111111111111"),
    ("CARD", "amex 3782 822463 10005", "3782 822463 10005"),
    ("IBAN", "to DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00"),
    ("IBAN", "gb82west12345698765432", "gb82west12345698765432"),
    ("BANK", "account number 123456789012", "123456789012"),
    ("IP", "host 10.120.3.200 is down", "10.120.3.200"),
    ("IP", "at 2001:db8::8a2e:370:7334 ok", "2001:db8::8a2e:370:7334"),
    ("MAC", "device 00:1b:44:11:3a:b7", "00:1b:44:11:3a:b7"),
    ("URL", "db postgres://ann:hunter2@db.example/x", "postgres://ann:hunter2@db.example/x"),
    ("SECRET", "AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("SECRET", "token is ab12cd34ef56gh78", "ab12cd34ef56gh78"),
    ("SECRET", "Authorization: Bearer abcdef0123456789xyz", "abcdef0123456789xyz"),
    ("PASSWORD", "password: hunter42", "hunter42"),
    ("PASSWORD", "the password is Tr0ub4dor&3", "Tr0ub4dor&3"),
    ("PASSWORD", "oops XRmxqt%24471", "XRmxqt%24471"),
    ("OTP", "verification code 482913", "482913"),
    ("OTP", "482 913 is your login code", "482 913"),
    ("USERNAME", "log in as ann_1234", "ann_1234"),
    ("EMPID", "employee id NF-2218795", "NF-2218795"),
    ("MRN", "file MRN-87447195", "MRN-87447195"),
    (
        "HEALTH",
        "she was diagnosed with asthma, chart 123456",
        "diagnosed with asthma, chart 123456",
    ),
    ("FINANCE", "a salary of 123,000 dollars", "salary of 123,000 dollars"),
    ("LEGAL", "settlement in case 6:26-cv-26893", "settlement in case 6:26-cv-26893"),
    ("PERFORMANCE", "he was rated 2 of 5, improvement plan", "rated 2 of 5, improvement plan"),
    ("UNION", "the union meeting is at six", "union meeting is at six"),
    ("PRIVATE", "do not tell anybody but i go", "do not tell anybody but i go"),
]


def spans(text):
    table = scan(pa.table({"t": [text]}), ["t"])
    return {(r["class"], text[r["start"] : r["end"]]) for r in table.to_pylist()}


@pytest.mark.parametrize(("name", "text", "value"), FOUND)
def test_each_class_is_found_with_its_borders(name, text, value):
    assert (name, value) in spans(text)
    for around in (f"é 漢 😀 {text}", f"{text} ñ"):
        assert any(c == name for c, _ in spans(around))


@pytest.mark.parametrize(
    "text",
    [
        "upgrade to version 10.2.3.4 today", "kernel 2.6.32.5-amd64", "released 2006-02-19 04:12:55", "4096 2006-02-19 04",
        "password is remembered", "the password page moved to room 14436", "forgot my password again", "reset your password please",
        "error code 1234", "exit code 4567", "zip code 90210", "press Ctrl+Alt+F2", "set 640x480@60Hz mode",
        "fixed in version 2.345.6789", "20240101123000", "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "ratio 3:2:1 and 12:30:45", "RFC 6962 and ISO 8601", "https://example.org/a/b?page=2", "privileged port below 1024",
        "user friendly login page", "C++ and a+b", "999.999.999.999",
    ],
)  # fmt: skip
def test_versions_dates_and_prose_are_no_secrets(text):
    assert not len(find_spans(pa.array([text])))  # nothing is masked when data comes in
    assert {name for name, _ in spans(text)} <= {"DATE", "URL", "LOC"}


def test_a_failed_checksum_lowers_the_confidence_and_never_hides():
    rows = scan(
        pa.table(
            {
                "t": [
                    "4111111111111111",
                    "4111111111111112",
                    "DE89370400440532013000",
                    "DE89370400440532013001",
                ]
            }
        ),
        ["t"],
    ).to_pylist()
    best = {}
    for row in rows:
        best[row["row"]] = max(best.get(row["row"], 0), row["confidence"])
    assert best[0] > best[1] > 0
    assert best[2] > best[3] > 0
    assert luhn_holds(b"4111111111111111")
    assert mod97_of("GB82WEST12345698765432") == 1


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_offsets_are_bytes_and_code_points_in_sliced_arrays_with_nulls(kind):
    values = ["x@y.example first", None, "é漢😀e\u0301 ann@b.example", "", None, "123-45-6789"]
    array = pa.array(values, kind).slice(1)
    table = pa.Table.from_arrays([array], names=["t"])
    rows = scan(table, ["t"]).to_pylist()
    assert [(r["row"], r["class"]) for r in rows] == [(1, "EMAIL"), (4, "SSN")]
    text = values[2]
    assert text[rows[0]["start"] : rows[0]["end"]] == "ann@b.example"
    assert text.encode()[rows[0]["byte_start"] : rows[0]["byte_end"]] == b"ann@b.example"
    assert rows[0]["byte_start"] > rows[0]["start"]
    chunked = pa.chunked_array([array.slice(0, 2), array.slice(2)])
    assert len(scan(pa.table({"t": chunked}), ["t"])) == 2
    assert len(scan(pa.table({"t": array.dictionary_encode()}), ["t"])) == 2


def test_no_span_crosses_a_row_or_a_zero_byte():
    assert not len(scan(pa.table({"t": ["4111 1111", "1111 1111"]}), ["t"]))
    assert not len(scan(pa.table({"t": ["4111 1111\0 1111 1111"]}), ["t"]))


def test_findings_never_hold_the_value():
    table = scan(pa.table({"t": ["ann@b.example"]}), ["t"])
    assert "ann" not in str(table.to_pylist())
    with pytest.raises(InvalidError) as refused:
        scan(pa.table({"t": ["ann@b.example"]}), ["u"])
    assert "ann" not in str(refused.value)


def test_names_of_things_are_scanned():
    rows = scan_names(
        ["recordings_of_ann@b.example_2024", "budget_123-45-6789_final.xlsx", "plain"]
    ).to_pylist()
    assert {(r["row"], r["class"]) for r in rows} >= {(0, "EMAIL"), (1, "SSN")}


def test_look_around_is_refused_with_an_error_of_ours():
    with pytest.raises(InvalidError):
        compile_expression(r"(?<!\d)\d{4}")


def test_masks_replace_whole_overlaps_by_the_worse_class():
    masked = mask_text(pa.array(["password: ann@b.example1 ok", "no", None]))
    assert masked.text.to_pylist()[1:] == ["no", None]
    assert "ann" not in masked.text.to_pylist()[0]
    assert masked.sens.tolist()[1:] == [0, 0]


def test_only_the_groups_asked_for_are_masked():
    text = pa.array(["ann@b.example and 4111 1111 1111 1111"])
    assert mask_text(text, groups=frozenset({"identifiers"})).text.to_pylist() == [
        "[EMAIL] and 4111 1111 1111 1111"
    ]


def test_the_version_is_that_of_the_data():
    assert re.fullmatch("[0-9a-f]{64}", data_version())
    ids = [rule.id for rule in load_patterns()]
    assert len(ids) == len(set(ids))


def test_the_page_of_classes_is_the_table():
    page = (Path(__file__).parents[2] / "docs/reference/detection.md").read_text()
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.+) \| (masked|reported) \| (default|ner) \|$",
        page,
        re.MULTILINE,
    )
    assert rows == [
        (c.name, c.group, c.about, "masked" if c.masked else "reported", c.tier)
        for c in CLASSES.values()
    ]
    assert {row[1] for row in rows} == set(GROUPS)


def test_a_class_of_the_default_tier_has_a_rule_and_one_of_the_tagger_has_none():
    ruled = {list(CLASSES)[rule.kind] for rule in load_patterns()}
    assert ruled == {c.name for c in CLASSES.values() if c.tier == "default"}


def test_a_private_key_is_found_behind_a_header_that_stands_twice():
    begin, end = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
    for text in (
        f"{begin}\n{begin}\n{body}\n{end}",
        f"{begin}\n...\n{end}\n{begin}\n{body}\n{end}",
    ):
        spans = find_spans(pa.array([text]))
        assert {NAMES[kind] for kind in spans.kind.tolist()} == {"SECRET"}
        at = text.index(body)
        assert any(
            low <= at and at + len(body) <= high
            for low, high in zip(spans.start.tolist(), spans.end.tolist(), strict=True)
        )
    assert not len(find_spans(pa.array([f"{begin}\n...\n{end}"])))
