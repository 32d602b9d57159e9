"""Recipe: the opened rows of a shard of people to at most one whole number each, and the gate that it passes.

Parts in: {"person": run-scoped id, "stream": the one stream, "window": UTC day}, rest-form rows. Frames out:
{"type": "measure", "person": id, "value": n}, once for a person, 0 <= n <= clamp; nothing for who has no value.
Spec: ``stream``, ``measure`` (a closed list), ``name`` (of a metric), ``clamp``.

The measures are closed templates: somebody who asks chooses one and a clamp, and no code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from safehold.errors import ERRORS, DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.sandbox.channel import read_parts
from safehold.telemetry.stream import STREAMS

RECIPE: Final = "join"
MEASURES: Final[Mapping[str, str]] = {
    "presence": "1 for whoever has a row",
    "rows": "how many rows somebody has",
    "days": "on how many days somebody has rows",
    "value": "the mean of one metric of somebody, rounded",
}
# what the measures read of a stream: nothing but that a row is there, or a metric's name and value
READ: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(STREAMS, ("t",)),
    "metric": ("t", "name", "value"),
}
CLAMP: Final = 1_000_000
_KEYS: Final = frozenset({"stream", "measure", "name", "clamp"})
_FRAME: Final = frozenset({"type", "person", "value"})
_REASONS: Final = {
    "join.spec": (
        "the measure is none of the list, or does not fit the stream",
        "see the reference of joins",
    ),
    "join.part": ("a part is not what a measure reads", "report it"),
}
Emit = Callable[..., None]


def check_spec(spec: Mapping[str, Any]) -> None:
    """Pass if a spec names one of the measures, for a stream that has it.

    Raises:
        InvalidError: It does not.
    """
    measure, stream, name, clamp = (spec.get(key) for key in ("measure", "stream", "name", "clamp"))
    if (
        set(spec) != _KEYS
        or measure not in MEASURES
        or stream not in STREAMS
        or type(clamp) is not int
        or not 1 <= clamp <= CLAMP
        or (measure == "value") != (stream == "metric" and isinstance(name, str) and bool(name))
        or (measure != "value" and name is not None)
    ):
        message, fix = _REASONS["join.spec"]
        raise InvalidError(message, rule="join.spec", fix=fix)


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
    """
    check_spec(spec)
    found: dict[str, _Sum] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            person, window = header.get("person"), header.get("window")
            if (
                header.get("stream") != spec["stream"]
                or not isinstance(person, str)
                or type(window) is not int
            ):
                raise InvalidError("a part is not what a measure reads", rule="join.part")
            found.setdefault(person, _Sum()).take(table, window, spec)
    for person in sorted(found):
        value = found[person].value(spec["measure"])
        if value is not None:
            emit({"type": "measure", "person": person, "value": max(0, min(value, spec["clamp"]))})


@dataclass(slots=True)
class _Sum:
    rows: int = 0
    total: float = 0.0
    days: set[int] | None = None

    def take(self, table: pa.Table, window: int, spec: Mapping[str, Any]) -> None:
        if spec["measure"] == "value":
            here = table.filter(pc.equal(table["name"].cast(pa.string()), spec["name"]))["value"]
            finite = here.filter(pc.is_finite(here))
            self.rows += len(finite)
            self.total += pc.sum(finite).as_py() or 0.0
        else:
            self.rows += len(table)
            self.days = (self.days or set()) | {window}

    def value(self, measure: str) -> int | None:
        if not self.rows:
            return None
        match measure:
            case "presence":
                return 1
            case "rows":
                return self.rows
            case "days":
                return len(self.days or ())
            case _:
                return round(max(-CLAMP, min(self.total / self.rows, CLAMP)))


class MeasureGate:
    """Admit the frames of one run of the recipe.

    Args:
        people: Run-scoped ids that were handed in.
        clamp: The most a value may be.
    """

    def __init__(self, *, people: frozenset[str], clamp: int) -> None:
        self._left = set(people)
        self._clamp = clamp

    def admit(self, header: Mapping[str, Any], body: bytes | memoryview = b"") -> tuple[str, int]:
        """Return whose value a frame carries, and the value.

        Raises:
            TamperedError: It is not a message in its only form, is about nobody, or about somebody twice.
            DeniedError: It may not leave.
            SafeholdError: The recipe reported an error of its own.
        """
        if len(body):
            raise TamperedError("a message of this type has no body", rule="egress.body")
        if header.get("type") == "error":
            raise _reason(header)
        if header.get("type") != "measure":
            raise DeniedError("the recipe sent a message it may not send", rule="egress.type")
        if set(header) != _FRAME:
            raise TamperedError("a header has other keys than its type", rule="egress.header")
        person, value = header["person"], header["value"]
        if not isinstance(person, str) or person not in self._left:
            raise TamperedError("a value of nobody, or of somebody twice", rule="egress.person")
        if type(value) is not int or not 0 <= value <= self._clamp:
            raise TamperedError("a value is outside of its clamp", rule="egress.number")
        self._left.discard(person)
        return person, value


def _reason(header: Mapping[str, Any]) -> SafeholdError:
    kind, rule = ERRORS.get(str(header.get("code")), SafeholdError), header.get("rule")
    if not isinstance(rule, str) or rule not in _REASONS:
        return SafeholdError("the recipe failed", rule="egress.recipe")
    message, fix = _REASONS[rule]
    return kind(message, rule=rule, fix=fix)
