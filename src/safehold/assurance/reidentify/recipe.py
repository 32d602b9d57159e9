"""Recipe: protected keys and pointer of many people to one line each: how many of them are recognised.

Parts in:  {"person": run-scoped id, "stream": key|pointer, "window": UTC day}, rest-form rows
Frames out: {"type": "risk", ...} once for each stream and level there is; counts, and nobody's name
Spec: kinds of attackers, steps of the encoder, seed, fewest people that anything is said about

Somebody's earlier half is what the attackers know, the later one is what they are to recognise it by. Both carry the
same run-scoped name, so whether they are right can be counted without knowing who anybody is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.assurance.reidentify.attackers import KINDS, Arms, attack, read_trail
from safehold.assurance.reidentify.trail import Ints, Trail
from safehold.assurance.reidentify.trial import STREAMS, among
from safehold.errors import InvalidError
from safehold.sandbox.channel import read_parts
from safehold.telemetry.schema import REST, WIRE

Emit = Callable[..., None]

_KEYS: Final = frozenset({"kinds", "seed", "steps", "min_people"})
_FEWEST_STEPS: Final = 20
_EVENTS_A_STEP: Final = (
    150  # 1,000 steps over 153,000 known presses: docs/reference/reidentification.md
)
_NAMES: Final = ("device", "session")


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
    """
    arms, least = _read_spec(spec)
    held: dict[str, list[pa.Table]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            stream, part = _read_part(header, table)
            held.setdefault(stream, []).append(part)
    for stream in sorted(held):
        whole = pa.concat_tables(held.pop(stream)).combine_chunks()
        levels = np.asarray(whole.column("minim").to_numpy())
        for level in np.unique(levels).tolist():
            trail = read_trail(stream, whole.filter(pa.array(levels == level)))
            with warnings.catch_warnings():  # what a sandbox prints is counted against it
                warnings.simplefilter("ignore")
                found = _measure(stream, int(level), trail, arms, least)
            emit({"type": "risk", **found})


def _measure(stream: str, level: int, trail: Trail, arms: Arms, least: int) -> dict[str, Any]:
    sizes = [
        np.bincount(trail.person[trail.probe == part], minlength=len(trail.people))
        for part in (False, True)
    ]
    known = (sizes[0] > 0) & (sizes[1] > 0)
    people = int(known.sum())
    found = {"stream": stream, "level": level, "kinds": list(arms.kinds), "people": people}
    if people < max(least, 2):
        return found | {"hits": None, "worst": None, "probe": None, "enrolled": None}
    figures = attack(stream, among(trail, known), replace(arms, steps=steps_for(trail, arms.steps)))
    worst = max(figures, key=lambda one: (one.hits, one.among_ten))
    return found | {
        "hits": worst.hits,
        "worst": worst.attacker,
        "probe": coarse(sizes[1][known]),
        "enrolled": coarse(sizes[0][known]),
    }


def steps_for(trail: Trail, most: int) -> int:
    """Return how long the encoder learns: as often over each event as in the published measurements."""
    return max(_FEWEST_STEPS, min(most, len(trail) // _EVENTS_A_STEP))


def coarse(counts: Ints) -> int:
    """Return the median of some counts, to two digits: more would be room for a message."""
    middle = int(np.median(counts))
    step: int = 10 ** max(0, len(str(middle)) - 2)
    return middle // step * step


def _read_spec(spec: Mapping[str, Any]) -> tuple[Arms, int]:
    if set(spec) != _KEYS or any(kind not in KINDS for kind in spec["kinds"]):
        raise InvalidError("the spec of an attack is wrong", rule="reidentify.spec")
    arms = Arms(kinds=tuple(spec["kinds"]), seed=spec["seed"], steps=spec["steps"])
    return arms, int(spec["min_people"])


def _read_part(header: Mapping[str, Any], table: pa.Table) -> tuple[str, pa.Table]:
    """Return a part with the person's run-scoped name, and names and words as the attackers read them."""
    stream, person = header.get("stream"), header.get("person")
    if stream not in STREAMS or not isinstance(person, str) or table.schema != REST[stream]:
        raise InvalidError("a part is not what an attack reads", rule="reidentify.part")
    columns: dict[str, Any] = {"person": pa.array([person] * table.num_rows, pa.string())}
    columns |= {name: table.column(name).cast(pa.binary()) for name in _NAMES}
    for name in ("mono", "minim", *WIRE[stream].names[_OWN:]):
        column = table.column(name)
        kind = column.type
        columns[name] = column.cast(kind.value_type) if pa.types.is_dictionary(kind) else column
    return stream, pa.table(columns)


_OWN: Final = WIRE["key"].names.index("kind")  # where the columns of the stream itself begin
