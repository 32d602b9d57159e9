"""What the gate looks for on behalf of a rule, worked out once and shipped.

To work it out takes a process seconds, and every sandbox is a new process. A test works all of it out again; what is
not shipped is worked out when it is asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

from safehold.dlp.engine.choice import choose, known_of
from safehold.dlp.engine.needs import Need, stays_within

PLACE: Final = "chosen.json"
_FORMAT: Final = "safehold.chosen/v1"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is looked for.

    Args:
        words: Needs by words: one of the words stands in every match, so many times.
        shape: Without any, a need by shape.
        digits: Digits that every match holds at least.
        within: Whether every match stays within a line of its row, see ``stays_within``.
    """

    words: tuple[tuple[tuple[bytes, ...], int], ...]
    shape: Need | None
    digits: int
    within: bool


@cache
def chosen_for(pattern: str, said: tuple[str, ...]) -> Chosen:
    """Return what is looked for on behalf of a rule.

    Args:
        pattern: Its expression.
        said: Lower-case words it says of itself that it needs.
    """
    shipped = _shipped().get(_key(pattern, said))
    return work_out(pattern, said) if shipped is None else _read(shipped)


def work_out(pattern: str, said: Sequence[str]) -> Chosen:
    """Return the same from the expression itself."""
    known, digits = known_of(pattern)
    spelt, shape = choose(known, said)
    words = tuple((tuple(listed), times) for listed, times in spelt)
    return Chosen(words, shape, digits, stays_within(pattern))


def ship(rules: Iterable[tuple[str, tuple[str, ...]]]) -> bytes:
    """Return the file that is shipped, worked out of the expressions of rules and the words they say of themselves."""
    made = {
        _key(pattern, said): _written(work_out(pattern, said))
        for pattern, said in dict.fromkeys(rules)
    }
    lines = [
        f"{json.dumps(key)}: {json.dumps(made[key], ensure_ascii=False)}" for key in sorted(made)
    ]
    head = f'"format": "{_FORMAT}",\n"rules": {{\n'
    return ("{\n" + head + ",\n".join(lines) + "\n}\n}\n").encode()


def _key(pattern: str, said: Sequence[str]) -> str:
    return hashlib.sha256("\0".join([pattern, *said]).encode()).hexdigest()[:32]


@cache
def _shipped() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(files("safehold.dlp.engine").joinpath(PLACE).read_bytes())
    rules: dict[str, Any] = data["rules"] if data["format"] == _FORMAT else {}
    return rules


def _written(one: Chosen) -> list[Any]:
    words = [[[word.decode() for word in listed], times] for listed, times in one.words]
    shape = None
    if one.shape is not None:
        shape = [[[f"{mask:x}" for mask in run] for run in one.shape.runs], one.shape.times]
    return [words, shape, one.digits, one.within]


def _read(given: list[Any]) -> Chosen:
    spelt, shaped, digits, within = given
    words = tuple((tuple(word.encode() for word in listed), times) for listed, times in spelt)
    shape = None
    if shaped is not None:
        runs, times = shaped
        shape = Need(tuple(tuple(int(mask, 16) for mask in run) for run in runs), times)
    return Chosen(words, shape, digits, within)
