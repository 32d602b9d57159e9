"""What a person looks at that is theirs: their entries, what is held, what became of it, receipts of their choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safehold.keeper.disclosure import Disclosures
from safehold.keeper.effects import Effects
from safehold.keeper.graph import Graph
from safehold.keeper.held import Held
from safehold.keeper.journey import Journey
from safehold.keeper.mine import Mine
from safehold.keeper.own import Own
from safehold.keeper.receipts import Receipts
from safehold.keeper.server import Verb

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Looking:
    """The verbs.

    Args:
        desk: What the keeper works with.
        graph: Knows how a dataset stands.
        effects: Knows by which entry something commits to its people.
        disclosures: What somebody is told otherwise than by the rule.
    """

    def __init__(
        self, desk: Desk, graph: Graph, effects: Effects, disclosures: Disclosures
    ) -> None:
        self.own = Own(desk)
        self._disclosures = disclosures
        self._held = Held(desk, self.own)
        self._journey = Journey(desk, self.own, graph, effects, disclosures)
        self._mine = Mine(desk, self.own, self._journey, disclosures)
        self._receipts = Receipts(desk, self.own)

    def keep_up(self) -> None:
        """Read what came since, so that whoever looks waits for little."""
        self.own.keep_up()
        self._disclosures.keep_up()

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "people.held": self._held.show,
            "people.journey": self._journey.show,
            "people.receipts": self._receipts.receipts,
            "people.use": self._mine.use,
            "people.uses": self._mine.uses,
        }
