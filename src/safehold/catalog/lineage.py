"""Which dataset was made from which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safehold import canonical
from safehold.catalog import tables
from safehold.catalog.label import DatasetLabel
from safehold.errors import MissingError


class Lineage:
    """The graph from source to feature to model.

    Args:
        engine: The control database.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def add(
        self,
        dataset: str,
        *,
        kind: str,
        label: DatasetLabel,
        parents: Sequence[str],
        created_us: int,
    ) -> None:
        """Record a dataset and what it was made from; doing it twice changes nothing."""
        with self._engine.begin() as connection:
            known = connection.execute(
                sa.select(tables.dataset.c.id).where(tables.dataset.c.id == dataset)
            ).first()
            if known is None:
                connection.execute(
                    tables.dataset.insert().values(
                        id=dataset,
                        kind=kind,
                        label=canonical.encode(label.to_record()),
                        created_us=created_us,
                    )
                )
            held = set(
                connection.execute(
                    sa.select(tables.edge.c.parent).where(tables.edge.c.child == dataset)
                ).scalars()
            )
            for parent in sorted(set(parents) - held):
                connection.execute(tables.edge.insert().values(parent=parent, child=dataset))

    def label(self, dataset: str) -> DatasetLabel:
        """Return the label of a dataset.

        Raises:
            MissingError: It is not registered.
        """
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(tables.dataset.c.label).where(tables.dataset.c.id == dataset)
            ).first()
        if row is None:
            raise MissingError("no such dataset", rule="catalog.dataset")
        return DatasetLabel.from_record(canonical.decode(row.label))

    def parents(self, dataset: str) -> list[str]:
        """Return what a dataset was made from, sorted; nothing for a source."""
        with self._engine.begin() as connection:
            return sorted(
                connection.execute(
                    sa.select(tables.edge.c.parent).where(tables.edge.c.child == dataset)
                ).scalars()
            )

    def show(self) -> list[dict[str, Any]]:
        """Return every dataset with its kind, label and parents, oldest first."""
        with self._engine.begin() as connection:
            edges: dict[str, list[str]] = {}
            for row in connection.execute(sa.select(tables.edge)):
                edges.setdefault(row.child, []).append(row.parent)
            return [
                {
                    "id": row.id,
                    "kind": row.kind,
                    "label": canonical.decode(row.label),
                    "parents": sorted(edges.get(row.id, [])),
                }
                for row in connection.execute(
                    sa.select(tables.dataset).order_by(tables.dataset.c.created_us)
                )
            ]
