"""Made-up people whose gradients are known, to look at a trainer from outside.

The probe's loss is linear, so gradients do not depend on the parameters: an example with row ``r``
and size ``s`` has the gradient ``s`` at coordinate ``r`` and zero elsewhere. A person's gradient is
the weighted sum over their examples. A trainer takes ``people`` and returns, for each round, the
noisy sum it would step with (a rounds x coordinates array).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.ids import random_bytes
from safehold.privacy.account import Plan, calibrate
from safehold.privacy.release import Floats
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.descent import train_private
from safehold.privacy.training.learner import Learner, Params, People
from safehold.privacy.training.matrix import MatrixPlan
from safehold.privacy.training.slots import SlotLearner

LOUD: Final = 100.0  # norm of a canary's gradient, in units of the bound
# the claim of every audit that is asked for no other one, as ``calibrate`` finds it; a test compares the two
CLAIM: Final = Plan(
    epsilon_micro=1_000_000, delta_e12=10, rounds=60, sampling_ppm=200_000, multiplier=10.4072
)

Subject = Callable[["Probe"], NDArray[np.floating[Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The dedicated configuration an audit trains in: a small claim, so that much is at stake.

    Args:
        epsilon_micro: Claimed epsilon, in millionths.
        delta_e12: Claimed delta, in 10^-12; small, for it multiplies the number of canaries.
        rounds: Rounds of a run.
        sampling_ppm: Chance of a person to be in a round.
        canaries: People with a direction of their own.
        bystanders: People without any gradient: a mean over a batch is small beside a canary.
        rows: Examples of a canary, all in one direction.
        silent: Coordinates that nobody's gradient touches.
        crowd: People who share directions, to watch who is sampled; 0 leaves that out.
    """

    epsilon_micro: int = CLAIM.epsilon_micro
    delta_e12: int = CLAIM.delta_e12
    rounds: int = CLAIM.rounds
    sampling_ppm: int = CLAIM.sampling_ppm
    canaries: int = 200
    bystanders: int = 800
    rows: int = 32
    silent: int = 2_000
    crowd: int = 8_000

    def plan(self) -> Plan:
        """Return the plan that both accountants confirm for the claim.

        That of the usual claim is known: finding it anew takes longer than the audit, in every sandbox that trains.
        """
        told = {
            "epsilon_micro": self.epsilon_micro, "delta_e12": self.delta_e12,
            "rounds": self.rounds, "sampling_ppm": self.sampling_ppm,
        }  # fmt: skip
        return CLAIM if replace(CLAIM, **told) == CLAIM else calibrate(**told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One run that a trainer is asked to make.

    Args:
        plan: What the trainer claims: rounds, sampling, noise multiplier.
        clip: Largest L2 norm of one person's gradient.
        size: Number of coordinates.
        people: ``row`` (people x examples), ``size`` (gradient of each), ``weight`` (of each).
    """

    plan: Plan | MatrixPlan
    clip: float
    size: int
    people: People = field(repr=False)

    def learner(self) -> Learner:
        """Return the probe as a learner of this project; it needs JAX."""
        from safehold.privacy.training.graph import JaxLearner  # noqa: PLC0415 - an extra

        return JaxLearner(_loss, {"probe": np.zeros(self.size)}, chunk=1)


def train_probe(probe: Probe, **more: Any) -> Floats:
    """Return the noisy sums of this project's own trainer: what is audited by default.

    Args:
        probe: The run.
        more: Arguments of ``train_private`` that a test replaces.
    """
    sums: list[Floats] = []
    given = {"learner": probe.learner(), "clip": Clip(bound=probe.clip), **more}
    train_private(
        given.pop("learner"), probe.people, plan=probe.plan, steps=Steps(rate=0.0),
        watch=lambda total: sums.append(total["probe"]), **given,
    )  # fmt: skip
    return np.stack(sums)


def train_slots(probe: Probe, *, learner: Learner | None = None, **more: Any) -> Floats:
    """Return the noisy sums of the learner that the recipe ``train`` trains with.

    It tells two classes apart, and its weights stay zero, so an example's errors are a half and minus a half. What
    the probe calls a coordinate is the difference of a row's two classes over the root of two: a direction of length
    one, in which the noise of the mechanism is that of any coordinate.

    Args:
        probe: The run.
        learner: Another one, in a test.
        more: Arguments of ``train_private`` that a test replaces.
    """
    sums: list[Floats] = []
    people = {
        "rows": probe.people["row"][..., None],
        "values": np.float32(math.sqrt(2)) * probe.people["size"][..., None],
        "target": np.zeros_like(probe.people["row"]),
        "weight": probe.people["weight"],
    }

    def watch(total: Params) -> None:
        sums.append((total["weights"][:, 1] - total["weights"][:, 0]) / math.sqrt(2))

    train_private(
        learner or SlotLearner(rows=probe.size, classes=2), people, plan=probe.plan,
        clip=Clip(bound=probe.clip), steps=Steps(rate=0.0), watch=watch, **more,
    )  # fmt: skip
    return np.stack(sums)


def canaries(setting: Setting, plan: Plan | MatrixPlan) -> tuple[Probe, NDArray[np.bool_]]:
    """Return a run with canaries, and which of them are in: each by an own fair coin.

    A canary is loud: without clipping, or with clipping per row, it is heard far above the noise.
    """
    count, rows = setting.canaries, setting.rows
    whole = count + setting.bystanders
    there = np.unpackbits(np.frombuffer(random_bytes(-(-count // 8)), np.uint8))[:count] == 1
    loud = np.concatenate([there, np.zeros(setting.bystanders, np.bool_)]).astype(np.float32)
    own = np.minimum(np.arange(whole), count - 1).astype(np.int32)  # who weighs nothing needs none
    people = {
        "row": np.repeat(own[:, None], rows, axis=1),
        "size": np.full((whole, rows), LOUD, np.float32),
        "weight": np.full((whole, rows), 1 / rows, np.float32) * loud[:, None],
    }
    probe = Probe(plan=plan, clip=1.0, size=count + setting.silent, people=people)
    return probe, there


BLOCKS: Final = 8
COUNTED: Final = 0.8  # of a person's squared norm counts who is in a round; the rest counts blocks


def crowd(setting: Setting, plan: Plan | MatrixPlan) -> Probe:
    """Return a run in which coordinate 0 counts who is in a round, and the next ones count blocks.

    A person's gradient has norm 1, in coordinate 0 and in that of their block.
    """
    count = setting.crowd
    block = 1 + np.arange(count, dtype=np.int32) * BLOCKS // count
    people = {
        "row": np.stack([np.zeros_like(block), block], axis=1),
        "size": np.tile(
            np.sqrt(np.array([4 * COUNTED, 4 * (1 - COUNTED)], np.float32)), (count, 1)
        ),
        "weight": np.full((count, 2), 0.5, np.float32),
    }
    return Probe(plan=plan, clip=1.0, size=1 + BLOCKS, people=people)


def _loss(params: Any, person: Any) -> Any:
    return (person["weight"] * person["size"] * params["probe"][person["row"]]).sum()
