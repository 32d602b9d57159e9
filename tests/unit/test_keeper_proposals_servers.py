"""The board decides with journal and control database in PostgreSQL: as over files."""

from __future__ import annotations

from tests.control_place import on_servers  # noqa: F401 - a fixture
from tests.unit.test_keeper_proposals import (  # noqa: F401 - the same suite over servers
    bench,
    made,
    test_a_vote_counts_once_and_changes_nothing_the_second_time,
    test_the_log_says_who_is_behind_each_step,
)
from tests.unit.test_keeper_seats import (  # noqa: F401 - likewise
    test_a_restart_takes_a_published_cause_and_a_green_replay,
    test_five_replace_a_seat_without_a_veto_at_once,
)
