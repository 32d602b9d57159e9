"""The egress gate: the only way out of an enclave.

It runs on the trusted side, on frames a recipe has sent, and believes none of them. A frame is one
of a few typed messages. For each there is a closed list of header keys; numbers are finite and
inside their range; text is one word out of a closed list; a table holds dictionaries that equal
the public vocabulary and nothing else; a model has exactly the tensors of its declared
architecture. What passes is built anew from what was checked, so bytes nobody looked at do not
travel along. All else is refused and ends the run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import pyarrow as pa

from safehold.enclave.action import SCHEMA
from safehold.enclave.artifact import Model, read_model
from safehold.enclave.model import Shape
from safehold.enclave.table import read_table
from safehold.enclave.vocabulary import MOST_TOKENS, Vocabulary
from safehold.errors import ERRORS, DeniedError, SafeholdError, TamperedError

Body = bytes | bytearray | memoryview
Check = Callable[[Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may leave in one run.

    Args:
        total_bytes: Bytes of all bodies together.
        frames: Number of frames.
        rows: Rows of one derived table.
        model_bytes: Bytes of a model.
    """

    total_bytes: int = 2 << 30
    frames: int = 1_000_000
    rows: int = 1_000_000
    model_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What one run may send out; the keeper writes it from the grant before the run starts.

    Args:
        recipe: ``feature`` or ``train``.
        vocabulary: The public lists given to the recipe.
        people: Run-scoped ids given to the recipe.
        epsilon_micro: Epsilon that was charged (train).
        delta_e12: Delta that was charged (train).
        min_people: Least people anything may be said about (train).
        synthetic: The people are made up, so exact figures may pass (train).
        limits: Sizes.
    """

    recipe: Literal["feature", "train"]
    vocabulary: Vocabulary
    people: frozenset[str]
    epsilon_micro: int = 0
    delta_e12: int = 0
    min_people: int = 0
    synthetic: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Derived:
    """One person's features, to be sealed under that person's key."""

    person: str
    table: pa.Table


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the run is."""

    done: int
    of: int


@dataclass(frozen=True, slots=True)
class Metrics:
    """Figures under a privacy promise, as the header carries them."""

    values: Mapping[str, Any]


Message = Derived | Progress | Metrics | Model

STEPS: Final = 20  # of the progress that a caller sees
_ALLOWED: Final = {"feature": {"derived"}, "train": {"progress", "metrics", "model"}}

# A recipe's own words never pass: an error arrives as its code and one of these rules.
_REASONS: Final = {
    "charter.min_people": ("too few people take part", "wait until more people take part"),
    "privacy.no_seed": ("noise and sampling take no seed", "leave the seed out"),
    "privacy.account": ("a privacy parameter is out of range", "check epsilon, delta and rounds"),
    "privacy.account.confirm": ("two accountants disagree", "report it"),
    "enclave.vocabulary": ("the public vocabulary is not one", "check vocabulary and apps"),
    "enclave.feature": ("a part is not what the feature recipe reads", "check the streams"),
    "enclave.feature.spec": ("the feature spec is wrong", "check its keys and ranges"),
    "enclave.train": ("a part is not a person's features", "derive the features again"),
    "enclave.train.audit": (
        "the trainer does not keep the promise it states",
        "nothing was trained; run safehold attack audit and report it",
    ),
    "enclave.train.spec": ("the training spec is wrong", "check its keys and ranges"),
}


