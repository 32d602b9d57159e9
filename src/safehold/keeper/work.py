"""The verbs that use data: build features, train a model.

Each is one release (or several, in shards, under one intent): see ``release``. What is derived from a person is
sealed under that person's own key with a label no wider than its sources'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from safehold import canonical, ids
from safehold.access import Claims
from safehold.catalog import derive as derive_label
from safehold.errors import TamperedError
from safehold.ids import PersonId
from safehold.keeper.desk import Desk, segment_name
from safehold.keeper.grants import Grants
from safehold.keeper.models import Models
from safehold.keeper.ports import Frame
from safehold.keeper.release import Ask, Opening, Release, shards
from safehold.keeper.server import Report
from safehold.keeper.terms import derived_expiry, sources_of
from safehold.vault import Label, PlainBlock, SealedBlock

SHARD_ROWS = 1_000_000
FEATURE = "feature"


class Work:
    """The verbs that use data.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        models: Seals what training makes.
    """

    def __init__(self, desk: Desk, grants: Grants, models: Models) -> None:
        self._desk = desk
        self._grants = grants
        self._models = models
        self._release = Release(desk)

    def feature(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Build features for a purpose from every block that may serve it."""
        desk = self._desk
        purpose = str(arguments["purpose"])
        claims = self._grants.admit(arguments, verb="feature", purpose=purpose)
        ask = Ask(
            recipe="feature",
            kind="telemetry",
            streams=sources_of(desk.trust.charter(), purpose),
            purpose=purpose,
            stage="feature",
            least_people=1,
        )
        opening = self._release.decide(ask, claims)
        build = f"{purpose}:{opening.intent.index}"
        rows = people = 0
        level = ""
        groups = list(shards(opening.blocks, rows=SHARD_ROWS))
        for done, group in enumerate(groups):
            report({"done": done, "of": len(groups)})
            frames, level = self._release.run(ask, opening, group, {"purpose": purpose}, report)
            made = self._seal_features(opening, group, frames, build)
            rows += made[0]
            people += made[1]
        old = desk.catalog.replace_derived(purpose, keep=build)
        desk.vault.remove(old)
        sources = desk.catalog.sources_of(
            [block.block_id for blocks in opening.blocks.values() for block in blocks]
        )
        label = derive_label([desk.lineage.label(one) for one in sources], people=people)
        desk.lineage.add(
            build, kind=FEATURE, label=label, parents=sources, created_us=desk.now_us()
        )
        receipt = self._release.close(
            ask, opening, claims, {"rows": rows, "people": people, "level": level, "dataset": build}
        )
        return {
            "dataset": build,
            "people": people,
            "rows": rows,
            "left_out": dict(opening.left_out),
            "level": level,
            "entry": receipt.index,
        }

    def train(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Train the next-action model of a purpose with person-level differential privacy."""
        desk = self._desk
        purpose = str(arguments["purpose"])
        claims = self._grants.admit(arguments, verb="train", purpose=purpose)
        terms = desk.trust.privacy(purpose)
        ask = Ask(
            recipe="train",
            kind="derived",
            streams=frozenset({FEATURE}),
            purpose=purpose,
            stage="training",
            least_people=terms.min_people,
            price=(terms.epsilon_micro, terms.delta_e12),
        )
        opening = self._release.decide(ask, claims)
        spec = {
            **desk.trust.training(purpose),
            "epsilon_micro": terms.epsilon_micro,
            "delta_e12": terms.delta_e12,
            "min_people": terms.min_people,
            "synthetic": desk.home.synthetic,
        }
        frames, level = self._release.run(ask, opening, sorted(opening.blocks), spec, report)
        metrics = _only(frames, "metrics").header
        model = _only(frames, "model")
        datasets = desk.catalog.sources_of(
            [block.block_id for blocks in opening.blocks.values() for block in blocks]
        )
        label = derive_label(
            [desk.lineage.label(one) for one in datasets], people=len(opening.blocks)
        )
        artifact = self._models.keep(
            model,
            purpose=purpose,
            metrics=metrics,
            datasets=datasets,
            expires=self._ends(purpose, label.expires),
            intent=opening.intent.index,
            level=level,
        )
        desk.lineage.add(
            artifact,
            kind="model",
            label=replace(
                label,
                purposes=frozenset({purpose}),
                expires=self._ends(purpose, label.expires),
            ),
            parents=datasets,
            created_us=desk.now_us(),
        )
        receipt = self._release.close(
            ask,
            opening,
            claims,
            {"artifact": artifact, "level": level, "people": len(opening.blocks)},
        )
        return {
            "artifact": artifact,
            "metrics": metrics,
            "people": len(opening.blocks),
            "left_out": dict(opening.left_out),
            "level": level,
            "intent": opening.intent.index,
            "entry": receipt.index,
        }

    def _ends(self, purpose: str, sources_end: int) -> int:
        desk = self._desk
        return derived_expiry(
            desk.trust.charter(), purpose, today=desk.today(), sources_end=sources_end
        )

    def _seal_features(
        self, opening: Opening, group: Sequence[PersonId], frames: Sequence[Frame], build: str
    ) -> tuple[int, int]:
        desk = self._desk
        real = {opening.aliases[person]: person for person in group}
        by_segment: dict[str, list[PlainBlock]] = {}
        rows = 0
        seen: set[PersonId] = set()
        for frame in frames:
            if frame.header["type"] != "derived" or frame.header["person"] not in real:
                raise TamperedError("features of somebody else", rule="release.frames")
            person = real[frame.header["person"]]
            table = pa.ipc.open_stream(pa.py_buffer(frame.body)).read_all()
            if table.num_rows == 0:
                continue
            label = inherit(opening.blocks[person], charter=desk.trust.digest())
            rows += table.num_rows
            seen.add(person)
            by_segment.setdefault(segment_name(label.jurisdiction, FEATURE), []).append(
                PlainBlock(
                    person=person, stream=FEATURE, window=desk.today(), label=label, table=table
                )
            )
        objects = [desk.vault.seal(blocks, segment=name) for name, blocks in by_segment.items()]
        desk.catalog.add_derived(build, objects)
        return rows, len(seen)


def inherit(blocks: Sequence[SealedBlock], *, charter: bytes) -> Label:
    """Return the label of what is derived from one person's blocks: shared purposes, earliest expiry."""
    purposes = frozenset.intersection(*(frozenset(block.label.purposes) for block in blocks))
    return Label(
        purposes=tuple(sorted(purposes)),
        jurisdiction=blocks[0].label.jurisdiction,
        expires=min(block.label.expires for block in blocks),
        charter=charter,
    )


def _only(frames: Sequence[Frame], kind: str) -> Frame:
    found = [frame for frame in frames if frame.header["type"] == kind]
    if len(found) != 1:
        raise TamperedError(f"training sent {len(found)} frames of {kind}", rule="release.frames")
    return found[0]


def proof_message(verb: str, purpose: str) -> bytes:
    """Return the bytes over which a caller proves to hold the grant's key."""
    return canonical.encode({"v": "safehold.use/1", "verb": verb, "purpose": purpose})


def new_nonce() -> bytes:
    """Return a fresh nonce for one use."""
    return ids.random_bytes(32)


__all__ = ["Claims", "Mapping", "Work", "inherit", "proof_message"]
