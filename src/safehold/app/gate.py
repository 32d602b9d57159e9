"""The keeper's gate and notary, made of the enclave's rules."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from safehold.access.code import CODE, Plan, read_plan
from safehold.app import embedding
from safehold.app.attack import need
from safehold.app.model_gates import MODEL_RECIPES, attest, open_model_gate, recipe_materials
from safehold.app.workshop import kind_of
from safehold.assurance.reidentify.attackers import KINDS
from safehold.assurance.reidentify.gate import RiskAllowance, RiskGate
from safehold.assurance.reidentify.trial import STREAMS
from safehold.dlp.feature import Feature, admit_columns
from safehold.enclave.action import SCHEMA
from safehold.enclave.artifact import Model, Provenance, sign_provenance, verify_provenance
from safehold.enclave.code.gate import CodeGate
from safehold.enclave.contribution import QueryGate
from safehold.enclave.egress import Allowance, Derived, Metrics, Progress
from safehold.enclave.egress import Gate as MessageGate
from safehold.enclave.feature import declare
from safehold.enclave.manifest import sign_files
from safehold.enclave.share import ShareGate
from safehold.enclave.vocabulary import MINIWOB, WORKFORCE, Vocabulary
from safehold.errors import DeniedError
from safehold.federation.measure import READ, RECIPE, MeasureGate, check_spec
from safehold.keeper.ports import Frame, Gate, Made, Passed
from safehold.privacy.template import Template
from safehold.signing import PointKey, SigningKey, VerifyKey
from safehold.telemetry.schema import REST

SEED: Final = 1  # the attack is the same again; it draws no noise
STEPS: Final = 1_000  # most steps the encoder is trained for


def columns_of(stream: str) -> tuple[str, ...]:
    """Return the columns of a stream, or of features, in their order: every recipe so far reads them all."""
    return tuple((SCHEMA if stream == "feature" else REST[stream]).names)


class EgressGate:
    """The gate of one run.

    Args:
        allowance: What the run may send.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._gate = MessageGate(allowance)

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame carries if it may leave."""
        match self._gate.admit(frame.header, frame.body):
            case Progress(done=done, of=of):
                return Passed(kind="progress", values={"done": done, "of": of})
            case Metrics(values=values):
                return Passed(kind="metrics", values=values)
            case Derived(person=person, table=table):
                return Passed(kind="derived", values={}, person=person, table=table)
            case Model() as model:
                return Passed(kind="model", values={}, body=model.body)

    def close(self) -> None:
        """Check that nothing is missing."""
        self._gate.close()


class AttackGate:
    """The gate of one attack on people who are to be recognised.

    Args:
        allowance: What the run may send.
    """

    def __init__(self, allowance: RiskAllowance) -> None:
        self._gate = RiskGate(allowance)

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame says if it may leave."""
        return Passed(kind="risk", values=self._gate.admit(frame.header, frame.body))

    def close(self) -> None:
        """Check that nothing is missing."""
        self._gate.close()


class ScriptGate:
    """The gate of one sandbox with a script of somebody's own.

    Args:
        plan: What the script may send.
    """

    def __init__(self, plan: Plan) -> None:
        self._gate = CodeGate(plan)

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame says if it may leave."""
        return Passed(kind="code", values=self._gate.admit(frame.header, frame.body))

    def close(self) -> None:
        """A script that sent nothing said nothing."""


class FigureGate:
    """The gate of one query.

    Args:
        template: What it declared.
        people: Run-scoped ids that it is given.
    """

    def __init__(self, template: Template, people: frozenset[str]) -> None:
        self._gate = QueryGate(template, people)

    def admit(self, frame: Frame) -> Passed:
        """Return what one person adds; it does not leave."""
        found = self._gate.admit(frame.header, frame.body)
        return Passed(kind="contribution", values={}, person=found.person, held=found.share)

    def close(self) -> None:
        """Check that nobody is missing."""
        self._gate.close()


class JoinGate:
    """The gate of one run that makes a number of each person, for a join.

    Args:
        people: Run-scoped ids that were handed in.
        spec: What the recipe was told.
    """

    def __init__(self, people: frozenset[str], spec: Mapping[str, Any]) -> None:
        check_spec(spec)
        self._gate = MeasureGate(people=people, clamp=spec["clamp"])

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame says if it may leave."""
        person, value = self._gate.admit(frame.header, frame.body)
        return Passed(kind="measure", values={"value": value}, person=person)

    def close(self) -> None:
        """Nothing can be missing: whoever has no value is left out."""


def _open_feature(spec: Mapping[str, Any], people: frozenset[str]) -> Gate:
    admit_columns(SCHEMA, declare(spec))
    vocabulary = Vocabulary.from_spec(spec)
    return EgressGate(Allowance(recipe="feature", vocabulary=vocabulary, people=people))


