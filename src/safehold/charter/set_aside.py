"""The clause by which malformed messages are kept, and what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from safehold.charter.model import Charter
from safehold.charter.problem import Problem
from safehold.charter.vocabulary import INTERNAL

LONGEST_ASIDE_DAYS: Final = 14
MOST_ASIDE: Final = 64


def review_set_aside(charter: Charter) -> Iterator[Problem]:
    """Yield what is wrong with the clause by which malformed messages are kept: few, briefly, to be taken in again."""
    aside = charter.set_aside
    if aside is None:
        return
    purpose = charter.purposes.get(aside.purpose)
    for key, wrong, message, rule in (
        (
            "purpose",
            purpose is None,
            "names a purpose that the charter does not have",
            "charter.set_aside.purpose",
        ),
        (
            "purpose",
            purpose is not None
            and (
                purpose.stages != ("ingest",)
                or bool(purpose.releases)
                or purpose.derived_keep_days is not None
                or not {*purpose.sources}.isdisjoint(INTERNAL)
            ),
            "what is set aside may only be taken in again: stage ingest alone, no releases, nothing derived",
            "charter.set_aside.only",
        ),
        (
            "keep",
            not 1 <= aside.keep_days <= LONGEST_ASIDE_DAYS,
            f"what is set aside is kept for 1 to {LONGEST_ASIDE_DAYS} days",
            "charter.set_aside.keep",
        ),
        (
            "a_day",
            not 1 <= aside.a_day <= MOST_ASIDE,
            f"1 to {MOST_ASIDE} messages of a person are set aside on one day",
            "charter.set_aside.a_day",
        ),
    ):
        if wrong:
            yield Problem(field=f"set_aside.{key}", message=message, rule=rule)
