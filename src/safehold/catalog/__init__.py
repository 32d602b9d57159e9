"""What exists, what it came from, and when it ends."""

from safehold.catalog.label import DatasetLabel, derive, label_blocks
from safehold.catalog.lineage import Lineage
from safehold.catalog.register import Catalog
from safehold.catalog.state import Extent, SourceState, add_tallies

__all__ = [
    "Catalog",
    "DatasetLabel",
    "Extent",
    "Lineage",
    "SourceState",
    "add_tallies",
    "derive",
    "label_blocks",
]
