"""The verbs about vectors: ask them, train on them; ``vector_making`` makes them. None returns one.

Vectors are sealed under the keys of the person they are of, so they end with them. What is in quarantine is refused
by ``release``, whoever asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safehold.errors import DeniedError, InvalidError, MissingError
from safehold.keeper.ask import Ask
from safehold.keeper.bounds import Opening
from safehold.keeper.encoder import own_encoder
from safehold.keeper.gates import feature_blocks
from safehold.keeper.grants import Admitted, Grants, Use
from safehold.keeper.models import Models
from safehold.keeper.ports import Passed
from safehold.keeper.recipes import EMBED, EMBEDDING, EXPORT, HEAD, NEAR
from safehold.keeper.release import Release
from safehold.keeper.server import Report, Verb
from safehold.keeper.terms import derived_expiry
from safehold.keeper.vector_exit import STAGE, Noticed, VectorExit, word
from safehold.keeper.vector_making import VectorMaking

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

AGGREGATE, WEIGHTS = "dp_aggregate", "model_weights_dp"  # what a purpose may release


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
        # one is made or used at a time: none is replaced while it is read
        self._alone = threading.Lock()
        self._making = VectorMaking(desk, grants, release, exit_=self._exit, alone=self._alone)

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            EMBED: self._making.embed,
            NEAR: self.near,
            HEAD: self.head,
            EXPORT: self._exit.export,
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
                    else own_encoder(desk, descriptors, settings),
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

    def _admit(
        self, arguments: dict[str, Any], purpose: str, stage: str, recipe: str, stream: str
    ) -> Admitted:
        return self._grants.admit(
            arguments, Use(verb=recipe, purpose=purpose, stage=stage, recipe=recipe, stream=stream)
        )

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
