"""By when somebody is owed an answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from safehold.subjects import due_us


def _us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)


@pytest.mark.parametrize(
    ("asked", "regimes", "first_late"),
    [
        ("2026-11-26T13:00:00", ["eu-gdpr"], "2026-12-27T00:00:00"),
        ("2026-01-31T23:59:59", ["eu-gdpr"], "2026-03-01T00:00:00"),
        ("2028-01-31T00:00:00", ["uk-gdpr"], "2028-03-01T00:00:00"),
        ("2026-12-31T12:00:00", [], "2027-02-01T00:00:00"),
        ("2026-11-26T13:00:00", ["ccpa", "eu-gdpr"], "2026-12-27T00:00:00"),
    ],
)
def test_a_month_is_a_calendar_month_to_the_end_of_its_day(
    asked: str, regimes: list[str], first_late: str
) -> None:
    assert due_us(_us(asked), regimes) == _us(first_late) - 1


def test_where_the_ccpa_alone_holds_it_is_45_days() -> None:
    assert due_us(_us("2026-11-26T13:00:00"), ["ccpa"]) == _us("2027-01-10T13:00:00")
