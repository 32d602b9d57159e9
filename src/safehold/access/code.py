"""Code that somebody wrote themselves: what it is called, what it says it sends, and who must agree to it.

A script is named by the SHA-256 of its bytes, as ``code:<hex>``; that name stands where a grant names a recipe, so
approvals, price, capability and ledger cover the script and no other. What it means to send stands in a block of
comments at its head, which the hash covers as well::

    # /// safehold
    # streams = ["pointer"]
    # out = "figure"
    # least = 0.0
    # most = 500.0
    # groups = 30
    # epsilon = 0.5
    # ///

The block has the form of inline script metadata (PyPA specification; PEP 723), its text is TOML 1.0.

A reviewed recipe is a file of this package, chosen by name. Code of somebody's own needs one more person than that,
and so does a grant for queries that nobody reviewed.
"""

from __future__ import annotations

import hashlib
import math
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from safehold.errors import InvalidError
from safehold.telemetry.stream import STREAMS

CODE: Final = "code"
SQL: Final = "sql"  # alone, without a hash: any query, none of which anybody saw
EXTRA: Final = 1  # people who must agree beyond those that a reviewed recipe needs
LARGEST: Final = 256 * 1024  # bytes of a script
HEAD: Final = 16 * 1024  # bytes of its block
GROUPS: Final = (10, 200)
SECONDS: Final = (1, 900)
COUNTERS: Final = ("rows", "columns", "people", "items", "matches", "errors", "steps")
WORDS: Final = ("done", "nothing_to_do", "too_little", "failed")
MOST_NAMES: Final = 32
_BLOCK: Final = re.compile(r"^# /// safehold$\n((?:^#(?:| .*)$\n)+)^# ///$", re.MULTILINE)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_KEYS: Final = frozenset(
    {"streams", "out", "counters", "words", "least", "most", "groups", "epsilon", "seconds"}
)
_BOUND: Final = 1e15

Out = Literal["counts", "figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a script says it will do; its hash covers every word of this.

    Args:
        recipe: ``code:`` and the SHA-256 of the script, hex.
        out: ``counts``: exact counters, of data that is nobody's. ``figure``: one number with noise over groups of
            people, none of which the script sees beside another.
        streams: Streams it reads.
        counters: Names of the counters it may send.
        words: Words it may say.
        least: Lowest figure of a group.
        most: Highest figure of a group.
        groups: Number of groups.
        epsilon_micro: What one run costs, millionths.
        seconds: Longest run of one sandbox.
    """

    recipe: str
    out: Out = "counts"
    streams: tuple[str, ...] = ()
    counters: tuple[str, ...] = COUNTERS
    words: tuple[str, ...] = WORDS
    least: float = 0.0
    most: float = 0.0
    groups: int = 0
    epsilon_micro: int = 0
    seconds: int = 600


def name_code(script: bytes) -> str:
    """Return the name of a script: what a grant calls it."""
    return f"{CODE}:{hashlib.sha256(script).hexdigest()}"


def read_code(script: str | Path) -> bytes:
    """Return the bytes of a script.

    Args:
        script: Its file; or its text, which has more than one line.

    Raises:
        InvalidError: It is larger than a script may be.
    """
    text = isinstance(script, str) and "\n" in script
    if text:
        source = str(script).encode()
    else:
        with Path(script).open("rb") as file:
            source = file.read(LARGEST + 1)
    if len(source) > LARGEST:
        raise InvalidError(f"a script is at most {LARGEST} bytes", rule="code.size")
    return source


def is_code(recipe: str) -> bool:
    """Return whether a recipe is code of somebody's own."""
    return recipe.startswith(f"{CODE}:")


def is_own(recipe: str) -> bool:
    """Return whether a recipe is what nobody of this package reviewed: somebody's script, or any query at all."""
    return recipe == SQL or is_code(recipe)


def approvers_of(recipes: Iterable[str], least: int) -> int:
    """Return how many people must agree.

    Args:
        recipes: What the grant names.
        least: How many must agree to a reviewed recipe.
    """
    return least + EXTRA if any(map(is_own, recipes)) else least


def read_plan(script: bytes) -> Plan:
    """Return what a script says it will do; without a block it sends counts under the common names.

    Raises:
        InvalidError: It is no text of a bearable size, or its block is not of the form.
    """
    if len(script) > LARGEST:
        raise InvalidError(f"a script is at most {LARGEST} bytes", rule="code.size")
    try:
        text = script.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidError("a script is UTF-8 text", rule="code.text") from None
    blocks = _BLOCK.findall(text.replace("\r\n", "\n"))
    recipe = name_code(script)
    if not blocks:
        return Plan(recipe=recipe)
    if len(blocks) > 1 or len(blocks[0]) > HEAD:
        raise _wrong("one block of at most 16 KiB")
    lines = (line[2:] if line.startswith("# ") else line[1:] for line in blocks[0].splitlines())
    try:
        given = tomllib.loads("\n".join(lines))
    except (tomllib.TOMLDecodeError, RecursionError):
        raise _wrong("its text is TOML") from None
    return _plan(recipe, given)


def _plan(recipe: str, given: dict[str, Any]) -> Plan:
    if not given.keys() <= _KEYS:
        raise _wrong(f"its keys are {', '.join(sorted(_KEYS))}")
    out = given.get("out", "counts")
    rest: dict[str, Any] = {"streams": _names(given.get("streams", []), STREAMS)}
    for key in ("counters", "words"):
        if key in given:
            rest[key] = _names(given[key], None)
    rest["seconds"] = _whole(given.get("seconds", 600), SECONDS)
    match out:
        case "counts":
            if given.keys() & {"least", "most", "groups", "epsilon"}:
                raise _wrong("least, most, groups and epsilon are of a figure")
        case "figure":
            if given.keys() & {"counters", "words"} or not {"least", "most", "epsilon"} <= set(
                given
            ):
                raise _wrong("a figure has least, most and epsilon, and neither counters nor words")
            least, most = _number(given["least"]), _number(given["most"])
            epsilon = _number(given["epsilon"])
            if not (least < most and 0 < epsilon <= 100):
                raise _wrong("least lies below most, epsilon above 0")
            rest |= {
                "least": least,
                "most": most,
                "groups": _whole(given.get("groups", 30), GROUPS),
                "epsilon_micro": max(math.floor(epsilon * 1e6), 1),
            }
        case _:
            raise _wrong("out is counts or figure")
    return Plan(recipe=recipe, out=out, **rest)


def _names(given: Any, known: Iterable[str] | None) -> tuple[str, ...]:
    fits = (
        isinstance(given, list)
        and len(given) <= MOST_NAMES
        and len(set(map(str, given))) == len(given)
    )
    if not fits or not all(isinstance(one, str) and _NAME.fullmatch(one) for one in given):
        raise _wrong(f"names are at most {MOST_NAMES} different small words")
    if known is not None and not set(given) <= set(known):
        raise _wrong("there is no such stream")
    return tuple(given)


def _whole(given: Any, bounds: tuple[int, int]) -> int:
    if type(given) is not int or not bounds[0] <= given <= bounds[1]:
        raise _wrong(f"a whole number from {bounds[0]} to {bounds[1]}")
    return given


def _number(given: Any) -> float:
    if type(given) not in (int, float) or not abs(given) <= _BOUND:
        raise _wrong("a finite number")
    return float(given)


def _wrong(what: str) -> InvalidError:
    return InvalidError(
        f"the script's block is not one: {what}",
        rule="code.block",
        fix="docs/how-to/run-your-own-code.md shows one",
    )
