"""The page about messages that are set aside says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from safehold.charter.set_aside import LONGEST_ASIDE_DAYS, MOST_ASIDE
from safehold.ingest.leased import MALFORMED
from safehold.keeper import aside, recipes

PAGE = (Path(__file__).parents[2] / "docs/reference/set-aside.md").read_text("utf-8")


@pytest.mark.parametrize(
    "said",
    [
        f"| `keep` | 1 to {LONGEST_ASIDE_DAYS} days",
        f"| `a_day` | 1 to {MOST_ASIDE} messages of one person on one day, of at most {aside.LARGEST >> 20} MiB",
        *(f"| `{rule}`" for rule in sorted(aside.FORMS)),
        f"`{recipes.REPAIR_VERB}`",
        f"recipe `{recipes.REPAIR}`, at the stage `{recipes.REPAIR_STAGE}`",
    ],
)
def test_the_page_says_so(said: str) -> None:
    assert said in PAGE


def test_keeper_and_sandbox_mean_the_same_rules() -> None:
    assert aside.FORMS == MALFORMED
