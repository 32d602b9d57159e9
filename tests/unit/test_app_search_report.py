"""The search finds what it should find; the report shows counters and escapes what it is given."""

import base64
import gzip
import html.parser
import threading

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


@pytest.mark.parametrize(
    ("around", "counts"),
    [
        (b"code %s sent", True),
        (b"%s", True),
        (b"0f" * 6 + b"%s" + b"a1" * 5, True),  # too short to be a digest
        (b"0f" * 12 + b"%s" + b"a1" * 16, False),
        (b"%s" + b"a1" * 28, False),
        (b"a1" * 28 + b"%s", False),
        (b"id " + b"a1" * 40 + b" %s", True),
        (b'"t":17%s123}', False),  # milliseconds
        (b'"t":179%s12345,', False),  # microseconds
        (b"17%s", True),
        (b"17%s1234", True),  # neither
        (b"27%s123", True),  # not in this century
        (b"1%s1234a", True),
    ],
)
def test_a_short_number_counts_unless_it_stands_in_a_digest(tmp_path, around, counts):
    """Eight digits occur among half a million random hex digits once in ten thousand runs."""
    (tmp_path / "file").write_bytes(around % b"48005391")
    assert search([tmp_path], {"48005391"})[0] == ({"48005391"} if counts else set())


def test_a_word_or_a_long_number_counts_wherever_it_stands(tmp_path):
    (tmp_path / "file").write_bytes(b"a1" * 20 + b"193847359089" + b"a1" * 20 + b"-kestrel")
    assert search([tmp_path], {"193847359089", "kestrel"})[0] == {"193847359089", "kestrel"}


def test_a_compressed_part_within_a_file_is_opened(tmp_path):
    (tmp_path / "file").write_bytes(b"head" + gzip.compress(b"x " + VALUE.encode()) + b"tail")
    assert search([tmp_path], {VALUE})[0] == {VALUE}


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


def test_a_clock_that_goes_back_puts_no_work_off():
    """Otherwise whoever sets the clock back by a month has a month without a look for drift."""
    clock = FixedClock(1_000_000)
    ran = []
    schedule = Schedule(clock, [Task("look", 10, lambda: ran.append(clock.now_us()))])
    schedule.turn()
    clock.advance(-900_000)
    assert schedule.turn() == ["look"]
    assert schedule.turn() == []
    clock.advance(10)
    assert schedule.turn() == ["look"]
    assert ran == [1_000_000, 100_000, 100_010]


def test_closing_waits_for_the_present_task_and_starts_no_other():
    """What comes after closing is that the ledger is closed: no task may still be writing to it."""
    begun, go, done = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        go.wait()
        done.append("slow")

    schedule = Schedule(
        FixedClock(0), [Task("slow", 10, slow), Task("next", 10, lambda: done.append("next"))]
    )
    schedule.start()
    assert begun.wait(120)
    closing = threading.Thread(target=schedule.close)
    closing.start()
    closing.join(0.2)
    assert closing.is_alive(), "it did not wait"
    go.set()
    closing.join(120)
    assert done == ["slow"]


def test_the_page_says_who_the_people_are_what_epsilon_means_and_what_would_be_released():
    told = result(
        training={
            "artifact": "a",
            "people": 60,
            "epsilon": 4.0,
            "delta": 1e-6,
            "metrics": {"trained": 48, "held_out": 12},
            "models": [{"name": "private", "top1": 0.8, "macro_f1": 0.7, "private": True}],
            "noisy": {"top1": 0.75, "macro_f1": 0.5, "top1_error": 0.048},
        }
    )
    told["status"] |= {"synthetic": True, "charter": {"id": "c", "version": 3, "digest": "cd" * 32}}
    told["people"] = {"enrolled": 70, "participating": 62, "withdrawn": 2, "paused": 0}
    told["search"] = {"files": 9, "looked_for": 418, "found": 0}
    told["made"] = "2026-11-25 18:07 UTC"
    page = render(told)
    for words in (
        "The people are made up",
        "70 were asked and 62 take part; 2 withdrew",
        "trained on 48 people and tried on 12 others",
        "odds at most 55 times smaller",
        "top-1 0.750, with noise of a standard deviation of 0.048",
        "c version 3",
        "E3: what computes",
        "K1: the process",
        "--home HOME",
        "Made 2026-11-25 18:07 UTC",
        "What is cut up or spelt another way it would miss",
    ):
        assert words in page, words


def test_a_page_about_real_people_does_not_call_them_made_up():
    assert "made up" not in render(result())
