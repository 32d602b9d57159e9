"""What is done under a grant. Rows and keys are in no answer: figures that left the egress gate are."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from safehold.portal.api.answers import uses as told
from safehold.portal.api.field import Given, Micro, Permit, Script, Text, Word
from safehold.portal.api.route import Route

Streams = Annotated[list[Word], Field(max_length=16)]


class Built(Given):
    """Of which purpose."""

    purpose: Word


class OfPurpose(Permit):
    """Of which purpose."""

    purpose: Word


class Trained(OfPurpose):
    """Over how many sandboxes a training is spread."""

    workers: Annotated[int, Field(ge=1, le=1024)] = 1


class Attacked(OfPurpose):
    """Which dataset of a purpose is attacked, and with what."""

    stage: Word
    dataset: Word | None = None


class Ran(OfPurpose):
    """A script of one's own, that the grant names."""

    stage: Word
    script: Script


class Asked(OfPurpose):
    """A query file, under a grant."""

    text: Text
    recipe: Word
    streams: Streams


class Embedded(OfPurpose):
    """What is embedded."""

    streams: Streams | None = None
    noise_micro: Micro | None = None


class Near(OfPurpose):
    """Which texts vectors are asked about."""

    texts: Annotated[list[Text], Field(max_length=64)]
    how: Word
    epsilon_micro: Micro
    dataset: Word | None = None


class Head(OfPurpose):
    """A small head on vectors."""

    epsilon_micro: Micro
    dataset: Word | None = None


class Exported(OfPurpose):
    """Vectors that are to leave; the charter decides whether any may."""

    dataset: Word | None = None


class Traced(Given):
    """Which dataset."""

    dataset: Word | None = None


class Compacted(Given):
    """Where blocks are joined, and whether they are."""

    segment: Word | None = None
    dry_run: bool = False


class Fresh(Given):
    """How many nonces."""

    count: Annotated[int, Field(ge=1, le=32)] | None = None


ROUTES: Final = (
    Route(method="GET", path="/purposes", verb="purpose.list", answer=told.PurposeList, listed="purposes",
          says="The purposes of the charter, in its own plain words."),
    Route(method="GET", path="/budgets", verb="budget.show", answer=told.BudgetShow, listed="budgets",
          says="What each purpose may spend, and has left."),
    Route(method="GET", path="/datasets", verb="dataset.list", answer=told.DatasetList, listed="datasets",
          says="Every dataset with its kind, people, purposes and end."),
    Route(method="GET", path="/datasets/lineage", verb="dataset.lineage", given=Traced, answer=told.DatasetLineage,
          says="What datasets were made from, and what was made from them."),
    Route(method="GET", path="/datasets/gates", verb="gate.list", answer=told.GateList, listed="gates",
          says="How each dataset stands before each gate."),
    Route(method="POST", path="/datasets/sweeps", verb="dataset.sweep", answer=told.DatasetSweep, long=True,
          says="End what is past its retention now."),
    Route(method="POST", path="/datasets/compactions", verb="dataset.compact", given=Compacted,
          answer=told.DatasetCompact, long=True,
          says="Join small blocks of one person, stream, day and label into larger ones; the rows stay the same."),
    Route(method="POST", path="/datasets/features", verb="feature", given=Built, answer=told.Feature, long=True,
          says="Build the features of a purpose; the charter lets the pipeline do that without a grant."),
    Route(method="POST", path="/uses/features", verb="feature.granted", given=OfPurpose, answer=told.Feature,
          long=True, says="Build features under a grant."),
    Route(method="POST", path="/uses/trainings", verb="train", given=Trained, answer=told.Train, long=True,
          says="Train under a grant, with differential privacy."),
    Route(method="POST", path="/uses/queries", verb="query", given=Asked, answer=told.Query, long=True,
          says="Ask for figures with noise."),
    Route(method="POST", path="/uses/scripts", verb="enclave.run", given=Ran, answer=told.EnclaveRun, long=True,
          says="Run a script where the data is; typed messages come out and nothing else."),
    Route(method="POST", path="/uses/attacks", verb="attack.dataset", given=Attacked, answer=told.AttackDataset,
          long=True, says="Attack what a dataset was made from."),
    Route(method="POST", path="/uses/embeddings", verb="embed", given=Embedded, answer=told.Embed, long=True,
          says="Make vectors of what people wrote, and attack them."),
    Route(method="POST", path="/uses/neighbourhoods", verb="embed.near", given=Near, answer=told.EmbedNear,
          long=True, says="Ask vectors how many people lie near a text."),
    Route(method="POST", path="/uses/heads", verb="embed.head", given=Head, answer=told.EmbedHead, long=True,
          says="Train a small head on vectors."),
    Route(method="POST", path="/uses/exports", verb="embed.export", given=Exported, answer=told.EmbedExport,
          long=True, says="Ask for vectors themselves; a charter that says nothing lets none out."),
    Route(method="POST", path="/nonces", verb="nonce", given=Fresh, answer=told.Nonce,
          says="A fresh nonce, for one proof within a minute."),
)  # fmt: skip
__all__ = ["ROUTES"]
