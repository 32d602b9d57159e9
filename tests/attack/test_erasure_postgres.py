"""Erasure with the control database in PostgreSQL: the same tests as over SQLite, and what only a server has."""

from __future__ import annotations

from tests.attack.test_erasure import (  # noqa: F401 - the same suite over the other database
    bench,
    made,
    test_a_register_from_before_the_erasure_is_noticed,
    test_nothing_that_is_stored_leads_to_who_was_erased,
    test_somebody_whose_key_was_deleted_is_not_taken_for_erased,
    test_who_was_erased_is_nobody_and_can_come_anew,
)
from tests.control_place import on_postgres  # noqa: F401 - a fixture
