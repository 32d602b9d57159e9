"""The gate of a run that uses vectors: a handful of counts with noise, or one small model with its figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from safehold.enclave.embedding.gate import (
    RULE,
    Body,
    empty,
    figure,
    keys,
    reason,
    refuse_vectors,
    whole,
)
from safehold.enclave.embedding.head import ROUNDS, head_header, head_size
from safehold.enclave.embedding.near import count_names
from safehold.errors import DeniedError, TamperedError

_LARGEST: Final = 1e6
_MOST_COUNT: Final = 1 << 40  # noise has no bound, and a count is no message
_METRICS: Final = frozenset(
    {
        "type", "unit", "adjacency", "epsilon_micro", "delta_e12", "epsilon_pld", "rounds", "people", "held_out",
        "top1",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class UseAllowance:
    """What one run that reads vectors may send.

    Args:
        kind: ``counts`` or ``model``.
        people: How many people were handed in.
        min_people: Fewest people anything may be said about.
        epsilon_micro: What was charged.
        delta_e12: What was charged.
        dims: Numbers of a vector.
        encoder: Digest of the encoder, hex.
        how: What was asked (counts).
        texts: How many texts were asked about (counts).
    """

    kind: Literal["counts", "model"]
    people: int
    min_people: int
    epsilon_micro: int
    delta_e12: int
    dims: int
    encoder: str
    how: str = ""
    texts: int = 0


class UseGate:
    """Admit the frames of a run that reads vectors.

    Args:
        allowance: What it may send.
    """

    def __init__(self, allowance: UseAllowance) -> None:
        self._allowance = allowance
        self._wanted = {"counts"} if allowance.kind == "counts" else {"metrics", "model"}
        self._seen: set[str] = set()

    def admit(
        self, header: Mapping[str, Any], body: Body = b""
    ) -> tuple[str, dict[str, Any], bytes]:
        """Return kind, figures and file of a frame, built anew.

        Raises:
            TamperedError: It is not a message in its only form.
            DeniedError: It may not leave; under ``egress.vectors`` if it is shaped like vectors.
            SafeholdError: The recipe reported an error of its own.
        """
        kind = header.get("type")
        if kind == "error":
            raise reason(header, body)
        if not isinstance(kind, str) or kind not in self._wanted:
            refuse_vectors(header, body)
            raise DeniedError("the recipe sent a message it may not send", rule="egress.type")
        if kind != "model":
            refuse_vectors(
                {name: value for name, value in header.items() if name != "counts"}, body
            )
        if kind in self._seen:
            raise TamperedError("the same message came twice", rule="egress.once")
        self._seen.add(kind)
        match kind:
            case "counts":
                return kind, self._counts(header, body), b""
            case "metrics":
                return kind, self._metrics(header, body), b""
            case _:
                return kind, {}, self._model(header, body)

    def close(self) -> None:
        """Check that nothing is missing.

        Raises:
            TamperedError: Something is.
        """
        if self._seen != self._wanted:
            raise TamperedError("the run ended without an answer", rule="egress.whole")

    def _counts(self, header: Mapping[str, Any], body: Body) -> dict[str, Any]:
        allowance = self._allowance
        empty(body)
        keys(header, {"type", "how", "people", "counts"})
        counts = header["counts"]
        if not isinstance(counts, dict):
            refuse_vectors({"counts": counts}, b"")
        if header["how"] != allowance.how or not isinstance(counts, dict):
            raise TamperedError("another answer than was asked for", rule="egress.text")
        whole(header["people"], allowance.min_people, allowance.people)
        if set(counts) != count_names(allowance.how, allowance.texts):
            refuse_vectors({"counts": list(counts.values())}, b"")
            raise TamperedError("another answer than was asked for", rule="egress.text")
        for value in counts.values():
            if type(value) is float:  # a count is whole: these are numbers of something else
                raise DeniedError("vectors are used inside and never leave", rule=RULE)
            whole(value, 0, _MOST_COUNT)
        return {"how": allowance.how, "people": header["people"], "counts": dict(counts)}

    def _metrics(self, header: Mapping[str, Any], body: Body) -> dict[str, Any]:
        allowance = self._allowance
        empty(body)
        keys(header, _METRICS)
        if (header["unit"], header["adjacency"]) != ("person", "zero-out"):
            raise TamperedError("text outside its closed list", rule="egress.text")
        for name in ("epsilon_micro", "delta_e12"):
            whole(header[name], getattr(allowance, name), getattr(allowance, name))
        figure(header["epsilon_pld"], 0, allowance.epsilon_micro / 1e6)
        whole(header["rounds"], ROUNDS, ROUNDS)
        whole(header["people"], allowance.min_people, allowance.people)
        whole(header["held_out"], 0, header["people"] - allowance.min_people)
        if header["held_out"] < allowance.min_people:
            if header["top1"] is not None:
                raise DeniedError("a score is about too few people", rule="charter.min_people")
        else:
            figure(header["top1"], 0, 1)
        return {name: header[name] for name in sorted(_METRICS - {"type"})}

    def _model(self, header: Mapping[str, Any], body: Body) -> bytes:
        allowance = self._allowance
        keys(header, {"type", "sha256", "size"})
        data, start = bytes(body), head_header(allowance.dims, allowance.encoder)
        if len(data) > head_size(allowance.dims, allowance.encoder) or not data.startswith(start):
            # rows of vectors where a head of four columns belongs
            raise DeniedError("vectors are used inside and never leave", rule=RULE)
        if header["size"] != len(data) or header["sha256"] != hashlib.sha256(data).hexdigest():
            raise TamperedError("a model is not the one its header names", rule="egress.model.hash")
        if len(data) != head_size(allowance.dims, allowance.encoder):
            raise TamperedError("a model is cut off", rule="egress.model.header")
        numbers = np.frombuffer(data, dtype="<f4", offset=len(start))
        if not np.isfinite(numbers).all() or np.abs(numbers).max() > _LARGEST:
            raise TamperedError("a weight is not finite, or absurd", rule="egress.number")
        return data


__all__ = ["UseAllowance", "UseGate"]