class Gate:
    """Admit the frames of one run, one after the other.

    Args:
        allowance: What this run may send.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._seen: set[str] = set()
        self._frames = 0
        self._progress: tuple[int, int] | None = None
        self.bytes = 0

    def admit(self, header: Mapping[str, Any], body: Body = b"") -> Message:
        """Return the message a frame carries, built anew.

        Args:
            header: Header of the frame.
            body: Its body.

        Raises:
            TamperedError: The frame is not a message of its type in its only form.
            DeniedError: The message is not allowed to this recipe, or goes over a limit.
            SafeholdError: The recipe reported an error of its own.
        """
        self._frames += 1
        self.bytes += len(body)
        limits = self._allowance.limits
        if self._frames > limits.frames or self.bytes > limits.total_bytes:
            raise DeniedError("the run sends more than it may", rule="egress.budget")
        kind = header.get("type")
        if kind == "error":
            raise _reason(header, body)
        if not isinstance(kind, str) or kind not in _ALLOWED[self._allowance.recipe]:
            raise DeniedError(
                "the recipe sent a message it may not send",
                rule="egress.type",
                fix="only typed messages leave an enclave; rows and vectors do not",
            )
        match kind:
            case "derived":
                return self._derived(header, body)
            case "progress":
                return self._advance(_progress(header, body))
            case "metrics":
                return self._metrics(header, body)
            case _:
                return self._model(header, body)

    def close(self) -> None:
        """Check that a training run has sent its one model and its one set of figures.

        Raises:
            TamperedError: One is missing.
        """
        if self._allowance.recipe == "train" and not {"metrics", "model"} <= self._seen:
            raise TamperedError("the run ended without a model or figures", rule="egress.whole")

    def _advance(self, said: Progress) -> Progress:
        """Return progress in twentieths of the whole, and only if it moved on.

        Progress goes to the caller while the run is under way, free of charge. Numbers of a
        recipe's choosing, as often as it likes, would carry rows out; steps that only grow and
        that are this coarse carry less than three bytes in a whole run.

        Raises:
            TamperedError: The whole changed, or the run went back or stood still.
        """
        if self._progress is not None:
            done, of = self._progress
            if said.of != of or said.done <= done:
                raise TamperedError("a run does not go back", rule="egress.progress")
        self._progress = said.done, said.of
        return Progress(said.done * STEPS // said.of, STEPS)

    def _once(self, what: str) -> None:
        if what in self._seen:
            raise TamperedError("the same message came twice", rule="egress.once")
        self._seen.add(what)

    def _derived(self, header: Mapping[str, Any], body: Body) -> Derived:
        allowance = self._allowance
        _keys(header, {"type", "person", "rows"})
        person, rows = header["person"], header["rows"]
        if not isinstance(person, str) or person not in allowance.people:
            raise TamperedError("features of nobody who was handed in", rule="egress.person")
        self._once(person)
        _whole(1, allowance.limits.rows)(rows)
        table = read_table(body, rows=rows, schema=SCHEMA, column="token")
        columns = {}
        for name, words in (
            ("token", allowance.vocabulary.tokens),
            ("app", allowance.vocabulary.apps),
        ):
            chunk = table[name].chunk(0)
            if chunk.dictionary.to_pylist() != list(words) or chunk.dictionary.null_count:
                raise TamperedError(
                    "a table holds words outside the public vocabulary", rule="egress.vocabulary"
                )
            codes = pa.array(chunk.indices.to_numpy(), pa.int16())
            columns[name] = pa.DictionaryArray.from_arrays(codes, pa.array(words, pa.string()))
        columns["start"] = pa.array(table["start"].to_numpy(), pa.bool_())
        return Derived(person, pa.table(columns, schema=SCHEMA))

    def _metrics(self, header: Mapping[str, Any], body: Body) -> Metrics:
        allowance = self._allowance
        self._once("metrics")
        _empty(body)
        values = {name: value for name, value in header.items() if name != "type"}
        plain = values.pop("plain", None)
        checks = self._metric_checks()
        _keys(values, set(checks))
        for name, check in checks.items():
            check(values[name])
        if values["trained"] + values["held_out"] != values["people"]:
            raise TamperedError("the figures do not add up", rule="egress.people")
        if values["trained"] < allowance.min_people:
            raise DeniedError("the figures are about too few people", rule="charter.min_people")
        scores = ("top1", "macro_f1", "macro_over", "top1_error")
        if values["held_out"] < allowance.min_people and any(
            values[name] is not None for name in scores
        ):
            raise DeniedError("a score is about too few people", rule="charter.min_people")
        if plain is None:
            return Metrics(values)
        if not allowance.synthetic:
            raise DeniedError("exact figures about real people", rule="egress.exact")
        return Metrics({**values, "plain": _plain(plain)})

    def _metric_checks(self) -> dict[str, Check]:
        allowance = self._allowance
        people = len(allowance.people)
        shape = Shape(tokens=len(allowance.vocabulary.tokens), apps=len(allowance.vocabulary.apps))
        share = _maybe(_number(0, 1))
        return {
            "unit": _word("person"),
            "adjacency": _word("zero-out"),
            "epsilon_micro": _whole(allowance.epsilon_micro, allowance.epsilon_micro),
            "delta_e12": _whole(allowance.delta_e12, allowance.delta_e12),
            "epsilon_rdp": _number(0, 1e4),
            "epsilon_pld": _number(0, allowance.epsilon_micro / 1e6),
            "noise_multiplier": _number(1e-2, 1e8),
            "clip": _number(1e-6, 1e3),
            "rounds": _whole(1, 10_000),
            "sampling_ppm": _whole(1, 1_000_000),
            "people": _whole(people, people),
            "trained": _whole(1, people),
            "held_out": _whole(0, people),
            "actions_per_person": _whole(1, 4_096),
            # what follows from public lists has one value, not room for a message
            "tokens": _whole(shape.tokens, shape.tokens),
            "parameters": _whole(shape.parameters, shape.parameters),
            "audit": _word("passed"),
            "top1": share,
            "macro_f1": share,
            "macro_over": _maybe(_whole(0, len(allowance.vocabulary.tokens))),
            "top1_error": _maybe(_number(0, 1e3)),
        }

    def _model(self, header: Mapping[str, Any], body: Body) -> Model:
        allowance = self._allowance
        self._once("model")
        _keys(header, {"type", "format", "architecture", "vocabulary", "sha256", "size"})
        if len(body) > allowance.limits.model_bytes:
            raise DeniedError("the model is over its size limit", rule="egress.model.size")
        data = bytes(body)
        if header["size"] != len(data) or header["sha256"] != hashlib.sha256(data).hexdigest():
            raise TamperedError("a model is not the one its header names", rule="egress.model.hash")
        model = read_model(data, allowance.vocabulary)
        if (header["format"], header["architecture"], header["vocabulary"]) != (
            "safetensors",
            model.architecture,
            allowance.vocabulary.digest(),
        ):
            raise TamperedError("a model is not what its header says", rule="egress.model.header")
        return model


def _reason(header: Mapping[str, Any], body: Body) -> SafeholdError:
    """Return a recipe's error in our own words: its code and rule, if both are known."""
    _empty(body)
    kind = ERRORS.get(str(header.get("code")), SafeholdError)
    rule = header.get("rule")
    if not isinstance(rule, str) or rule not in _REASONS:
        return SafeholdError("the recipe failed", rule="egress.recipe")
    message, fix = _REASONS[rule]
    return kind(message, rule=rule, fix=fix)


