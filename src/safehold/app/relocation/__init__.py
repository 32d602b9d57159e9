"""A home moves: its journal, control database and objects from files to PostgreSQL and a bucket, or back."""

from safehold.app.relocation.move import go_back, move, remove_old
from safehold.app.relocation.plan import plan

__all__ = ["go_back", "move", "plan", "remove_old"]
