"""The judge of labels: may these datasets be opened, side by side, for this?

Asked before anything is chosen, so that whoever may not have a dataset is told by which rule, and again of what is
opened in the end. The label of each dataset is what its leaf says joined with what its row says; what it was made from
is looked at up to the telemetry or to a release. Each rule is refused by its name:

| rule | refused |
|---|---|
| ``lineage.label`` | it, or something it was made from, has no label that holds |
| ``lineage.purpose`` | it may not serve this purpose |
| ``lineage.expired`` | its time, or that of something it was made from, is over |
| ``lineage.ended`` | the key of it, or of something it was made from, is gone |
| ``lineage.outlives`` | it would outlive what it was made from |
| ``lineage.people`` | somebody in it was erased, takes no part now, objects, or is not meant by the grant |
| ``lineage.place`` | somebody in it is where the charter does not collect |
| ``lineage.category`` | it holds kinds of data that the purpose, or the grant, does not cover |
| ``lineage.together`` | side by side they tell what the charter masks in one of them |

A silo beside telemetry is the charter's red line, which the policy refuses by the silos of the whole run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safehold.access.grant import DERIVED, EMBEDDING
from safehold.catalog.algebra import Inherited, crossing
from safehold.catalog.lineage import SOURCE, Node
from safehold.errors import DeniedError, TamperedError
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.inheritance import made_key, told_label
from safehold.keeper.pooled import sealed_of
from safehold.keeper.terms import sources_of

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Datasets whose labels hold.

    Args:
        nodes: Each of them.
        labels: What each of them inherits.
    """

    nodes: Mapping[str, Node]
    labels: Mapping[str, Inherited]


class Judge:
    """Judges.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def judge(self, ask: Ask, asker: Asker, datasets: Iterable[str]) -> Judged:
        """Return datasets with their labels, if they may be opened together.

        Args:
            ask: The use.
            asker: Who asks.
            datasets: Ids of what is derived.

        Raises:
            DeniedError: They may not; the rule says why.
            TamperedError: A row of the lineage was changed.
        """
        wanted = sorted(set(datasets))
        above = self._desk.lineage.above(wanted)
        labels = {}
        for name in wanted:
            node = above[name]
            if node.kind == SOURCE:
                raise DeniedError("telemetry is asked for as what it is", rule="lineage.label")
            labels[name] = self._label(node)
            self._check_line(node, above)
            self._check_use(ask, asker, node, labels[name])
        if together := sorted(crossing(labels.values())):
            raise DeniedError(
                f"side by side they tell what the charter masks in one of them: {', '.join(together)}",
                rule="lineage.together",
                fix="use them one by one",
            )
        return Judged(nodes={name: above[name] for name in wanted}, labels=labels)

    def _label(self, node: Node) -> Inherited:
        """Return what a dataset inherits: what the ledger says, and at least that is in its row."""
        told = told_label(self._desk, node.id)
        row = node.label.inherited()
        if node.release is None and node.label.expires > told.expires:
            raise DeniedError("it would outlive what it was made from", rule="lineage.outlives")
        held = told.inherited()
        own = self._desk.ledger.find(made_key(node.id)) is not None
        # a row that a run wrote beside its intent may say less than that, and then counts for less
        if own and not held <= row:
            raise TamperedError("a row of the lineage was changed", rule="catalog.lineage")
        return held | row

    def _check_line(self, node: Node, above: Mapping[str, Node]) -> None:
        """Pass if a dataset, and all that it was made from up to telemetry or a release, may still be there.

        What lies in blocks of each person ends block by block, which the choice of blocks sees to.
        """
        desk, today = self._desk, self._desk.today()
        waiting, seen = [node], set()
        while waiting:
            one = waiting.pop()
            if one.id in seen:
                continue
            seen.add(one.id)
            if one.pooled and one.label.expires <= today:
                raise DeniedError(
                    "its time, or that of something it was made from, is over",
                    rule="lineage.expired",
                    fix="make it again from what there is now",
                )
            if one.pooled and not desk.vault.artifacts.keeps(sealed_of(one)):
                raise DeniedError(
                    "it has ended, or something it was made from has",
                    rule="lineage.ended",
                    fix="make it again from what there is now",
                )
            for parent in (above[name] for name in one.parents):
                if parent.kind == SOURCE or parent.release is not None:
                    continue
                if one.release is None and one.label.expires > parent.label.expires:
                    raise DeniedError(
                        "it would outlive what it was made from", rule="lineage.outlives"
                    )
                waiting.append(parent)

    def _check_use(self, ask: Ask, asker: Asker, node: Node, label: Inherited) -> None:
        charter = self._desk.trust.charter()
        if not label.serves(ask.purpose):
            raise DeniedError(
                "what it was made from was not collected for this purpose",
                rule="lineage.purpose",
                fix="ask for data of this purpose",
            )
        # of what lies in blocks of each person, those of a place that is no longer there are left out
        if node.pooled and not label.jurisdictions <= set(charter.jurisdictions):
            raise DeniedError(
                "somebody in it is where the charter does not collect", rule="lineage.place"
            )
        covered = sources_of(charter, ask.purpose)
        if asker.claims is not None:
            named = frozenset(asker.claims.streams) - {DERIVED, EMBEDDING}
            covered = covered & named if named else covered
        if not label.streams <= covered:
            raise DeniedError(
                "it was made from kinds of data that this use does not cover",
                rule="lineage.category",
                fix="ask for a grant over all that it was made from",
            )
