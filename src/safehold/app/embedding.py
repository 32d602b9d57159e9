"""What the keeper has to know of vectors: the gates of their runs, the columns they read, and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from safehold.dlp.feature import Feature
from safehold.enclave.embedding.encoder import parse_encoder, shipped
from safehold.enclave.embedding.form import COLUMNS as VECTOR_COLUMNS
from safehold.enclave.embedding.gate import VectorAllowance, VectorGate
from safehold.enclave.embedding.recipe import NOISE, declare
from safehold.enclave.embedding.text import COLUMNS, SOURCES
from safehold.enclave.embedding.use import UseAllowance, UseGate
from safehold.keeper.ports import Frame, Passed
from safehold.keeper.recipes import EMBED, EMBEDDING, HEAD, NEAR

RECIPES: Final = frozenset({EMBED, NEAR, HEAD})


class MadeVectors:
    """The gate of a run that makes vectors.

    Args:
        allowance: What the run may send.
    """

    def __init__(self, allowance: VectorAllowance) -> None:
        self._gate = VectorGate(allowance)

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame carries if it may leave."""
        kind, said, table = self._gate.admit(frame.header, frame.body)
        if kind == "vectors":
            return Passed(kind=kind, values={}, person=said, table=table)
        return Passed(kind=kind, values=said)

    def close(self) -> None:
        """Check that nothing is missing."""
        self._gate.close()


class UsedVectors:
    """The gate of a run that reads vectors.

    Args:
        allowance: What the run may send.
    """

    def __init__(self, allowance: UseAllowance) -> None:
        self._gate = UseGate(allowance)

    def admit(self, frame: Frame) -> Passed:
        """Return what a frame carries if it may leave."""
        kind, values, body = self._gate.admit(frame.header, frame.body)
        return Passed(kind=kind, values=values, body=body)

    def close(self) -> None:
        """Check that nothing is missing."""
        self._gate.close()


def gate_of(
    recipe: str, spec: Mapping[str, Any], people: frozenset[str]
) -> MadeVectors | UsedVectors:
    """Return the gate of one run that makes or reads vectors, no wider than what the run was told."""
    if recipe == EMBED:
        return MadeVectors(
            VectorAllowance(
                people=people,
                dims=spec["dims"],
                attack=spec["attack"],
                most_people=spec["most_people"],
                min_people=spec["min_people"],
            )
        )
    asked = recipe == NEAR
    return UsedVectors(
        UseAllowance(
            kind="counts" if asked else "model",
            people=len(people),
            min_people=spec["min_people"],
            epsilon_micro=spec["epsilon_micro"],
            delta_e12=0 if asked else spec["delta_e12"],
            dims=spec["dims"],
            encoder=spec["encoder"],
            how=spec["how"] if asked else "",
            texts=len(spec["texts"]) if asked else 0,
        )
    )


def reads(recipe: str) -> frozenset[str]:
    """Return the streams that a recipe understands."""
    return frozenset(SOURCES) if recipe == EMBED else frozenset({EMBEDDING})


def columns(stream: str) -> tuple[str, ...]:
    """Return the columns of a stream that are read, in their order: the text, and nothing of when and with whom."""
    return VECTOR_COLUMNS if stream == EMBEDDING else COLUMNS[stream]


def features(recipe: str, spec: Mapping[str, Any]) -> tuple[Feature, ...]:
    """Return what a recipe makes, and from what."""
    return declare(spec) if recipe == EMBED else ()


def settings(recipe: str, body: bytes | None = None) -> dict[str, Any]:
    """Return the public settings of a recipe: of the encoder that is shipped, or of a company's own.

    Raises:
        InvalidError: The file is no encoder.
    """
    known = shipped() if body is None else parse_encoder(body)
    noise = {"noise_micro": NOISE} if recipe == EMBED else {}
    return {"encoder": known.digest, "dims": known.dims, **noise}


__all__ = ["RECIPES", "columns", "features", "gate_of", "reads", "settings"]
