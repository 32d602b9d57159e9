"""The search finds what it should find; the report shows counters and escapes what it is given."""

import base64
import gzip
import html.parser

import pytest
import zstandard

from safehold.app.schedule import Schedule, Task
from safehold.app.search import search
from safehold.assurance.report import render
from safehold.clock import FixedClock
from safehold.errors import UnavailableError

VALUE = "kestrel-4711-x"


@pytest.mark.parametrize(
    "hide",
    [
        lambda raw: raw,
        lambda raw: raw.decode().encode("utf-16-le"),
        lambda raw: raw.decode().encode("utf-16-be"),
        base64.b64encode,
        lambda raw: base64.b64encode(b"x" + raw + b"yy"),
        lambda raw: base64.b64encode(b"xx" + raw + b"y"),
        lambda raw: b"head" + zstandard.ZstdCompressor().compress(raw * 3) + b"tail",
        gzip.compress,
    ],
)
def test_a_planted_value_is_found_however_it_lies(tmp_path, hide):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"before " + hide(VALUE.encode()) + b" after")
    if hide is gzip.compress:
        (tmp_path / "deep" / "file").write_bytes(hide(b"before " + VALUE.encode()))
    found, files = search([tmp_path], {VALUE, "another-value"})
    assert found == {VALUE}
    assert files == 1


def test_nothing_planted_is_nothing_found(tmp_path):
    (tmp_path / "file").write_bytes(b"kestrel-4712-x")
    assert search([tmp_path], {VALUE})[0] == set()


def result(name="keys.parquet", training=None):
    return {
        "sources": [
            {
                "file": name,
                "totals": {"taken": 5, "dropped": 2},
                "taken": {"key": 5},
                "masked": {},
                "dropped": {"password_field": 2},
                "refused": {},
            }
        ],
        "status": {
            "counts": {"people": 1, "blocks": 2},
            "sandbox_level": "E3",
            "keeper_level": "K1",
        },
        "verification": {"size": 7, "root": "ab" * 32, "witnesses": ["w"]},
        **({} if training is None else {"training": training}),
    }


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        assert not any(name in {"src", "href", "onclick", "style"} for name, _ in attrs)
        if tag not in {"meta", "rect", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "training",
    [
        None,
        {"skipped": "no grant was given"},
        {"artifact": "a", "people": 60, "epsilon": 4.0, "models": []},
        {
            "artifact": "a",
            "people": 60,
            "epsilon": 4.0,
            "delta": 1e-6,
            "models": [{"name": "private", "top1": 0.8, "macro_f1": 0.7, "private": True}],
        },
    ],
)
def test_the_page_is_whole_and_loads_nothing(training):
    page = render(result(training=training))
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "What is not proved" in page


def test_names_are_escaped():
    page = render(result(name="<script>alert(1)</script>.parquet"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_periodic_work_runs_when_due_and_a_failure_stops_nobody():
    clock = FixedClock(0)
    ran = []

    def fail():
        raise UnavailableError("not now")

    bad = Task("bad", 10, fail)
    schedule = Schedule(clock, [bad, Task("good", 20, lambda: ran.append(clock.now_us()))])
    assert schedule.turn() == ["bad", "good"]
    clock.advance(10)
    assert schedule.turn() == ["bad"]
    clock.advance(10)
    assert schedule.turn() == ["bad", "good"]
    assert ran == [0, 20]
    assert bad.failures == 3
    assert schedule.status()[1] == {"task": "good", "last_us": 20, "failures": 0}
