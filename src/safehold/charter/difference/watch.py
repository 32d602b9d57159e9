"""What is done to watch over the pipeline itself: to end some of it allows nobody more, and still widens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from safehold.charter.difference.change import NARROWER, WIDER, Change
from safehold.charter.model import Charter

WATCH: Final = "secure_the_pipeline"  # the purpose under which the pipeline itself is watched


def watch_changes(old: Charter, new: Charter, told: Iterable[Change]) -> Iterator[Change]:
    """Yield that the pipeline is watched in another way: one seat could else blind those who watch, and call it less.

    Args:
        old: The charter before; where it watches nothing, nothing can be blinded.
        new: The charter after.
        told: What else changes, with all of the policy that it speaks about.
    """
    if WATCH not in old.purposes:
        return
    ended = (change for change in told if change.side == NARROWER)
    if old.purposes[WATCH] != new.purposes.get(WATCH) or any(
        cell.purpose == WATCH for change in ended for cell in change.cells
    ):
        yield Change(clause=f"purposes.{WATCH}", side=WIDER, message="watch.changed")
