"""The page about alerts says what the code does: its tables are read and compared."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.test_watch_events import MAY_SHOW

from safehold.keeper import door
from safehold.keeper.caller import AGENT, HUMAN, LOCAL, SENTINEL, WORKLOAD
from safehold.keeper.watch_answers import ANSWERS
from safehold.sentinel.answers import AT_ONCE
from safehold.sentinel.limits import LIMITS, MINUTE_US
from safehold.sentinel.response import ACTIONS

PAGE = (Path(__file__).resolve().parents[2] / "docs/reference/alerts.md").read_text("utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the rows of the first table whose head begins with some words."""
    lines = iter(PAGE.splitlines())
    for line in lines:
        if line.startswith(f"| {heading}"):
            break
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    assert rows, heading
    return rows


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_what_comes_out_of_each_kind():
    told = {names(row[0])[0]: set(row[1].split(", ")) for row in table("kind | words")}
    assert told == MAY_SHOW


def test_who_may_ask():
    columns = (LOCAL, HUMAN, WORKLOAD, AGENT, SENTINEL)
    told = {}
    for row in table("verb | local"):
        for verb in names(row[0]):
            told[verb] = {
                kind for kind, cell in zip(columns, row[1:], strict=True) if cell != "never"
            }
            roles = {word for cell in row[1:] for word in names(cell)}
            assert roles == set(door.ACTIONS_OF[verb]), verb
    assert told == {verb: set(kinds) for verb, kinds in door.OF_WATCHING.items()}


def test_limits_and_answers():
    told = {
        names(row[0])[0]: (int(row[1]), int(row[2].split()[0]), int(row[3]))
        for row in table("signal | from")
    }
    assert told == {
        name: (one.count, one.within_us // MINUTE_US, one.severity) for name, one in LIMITS.items()
    }
    at_once = {names(row[0])[0]: tuple(names(row[1])) for row in table("signal | about an agent")}
    assert at_once == dict(AT_ONCE)
    assert AT_ONCE.keys() == LIMITS.keys()
    assert [names(row[0])[0] for row in table("answer | does")] == list(ANSWERS)
    assert set(ACTIONS) == set(ANSWERS), "what the detector proposes, the keeper can do"
