"""``safehold dlp``: the stable commands, as a user runs them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from safehold.app.detection import eval_file, list_rules, redact_file, scan_file
from safehold.cli import build
from safehold.dlp.classes import CLASSES
from safehold.errors import InvalidError, UnavailableError

ROWS = [
    {
        "id": "a",
        "text": "\u00e9\U0001f600 write ann@b.example today",
        "spans": [[9, 22, "EMAIL_ADDRESS"]],
    },
    {"text": "password: hunter42, see 4111 1111 1111 1111", "more": 1},
    {"id": 7, "text": None},
    {"id": "", "text": "nothing here"},
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def run(*words: str) -> int:
    return int(build()([*words], standalone_mode=False) or 0)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_scan_writes_one_line_per_line_in_order_with_code_points(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "spans.jsonl"
    assert (
        run(
            "dlp",
            "scan",
            str(source),
            "--field",
            "text",
            "--out",
            str(out),
            "--tier",
            "default",
            "--json",
        )
        == 0
    )
    summary = json.loads(capsys.readouterr().out)
    got = lines(out)
    assert [row["id"] for row in got] == ["a", 2, 7, ""]
    assert got[0]["spans"] == [[9, 22, "EMAIL", 90, "email.address"]]
    assert [span[2] for span in got[1]["spans"]] == ["PASSWORD", "CARD"]
    assert got[2]["spans"] == got[3]["spans"] == []
    assert summary["documents"] == 4
    assert summary["spans"] == 3
    assert summary["classes"] == {"CARD": 1, "EMAIL": 1, "PASSWORD": 1}
    assert summary["tier"] == "default"
    assert "hunter" not in out.read_text()
    assert not list(tmp_path.glob("*.part"))


def test_spans_never_overlap_and_name_classes_of_the_table(tmp_path: Path) -> None:
    text = "mail https://u:pass99@db.acme.example/x?token=abcdEFGH1234 or diagnosed with asthma ann@b.example 12345678"
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({"text": text}) + "\n")
    scan_file(source, tmp_path / "out.jsonl", tier="default")
    spans = lines(tmp_path / "out.jsonl")[0]["spans"]
    assert len(spans) >= 3
    for one, two in pairwise(spans):
        assert one[1] <= two[0]
    assert {span[2] for span in spans} <= set(CLASSES)


def test_redact_masks_the_field_and_leaves_the_rest(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "red.jsonl"
    redact_file(source, out, tier="default")
    got = lines(out)
    assert got[0] == {"id": "a", "text": "\u00e9\U0001f600 write [EMAIL] today"}
    assert got[1] == {"text": "password: [PASSWORD] see [CARD]", "more": 1}
    assert got[2] == {"id": 7, "text": None}
    source.write_text(json.dumps({"text": "on Tuesday"}) + "\n")
    redact_file(source, out, tier="default")
    assert lines(out)[0]["text"] == "on Tuesday"
    redact_file(source, out, tier="default", everything=True)
    assert lines(out)[0]["text"] == "on [DATE]"


def test_eval_measures_and_writes_a_page_without_values(source: Path, tmp_path: Path) -> None:
    page = tmp_path / "misses.html"
    report = eval_file(source, tier="default", misses=page)
    assert report["classes"]["EMAIL"]["span"]["recall"]["value"] == 1.0
    assert report["all_labelled"]["span"]["f2"]["value"] == 1.0
    assert report["classes"]["CARD"]["labelled"] is False
    text = page.read_text()
    for word in ("ann", "hunter", "4111"):
        assert word not in text.replace("another", "")


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ('{"text": 1}\n', "dlp.field"),
        ('{"other": "x"}\n', "dlp.field"),
        ('["x"]\n', "dlp.line"),
        ("not json\n", "dlp.line"),
        ('{"text": "a"}\n\n{"text": "b"}\n', "dlp.line"),
        ('{"text": "\\ud800"}\n', "dlp.line"),
    ],
)
def test_a_line_that_does_not_fit_stops_with_its_number_and_leaves_no_output(
    tmp_path: Path, content: str, rule: str
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "secret-word"}\n' + content)
    with pytest.raises(InvalidError) as caught:
        scan_file(source, tmp_path / "out.jsonl", tier="default")
    assert caught.value.rule == rule
    assert "line " in caught.value.message
    assert caught.value.fix
    assert "secret-word" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_empty_last_line_is_no_document(tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"text": "a"}\n\n')
    assert scan_file(source, tmp_path / "out.jsonl", tier="default")["documents"] == 1


@pytest.mark.parametrize(
    "spans", ['[[0, 99, "PERSON"]]', '[[3, 2, "PERSON"]]', '[["a", 2, "PERSON"]]', "[5]"]
)
def test_gold_that_does_not_fit_the_text_is_refused(tmp_path: Path, spans: str) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text(f'{{"text": "hello", "spans": {spans}}}\n')
    with pytest.raises(InvalidError) as caught:
        eval_file(source, tier="default")
    assert caught.value.rule == "dlp.gold"


def test_a_tier_that_is_not_there_is_refused_and_never_replaced(
    source: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidError):
        scan_file(source, tmp_path / "o", tier="best")
    for tier in list_rules()["tiers"]:
        if not tier["installed"]:
            with pytest.raises(UnavailableError) as caught:
                scan_file(source, tmp_path / "o", tier=tier["name"])
            assert caught.value.fix


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Read in batches: what is held at once is a batch, whatever the number of lines."""
    source = tmp_path / "in.jsonl"
    with source.open("w") as stream:
        for at in range(10_000):
            stream.write(json.dumps({"id": at, "text": f"line {at}"}) + "\n")
    seen: list[int] = []
    scan_file(
        source,
        tmp_path / "out.jsonl",
        tier="default",
        tell=lambda total: seen.append(total["documents"]),
    )
    assert len(seen) >= 3
    assert seen[-1] == 10_000
    assert [row["id"] for row in lines(tmp_path / "out.jsonl")] == list(range(10_000))


def test_rules_are_listed_with_their_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dlp", "rules", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert len(listed["version"]) == 64
    assert {rule["class"] for rule in listed["rules"]} <= set(CLASSES)
    assert {tier["name"] for tier in listed["tiers"]} >= {"default", "ner"}
