"""One audit of a trainer, from the runs it makes to a plain record."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from safehold.errors import InvalidError
from safehold.privacy.account import Plan
from safehold.privacy.audit.judge import ALARM, LIMITS, judge_canaries, judge_noise, judge_sampling
from safehold.privacy.audit.probe import (
    Probe,
    Setting,
    Subject,
    canaries,
    crowd,
    train_probe,
    train_slots,
)
from safehold.privacy.training.matrix import MatrixPlan, calibrate_matrix

FORMAT: Final = "safehold.audit/v1"
NO_SAMPLING: Final = "Who takes part was not looked at: nothing is sampled under this claim, or no crowd was asked for."


def audit_training(
    subject: Subject = train_probe,
    *,
    setting: Setting | None = None,
    plan: Plan | MatrixPlan | None = None,
) -> dict[str, Any]:
    """Audit a trainer in a dedicated configuration and return a record without data.

    Args:
        subject: Takes a ``Probe`` and returns its noisy sums, rounds x coordinates; by default this
            project's own trainer.
        setting: Size of the audit and the claim.
        plan: Another claim than that of ``setting``; its epsilon and delta must be those.

    Returns:
        ``state`` (``passed`` or ``failed``), one record a test, the claim, and limits in words.

    Raises:
        InvalidError: The subject returned something of another shape.
    """
    setting = setting or Setting()
    claim = setting.plan() if plan is None else plan
    delta = setting.delta_e12 / 1e12
    probe, there = canaries(setting, claim)
    sums = _ask(subject, probe)
    tests = [
        *judge_noise(sums[:, setting.canaries :], plan=claim, clip=probe.clip),
        judge_canaries(sums[:, : setting.canaries], there, setting=setting, delta=delta),
    ]
    if isinstance(claim, Plan) and claim.sampling_ppm < 1_000_000 and setting.crowd:
        tests += judge_sampling(
            _ask(subject, crowd(setting, claim)), plan=claim, people=setting.crowd
        )
    unseen = [] if any(one["test"] == "sampling_varies" for one in tests) else [NO_SAMPLING]
    return {
        "format": FORMAT,
        "state": "passed" if all(one["state"] == "passed" for one in tests) else "failed",
        "unit": "person",
        "epsilon": setting.epsilon_micro / 1e6,
        "delta": delta,
        "noise_multiplier": round(claim.multiplier, 4),
        "rounds": claim.rounds,
        "false_alarms_below": len(tests) * ALARM,
        "tests": tests,
        "limits": [*LIMITS, *unseen],
    }


def audit_algorithm(name: str, *, setting: Setting | None = None) -> dict[str, Any]:
    """Audit one of the shipped algorithms.

    Args:
        name: ``recipe`` (what ``enclave train`` runs), ``dp-sgd`` (any loss) or ``bandmf``.
        setting: Size of the audit and the claim.

    Raises:
        InvalidError: There is no such algorithm.
    """
    setting = setting or Setting()
    if name == "recipe":
        return {"algorithm": name, **audit_training(train_slots, setting=setting)}
    if name == "dp-sgd":
        return {"algorithm": name, **audit_training(setting=setting)}
    if name == "bandmf":
        plan = calibrate_matrix(
            epsilon_micro=setting.epsilon_micro, delta_e12=setting.delta_e12,
            rounds=setting.rounds, groups=5,
        )  # fmt: skip
        return {"algorithm": name, **audit_training(setting=setting, plan=plan)}
    raise InvalidError(
        "no such algorithm",
        rule="privacy.audit",
        fix="name recipe, dp-sgd or bandmf",
        field="algorithm",
    )


def _ask(subject: Subject, probe: Probe) -> np.ndarray[Any, np.dtype[np.floating[Any]]]:
    sums = np.asarray(subject(probe))
    if sums.shape != (probe.plan.rounds, probe.size) or not np.issubdtype(sums.dtype, np.floating):
        raise InvalidError(
            "a trainer returns one noisy sum a round: rounds x coordinates", rule="privacy.audit"
        )
    return sums
