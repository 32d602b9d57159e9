"""The keeper with its control database in PostgreSQL: grants, runs and lineage as over SQLite."""

from __future__ import annotations

from tests.control_place import on_postgres  # noqa: F401 - a fixture
from tests.unit.test_keeper_release import (  # noqa: F401 - the same suite over the other database
    bench,
    made,
    test_a_grant_that_was_revoked_or_used_up_meanwhile_gets_no_intent,
    test_a_run_ends_in_a_model_with_lineage,
    test_one_run_is_one_run_for_two_who_ask_at_once,
)
