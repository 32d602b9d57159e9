"""Gates of the sandboxes that look into models, and what is signed about what they found."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safehold.enclave
from safehold.assurance.figures import CANARY, MEMBERSHIP, FigureAllowance, FigureGate
from safehold.enclave import dsse
from safehold.enclave.inspection import InspectionGate
from safehold.keeper.ports import Frame, Gate, Passed
from safehold.signing import SigningKey

MODEL_RECIPES: Final = frozenset({MEMBERSHIP, CANARY, "inspect"})
TESTED: Final = "https://in-toto.io/attestation/test-result/v0.1"
GATES: Final = (
    "https://safehold.dev/gates/v1"  # our own field of that predicate: the figures behind it
)


class ModelGate:
    """The gate of a sandbox that attacks a model, or looks into a file.

    Args:
        gate: Judges its frames.
        kind: What passes: ``figures`` or ``inspection``.
    """

    def __init__(self, gate: FigureGate | InspectionGate, kind: str) -> None:
        self._gate = gate
        self._kind = kind

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame says if it may leave."""
        return Passed(kind=self._kind, values=self._gate.admit(frame.header, frame.body))

    def close(self) -> None:
        """Check that nothing is missing."""
        self._gate.close()


def open_model_gate(recipe: str, spec: Mapping[str, Any]) -> Gate:
    """Return the gate of one run, no wider than what the run was told.

    Args:
        recipe: One of ``MODEL_RECIPES``.
        spec: What it was told.
    """
    if recipe == MEMBERSHIP:
        allowance = FigureAllowance(
            attack=MEMBERSHIP,
            members=len(spec["members"]),
            others=len(spec["others"]),
            min_people=spec["min_people"],
        )
        return ModelGate(FigureGate(allowance), "figures")
    if recipe == CANARY:
        return ModelGate(
            FigureGate(FigureAllowance(attack=CANARY, planted=spec["planted"])), "figures"
        )
    return ModelGate(InspectionGate(), "inspection")


def attest(name: str, card: Mapping[str, Any], key: SigningKey) -> bytes:
    """Return a signed in-toto statement (test-result v0.1) about an artifact's gates and scan.

    Args:
        name: Its id.
        card: Its release record.
        key: Signs it.
    """
    gates = [dict(one) for one in card["gates"]]
    by_state: dict[str, list[str]] = {}
    for one in gates:
        by_state.setdefault(one["state"], []).append(one["gate"])
    if "findings" in card["scan"]:
        by_state.setdefault("failed" if card["scan"]["findings"] else "passed", []).append("scan")
    failed = by_state.get("failed", [])
    warned = [*by_state.get("unmeasured", []), *by_state.get("stale", [])]
    predicate = {
        "result": "FAILED" if failed else "WARNED" if warned else "PASSED",
        "configuration": [
            {"name": "charter", "digest": {"sha256": card["charter_in_force"]}},
        ],
        "passedTests": [*by_state.get("passed", []), *by_state.get("inapplicable", [])],
        "warnedTests": warned,
        "failedTests": failed,
        GATES: gates,
    }
    (digest,) = card["files"].values()
    return dsse.seal(dsse.state(TESTED, predicate, {name: digest}), key)


@functools.cache
def recipe_materials() -> dict[str, str]:
    """Return the digest of the code that trains: every module of the enclave, in the order of their names."""
    folder = Path(safehold.enclave.__file__).parent
    whole = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        body = file.read_bytes()
        name = file.relative_to(folder).as_posix().encode()
        whole.update(b"%d %s %d\0" % (len(name), name, len(body)) + body)
    return {"recipe/enclave": whole.hexdigest()}
