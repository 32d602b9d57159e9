"""The verb ``query``: what it answers, what it costs, and what it refuses."""

from __future__ import annotations

import pytest
from tests.query_desk import APPS, PURPOSE, found_asking

from safehold.errors import BudgetSpentError, DeniedError, InvalidError, QuorumError

COUNT = "SELECT DISTINCT app AS k FROM pointer"


@pytest.fixture
def asking(tmp_path):
    found = found_asking(tmp_path)
    yield found
    found.bench.stop()


def test_a_reviewed_query_is_answered_with_noise_and_charged(asking):
    text = asking.text(COUNT, keys=list(APPS), epsilon=2.0)
    answer = asking.ask(asking.grant(text), text)
    print(answer)
