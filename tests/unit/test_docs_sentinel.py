"""The page about the detector says what the code does: its tables are read and compared."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from safehold.sentinel import Settings, words
from safehold.sentinel.response import RESPONSES
from safehold.sentinel.sentence import SEVERITY
from safehold.sentinel.settings import CHANNELS
from safehold.sentinel.weights import WEIGHTS

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/sentinel.md").read_text("utf-8")


def rows(heading: str) -> list[list[str]]:
    """Return the rows of the table under a heading that begins with a word."""
    after = PAGE[PAGE.index(f"\n## {heading}") :]
    lines = re.findall(r"^\|(.+)\|$", after[: after.find("\n## ", 5)], re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines[2:]]


def test_signals_and_severities():
    assert {row[0].strip("`"): int(row[1]) for row in rows("Signals")} == dict(SEVERITY)


def test_thresholds():
    told = {
        row[0].strip("`"): (row[1].strip("`"), *map(float, row[2:5]), int(row[5]))
        for row in rows("Thresholds")
    }
    assert told == {
        name: (one.signal, one.floor, one.cap, one.share, one.hours)
        for name, one in CHANNELS.items()
    }


def test_weights():
    table = PAGE[PAGE.index("\n| sign |") :]
    names = re.findall(r"`(\w+)`", table.strip().split("\n", 1)[0])
    told: dict[str, dict[str, float]] = {name: {} for name in names}
    assert len({sign for sign, *_ in rows("What signs")}) == len(rows("What signs"))
    for sign, what, *weights in rows("What signs"):
        assert what
        for name, weight in zip(names, weights, strict=True):
            if weight != "-":
                told[name][sign.strip("`")] = float(weight)
    assert told == WEIGHTS


def test_settings():
    told = {row[0].strip("`"): float(row[1]) for row in rows("Settings")}
    usual = Settings()
    assert told == {
        one.name: float(getattr(usual, one.name))
        for one in fields(Settings)
        if one.name != "channels"
    }


def test_words():
    told = [tuple(re.findall(r"`(\w+)`", row[1])) for row in rows("Words")]
    assert told == [words.ASKING, words.VECTOR, words.MODEL, words.OUT, words.FETCH, words.TOGETHER]


def test_responses():
    told = [
        (row[0].strip("`"), int(row[1]), row[2], tuple(row[3].split(", ")))
        for row in rows("What to do")
    ]
    assert told == [
        (
            one.signal,
            one.severity,
            "all" if len(one.kinds) == 3 else ", ".join(one.kinds),
            one.actions,
        )
        for one in RESPONSES
    ]
