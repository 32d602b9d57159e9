"""Typed values of the charter: each has one spelling, and each becomes whole numbers.

``24h`` and ``14d`` become seconds, ``1.0e-6`` a count of 10^-12, epsilon a count of 10^-6,
``"<=1"`` an operator and
millionths. A value that is not exactly representable is refused, never rounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from safehold.errors import InvalidError

MICRO: Final = 1_000_000
PICO: Final = 1_000_000_000_000
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"(0|[1-9][0-9]{0,5})([smhd])")
_DECIMAL: Final = re.compile(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,12})?(e-?[0-9]{1,2})?")
_INTEGER: Final = re.compile(r"0|[1-9][0-9]{0,14}")
_THRESHOLD: Final = re.compile(r"(<=|>=|==|<|>)([0-9.]{1,20})")
_EFFECT: Final = re.compile(r"([a-z][a-z_]{0,39}) within ([1-9][0-9]{0,5}[smhd])")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_EFFECT_NAME: Final = re.compile(r"[a-z][a-z_]{0,39}")
COMPARISONS: Final = ("<=", ">=", "==", "<", ">")


def _comparison(text: str) -> str:
    if text not in COMPARISONS:
        raise _refuse("a comparison", "charter.threshold")
    return text


def _effect_name(text: str) -> str:
    if _EFFECT_NAME.fullmatch(text) is None:
        raise _refuse("the name of an effect", "charter.effect")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """What a measurement must be.

    Args:
        op: ``<=``, ``>=``, ``==``, ``<`` or ``>``.
        micro: The bound in millionths.
    """

    op: str = field(metadata={"read": _comparison})
    micro: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What happens, and how soon at the latest.

    Args:
        name: The effect.
        within_s: Seconds, at least one.
    """

    name: str = field(metadata={"read": _effect_name})
    within_s: int


def duration(text: str) -> int:
    """Return the seconds of ``60s``, ``15m``, ``24h`` or ``14d``."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise _refuse("a duration is a whole number and s, m, h or d", "charter.duration")
    return int(match[1]) * _SECONDS[match[2]]


def days(text: str) -> int:
    """Return the days of ``14d``; other units are refused, because keys end by the day."""
    seconds = duration(text)
    if not text.endswith("d") or seconds == 0:
        raise _refuse("a number of days, for example 14d", "charter.days")
    return seconds // 86_400


def every(text: str) -> int:
    """Return the days of ``every 180d``."""
    if not text.startswith("every "):
        raise _refuse("a period is written: every 180d", "charter.period")
    return days(text.removeprefix("every "))


def micro(text: str) -> int:
    """Return a decimal number as millionths."""
    return _scaled(text, MICRO)


def pico(text: str) -> int:
    """Return a decimal number as a count of 10^-12."""
    return _scaled(text, PICO)


def integer(text: str) -> int:
    """Return a whole number without sign."""
    if _INTEGER.fullmatch(text) is None:
        raise _refuse("a whole number, in digits", "charter.integer")
    return int(text)


def boolean(text: str) -> bool:
    """Return ``true`` or ``false``; nothing else is a yes or a no."""
    if text not in {"true", "false"}:
        raise _refuse("true or false", "charter.boolean")
    return text == "true"


def threshold(text: str) -> Threshold:
    """Return ``<=1``, ``==0`` and the like."""
    match = _THRESHOLD.fullmatch(text)
    if match is None:
        raise _refuse('a comparison, in quotes: "<=1"', "charter.threshold")
    return Threshold(op=match[1], micro=micro(match[2]))


def effect(text: str) -> Effect:
    """Return ``crypto_shred_within 24h`` as an effect with its deadline; without one it might come at any time."""
    match = _EFFECT.fullmatch(text.replace("_within ", " within "))
    if match is None:
        raise _refuse(
            "an effect with its deadline, for example crypto_shred_within 24h", "charter.effect"
        )
    return Effect(name=match[1], within_s=duration(match[2]))


def name(text: str) -> str:
    """Return a name: a letter, then letters, digits, dot, dash or underscore, at most 64."""
    if _NAME.fullmatch(text) is None:
        raise _refuse("a name of letters, digits, dots, dashes and underscores", "charter.name")
    return text


def prose(text: str) -> str:
    """Return words for people, at most 2,000 characters without control characters."""
    words = text.strip()
    if not 0 < len(words) <= 2000 or not words.replace("\n", " ").isprintable():
        raise _refuse("1 to 2000 printable characters", "charter.prose")
    return words


def word(text: str) -> str:
    """Return a word such as a term: at most 128 plain ASCII characters without spaces."""
    if re.fullmatch(r"[A-Za-z0-9:_.@/+-]{1,128}", text) is None:
        raise _refuse("one word of printable characters", "charter.word")
    return text


@dataclass(frozen=True, slots=True)
class OneOf:
    """Reads only the given words.

    Args:
        choices: They.
    """

    choices: tuple[str, ...]

    def __call__(self, text: str) -> str:
        """Return the word if it is one of them."""
        if text not in self.choices:
            raise _refuse(f"one of {', '.join(self.choices)}", "charter.choice")
        return text


def one_of(*choices: str) -> OneOf:
    """Return a reader that takes only the given words."""
    return OneOf(choices)


def _scaled(text: str, unit: int) -> int:
    if _DECIMAL.fullmatch(text) is None:
        raise _refuse("a decimal number", "charter.decimal")
    number = Decimal(text) * unit
    if number != number.to_integral_value() or not 0 <= number < 2**53:
        raise _refuse(f"a number with steps of 1/{unit}", "charter.decimal")
    return int(number)


def _refuse(expected: str, rule: str) -> InvalidError:
    return InvalidError(f"expected {expected}", rule=rule)


Reader = Callable[[str], Any]
