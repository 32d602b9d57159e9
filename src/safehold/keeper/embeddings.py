"""The verbs about vectors: make and attack them, ask them, train on them. None returns one.

Vectors are sealed under the keys of the person they are of, so they end with them. A set is attacked in the run that
makes it, before anything else may use it; a set that fails, or that has too few people to be judged, stays in
quarantine: its blocks are refused by ``release`` whoever asks. What fits its gates takes the place of the one before.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from safehold import canonical
from safehold.errors import DeniedError, InvalidError, MissingError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.apart import seal_apart
from safehold.keeper.ask import Ask, Asker, shards
from safehold.keeper.bounds import Opening
from safehold.keeper.days import sources_digest
from safehold.keeper.desk import Desk
from safehold.keeper.gates import Attacked, feature_blocks
from safehold.keeper.grants import Admitted, Grants, Use
from safehold.keeper.models import Models
from safehold.keeper.ports import Passed
from safehold.keeper.release import Release
from safehold.keeper.server import Report, Verb
from safehold.keeper.terms import derived_expiry, sources_of
from safehold.keeper.vector_exit import EMBEDDING, STAGE, Noticed, VectorExit, word
from safehold.keeper.vector_gates import Exposure, fewest_for, record_vectors
from safehold.keeper.work import SHARD_PEOPLE, SHARD_ROWS
from safehold.privacy.recognition import PASSED

EMBED: Final = "embed"  # recipes and verbs
NEAR: Final = "embed.near"
HEAD: Final = "embed.head"
EXPORT: Final = "embed.export"
AGGREGATE, WEIGHTS = "dp_aggregate", "model_weights_dp"  # what a purpose may release
MOST_ATTACKED: Final = 1_000
MOST_NOISE: Final = 10_000_000
MOST_BYTES: Final = 256 << 20


class Embeddings:
    """The verbs.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        models: Seals what training makes.
        release: The one door to data.
    """

    def __init__(self, desk: Desk, grants: Grants, models: Models, release: Release) -> None:
        self._desk = desk
        self._grants = grants
        self._models = models
        self._release = release
        self._exit = VectorExit(desk)
        self._alone = (
            threading.Lock()
        )  # one set is made or used at a time: none is replaced while it is read

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {EMBED: self.embed, NEAR: self.near, HEAD: self.head, EXPORT: self._exit.export}

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
        beside = self._beside(descriptors, settings)
        admitted = self._admit(arguments, purpose, STAGE, EMBED, min(streams))
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

    def near(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Answer a question to vectors by how many people lie where, with noise, and never by whom.

        Raises:
            DeniedError: No set has passed its gates, or the purpose releases no aggregates.
            BudgetSpentError: The purpose's budget does not cover it.
        """
        epsilon = arguments.get("epsilon_micro")
        if type(epsilon) is not int or not 1 <= epsilon <= 50_000_000:
            raise InvalidError(
                "epsilon is above zero", field="epsilon_micro", rule="privacy.epsilon"
            )
        asked = {
            "how": arguments.get("how"),
            "texts": arguments.get("texts"),
            "epsilon_micro": epsilon,
        }

        def answer(passed: Sequence[Passed], _opening: Opening) -> dict[str, Any]:
            (one,) = (each for each in passed if each.kind == "counts")
            return {**one.values, "epsilon": epsilon / 1e6}

        return self._use(
            arguments, descriptors, report,
            recipe=NEAR, stage=STAGE, releases=AGGREGATE, price=(epsilon, 0), asked=asked, answer=answer,
        )  # fmt: skip

    def head(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Train a small head on vectors with person-level differential privacy.

        Raises:
            DeniedError: No set has passed its gates, or the purpose releases no models.
            BudgetSpentError: The purpose's budget does not cover it.
        """
        desk = self._desk
        purpose = word(arguments, "purpose")
        allowed = desk.trust.allowed(purpose)
        epsilon = arguments.get("epsilon_micro", allowed.epsilon_micro)
        if type(epsilon) is not int or not 1 <= epsilon <= allowed.epsilon_micro:
            raise InvalidError(
                "epsilon is out of range", field="epsilon_micro", rule="privacy.epsilon"
            )
        price = (epsilon, allowed.delta_e12)
        asked = {"epsilon_micro": epsilon, "delta_e12": allowed.delta_e12}
        started = desk.now_us()

        def answer(passed: Sequence[Passed], opening: Opening) -> dict[str, Any]:
            metrics = next(dict(one.values) for one in passed if one.kind == "metrics")
            (body,) = (one.body for one in passed if one.kind == "model")
            artifact = self._keep(body, metrics, opening, purpose=purpose, started_us=started)
            return {"artifact": artifact, "metrics": metrics}

        return self._use(
            arguments, descriptors, report,
            recipe=HEAD, stage="training", releases=WEIGHTS, price=price, asked=asked, answer=answer,
        )  # fmt: skip

    def _use(
        self,
        arguments: dict[str, Any],
        descriptors: Sequence[int],
        report: Report,
        *,
        recipe: str,
        stage: str,
        releases: str,
        price: tuple[int, int],
        asked: Mapping[str, Any],
        answer: Callable[[Sequence[Passed], Opening], dict[str, Any]],
    ) -> dict[str, Any]:
        desk = self._desk
        purpose = word(arguments, "purpose")
        if releases not in desk.trust.charter().purpose(purpose).releases:
            raise DeniedError(
                "this purpose does not release that",
                rule="purpose.releases",
                fix="safehold charter show",
            )
        admitted = self._admit(arguments, purpose, stage, recipe, EMBEDDING)
        asker = admitted.asker()
        try:
            with self._alone, Noticed(self._exit, admitted) as rows:
                dataset = self._find(purpose, arguments.get("dataset"))
                told = self._release.gates.told(dataset)
                settings = {name: told.get(name) for name in ("encoder", "dims")}
                shipped = desk.gatekeeper.settings(recipe, synthetic=desk.home.synthetic)
                ask = Ask(
                    recipe=recipe,
                    kind="derived",
                    streams=frozenset({EMBEDDING}),
                    purpose=purpose,
                    stage=stage,
                    least_people=desk.trust.least_people(purpose),
                    price=price,
                    within=frozenset({dataset}),
                    beside=()
                    if settings["encoder"] == shipped["encoder"] or recipe == HEAD
                    else self._beside(descriptors, settings),
                )
                with self._release.opened(ask, asker) as opening:
                    rows(opening)
                    spec = {**settings, **asked, "min_people": ask.least_people}
                    everybody = sorted(opening.blocks)
                    passed, level = self._release.run(ask, opening, everybody, spec, report)
                    with desk.lock:
                        self._release.require_present(opening)
                        said = answer(passed, opening)
                    receipt = self._release.close(
                        ask,
                        opening,
                        asker,
                        {"level": level, "people": len(everybody), "dataset": dataset},
                    )
                return {
                    **said,
                    "dataset": dataset,
                    "people": len(everybody),
                    "left_out": dict(opening.left_out),
                    "level": level,
                    "intent": opening.intent.index,
                    "entry": receipt.index,
                }
        finally:
            self._grants.end(admitted.entry)

    def _keep(
        self,
        body: bytes,
        metrics: Mapping[str, Any],
        opening: Opening,
        *,
        purpose: str,
        started_us: int,
    ) -> str:
        desk = self._desk
        datasets, label = opening.datasets, opening.label
        expires = derived_expiry(
            desk.trust.charter(), purpose, today=desk.today(), sources_end=label.expires
        )
        artifact = self._models.keep(
            body,
            recipe=HEAD,
            purpose=purpose,
            metrics=metrics,
            datasets=datasets,
            expires=expires,
            intent=opening.intent.index,
            level=desk.workshop.level(),
            started_us=started_us,
        )
        desk.lineage.add(
            artifact,
            kind="model",
            label=replace(label, purposes=frozenset({purpose}), expires=expires),
            parents=datasets,
            created_us=desk.now_us(),
            facts={"intent": opening.intent.index, "purpose": purpose, "recipe": HEAD},
            release={name: int(metrics[name]) for name in ("epsilon_micro", "delta_e12")},
        )
        return artifact

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

    def _admit(
        self, arguments: dict[str, Any], purpose: str, stage: str, recipe: str, stream: str
    ) -> Admitted:
        return self._grants.admit(
            arguments, Use(verb=recipe, purpose=purpose, stage=stage, recipe=recipe, stream=stream)
        )

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

    def _beside(
        self, descriptors: Sequence[int], settings: dict[str, Any]
    ) -> tuple[tuple[Mapping[str, Any], pa.Table], ...]:
        """Return a company's own encoder as a part for the sandbox, and put what it is into the settings."""
        if not descriptors:
            return ()
        size = os.fstat(descriptors[0]).st_size
        if size > MOST_BYTES:
            raise InvalidError("the encoder is too large", rule="embedding.encoder.size")
        body = os.pread(descriptors[0], size, 0)
        shape = self._desk.gatekeeper.settings(
            EMBED, synthetic=self._desk.home.synthetic, body=body
        )
        known = {"encoder": hashlib.sha256(body).hexdigest(), "dims": shape["dims"]}
        if "noise_micro" in settings:
            settings |= known
        elif settings != known:
            raise InvalidError(
                "these vectors are of another encoder", rule="embedding.encoder.other"
            )
        table = pa.table({"body": pa.array([body], pa.large_binary())})
        return (({"encoder": known["encoder"]}, table),)

    def _find(self, purpose: str, asked: Any) -> str:
        """Return the set that is meant: of those of the purpose, the one named, or the newest that passed its gates."""
        desk, gates = self._desk, self._release.gates
        blocks = [block for block in feature_blocks(desk) if block.stream == EMBEDDING]
        known = [
            one
            for one in desk.catalog.sources_of([block.block_id for block in blocks])
            if one.rpartition(":")[0] == f"{purpose}/{EMBEDDING}" and asked in (None, one)
        ]
        if not known:
            raise MissingError(
                "the home holds no such vectors",
                rule="catalog.dataset",
                fix="safehold enclave embed",
            )
        known.sort(key=lambda one: int(one.rpartition(":")[2]))
        if asked is None:
            for one in reversed(known):
                try:
                    gates.require_registered([one])
                except DeniedError:
                    continue
                return one
        return known[-1]


def _behind(sources: Sequence[str], streams: frozenset[str], settings: Mapping[str, Any]) -> str:
    """Return the digest of what decides about a set: sources, streams, and settings."""
    made = {name: settings[name] for name in ("encoder", "dims")}
    # a millionth of noise more is no other set: else one would be tried until its draw is lucky
    made["noise_tenths"] = settings["noise_micro"] // 100_000
    return canonical.digest(
        {"sources": sources_digest(sources), "streams": sorted(streams), **made}
    ).hex()


__all__ = ["EMBED", "EMBEDDING", "EXPORT", "HEAD", "NEAR", "Embeddings"]
