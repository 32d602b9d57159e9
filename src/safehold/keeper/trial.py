"""The verbs that attack a model of this home before it may leave.

``membership``: was somebody in its training set? A release like any other, under a grant for this recipe: the features
that it was trained on are opened once more, of the people who take part now, for a sandbox that gets the model beside
them. Who trained and who was held out follows from the keeper's secret, and whether somebody was there at all from the
set of people that the training's intent committed to. Out come counts.

``canary``: does it give away what was planted? Nobody's rows are opened: the sandbox gets the model and a key.

Whoever asks chooses neither the attack's settings nor the people. The result of each gate of the charter is a leaf;
what does not pass lies in quarantine from then on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
import pyarrow as pa

from safehold.canonical import b64
from safehold.charter.oversight import Gate
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    ShreddedError,
    TamperedError,
)
from safehold.ids import PersonId
from safehold.keeper.answers import Answers
from safehold.keeper.ask import Ask
from safehold.keeper.bounds import Opening
from safehold.keeper.caller import caller
from safehold.keeper.contained import Thing, things
from safehold.keeper.grants import Grants, Use
from safehold.keeper.models import Models
from safehold.keeper.planting import canary_key, place_of
from safehold.keeper.ports import Beside, Passed
from safehold.keeper.recipes import FEATURE, TRIAL_VERB
from safehold.keeper.release import Release
from safehold.keeper.server import Report
from safehold.keeper.terms import least_level, sources_of
from safehold.ledger import Entry
from safehold.ledger.subjects import epoch_key, item_of
from safehold.privacy.attack import AttackResult, canary_result, membership_result

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MEMBERSHIP: Final = "membership"
CANARY: Final = "canary"
STAGE: Final = "training"
# recipes whose models make no vectors: there is nothing that a gate on inversion could be about
VECTORLESS: Final = frozenset({"train"})


class Trials:
    """The verbs about attacks on models.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The one door to data.
        answers: Writes results.
        models: The artifacts.
    """

    def __init__(
        self, desk: Desk, grants: Grants, release: Release, answers: Answers, models: Models
    ) -> None:
        self._desk = desk
        self._grants = grants
        self._release = release
        self._answers = answers
        self._models = models

    def membership(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Attack a model with what it was trained on, and put the result of every gate in the ledger.

        Raises:
            MissingError: There is no such model, or what it was trained on is gone.
            DeniedError: The grant, the charter or a person's choice says no, or too few people are left.
        """
        desk = self._desk
        name, record = self._find(arguments)
        purpose = str(record["purpose"])
        admitted = self._grants.admit(
            arguments,
            Use(verb=TRIAL_VERB, purpose=purpose, stage=STAGE, recipe=MEMBERSHIP, stream=FEATURE),
        )
        asker = admitted.asker()
        ask = Ask(
            recipe=MEMBERSHIP,
            kind="derived",
            streams=frozenset({FEATURE}),
            purpose=purpose,
            stage=STAGE,
            least_people=desk.trust.least_people(purpose),
            within=frozenset(record["datasets"]),
            about=things(artifacts=[name]),
        )
        try:
            asker.require_everybody()
            with self._release.opened(ask, asker) as opening:
                inside, outside = self._sides(opening, record)
                spec = {
                    **_settings(desk, record, "train"),
                    "members": inside,
                    "others": outside,
                    "min_people": ask.least_people,
                }
                model = self._model(name)
                people = sorted(
                    person
                    for person in opening.blocks
                    if opening.aliases[person] in {*inside, *outside}
                )
                passed, level = self._release.run(ask, opening, people, spec, report, beside=model)
                with desk.lock:
                    self._release.require_present(opening)
                    found = self._judge(
                        name,
                        MEMBERSHIP,
                        passed,
                        intent=opening.intent.index,
                        actor=asker.principal.id,
                    )
                receipt = self._release.close(
                    ask, opening, asker, {"attacked": name, "level": level, "people": len(people)}
                )
        finally:
            self._grants.end(admitted.entry)
        return {
            "artifact": name,
            "attack": MEMBERSHIP,
            "people": len(people),
            "left_out": dict(opening.left_out),
            "level": level,
            "gates": found,
            "state": self._models.shelf.standing(name).state,
            "entry": receipt.index,
        }

    def canary(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Search a model for what was planted in its training, and put the result of every gate in the ledger.

        Raises:
            MissingError: There is no such model.
            DeniedError: Everything is stopped.
        """
        desk = self._desk
        who = caller().id
        name, record = self._find(arguments)
        purpose, planted = str(record["purpose"]), int(record["trial"].get("planted", 0))
        desk.ledger.check_health()
        least = least_level(
            desk.trust.charter(),
            sources_of(desk.trust.charter(), purpose),
            synthetic=desk.home.synthetic,
        )
        touched = things(purpose=purpose, principals=(who,), artifacts=[name])
        with desk.lock:
            desk.trust.contained.require_free(touched)
            self._answers.settle()
            intent = desk.trust.log_charged(
                Entry(
                    kind="access.intent",
                    actor=who,
                    object=CANARY,
                    detail={"artifact": name},
                    charter=desk.trust.digest(),
                    public={"purpose": purpose, "action": TRIAL_VERB, "artifact": name},
                ),
                None,
            ).index
            self._answers.begin(intent)
        with self._answers.expected(intent, actor=who, thing=CANARY, opened={}):
            passed: list[Passed] = []
            level = desk.workshop.level()
            if planted:
                spec = {
                    **_settings(desk, record, "train"),
                    "key": b64(canary_key(desk, int(record["intent"]))),
                    "planted": planted,
                }
                touched |= things(runs=[intent])
                passed, level = self._search(name, spec, least=least, touched=touched)
            with desk.lock:
                desk.trust.contained.require_free(touched)
                found = self._judge(name, CANARY, passed, intent=intent, actor=who)
            receipt = self._answers.write(
                intent,
                actor=who,
                thing=CANARY,
                outcome="ok",
                detail={"attacked": name, "level": level, "planted": planted},
            )
        return {
            "artifact": name,
            "attack": CANARY,
            "planted": planted,
            "level": level,
            "gates": found,
            "state": self._models.shelf.standing(name).state,
            "entry": receipt.index,
        }

    def _find(self, arguments: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        name = arguments.get("artifact")
        if not isinstance(name, str) or len(name) > 128:
            raise InvalidError("not an artifact", field="artifact", rule="artifact.id")
        record = self._models.find(name)
        if "trial" not in record:
            raise MissingError(
                "this artifact was not trained here, or by an older version: nothing is known to attack it with",
                rule="attack.trial",
                fix="train it again: safehold enclave train",
            )
        return name, record

    def _sides(self, opening: Opening, record: Mapping[str, Any]) -> tuple[list[str], list[str]]:
        """Return the run-scoped names of those who trained, and of those who were held out of that training."""
        desk, intent = self._desk, int(record["intent"])
        cut = str(record["trial"].get("cut", ""))
        people = sorted(opening.blocks)
        inside: list[str] = []
        outside: list[str] = []
        for person, there in zip(people, self._were_there(people, intent), strict=True):
            if there:
                held = bool(cut) and place_of(desk, intent, person) <= cut
                (outside if held else inside).append(opening.aliases[person])
        if not outside or not inside:
            raise DeniedError(
                "nobody was held out of this training, so nobody can tell members from others",
                rule="attack.sides",
                fix="train with more people",
            )
        return sorted(inside), sorted(outside)

    def _were_there(self, people: Sequence[PersonId], intent: int) -> list[bool]:
        desk = self._desk
        try:
            said = desk.ledger.opening(intent).people
        except (ShreddedError, MissingError):
            raise MissingError(
                "nobody can tell any more who was in this training", rule="attack.sides"
            ) from None
        epoch, items = desk.ledger.epochs.of(intent), set(said.items)
        subjects = desk.subjects([str(person) for person in people])
        return [item_of(epoch_key(one.key, epoch), said.nonce) in items for one in subjects]

    def _model(self, name: str) -> Beside:
        table = pa.table({"body": pa.array([self._models.read(name)], pa.large_binary())})
        return Beside(parts=[({"model": True}, table)])

    def _search(
        self, name: str, spec: Mapping[str, Any], *, least: str, touched: frozenset[Thing]
    ) -> tuple[list[Passed], str]:
        desk = self._desk
        gate = desk.gatekeeper.open(CANARY, spec, frozenset())
        memory = desk.workshop.pack(iter(self._model(name).parts))
        try:
            with (
                desk.holding(touched=touched) as run,
                desk.workshop.start(CANARY, spec, [memory], least=least) as job,
                desk.watching(job),
            ):
                run.attach(job)
                out = [gate.admit(frame) for frame in job.frames()]
                desk.trust.require_running()
                run.require_going()
                gate.close()
                return out, job.level
        finally:
            os.close(memory)

    def _judge(
        self, name: str, attack: str, passed: Sequence[Passed], *, intent: int, actor: str
    ) -> list[dict[str, Any]]:
        figures = [one.values for one in passed if one.kind == "figures"]
        if len(figures) > 1 or len(figures) != len(passed):
            raise TamperedError("an attack sent something else", rule="release.frames")
        gates = self._desk.trust.charter().gates
        shelf = self._models.shelf
        found = []
        for gate in gates:
            if gate.attack == attack:
                result = _result(gate, figures[0]) if figures else _nothing(gate)
                found.append(shelf.record(name, gate, result, intent=intent, actor=actor))
        note_inapplicable(self._models, name, gates, intent=intent)
        return found


def note_inapplicable(models: Models, name: str, gates: Sequence[Gate], *, intent: int) -> None:
    """Write down, of each gate on vectors, that a model which makes none has nothing to invert.

    Of a model from any other recipe nothing is written: the gate stands until somebody attacked it.
    """
    if models.find(name).get("trial", {}).get("recipe") not in VECTORLESS:
        return
    shelf = models.shelf
    open_ = {one["gate"] for one in shelf.gates(name, gates) if one["state"] != "inapplicable"}
    for gate in gates:
        if gate.attack == "invert" and gate.id in open_:
            shelf.record(name, gate, None, intent=intent, actor="keeper")


def _settings(desk: Desk, record: Mapping[str, Any], recipe: str) -> dict[str, Any]:
    """Return the public settings of a training, with the rounds that the model was trained for."""
    metrics = orjson.loads(record["metrics"])
    found = dict(desk.gatekeeper.settings(recipe, synthetic=desk.home.synthetic))
    found["rounds"] = metrics.get("rounds", 40)
    found["actions_per_person"] = metrics.get("actions_per_person", 64)
    return found


def _result(gate: Gate, values: Mapping[str, Any]) -> AttackResult:
    if gate.attack == MEMBERSHIP:
        return membership_result(
            members=values["members"],
            others=values["others"],
            hits=values["hits"],
            false=values["false"],
            even=(values["even_hits"], values["even_false"]),
            must_be=gate.must_be,
        )
    return canary_result(
        planted=values["planted"],
        candidates=values["candidates"],
        exposed=values["exposed"],
        deepest=values["deepest"],
        mean=values["mean"],
        must_be=gate.must_be,
    )


def _nothing(gate: Gate) -> AttackResult:
    """Return the result of an attack that had nothing to go on: it judges nothing."""
    return AttackResult(
        attack=gate.attack,
        version=1,
        measure="none",
        point=0,
        lower=0,
        upper=1_000_000,
        confidence=0,
        trials={"planted": 0} if gate.attack == CANARY else {"members": 0, "others": 0},
        power="nothing was planted in this training, so nothing could have been found",
    )
