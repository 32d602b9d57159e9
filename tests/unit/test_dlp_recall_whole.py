"""What is said, linked, composed or put into a name of the whole edition does not come to rest."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.planted import Measured, measure

from safehold.workforce import Spec
from safehold.workforce.guise import narrow

# at L0 a stream keeps its keys, so that what is masked is told from what the level takes away
LEVELS = (0, 3)
SAID = ("speech", "text"), ("metric", "name"), ("focus", "url_host"), ("key", "commit")


@pytest.fixture(scope="module")
def measured() -> dict[int, Measured]:
    spec = Spec(people=30, days=1, start_day=20_780, seed=5550123, edition=2)
    return {level: measure(spec, level=level) for level in LEVELS}


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_planted_is_left(measured: dict[int, Measured], level: int) -> None:
    planted, left = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for fate in measured[level].fates:
        row = fate.row
        if not row["decoy"] and not fate.gone:
            planted[row["stream"], row["column"]] += 1
            left[row["stream"], row["column"]] += fate.left >= 0.5
    print(dict(planted))
    assert not +left
    assert {name: planted[name] for name in SAID if planted[name] < 4} == {}
    assert planted["speech", "text"] >= 15


@pytest.mark.parametrize("level", LEVELS)
def test_nothing_planted_is_in_the_bytes_that_would_be_sealed(
    measured: dict[int, Measured], level: int
) -> None:
    for fate in measured[level].fates:
        if not fate.row["decoy"]:
            value = fate.row["value"]
            for form in (value, narrow(value), value.replace(" ", "")):
                assert form.encode() not in measured[level].rest, fate.row["span_id"]


def test_guises_of_a_value_are_planted(measured: dict[int, Measured]) -> None:
    rows = [fate.row for fate in measured[3].fates if not fate.row["decoy"]]
    spoken = [row["value"] for row in rows if row["stream"] == "speech"]
    assert sum(" five" in value or " two" in value for value in spoken) >= 4
    assert any(" at mailbox dot " in value for value in spoken)
    committed = [row["value"] for row in rows if row["column"] == "commit"]
    assert any(not value.isascii() for value in committed)
    assert any(value.isascii() for value in committed)


def test_ordinary_speech_stays(measured: dict[int, Measured]) -> None:
    one = measured[3]
    assert one.ordinary["speech"] > 10_000
    assert one.masked["speech"] <= 0.01 * one.ordinary["speech"]
