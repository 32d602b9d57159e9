"""What is done to watch over the pipeline itself: to end some of it allows nobody more, and still widens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from safehold.charter.difference.change import NARROWER, WIDER, Change
from safehold.charter.model import Charter
from safehold.charter.vocabulary import DATA

ASKED: Final = ("people", "approvals")  # what a policy asks of a grant, more or less
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
    stages = old.purposes[WATCH].stages
    watchers = {
        name
        for name, role in old.who_may.items()
        if not {*role.do}.isdisjoint(DATA) and not {*role.stages}.isdisjoint(stages)
    }
    ended = (change for change in told if change.side == NARROWER)
    if old.purposes[WATCH] != new.purposes.get(WATCH) or any(
        _hampers(change, watchers) for change in ended
    ):
        yield Change(clause=f"purposes.{WATCH}", side=WIDER, message="watch.changed")


def _hampers(change: Change, watchers: Iterable[str]) -> bool:
    """Tell whether a change ends some of the watching, or asks more of those who watch: so many approvals, say."""
    return any(
        cell.purpose == WATCH or (cell.limit in ASKED and cell.role in watchers)
        for cell in change.cells
    ) or any(change.clause.startswith(f"who_may.{name}.grant") for name in watchers)
