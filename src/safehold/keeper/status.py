"""How the keeper and its home stand, for whoever asks: no data, and nobody in particular."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from safehold.keeper.containment import Containment
from safehold.keeper.deadlines import owed
from safehold.keeper.drift import Drift
from safehold.keeper.drills import Drills
from safehold.keeper.level import Level, level_of
from safehold.keeper.rights import Rights
from safehold.keeper.server import Report
from safehold.keeper.watching import Watching

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Status:
    """The verbs that only tell how it stands.

    Args:
        desk: What the keeper works with.
        containment: Knows what is held back.
        drift: Knows what differs from what was signed.
        drills: Knows what the newest drill came to.
        rights: Knows which requests wait.
        watching: Knows how the sentinel stands.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        containment: Containment,
        drift: Drift,
        drills: Drills,
        rights: Rights,
        watching: Watching,
    ) -> None:
        self._desk = desk
        self._containment = containment
        self._drift = drift
        self._drills = drills
        self._rights = rights
        self._watching = watching
        self.own_user = False  # whoever starts it knows better
        self.memory: Callable[[], dict[str, Any]] = dict  # what keeps its memory from others
        # what a served keeper does by itself; a keeper started for one command does nothing by itself
        self.periodic: Callable[[], Sequence[dict[str, Any]]] = list
        # what was last seen from outside: by the monitor of this home's own ledger, by its anchors
        self.watched: Callable[[], dict[str, Any]] = dict

    @property
    def level(self) -> Level:
        """How well the keeper is kept."""
        panel = self._desk.panel
        return level_of(
            root=self._desk.vault.root.kind,
            own_user=self.own_user,
            # without a quorum in the policy all of them count, and so a remote one must
            witnessed=bool(panel.remote) and (panel.quorum or len(panel.remote) + 1) > 1,
        )

    def hello(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return which home this is, and how well its keeper is kept."""
        return {"home": self._desk.home.id, "level": self.level.name}

    def show(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how home and keeper stand: counters and states, of nobody in particular."""
        desk, witnesses = self._desk, self._witnesses()
        charter, missing = None, witnesses["missing"]
        if desk.trust.digest():
            charter = {
                "id": desk.trust.charter().id,
                "version": desk.trust.charter().version,
                "digest": desk.trust.digest().hex(),
            }
        return {
            "home": desk.home.id,
            "synthetic": desk.home.synthetic,
            "charter": charter,
            "stopped": desk.trust.stopped,
            "contained": self._containment.status(),
            "drill": self._drills.status(),
            "counts": desk.catalog.counts(),
            # for whoever is not in it and can ask for nothing of theirs: that they were left out is counted
            "dropped_of_others": desk.catalog.of_others(),
            "ledger": {
                "size": desk.ledger.size,
                "cosigned": desk.ledger.cosigned,
                "signing": len(desk.ledger.vkeys),
            },
            "witnesses": witnesses,
            "owed": owed(desk),
            "drift": [one.clause for one in self._drift.found],
            "keeper_level": self.level.name,
            "keeper": {**self.level.payload(), "memory": self.memory()},
            "sandbox_level": desk.workshop.level(),
            "sandboxes_abreast": desk.workshop.abreast(),
            "requests": self._rights.clock(),
            "periodic": list(self.periodic()),
            **self.watched(),
            **self._watching.status(),
            "limits": [
                "root on this machine can read the keeper's memory while it runs",
                "witnesses in the operator's domain, as the local one is, only detect what went wrong",
                "whoever hands out a person's one-time code could use it first: the person then finds another's key",
                *([f"the charter promises what is not there: {missing}"] if missing else []),
            ],
        }

    def budget(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what each purpose may spend of anybody's privacy, and what is left of it."""
        trust = self._desk.trust
        shown = []
        for name, purpose in sorted(trust.charter().purposes.items()):
            if purpose.privacy is not None:
                allowed, left = trust.allowed(name), trust.left(name)
                shown.append(
                    {
                        "purpose": name,
                        "unit": "person",
                        "epsilon": allowed.epsilon_micro / 1e6,
                        "epsilon_left": left.epsilon_micro / 1e6,
                        "delta": allowed.delta_e12 / 1e12,
                        "delta_left": left.delta_e12 / 1e12,
                    }
                )
        return {"budgets": shown}

    def _witnesses(self) -> dict[str, Any]:
        desk, unmet = self._desk, None
        if desk.trust.digest():
            promised = desk.trust.charter().audit.witnesses
            unmet = desk.panel.shortfall(least=promised.min, includes=promised.includes)
        return {
            "remote": [one.name for one in desk.panel.remote],
            "quorum": desk.panel.quorum or len(desk.panel.remote) + 1,
            "strict": desk.panel.strict,
            "unreachable": desk.ledger.unreachable,
            "missing": unmet,
        }
