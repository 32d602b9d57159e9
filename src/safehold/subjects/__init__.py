"""The people: who they are to us, what they chose, and whether data about them may exist."""

from safehold.subjects.register import People, Sealer
from safehold.subjects.standing import Pause, Standing

__all__ = ["Pause", "People", "Sealer", "Standing"]