def _open_train(spec: Mapping[str, Any], people: frozenset[str]) -> Gate:
    return EgressGate(
        Allowance(
            recipe="train",
            vocabulary=Vocabulary.from_spec(spec),
            people=people,
            epsilon_micro=spec["epsilon_micro"],
            delta_e12=spec["delta_e12"],
            min_people=spec["min_people"],
            synthetic=spec["synthetic"],
        )
    )


def _open_attack(spec: Mapping[str, Any], people: frozenset[str]) -> Gate:
    return AttackGate(
        RiskAllowance(people=len(people), min_people=spec["min_people"], kinds=tuple(spec["kinds"]))
    )


_OPENERS: Final[Mapping[str, Callable[[Mapping[str, Any], frozenset[str]], Gate]]] = {
    "feature": _open_feature,
    "train": _open_train,
    "federate": lambda spec, _people: ShareGate(mode=spec["mode"], parameters=spec["parameters"]),
    "reidentify": _open_attack,
    "sql": lambda spec, people: FigureGate(Template.from_json(spec["template"]), people),
    RECIPE: lambda spec, people: JoinGate(people, spec),
    CODE: lambda spec, _people: ScriptGate(read_plan(spec["script"].encode())),
}


class EgressGatekeeper:
    """Opens a gate for each run, no wider than what the run was told."""

    def open(self, recipe: str, spec: Mapping[str, Any], people: frozenset[str]) -> Gate:
        """Return the gate of one run.

        Raises:
            DeniedError: Nothing leaves such a recipe.
        """
        if recipe in embedding.RECIPES:
            return embedding.gate_of(recipe, spec, people)
        if recipe in MODEL_RECIPES:
            return open_model_gate(recipe, spec)
        opener = _OPENERS.get(kind_of(recipe))
        if opener is None:
            raise DeniedError("nothing leaves this recipe through the gate", rule="egress.recipe")
        return opener(spec, people)

    def reads(self, recipe: str) -> frozenset[str]:
        """Return the streams a recipe understands."""
        if recipe in embedding.RECIPES:
            return embedding.reads(recipe)
        match kind_of(recipe):
            case "train" | "federate" | "membership":
                return frozenset({"feature"})
            case "reidentify":
                return frozenset(STREAMS)
            case "join":
                return frozenset(READ)
            case _:
                return frozenset({"key", "pointer", "chat", "ai"})

    def columns(self, recipe: str, stream: str) -> tuple[str, ...]:
        """Return the columns of a stream that a recipe reads, in their order; none of one that it does not know."""
        if recipe in embedding.RECIPES:
            return embedding.columns(stream) if stream in embedding.reads(recipe) else ()
        if recipe == RECIPE:
            return READ.get(stream, ())
        return columns_of(stream) if stream in self.reads(recipe) else ()

    def features(self, recipe: str, spec: Mapping[str, Any]) -> tuple[Feature, ...]:
        """Return the columns a recipe makes, and from what."""
        if recipe in embedding.RECIPES:
            return embedding.features(recipe, spec)
        return declare(spec) if recipe == "feature" else ()

    def settings(
        self, recipe: str, *, synthetic: bool, body: bytes | None = None
    ) -> dict[str, Any]:
        """Return the public vocabulary of a home's models, or which attackers try.

        Raises:
            UnavailableError: What the attackers need is not installed.
        """
        if recipe in embedding.RECIPES:
            return embedding.settings(recipe, body)
        if recipe == "reidentify":
            need(KINDS)
            return {"kinds": list(KINDS), "seed": SEED, "steps": STEPS}
        return dict((WORKFORCE if synthetic else MINIWOB).to_spec())


class ProvenanceNotary:
    """in-toto statements in DSSE envelopes."""

    def state(self, made: Made, key: SigningKey) -> bytes:
        """Return a signed statement about an artifact."""
        return sign_provenance(
            Provenance(
                name=made.name,
                sha256=hashlib.sha256(made.body).digest(),
                recipe=made.recipe,
                parameters=made.parameters,
                materials={**made.materials, **recipe_materials()},
                run=made.run,
                intent=made.intent,
                builder=f"safehold-sandbox/{made.level}",
                started_us=made.started_us,
                finished_us=made.finished_us,
            ),
            key,
        )

    def attest(self, name: str, card: Mapping[str, Any], key: SigningKey) -> bytes:
        """Return a signed statement of what an artifact was tested for, and how that ended."""
        return attest(name, card, key)

    def sign_files(self, name: str, files: Mapping[str, bytes], key: PointKey) -> bytes:
        """Return a signature over files, as OpenSSF model signing has it."""
        return sign_files(name, files, key)

    def check(self, statement: bytes, *, body: bytes, key: VerifyKey) -> dict[str, Any]:
        """Return what a statement says."""
        return verify_provenance(statement, body=body, keys=[key])
