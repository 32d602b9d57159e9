"""What a silo demands of a call of a federation before anything else: terms, order, members, noise."""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.keeper.agreement import ORDER, Agreement
from safehold.privacy.account import calibrate
from safehold.privacy.distributed import share_noise

_NOISE: Final = (
    "epsilon_micro", "delta_e12", "steps", "checks", "sampling_ppm", "parameters", "clip_micro", "honest"
)  # fmt: skip


def noise_of(numbers: Mapping[str, int]) -> dict[str, int]:
    """Return the least noise that keeps what an agreement promises: ``deviation`` and ``check_micro``.

    Whoever trains is not held out, so steps and checks cost each person the promise once (parallel composition).
    """
    deviation, check = _least_noise(tuple(sorted((name, numbers[name]) for name in _NOISE)))
    return {"deviation": deviation, "check_micro": check}


@functools.lru_cache(maxsize=16)  # seconds of accounting; the same for whoever joins again
def _least_noise(given: tuple[tuple[str, int], ...]) -> tuple[int, int]:
    numbers = dict(given)
    promise = {name: numbers[name] for name in ("epsilon_micro", "delta_e12")}
    shares = share_noise(
        **promise,
        steps=numbers["steps"],
        sampling_ppm=numbers["sampling_ppm"],
        size=numbers["parameters"],
        clip_micro=numbers["clip_micro"],
        honest=numbers["honest"],
    )
    if numbers["checks"] == 0:
        return math.ceil(shares.deviation), 0
    check = calibrate(**promise, rounds=numbers["checks"])
    return math.ceil(shares.deviation), math.ceil(check.multiplier * 1e6)


def agreement_of(arguments: Mapping[str, Any]) -> Agreement:
    """Return the agreement of a call."""
    return Agreement.from_json(arguments["agreement"])


def run_of(arguments: Mapping[str, Any]) -> str:
    """Return the run of a call.

    Raises:
        InvalidError: It is no id of one.
    """
    run = str(arguments["run"])
    if len(run) != 32 or set(run) - set("0123456789abcdef"):
        raise InvalidError("a run is 32 hex digits", rule="federation.run")
    return run


def order_of(
    arguments: Mapping[str, Any], agreement: Agreement, run: str, *, what: str
) -> dict[str, Any]:
    """Return what the coordinator ordered, if it signed it for this run and agreement."""
    text = str(arguments["order"]).encode()
    agreement.coordinator.verify(ORDER, text, unb64(str(arguments["signature"])))
    order = canonical.decode(text)
    match order:
        case {
            "what": str(said),
            "run": str(named),
            "agreement": str(digest),
            "number": int(number),
        }:
            if (said, named, digest) != (what, run, agreement.digest()) or number < 1:
                raise DeniedError("an order for something else", rule="federation.order")
            return dict(order)
        case _:
            raise InvalidError("not an order", rule="federation.order")


def require_joined(joined: Mapping[str, Any], agreement: Agreement) -> None:
    """Pass if a call is under the very agreement that this silo joined its run under, and was charged for.

    Args:
        joined: The detail of the leaf by which it joined.
        agreement: What the call is under.

    Raises:
        DeniedError: It is another one: with less noise, or with other houses, it was never paid for.
    """
    if joined["agreement"] != agreement.digest():
        raise DeniedError(
            "this silo joined the run under another agreement",
            rule="federation.other-agreement",
            fix="begin a run of its own for it",
        )


def require_hash(model: bytes, digest: Any) -> None:
    """Pass if a model is the one that was ordered.

    Raises:
        TamperedError: It is not.
    """
    if hashlib.sha256(model).hexdigest() != digest:
        raise TamperedError("the model is not the one that was ordered", rule="federation.model")


def check_members(members: Any, agreement: Agreement, name: str) -> None:
    """Pass if a step is with enough houses of the agreement, and with this one.

    Raises:
        DeniedError: It is not.
    """
    if not isinstance(members, dict) or not set(members) <= set(agreement.silos):
        raise DeniedError("members that the agreement does not name", rule="federation.members")
    if name not in members or len(members) < agreement.least:
        raise DeniedError(
            "too few members for the noise that was agreed on",
            rule="federation.least",
            fix="wait until more silos are there",
        )
