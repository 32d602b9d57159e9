"""Joining blocks with the control database in PostgreSQL: the same suite where rows differ from SQLite's."""

from __future__ import annotations

from tests.control_place import on_postgres  # noqa: F401 - a fixture
from tests.unit.test_compaction import (  # noqa: F401 - the same suite over the other database
    bench,
    made,
    test_a_restored_control_database_is_noticed,
    test_a_row_that_somebody_edits_is_found,
    test_nothing_is_joined_across_what_must_stay_apart,
    test_retired_objects_are_no_strangers_and_go_at_the_next_start,
    test_rows_are_joined_and_nobody_can_tell,
)
