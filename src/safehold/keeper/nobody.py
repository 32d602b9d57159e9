"""Names of actors in leaves who are no callers: nobody is enrolled, and nobody asks, under one of them."""

from __future__ import annotations

from typing import Final

from safehold.keeper.caller import SENTINEL, SOMEBODY

# the keeper's own work, the board's decisions, people about their own data, the sentinel
NOBODY: Final = frozenset({"keeper", "board", "people", "person", "device", SENTINEL})
# and the names of callers who proved nothing, and of whoever runs the pipeline without a grant
RESERVED: Final = frozenset({*NOBODY, SOMEBODY.id, "engineer", "operator", "pipeline"})