def _progress(header: Mapping[str, Any], body: Body) -> Progress:
    _empty(body)
    _keys(header, {"type", "done", "of"})
    _whole(1, 10_000)(header["of"])
    _whole(0, header["of"])(header["done"])
    return Progress(header["done"], header["of"])


def _plain(plain: Any) -> dict[str, dict[str, float]]:
    if not isinstance(plain, dict):
        raise TamperedError("baselines are no figures", rule="egress.number")
    if plain:
        _keys(plain, {"private", "non_private", "majority", "bigram"})
    for scores in plain.values():
        if not isinstance(scores, dict):
            raise TamperedError("baselines are no figures", rule="egress.number")
        _keys(scores, {"top1", "macro_f1", "macro_over"})
        _number(0, 1)(scores["top1"])
        _number(0, 1)(scores["macro_f1"])
        _whole(0, MOST_TOKENS)(scores["macro_over"])
    return {name: dict(scores) for name, scores in plain.items()}


def _keys(header: Mapping[str, Any], expected: set[str]) -> None:
    if set(header) != expected:
        raise TamperedError("a header has other keys than its type", rule="egress.header")


def _empty(body: Body) -> None:
    if len(body):
        raise TamperedError("a message of this type has no body", rule="egress.body")


def _word(word: str) -> Check:
    def check(value: Any) -> None:
        if value != word:
            raise TamperedError("text outside its closed list", rule="egress.text")

    return check


def _whole(least: int, most: int) -> Check:
    def check(value: Any) -> None:
        if type(value) is not int or not least <= value <= most:
            raise TamperedError("a whole number is out of range", rule="egress.number")

    return check


def _number(least: float, most: float) -> Check:
    def check(value: Any) -> None:
        if type(value) not in (int, float) or not math.isfinite(value):
            raise TamperedError("a figure is no finite number", rule="egress.number")
        if not least <= value <= most or round(value, 6) != value:
            raise TamperedError("a figure is out of range or too fine", rule="egress.number")

    return check


def _maybe(check: Check) -> Check:
    return lambda value: None if value is None else check(value)
