"""The verbs that use data: build features, train a model.

Each is one release (or several, in shards, under one intent): see ``release``. What is derived from a person is
sealed under that person's own key with a label no wider than its sources'.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from safehold.access import PeopleFilter, Workload
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.abreast import Order, side_by_side
from safehold.keeper.apart import seal_apart
from safehold.keeper.ask import Ask, Asker, shards
from safehold.keeper.bounds import Opening
from safehold.keeper.datasheet import describe
from safehold.keeper.desk import ENGINEER
from safehold.keeper.grants import Grants, Use
from safehold.keeper.models import Models
from safehold.keeper.planting import plan_training
from safehold.keeper.ports import Passed
from safehold.keeper.recipes import FEATURE
from safehold.keeper.release import Release
from safehold.keeper.server import Report
from safehold.keeper.team import Teams, read_workers, require_few
from safehold.keeper.terms import derived_expiry, sources_of
from safehold.keeper.trial import note_inapplicable
from safehold.telemetry.schema import REST

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

SHARD_ROWS = 1_000_000
SHARD_PEOPLE = 4_000  # each comes out as a table of its own, and all of a shard's are held until they are sealed
LONGEST_WORD = 128  # characters of a purpose
GRANTED = "feature.granted"  # the verb
CROWD = 1_000  # people in one round of training, on average: beyond it more of them add time, not accuracy


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
        self.release = self._release  # one for all verbs: it knows which runs go on
        self.answers = self._release.answers
        self._teams = Teams(desk, self._release)
        self._order = Order()

    def feature(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Build features for a purpose from every block that may serve it."""
        purpose = _word(arguments["purpose"])
        # the charter lets an engineer operate this stage without a grant: who asks sees counters only
        asker = Asker(principal=Workload(id="pipeline", role=ENGINEER), action="operate")
        with self._order.alone(purpose):
            return self._build(purpose, asker, report)

    def feature_granted(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Build features under a grant, for whoever does not operate this stage.

        Raises:
            DeniedError: The grant does not cover all that features of this purpose are made from: what it would leave
                out would be missing for everybody, since there is one set of features for each purpose.
        """
        purpose = _word(arguments["purpose"])
        streams = self._behind_features(purpose)
        if not streams:
            raise InvalidError("no features are made for this purpose", rule="feature.stream")
        admitted = self._grants.admit(
            arguments,
            Use(verb=GRANTED, purpose=purpose, stage=FEATURE, recipe=FEATURE, stream=min(streams)),
        )
        claims = admitted.claims
        everything = {f"{one}.{name}" for one in streams for name in REST[one].names}
        if claims.people != PeopleFilter().digest() or not (
            streams <= claims.streams and everything <= claims.columns
        ):
            raise DeniedError(
                "features are built from all that their purpose covers, or not at all",
                rule="feature.whole",
                fix="ask for a grant over all streams, columns and people",
            )
        try:
            with self._order.alone(purpose):
                return self._build(purpose, admitted.asker(), report)
        finally:
            self._grants.end(admitted.entry)

    def _behind_features(self, purpose: str) -> frozenset[str]:
        desk = self._desk
        return sources_of(desk.trust.charter(), purpose) & desk.gatekeeper.reads(FEATURE)

    def _build(self, purpose: str, asker: Asker, report: Report) -> dict[str, Any]:
        desk = self._desk
        ask = Ask(
            recipe="feature",
            kind="telemetry",
            streams=self._behind_features(purpose),
            purpose=purpose,
            stage="feature",
            least_people=1,
            makes=tuple(
                desk.gatekeeper.features(
                    "feature", desk.gatekeeper.settings("feature", synthetic=desk.home.synthetic)
                )
            ),
        )
        with self._release.opened(ask, asker) as opening:
            build = f"{purpose}:{opening.intent.index}"
            rows = people = 0
            level = ""
            abreast = desk.workshop.abreast()
            share = min(SHARD_PEOPLE, -(-len(opening.blocks) // abreast))
            groups = list(shards(opening.blocks, rows=SHARD_ROWS, people=max(share, 1)))
            settings = desk.gatekeeper.settings("feature", synthetic=desk.home.synthetic)

            def work(group: Sequence[PersonId]) -> tuple[list[Passed], str]:
                return self._release.run(ask, opening, group, settings, report)

            for done, (group, (passed, reached)) in enumerate(side_by_side(work, groups, abreast)):
                level = min(level or reached, reached)  # of workers, the one that confines least
                report({"done": done, "of": len(groups)})
                made = self._seal_features(opening, group, passed, build)
                rows += made[0]
                people += made[1]
            with desk.lock:  # a containment in between leaves the build before it in its place
                desk.trust.contained.require_free(opening.touched)
                # before the build counts: whatever is live has its lineage
                desk.lineage.add(
                    build,
                    kind=FEATURE,
                    label=replace(opening.label, people=people),
                    parents=opening.datasets,
                    created_us=desk.now_us(),
                    facts={
                        "intent": opening.intent.index,
                        "purpose": purpose,
                        "recipe": FEATURE,
                        "rows": rows,
                        "mode": "apart",
                    },
                )
                desk.vault.remove(desk.catalog.builds.replace(purpose, keep=build))
                receipt = self._release.close(
                    ask,
                    opening,
                    asker,
                    {"rows": rows, "people": people, "level": level, "dataset": build},
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
        purpose = _word(arguments["purpose"])
        workers = read_workers(arguments.get("workers", 1), self._desk)
        admitted = self._grants.admit(
            arguments,
            Use(verb="train", purpose=purpose, stage="training", recipe="train", stream=FEATURE),
        )
        asker = admitted.asker()
        try:
            with self._order.beside(purpose):  # features must not be replaced while they are read
                return self._train(purpose, asker, report, workers=workers)
        finally:
            self._grants.end(admitted.entry)  # it may be used up now

    def _train(self, purpose: str, asker: Asker, report: Report, *, workers: int) -> dict[str, Any]:
        desk = self._desk
        allowed = desk.trust.allowed(purpose)
        least = desk.trust.least_people(purpose)
        require_few(workers, least)
        ask = Ask(
            recipe="train",
            kind="derived",
            streams=frozenset({FEATURE}),
            purpose=purpose,
            stage="training",
            least_people=least,
            price=(allowed.epsilon_micro, allowed.delta_e12),
        )
        started = desk.now_us()
        with self._release.opened(ask, asker) as opening:
            settings = desk.gatekeeper.settings("train", synthetic=desk.home.synthetic)
            plan = plan_training(desk, opening, settings, least=least, charter=desk.trust.charter())
            spec = {
                **settings,
                "epsilon_micro": allowed.epsilon_micro,
                "delta_e12": allowed.delta_e12,
                # what is planted is nobody, and makes up for nobody
                "min_people": least + len(plan.beside.names),
                "held_out": list(plan.held_out),
                "synthetic": desk.home.synthetic,
                "sampling_ppm": share_of(len(opening.blocks)),
            }
            datasets, label = opening.datasets, opening.label
            if workers > 1:
                passed, level = self._teams.run(
                    ask, opening, spec, report, plan=plan, workers=workers
                )
            else:
                passed, level = self._release.run(
                    ask, opening, sorted(opening.blocks), spec, report, beside=plan.beside
                )
            metrics = counted(_only(passed, "metrics").values, planted=len(plan.beside.names))
            model = _only(passed, "model").body
            with desk.lock:  # an erasure finds the model, or the model finds the erasure
                self._release.require_present(opening)
                artifact = self._models.keep(
                    model,
                    recipe="train",
                    purpose=purpose,
                    metrics=metrics,
                    datasets=datasets,
                    expires=self._ends(purpose, label.expires),
                    intent=opening.intent.index,
                    level=level,
                    started_us=started,
                    card=describe(
                        charter=desk.trust.charter(),
                        purpose=purpose,
                        label=label,
                        metrics=metrics,
                        least=least,
                        expires=self._ends(purpose, label.expires),
                    ),
                    materials=self._materials(opening, datasets),
                    trial=plan.record,
                )
                note_inapplicable(
                    self._models,
                    artifact,
                    desk.trust.charter().gates,
                    intent=opening.intent.index,
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
                    facts={"intent": opening.intent.index, "purpose": purpose, "recipe": "train"},
                    release={
                        "epsilon_micro": allowed.epsilon_micro,
                        "delta_e12": allowed.delta_e12,
                    },
                )
            receipt = self._release.close(
                ask,
                opening,
                asker,
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

    def _materials(self, opening: Opening, datasets: Sequence[str]) -> dict[str, str]:
        """Return what a model is made from, by digests: blocks of datasets, and the intent in the ledger."""
        leaf = self._desk.ledger.leaf(opening.intent.index)
        return {
            "ledger/intent": hashlib.sha256(leaf).hexdigest(),
            **{f"dataset/{one}": self._release.gates.held(one) for one in datasets},
        }

    def _ends(self, purpose: str, sources_end: int) -> int:
        desk = self._desk
        return derived_expiry(
            desk.trust.charter(), purpose, today=desk.today(), sources_end=sources_end
        )

    def _seal_features(
        self, opening: Opening, group: Sequence[PersonId], passed: Sequence[Passed], build: str
    ) -> tuple[int, int]:
        real = {opening.aliases[person]: person for person in group}

        def tables() -> Iterator[tuple[PersonId, pa.Table]]:
            for one in passed:
                if one.kind != "derived" or one.table is None:
                    raise TamperedError("a feature run sent something else", rule="release.frames")
                yield real[one.person], one.table

        held = seal_apart(
            self._desk,
            self._release,
            opening,
            group=group,
            tables=tables(),
            stream=FEATURE,
            build=build,
        )
        return sum(block.table.num_rows for block in held), len({block.person for block in held})


def counted(figures: Mapping[str, Any], *, planted: int) -> dict[str, Any]:
    """Return the figures of a training with people counted as people: what was planted is nobody."""
    found = dict(figures)
    if planted:
        found |= {name: found[name] - planted for name in ("people", "trained") if name in found}
        found["planted"] = planted
    return found


def share_of(people: int) -> int:
    """Return the share of people in one round, in millionths: everybody, or about ``CROWD`` of a large crowd.

    The number of people is public; the accountant is told the same share.
    """
    return min(1_000_000, round(CROWD / people * 1_000_000))


def _word(given: Any) -> str:
    if not isinstance(given, str) or len(given) > LONGEST_WORD:
        raise InvalidError("a purpose is a word", field="purpose", rule="keeper.purpose")
    return given


def _only(passed: Sequence[Passed], kind: str) -> Passed:
    found = [one for one in passed if one.kind == kind]
    if len(found) != 1:
        raise TamperedError(f"training sent {len(found)} messages of {kind}", rule="release.frames")
    return found[0]
