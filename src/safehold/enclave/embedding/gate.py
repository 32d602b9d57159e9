"""What may leave a sandbox in which vectors are made or used. It runs on the trusted side and believes no frame.

Vectors leave the sandbox that makes them only to be sealed: one table for each person who was handed in, in one
form. Out of a sandbox that reads vectors none leaves, whatever it is called: not as numbers in a header, not as bytes,
not in base64, not in the tensors of a model, which has the few rows of its declared shape and no more. Such a frame is
refused by a rule of its own (``egress.vectors``), so that an attempt can be counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.enclave.embedding import exposure, inversion, linkage
from safehold.enclave.embedding.form import schema_of
from safehold.enclave.embedding.recipe import E9
from safehold.enclave.embedding.text import MOST_WINDOWS, SOURCES
from safehold.enclave.table import read_table
from safehold.errors import ERRORS, DeniedError, SafeholdError, TamperedError

Body = bytes | bytearray | memoryview

RULE: Final = "egress.vectors"
HITS: Final[Mapping[str, tuple[str, ...]]] = {
    "reidentify": linkage.ATTACKERS,
    "membership": ("guesses",),
    "canary": exposure.KINDS,
    "invert": inversion.ATTACKERS,
}
_EXPOSURE: Final = frozenset({"type", "attack", "people", "tried", "hits", "chance_e9"})
_FEWEST_NUMBERS: Final = 8  # in a row: a vector, and not a figure
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{40,}={0,2}")
_LARGEST: Final = 1e4
# a recipe's own words never pass: an error arrives as its code and one of these rules
REASONS: Final = {
    "embedding.spec": ("the spec of a run over text or vectors is wrong", "check the encoder and the noise"),
    "embedding.part": ("a part is not what the embedder reads", "check the streams"),
    "embedding.vectors": ("a part is no table of vectors", "embed again"),
    "embedding.encoder": ("the file is no encoder", "see the page of the embedding gates"),
    "embedding.encoder.size": ("the encoder is too large", "at most 256 MiB"),
    "embedding.labels": ("there is nothing to tell apart", "embed at least two streams"),
    "artifact.finding": ("the artifact gate refuses the encoder", "safehold artifact inspect"),
    "charter.min_people": ("too few people take part", "wait until more people take part"),
    "privacy.account": ("a privacy parameter is out of range", "check epsilon and delta"),
    "privacy.account.confirm": ("two accountants disagree", "report it"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorAllowance:
    """What one run that makes vectors may send.

    Args:
        people: Run-scoped ids that were handed in.
        dims: Numbers of a vector.
        attack: Whether the run says what the attacks came to.
        most_people: Most people who are attacked.
        min_people: Fewest people anything may be said about.
    """

    people: frozenset[str]
    dims: int
    attack: bool
    most_people: int
    min_people: int


class VectorGate:
    """Admit the frames of a run that makes vectors.

    Args:
        allowance: What it may send.
    """

    def __init__(self, allowance: VectorAllowance) -> None:
        self._allowance = allowance
        self._seen: set[str] = set()

    def admit(self, header: Mapping[str, Any], body: Body = b"") -> tuple[str, Any, Any]:
        """Return kind, person or figures, and table of a frame, built anew.

        Raises:
            TamperedError: It is not a message in its only form.
            DeniedError: It may not leave.
            SafeholdError: The recipe reported an error of its own.
        """
        match header.get("type"):
            case "error":
                raise reason(header, body)
            case "vectors":
                return ("vectors", *self._vectors(header, body))
            case "exposure":
                return "exposure", self._exposure(header, body), None
            case _:
                refuse_vectors(header, body)
                raise DeniedError("the recipe sent a message it may not send", rule="egress.type")

    def close(self) -> None:
        """Check that every attack has said what it came to.

        Raises:
            TamperedError: One is missing.
        """
        if self._allowance.attack and not HITS.keys() <= self._seen:
            raise TamperedError("the run ended without its attacks", rule="egress.whole")

    def _once(self, what: str) -> None:
        if what in self._seen:
            raise TamperedError("the same message came twice", rule="egress.once")
        self._seen.add(what)

    def _vectors(self, header: Mapping[str, Any], body: Body) -> tuple[str, pa.Table]:
        keys(header, {"type", "person", "rows"})
        person, rows = header["person"], header["rows"]
        if not isinstance(person, str) or person not in self._allowance.people:
            raise TamperedError("vectors of nobody who was handed in", rule="egress.person")
        self._once(f"person {person}")
        whole(rows, 1, MOST_WINDOWS * len(SOURCES))
        return person, _table(body, rows, schema_of(self._allowance.dims))

    def _exposure(self, header: Mapping[str, Any], body: Body) -> dict[str, Any]:
        empty(body)
        if not self._allowance.attack:
            raise DeniedError("this run says nothing of attacks", rule="egress.type")
        keys(header, _EXPOSURE)
        name, hits = header["attack"], header["hits"]
        if not isinstance(name, str) or name not in HITS:
            raise TamperedError("text outside its closed list", rule="egress.text")
        self._once(name)
        allowance = self._allowance
        most = min(len(allowance.people), allowance.most_people)
        whole(header["people"], 0, most)
        if header["people"] < max(allowance.min_people, 2):
            if hits is not None or header["tried"] or header["chance_e9"]:
                raise DeniedError("the figures are about too few people", rule="charter.min_people")
        else:
            whole(header["tried"], 0, exposure.PLANTED if name == "canary" else most)
            whole(header["chance_e9"], 1, E9)
            if not isinstance(hits, dict) or set(hits) != set(HITS[name]):
                raise TamperedError("other attackers than there are", rule="egress.text")
            for value in hits.values():
                whole(value, 0, header["tried"])
        return {one: header[one] for one in sorted(_EXPOSURE - {"type"})}


def refuse_vectors(header: Mapping[str, Any], body: Body) -> None:
    """Return only if a frame is not shaped like vectors.

    Raises:
        DeniedError: It is, under a rule of its own.
    """
    if _many(header) or len(body) >= 4 * _FEWEST_NUMBERS:
        raise DeniedError(
            "vectors are used inside and never leave",
            rule=RULE,
            fix="ask for a figure or a model: safehold enclave near, safehold enclave head",
        )


def _many(value: Any) -> bool:
    """Return whether a value holds as many numbers as a vector, or text that may be one."""
    if isinstance(value, Mapping):
        numbers = sum(type(one) is float for one in value.values())
        return numbers >= _FEWEST_NUMBERS or any(map(_many, (*value, *value.values())))
    if isinstance(value, list | tuple):
        numbers = sum(type(one) in (int, float) for one in value)
        return numbers >= _FEWEST_NUMBERS or any(map(_many, value))
    return isinstance(value, str) and _BASE64.search(value) is not None


def _table(body: Body, rows: int, schema: pa.Schema) -> pa.Table:
    """Read one Arrow stream of vectors and not a byte more."""
    table = read_table(body, rows=rows, schema=schema, column="vector")
    places, flat = table["source"].to_numpy(), table["vector"].chunk(0).flatten()
    if places.max() >= len(SOURCES):
        raise TamperedError("a table names other streams", rule="egress.vocabulary")
    numbers = flat.to_numpy()
    if flat.null_count or not np.isfinite(numbers).all() or np.abs(numbers).max() > _LARGEST:
        raise TamperedError("a number is not finite, or absurd", rule="egress.number")
    return pa.table(
        [
            pa.array(places, pa.uint8()),
            pa.FixedSizeListArray.from_arrays(
                pa.array(numbers, pa.float32()), type=schema.field("vector").type
            ),
        ],
        schema=schema,
    )


def reason(header: Mapping[str, Any], body: Body) -> SafeholdError:
    """Return a recipe's error in our own words: its code and rule, if both are known."""
    empty(body)
    kind, rule = ERRORS.get(str(header.get("code")), SafeholdError), header.get("rule")
    if not isinstance(rule, str) or rule not in REASONS:
        return SafeholdError("the recipe failed", rule="egress.recipe")
    message, fix = REASONS[rule]
    return kind(message, rule=rule, fix=fix)


def keys(header: Mapping[str, Any], expected: set[str] | frozenset[str]) -> None:
    """Return only if a header has these keys and no other."""
    if set(header) != expected:
        raise TamperedError("a header has other keys than its type", rule="egress.header")


def empty(body: Body) -> None:
    """Return only if there is no body."""
    if len(body):
        raise TamperedError("a message of this type has no body", rule="egress.body")


def whole(value: Any, least: int, most: int) -> None:
    """Return only if a value is a whole number within its range."""
    if type(value) is not int or not least <= value <= most:
        raise TamperedError("a whole number is out of range", rule="egress.number")


def figure(value: Any, least: float, most: float) -> None:
    """Return only if a value is a finite number within its range, with at most four decimals."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise TamperedError("a figure is no finite number", rule="egress.number")
    if not least <= value <= most or round(value, 4) != value:
        raise TamperedError("a figure is out of range or too fine", rule="egress.number")


__all__ = [
    "HITS",
    "REASONS",
    "RULE",
    "VectorAllowance",
    "VectorGate",
    "empty",
    "figure",
    "keys",
    "reason",
    "refuse_vectors",
    "whole",
]
