"""The learned attacker: a sequence encoder over single events, trained on the enrolled parts.

Label, time since the event before and what else the level tells are embedded, three convolutions look at ever wider
surroundings, and mean, deviation and largest value over a piece of the sequence become a vector of length 1. Training
sorts pieces by person with a margin-free cosine softmax; pieces begin anywhere, and events are left out at random, so
that the network does not learn a text by heart. A probe's score is its pieces' mean likeness to each person, by the
network's own prototypes and by the mean vector of what was enrolled.

A network of this kind on millions of people is TypeNet (Acien et al. 2021); here the attacker has what was enrolled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from safehold.assurance.reidentify.trail import Floats, Ints, Trail

WIDTH: Final = 48
EMBEDDING: Final = 16
PIECE: Final = 64  # events of one piece
BATCH: Final = 128
SCALE: Final = 16.0  # of the cosine
SPAN: Final = 3  # events a convolution sees


@dataclass(frozen=True, slots=True, kw_only=True)
class Schooling:
    """How an encoder is trained.

    Args:
        steps: Steps of the optimiser.
        rate: Largest step size; it falls to nothing along a cosine.
        blank: Share of events whose label and times are hidden in training.
        pieces: Pieces of each person that are compared at the end.
    """

    steps: int = 1_200
    rate: float = 3e-3
    blank: float = 0.1
    pieces: int = 16


def _feed(trail: Trail) -> tuple[Ints, Floats]:
    """Return labels and measurements ready for the network; absent ones are 0 with a flag beside."""
    label, _ = next(iter(trail.views.values()))
    new = np.r_[True, trail.run[1:] != trail.run[:-1]].astype(float)
    columns = [new]
    for name in trail.names:
        if not trail.has(name):
            continue
        value = trail.number(name)
        told = ~np.isnan(value)
        if name in {"gap", "hold"}:
            value = np.log(np.maximum(np.nan_to_num(value), 0.0) + 10.0)
        value = np.where(told, value, 0.0)
        mean, deviation = value[told].mean(), value[told].std() + 1e-6
        columns += [np.where(told, np.clip((value - mean) / deviation, -4, 4), 0.0)]
        columns += [(~told).astype(float)]
    return label, np.stack(columns, axis=1).astype(np.float32)


def match_encoder(
    trail: Trail,
    *,
    seed: int,
    schooling: Schooling,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Floats:
    """Train an encoder on what was enrolled and return its scores; row = probe, column = enrolled person.

    Args:
        trail: The events.
        seed: Makes the network the same again.
        schooling: How it is trained.
        progress: Is told how many steps are done.
    """
    label, values = _feed(trail)
    people, words = len(trail.people), len(next(iter(trail.views.values()))[1])
    rng = np.random.Generator(np.random.PCG64(seed))
    parts = [_spans(trail, probe=probe) for probe in (False, True)]
    network = _Network(words + 1, values.shape[1], people, seed=seed)
    owners = np.flatnonzero(parts[0][1] > 0)
    for step in range(schooling.steps):
        who = rng.choice(owners, BATCH)
        at = _pieces(rng, parts[0], who)
        hidden = rng.random(at.shape) < schooling.blank
        batch_label = np.where((at < 0) | hidden, words, label[np.maximum(at, 0)])
        batch = values[np.maximum(at, 0)] * ((at >= 0) & ~hidden)[..., None]
        network.learn(batch_label, batch, at >= 0, who, rate=_rate(step, schooling))
        if step % 25 == 0:
            progress(step, schooling.steps)
    vectors = []
    for part in parts:
        rows = []
        for one in range(people):
            at = _pieces(rng, part, np.full(schooling.pieces, one), even=True)
            shown = at >= 0
            told = np.where(shown, label[np.maximum(at, 0)], words)
            rows.append(network.embed(told, values[np.maximum(at, 0)] * shown[..., None], shown))
        vectors.append(np.stack(rows))
    return _compare(vectors[0], vectors[1], network.prototypes())


def _compare(enrolled: Floats, probes: Floats, prototypes: Floats) -> Floats:
    def unit(vector: Floats) -> Floats:
        whole: Floats = vector / (np.linalg.norm(vector, axis=-1, keepdims=True) + 1e-9)
        return whole

    probe = unit(probes.mean(axis=1))
    scores: Floats = probe @ unit(enrolled.mean(axis=1)).T + probe @ prototypes.T
    return scores


def _rate(step: int, schooling: Schooling) -> float:
    warm = min(1.0, (step + 1) / 50)
    return float(warm * schooling.rate * 0.5 * (1 + np.cos(np.pi * step / schooling.steps)))


def _spans(trail: Trail, *, probe: bool) -> tuple[Ints, Ints, Ints]:
    """Return the places of one part's events, ordered by person, with begin and size of each person's."""
    place = np.flatnonzero(trail.probe == probe)
    place = place[np.argsort(trail.person[place], kind="stable")]
    size = np.bincount(trail.person[place], minlength=len(trail.people))
    return np.cumsum(size) - size, size, place


def _pieces(
    rng: np.random.Generator, part: tuple[Ints, Ints, Ints], who: Ints, *, even: bool = False
) -> Ints:
    """Return the events of one piece of each person, -1 where there are none left."""
    start, size, place = part
    room = np.maximum(size[who] - PIECE, 0)
    share = np.linspace(0, 1, len(who)) if even else rng.random(len(who))
    first = np.floor(share * (room + (0 if even else 1))).astype(np.int64)
    at = np.minimum(first, room)[:, None] + np.arange(PIECE)
    inside = at < size[who][:, None]
    if not len(place):
        return np.full(at.shape, -1, np.int64)
    found: Ints = np.where(inside, place[np.minimum(start[who][:, None] + at, len(place) - 1)], -1)
    return found


class _Network:
    """The network with its optimiser, in JAX."""

    def __init__(self, words: int, inputs: int, people: int, *, seed: int) -> None:
        import jax  # noqa: PLC0415 - an extra
        import jax.numpy as jnp  # noqa: PLC0415 - as above
        import optax  # noqa: PLC0415 - as above

        keys = iter(jax.random.split(jax.random.PRNGKey(seed), 12))

        def dense(rows: int, columns: int) -> dict[str, Any]:
            weights = jax.random.normal(next(keys), (rows, columns)) / np.sqrt(rows)
            return {"w": weights, "b": jnp.zeros(columns)}

        self.weights: Any = {
            "label": 0.3 * jax.random.normal(next(keys), (words, EMBEDDING)),
            "in": dense(EMBEDDING + inputs, WIDTH),
            "convolutions": [dense(SPAN * WIDTH, WIDTH) for _ in range(3)],
            "out": dense(3 * WIDTH, WIDTH),
            "people": jax.random.normal(next(keys), (people, WIDTH)),
        }

        def encode(weights: Any, label: Any, values: Any, shown: Any) -> Any:
            mask = shown[..., None].astype(jnp.float32)
            into = jnp.concatenate([weights["label"][label], values], axis=-1)
            state = jax.nn.gelu(into @ weights["in"]["w"] + weights["in"]["b"]) * mask
            for number, layer in enumerate(weights["convolutions"]):
                apart = 2**number
                wide = jnp.pad(state, ((0, 0), (apart, apart), (0, 0)))
                near = [
                    wide[:, apart * step : apart * step + state.shape[1]] for step in range(SPAN)
                ]
                seen = jnp.concatenate(near, axis=-1) @ layer["w"] + layer["b"]
                state = (state + jax.nn.gelu(seen)) * mask
            many = jnp.maximum(mask.sum(axis=1), 1.0)
            mean = state.sum(axis=1) / many
            spread = jnp.sqrt((((state - mean[:, None]) * mask) ** 2).sum(axis=1) / many + 1e-4)
            most = jnp.where(mask > 0, state, -1e3).max(axis=1)
            pooled = jnp.concatenate([mean, spread, jnp.maximum(most, -10.0)], axis=-1)
            vector = pooled @ weights["out"]["w"] + weights["out"]["b"]
            return vector / (jnp.linalg.norm(vector, axis=-1, keepdims=True) + 1e-6)

        def loss(weights: Any, label: Any, values: Any, shown: Any, who: Any) -> Any:
            vector = encode(weights, label, values, shown)
            known = weights["people"]
            known = known / (jnp.linalg.norm(known, axis=-1, keepdims=True) + 1e-6)
            logits = SCALE * vector @ known.T
            return optax.softmax_cross_entropy_with_integer_labels(logits, who).mean()

        rule = optax.inject_hyperparams(optax.adamw)(learning_rate=1e-3, weight_decay=1e-3)
        self._state = rule.init(self.weights)

        @jax.jit
        def learn(weights: Any, state: Any, batch: Any, rate: Any) -> Any:
            state.hyperparams["learning_rate"] = rate
            value, slope = jax.value_and_grad(loss)(weights, *batch)
            change, state = rule.update(slope, state, weights)
            return optax.apply_updates(weights, change), state, value

        self._learn, self._encode = learn, jax.jit(encode)
        self.loss = 0.0

    def learn(self, label: Ints, values: Floats, shown: Any, who: Ints, *, rate: float) -> None:
        """Take one step."""
        batch = (label, np.asarray(values, np.float32), shown, who)
        self.weights, self._state, self.loss = self._learn(
            self.weights, self._state, batch, np.float32(rate)
        )

    def embed(self, label: Ints, values: Floats, shown: Any) -> Floats:
        """Return the vector of each piece."""
        return np.asarray(
            self._encode(self.weights, label, np.asarray(values, np.float32), shown), np.float64
        )

    def prototypes(self) -> Floats:
        """Return the network's own vector of each person, of length 1."""
        known = np.asarray(self.weights["people"], np.float64)
        unit: Floats = known / np.linalg.norm(known, axis=-1, keepdims=True)
        return unit
