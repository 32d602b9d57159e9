"""What something inherits, computed by the keeper from the charter, the catalogue and the ledger at a release.

Nothing that a caller, a recipe or a sandbox says goes into it, and a row of the control database alone widens
nothing: of what is derived the label is that of a leaf, joined with the row's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safehold.catalog import DatasetLabel
from safehold.catalog.algebra import Inherited, join
from safehold.charter import Charter
from safehold.charter.types import dataset_gates
from safehold.dlp.feature import Feature, load_lineage, tags_of
from safehold.errors import DeniedError, MissingError, ShreddedError
from safehold.keeper.terms import end_of
from safehold.telemetry.schema import REST
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LABEL = "label"  # of the detail of an intent: what everything that comes of it inherits


def of_telemetry(
    charter: Charter, blocks: Sequence[SealedBlock], columns: Mapping[str, Iterable[str]]
) -> Inherited:
    """Return the label of telemetry.

    Args:
        charter: The one in force.
        blocks: What is opened.
        columns: Columns that are opened, by stream; all of a stream that is not named.
    """
    streams = {block.stream for block in blocks}
    alike = {(block.label.purposes, block.label.jurisdiction) for block in blocks}
    kinds = join(_of_stream(charter, one, columns.get(one)) for one in streams)
    if not blocks:
        return kinds
    return kinds | Inherited(
        people=frozenset(block.person for block in blocks),
        jurisdictions=frozenset(place for _, place in alike),
        purposes=frozenset.intersection(*(frozenset(purposes) for purposes, _ in alike)),
        expires=min(end_of(charter, block) for block in blocks),
        first_day=min(block.window for block in blocks),
        last_day=max(block.window for block in blocks),
    )


def label_source(charter: Charter, label: DatasetLabel) -> DatasetLabel:
    """Return the label of a source with what the charter in force says of its streams.

    A stream that it no longer names is taken as the most sensitive there is.
    """
    try:
        more = join(_of_stream(charter, one, None) for one in label.streams)
    except DeniedError:
        return label
    return replace(
        label,
        sensitivity=more.sensitivity,
        **{
            name: getattr(more, name) for name in ("categories", "silos", "masks", "gates", "tells")
        },
    )


def _of_stream(charter: Charter, stream: str, columns: Iterable[str] | None) -> Inherited:
    rules = charter.rules(stream)
    read = [
        Feature(name=name, sources=frozenset({f"{stream}.{name}"}))
        for name in (REST[stream].names if columns is None else columns)
    ]
    return Inherited(
        streams=frozenset({stream}),
        categories=frozenset(charter.item(stream).category.terms()),
        silos=frozenset() if rules.silo is None else frozenset({rules.silo}),
        tells=told_by(read, charter),
        masks=rules.dlp,
        gates=frozenset(
            gate.id for gate in dataset_gates(charter) if gate.level in (None, rules.level.name)
        ),
        sensitivity=rules.sensitivity,
    )


def told_by(features: Iterable[Feature], charter: Charter) -> frozenset[str]:
    """Return the groups of classes that may be concluded from columns, by what they were made from."""
    levels = {
        rules.stream: rules.level
        for item in charter.collect
        for rules in [charter.rules(item.what)]
    }
    tags = load_lineage()["tags"]
    return frozenset(
        group
        for feature in features
        for tag in tags_of(feature, levels)
        for group in tags[tag]["groups"]
    )


def told_label(desk: Desk, dataset: str) -> DatasetLabel:
    """Return the label of something derived, as the ledger has it.

    Raises:
        DeniedError: The ledger tells none, or no longer.
    """
    unlabelled = DeniedError(
        "the ledger does not tell what this dataset inherits",
        rule="lineage.label",
        fix="make it again",
    )
    receipt = desk.ledger.find(made_key(dataset))
    try:
        index = int(dataset.rpartition(":")[2]) if receipt is None else receipt.index
        said: dict[str, Any] = desk.ledger.detail(index)["detail"]
    except (ShreddedError, MissingError, ValueError) as error:
        raise unlabelled from error
    if receipt is not None:
        said = said["node"]
    if LABEL not in said:
        raise unlabelled
    return DatasetLabel.from_record(said[LABEL])


def made_key(dataset: str) -> str:
    """Return the idempotency key of the leaf that says that a dataset was made."""
    return f"derived/{dataset}"
