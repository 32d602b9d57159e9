"""Telemetry comes in with journal and control database in PostgreSQL: as over files."""

from __future__ import annotations

from tests.control_place import on_servers  # noqa: F401 - a fixture
from tests.unit.test_keeper_intake import (  # noqa: F401 - the same suite over servers
    bench,
    made,
    test_a_source_that_is_never_retried_is_given_up,
    test_events_that_came_before_are_refused_with_their_source,
    test_no_chunk_follows_a_stop,
    test_what_was_left_out_of_others_is_one_number_for_anybody_who_asks,
    test_who_leaves_while_it_comes_in_is_left_out,
)


def test_it_runs_on_servers(made):  # noqa: F811 - the fixture
    assert made.home.control_url_file.exists()
    assert made.home.ledger_url_file.exists()
