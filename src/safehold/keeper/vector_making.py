"""Vectors are made of what people wrote, and attacked before anything may use them.

A set is attacked in the run that makes it. A set that fails, or that has too few people to be judged, stays in
quarantine: its blocks are refused by ``release`` whoever asks. What fits its gates takes the place of the one before.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from safehold import canonical
from safehold.errors import InvalidError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.apart import seal_apart
from safehold.keeper.ask import Ask, Asker, shards
from safehold.keeper.bounds import Opening
from safehold.keeper.days import sources_digest
from safehold.keeper.encoder import own_encoder
from safehold.keeper.gates import Attacked
from safehold.keeper.grants import Grants, Use
from safehold.keeper.ports import Passed
from safehold.keeper.recipes import EMBED, EMBEDDING
from safehold.keeper.release import Release
from safehold.keeper.server import Report
from safehold.keeper.terms import sources_of
from safehold.keeper.vector_exit import STAGE, Noticed, VectorExit, word
from safehold.keeper.vector_gates import Exposure, fewest_for, record_vectors
from safehold.keeper.work import SHARD_PEOPLE, SHARD_ROWS
from safehold.privacy.recognition import PASSED

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MOST_ATTACKED: Final = 1_000
MOST_NOISE: Final = 10_000_000


class VectorMaking:
    """The verb that makes a set.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The one door to data.
        exit_: Knows what goes on with vectors.
        alone: Held while a set is made or used.
    """

    def __init__(
        self,
        desk: Desk,
        grants: Grants,
        release: Release,
        *,
        exit_: VectorExit,
        alone: threading.Lock,
    ) -> None:
        self._desk = desk
        self._grants = grants
        self._release = release
        self._exit = exit_
        self._alone = alone

    def embed(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Make vectors of what people wrote, attack them, and let them be used if every gate holds.

        Raises:
            DeniedError: The grant, the charter or a person's choice says no, or too few people take part.
        """
        desk = self._desk
        purpose, streams = word(arguments, "purpose"), self._streams(arguments)
        noise = arguments.get("noise_micro")
        settings = desk.gatekeeper.settings(EMBED, synthetic=desk.home.synthetic)
        if noise is not None:
            if type(noise) is not int or not 0 <= noise <= MOST_NOISE:
                raise InvalidError(
                    "noise is out of range", field="noise_micro", rule="embedding.noise"
                )
            settings["noise_micro"] = noise
        beside = own_encoder(desk, descriptors, settings)
        admitted = self._grants.admit(
            arguments,
            Use(verb=EMBED, purpose=purpose, stage=STAGE, recipe=EMBED, stream=min(streams)),
        )
        try:
            ask = Ask(
                recipe=EMBED,
                kind="telemetry",
                streams=streams,
                purpose=purpose,
                stage=STAGE,
                least_people=desk.trust.least_people(purpose),
                beside=beside,
                makes=tuple(desk.gatekeeper.features(EMBED, settings)),
            )
            with self._alone, Noticed(self._exit, admitted):
                return self._make(ask, admitted.asker(), settings, report)
        finally:
            self._grants.end(admitted.entry)

    def _make(
        self, ask: Ask, asker: Asker, settings: Mapping[str, Any], report: Report
    ) -> dict[str, Any]:
        desk = self._desk
        rules = desk.trust.charter().gates
        spec = {
            **settings,
            "min_people": ask.least_people,
            "most_people": max(MOST_ATTACKED, fewest_for(rules)),
        }
        with self._release.opened(ask, asker) as opening:
            intent = opening.intent.index
            family = f"{ask.purpose}/{EMBEDDING}"
            build = f"{family}:{intent}"
            groups = list(shards(opening.blocks, rows=SHARD_ROWS, people=SHARD_PEOPLE))
            rows, people, level = 0, 0, ""
            found: list[Exposure] = []
            for done, group in enumerate(groups):
                report({"done": done, "of": len(groups)})
                told = {**spec, "attack": done == 0}
                passed, level = self._release.run(ask, opening, group, told, report)
                found += [Exposure.of(one.values) for one in passed if one.kind == "exposure"]
                made = self._seal(opening, group, passed, build)
                rows, people = rows + made[0], people + made[1]
            desk.lineage.add(
                build,
                kind=EMBEDDING,
                label=replace(opening.label, people=people),
                parents=opening.datasets,
                created_us=desk.now_us(),
                facts={
                    "intent": intent,
                    "purpose": ask.purpose,
                    "recipe": EMBED,
                    "rows": rows,
                    "mode": "apart",
                },
            )
            with desk.lock:
                desk.trust.contained.require_free(opening.touched)
                desk.catalog.builds.settle(build)
                state, shown = record_vectors(
                    self._release.gates,
                    Attacked(
                        dataset=build,
                        held=self._release.gates.held(build),
                        behind=_behind(opening.datasets, ask.streams, settings),
                        streams=ask.streams,
                        charter=desk.trust.digest(),
                    ),
                    found,
                    rules,
                    told={name: settings[name] for name in ("encoder", "dims", "noise_micro")},
                    intent=intent,
                    actor=asker.principal.id,
                )
                if state == PASSED:
                    desk.vault.remove(desk.catalog.builds.replace(family, keep=build))
                receipt = self._release.close(
                    ask,
                    opening,
                    asker,
                    {
                        "rows": rows,
                        "people": people,
                        "level": level,
                        "dataset": build,
                        "state": state,
                    },
                )
        return {
            "dataset": build,
            "state": "registered" if state == PASSED else "quarantine",
            "gates": shown,
            "people": people,
            "vectors": rows,
            "left_out": dict(opening.left_out),
            "level": level,
            "entry": receipt.index,
        }

    def _seal(
        self, opening: Opening, group: Sequence[PersonId], passed: Sequence[Passed], build: str
    ) -> tuple[int, int]:
        real = {opening.aliases[person]: person for person in group}

        def tables() -> Iterator[tuple[PersonId, pa.Table]]:
            for one in passed:
                if one.kind == "exposure":
                    continue
                if one.kind != "vectors" or one.table is None:
                    raise TamperedError(
                        "a run over text sent something else", rule="release.frames"
                    )
                yield real[one.person], one.table

        held = seal_apart(
            self._desk,
            self._release,
            opening,
            group=group,
            tables=tables(),
            stream=EMBEDDING,
            build=build,
        )
        return sum(block.table.num_rows for block in held), len(held)

    def _streams(self, arguments: Mapping[str, Any]) -> frozenset[str]:
        desk, given = self._desk, arguments.get("streams")
        known = sources_of(desk.trust.charter(), word(arguments, "purpose"))
        known &= desk.gatekeeper.reads(EMBED)
        if (
            not isinstance(given, list)
            or not given
            or not all(isinstance(one, str) for one in given)
        ):
            raise InvalidError("name at least one stream", field="streams", rule="embedding.stream")
        if not set(given) <= known:
            raise InvalidError(
                "a stream that this purpose has not, or that holds no text",
                field="streams",
                rule="embedding.stream",
                fix=", ".join(sorted(known)) or "none",
            )
        return frozenset(given)


def _behind(sources: Sequence[str], streams: frozenset[str], settings: Mapping[str, Any]) -> str:
    """Return the digest of what decides about a set: sources, streams, and settings."""
    made = {name: settings[name] for name in ("encoder", "dims")}
    # a millionth of noise more is no other set: else one would be tried until its draw is lucky
    made["noise_tenths"] = settings["noise_micro"] // 100_000
    return canonical.digest(
        {"sources": sources_digest(sources), "streams": sorted(streams), **made}
    ).hex()
