"""Recipe: features of many people to one next-action model under a person-level promise.

Parts in:  {"person": run-scoped id}, tables of ``action.SCHEMA``; parts of one person are joined
Frames out: progress, one ``metrics``, one ``model`` (safetensors)

The people are split by a random permutation that no data touches: one side trains, the other
scores. A person is on one side only, so the whole run costs each person the promise once (parallel
composition).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from safetensors.numpy import save

from safehold.enclave.action import SCHEMA, Actions
from safehold.enclave.model import ARCHITECTURE, Examples, Shape, make_examples
from safehold.enclave.scoring import score_noisy, score_plain
from safehold.enclave.training import Trained, gather_people, train, train_without_privacy
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.privacy.account import Plan, calibrate, epsilon_pld, epsilon_rdp
from safehold.privacy.audit.probe import Setting
from safehold.privacy.audit.trial import audit_algorithm
from safehold.privacy.release import shuffle_people
from safehold.sandbox.channel import read_parts

Emit = Callable[..., None]

# name -> (default, least, most); every setting is a whole number
_SETTINGS: Final = {
    "rounds": (40, 1, 10_000),
    "sampling_ppm": (1_000_000, 1_000, 1_000_000),
    "held_out_ppm": (200_000, 10_000, 500_000),
    "clip_micro": (100_000, 100, 100_000_000),
    "rate_micro": (4_000_000, 100, 1_000_000_000),
    "actions_per_person": (64, 1, 4_096),
}
CLIPS: Final = Setting(crowd=0)  # an audit of who only adds up
# run-scoped names of those who only score; whoever starts the run may choose them, without looking at data
_HELD_OUT: Final = "held_out"
_NEEDED: Final = frozenset(
    {"epsilon_micro", "delta_e12", "min_people", "vocabulary", "apps", "synthetic"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a training run is asked to do; there is no seed among it.

    Args:
        epsilon_micro: Epsilon of the whole run, in millionths.
        delta_e12: Delta of the whole run, in 10^-12.
        min_people: Least people to train on, and least people any score may be about.
        synthetic: The people are made up, so exact figures and baselines may be shown.
        vocabulary: Public action words and applications.
        rounds: Noisy sums.
        sampling_ppm: Chance of a person to be in a round, in millionths.
        held_out_ppm: Share of people that only score, in millionths.
        clip_micro: Largest L2 norm of a person's gradient, in millionths.
        rate_micro: Step size, in millionths.
        actions_per_person: Examples taken of one person at most.
        held_out: Run-scoped names of those who only score; None to draw them here.
    """

    epsilon_micro: int
    delta_e12: int
    min_people: int
    synthetic: bool
    vocabulary: Vocabulary
    rounds: int
    sampling_ppm: int
    held_out_ppm: int
    clip_micro: int
    rate_micro: int
    actions_per_person: int
    held_out: frozenset[str] | None = None

    @property
    def shape(self) -> Shape:
        """Sizes of the model."""
        return Shape(tokens=len(self.vocabulary.tokens), apps=len(self.vocabulary.apps))

    @classmethod
    def from_spec(cls, raw: Mapping[str, Any]) -> Settings:
        """Read a spec.

        Raises:
            InvalidError: A key is missing or unknown (a seed is unknown), or a value out of range.
        """
        for name in raw:
            if "seed" in str(name).lower():
                raise InvalidError(
                    "noise and sampling take no seed",
                    rule="privacy.no_seed",
                    fix="leave it out: randomness comes from the operating system",
                )
        unknown = set(raw) - _NEEDED - set(_SETTINGS) - {_HELD_OUT}
        if unknown or _NEEDED - set(raw):
            raise InvalidError(
                "the training spec has an unknown key or lacks one", rule="enclave.train.spec"
            )
        ranges = {
            "epsilon_micro": (1, 50_000_000),
            "delta_e12": (1, 10**10),
            "min_people": (2, 10**9),
            **{name: (least, most) for name, (_, least, most) in _SETTINGS.items()},
        }
        values = {name: raw.get(name, _SETTINGS.get(name, (None,))[0]) for name in ranges}
        for name, (least, most) in ranges.items():
            if type(values[name]) is not int or not least <= values[name] <= most:
                raise InvalidError(
                    f"{name} must be a whole number from {least} to {most}",
                    rule="enclave.train.spec",
                    field=name,
                )
        if type(raw["synthetic"]) is not bool:
            raise InvalidError(
                "synthetic must be true or false", rule="enclave.train.spec", field="synthetic"
            )
        held = raw.get(_HELD_OUT)
        if held is not None and not (
            isinstance(held, list) and all(isinstance(one, str) for one in held)
        ):
            raise InvalidError(
                "held_out is a list of names", rule="enclave.train.spec", field=_HELD_OUT
            )
        return cls(
            vocabulary=Vocabulary.from_spec(raw),
            synthetic=raw["synthetic"],
            held_out=None if held is None else frozenset(held),
            **values,
        )


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See ``Settings``.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
        DeniedError: There are too few people.
        TamperedError: What would train here does not keep a promise it states.
    """
    settings = Settings.from_spec(spec)
    shape = settings.shape
    names, people = read_people(inputs, settings.vocabulary, shape)
    trained_on, held_out = _split(people, settings, names)
    plan = plan_of(settings)
    arrays = gather_people(trained_on, shape, most=settings.actions_per_person)

    def fit(progress: Callable[[int], None]) -> Trained:
        return train(
            arrays, shape, plan=plan, clip=settings.clip_micro / 1e6, rate=settings.rate_micro / 1e6,
            progress=progress,
        )  # fmt: skip

    def exact(model: Trained) -> dict[str, Any]:
        plain = train_without_privacy(arrays, shape, plan=plan, rate=settings.rate_micro / 1e6)
        return score_plain(model, plain, trained_on, held_out, shape=shape, settings=settings)

    conclude(
        settings, plan, fit, held_out, trained=len(trained_on), emit=emit,
        exact=exact if settings.synthetic else None,
    )  # fmt: skip


def plan_of(settings: Settings) -> Plan:
    """Return rounds, sampling and noise that keep the promise of a run."""
    return calibrate(
        epsilon_micro=settings.epsilon_micro,
        delta_e12=settings.delta_e12,
        rounds=settings.rounds,
        sampling_ppm=settings.sampling_ppm,
    )


def conclude(
    settings: Settings,
    plan: Plan,
    fit: Callable[[Callable[[int], None]], Trained],
    held_out: list[Examples],
    *,
    trained: int,
    emit: Emit,
    exact: Callable[[Trained], dict[str, Any]] | None = None,
) -> None:
    """Audit the trainer, train, score, and send figures and model.

    Args:
        settings: What was asked.
        plan: Rounds, sampling and noise.
        fit: Trains; told whom to tell how far it is.
        held_out: Who only scores.
        trained: How many people it trains on.
        emit: Writes one frame.
        exact: Returns exact figures, about people who are made up.

    Raises:
        TamperedError: What would train here does not keep a promise it states.
    """
    emit({"type": "progress", "done": 0, "of": settings.rounds})
    require_audited()

    def progress(done: int) -> None:
        if done % 5 == 0 or done == settings.rounds:
            emit({"type": "progress", "done": done, "of": settings.rounds})

    model = fit(progress)
    shape = settings.shape
    metrics: dict[str, Any] = {
        "type": "metrics",
        "unit": "person",
        "adjacency": "zero-out",
        "epsilon_micro": settings.epsilon_micro,
        "delta_e12": settings.delta_e12,
        "epsilon_rdp": round(epsilon_rdp(plan), 4),
        "epsilon_pld": round(epsilon_pld(plan), 4),
        "noise_multiplier": round(plan.multiplier, 4),
        "clip": settings.clip_micro / 1e6,
        "rounds": settings.rounds,
        "sampling_ppm": settings.sampling_ppm,
        "people": trained + len(held_out),
        "trained": trained,
        "held_out": len(held_out),
        "actions_per_person": settings.actions_per_person,
        "tokens": shape.tokens,
        "parameters": shape.parameters,
        "audit": "passed",
        **score_noisy(model, held_out, shape, settings),
    }
    if exact is not None:
        metrics["plain"] = exact(model)
    emit(metrics)
    body = write_model(model, settings.vocabulary)
    emit(
        {
            "type": "model",
            "format": "safetensors",
            "architecture": ARCHITECTURE,
            "vocabulary": settings.vocabulary.digest(),
            "sha256": hashlib.sha256(body).hexdigest(),
            "size": len(body),
        },
        body,
    )


def require_audited(*, draws: bool = True) -> None:
    """Audit the loop and the learner that will train, on made-up people, in the very process that trains.

    Args:
        draws: Whether this process also draws who takes part, so that it is looked at as well.

    Raises:
        TamperedError: Its noise, its clipping or its sampling is not what it claims; of one that is right this is
            said less than once in a million runs.
    """
    if audit_algorithm("recipe", setting=Setting() if draws else CLIPS)["state"] != "passed":
        raise TamperedError(
            "the trainer does not keep the promise it states", rule="enclave.train.audit"
        )


def write_model(model: Trained, vocabulary: Vocabulary) -> bytes:
    """Return a model as safetensors bytes with closed metadata."""
    data: bytes = save(
        {
            "bias": np.ascontiguousarray(model.bias, dtype=np.float32),
            "weights": np.ascontiguousarray(model.weights, dtype=np.float32),
        },
        metadata={"architecture": ARCHITECTURE, "vocabulary": vocabulary.digest()},
    )
    return data


def read_people(
    inputs: Sequence[int], vocabulary: Vocabulary, shape: Shape
) -> tuple[list[str], list[Examples]]:
    """Return names, in their order, and the examples of each of them.

    Raises:
        InvalidError: A part is not a person's features.
    """
    # as numbers at once: a table of its own for each of many people is mostly overhead
    found: dict[str, list[Actions]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            person = header.get("person")
            if not isinstance(person, str) or not table.schema.equals(SCHEMA):
                raise InvalidError("a part is not a person's features", rule="enclave.train")
            whole = table.unify_dictionaries().combine_chunks()
            found.setdefault(person, []).append(_read_actions(whole, vocabulary))
    names = sorted(found)
    return names, [make_examples(_join(found.pop(person)), shape) for person in names]


def _join(parts: list[Actions]) -> Actions:
    token, app, start = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("token", "app", "start")
    )
    return Actions(token, app, start)


def _read_actions(table: pa.Table, vocabulary: Vocabulary) -> Actions:
    codes = []
    for name, place in (("token", vocabulary.token), ("app", vocabulary.app)):
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no rows at all
            column = column.chunk(0)
        places = np.array([place(word) for word in column.dictionary.to_pylist()], dtype=np.int64)
        codes.append(places[column.indices.to_numpy()])
    start = table["start"].to_numpy()  # a copy, as the others are: nothing keeps the table alive
    return Actions(codes[0], codes[1], start)


def _split(
    people: list[Examples], settings: Settings, names: Sequence[str] = ()
) -> tuple[list[Examples], list[Examples]]:
    """Return who trains and who scores; enough of each, or nobody scores."""
    least = settings.min_people
    if settings.held_out is not None:
        scores = [name in settings.held_out for name in names]
        trains = [one for one, held in zip(people, scores, strict=True) if not held]
        require_enough(len(trains), least=least)
        return trains, [one for one, held in zip(people, scores, strict=True) if held]
    held = max(least, round(len(people) * settings.held_out_ppm / 1e6))
    if len(people) < 2 * least:
        held = 0  # nothing may be said about so few
    if settings.synthetic and held == 0:
        # exact figures about made-up people need no crowd to hide in
        held = max(0, min(round(len(people) * settings.held_out_ppm / 1e6), len(people) - least))
    require_enough(len(people) - held, least=least)
    order = shuffle_people(len(people))
    return [people[at] for at in order[held:]], [people[at] for at in order[:held]]


def require_enough(trains: int, *, least: int) -> None:
    """Pass if there are enough people to train on.

    Raises:
        DeniedError: There are not.
    """
    if trains < least:
        raise DeniedError(
            f"{trains} people are too few to train on: the charter asks for {least}",
            rule="charter.min_people",
            fix="wait until more people take part",
        )
