"""What leaves a step of several houses: one silo's noisy sum, or one noisy bit. Nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from safehold.errors import DeniedError, SafeholdError, TamperedError
from safehold.keeper.ports import Frame, Passed

LARGEST: Final = 1 << 53
_REASONS: Final = {
    "charter.min_people": "too few people take part",
    "enclave.federate": "a part or the model is not what this recipe reads",
}


class ShareGate:
    """Admit the one frame of a step.

    Args:
        mode: ``step`` or ``check``.
        parameters: Numbers of a sum.
    """

    def __init__(self, *, mode: str, parameters: int) -> None:
        self._mode, self._parameters, self._seen = mode, parameters, False

    def admit(self, frame: Frame) -> Passed:
        """Return the share, built anew.

        Raises:
            TamperedError: The frame is not the one message of this mode in its only form.
            DeniedError: The recipe found too few people.
        """
        header, body = frame.header, bytes(frame.body)
        if header.get("type") == "error":
            raise _reason(header)
        if self._seen:
            raise TamperedError("a step sends one message", rule="egress.once")
        self._seen = True
        if header != {"type": "share", "mode": self._mode}:
            raise DeniedError("a step may not send that", rule="egress.type")
        if self._mode == "check":
            if body not in {b"\x00", b"\x01"}:
                raise TamperedError("a verdict is one bit", rule="egress.verdict")
            return Passed(kind="share", values={}, body=body)
        if len(body) != 8 * self._parameters:
            raise TamperedError("a sum of another size", rule="egress.share")
        numbers = np.frombuffer(body, dtype="<i8")
        # not by their size: the size of -2^63 is itself
        if numbers.max(initial=0) > LARGEST or numbers.min(initial=0) < -LARGEST:
            raise TamperedError("a sum with a number out of range", rule="egress.share")
        return Passed(kind="share", values={}, body=numbers.tobytes())

    def close(self) -> None:
        """Check that it came.

        Raises:
            TamperedError: It did not.
        """
        if not self._seen:
            raise TamperedError("the step ended without its message", rule="egress.whole")


def _reason(header: Mapping[str, Any]) -> SafeholdError:
    rule = header.get("rule")
    if rule == "charter.min_people":
        return DeniedError(_REASONS[rule], rule=rule, fix="wait until more people take part")
    if rule == "enclave.federate":
        return TamperedError(_REASONS[rule], rule=rule)
    return SafeholdError("the recipe failed", rule="egress.recipe")
