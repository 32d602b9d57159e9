"""Held back with journal and control database in PostgreSQL: the same doors close as over files; in the long form."""

from __future__ import annotations

import pytest
from tests.attack.test_containment import (  # noqa: F401 - the same suite over servers
    before,
    left_free,
    made,
    shared,
    test_what_is_contained_closes_its_doors_and_no_other,
)
from tests.control_place import on_servers  # noqa: F401 - a fixture

pytestmark = pytest.mark.proof
