"""What a caller asks for who wants a figure of several houses, read out of the arguments of a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import InvalidError

GROUPS: Final = ("level", "jurisdiction", "value")
MOST: Final = 1_000_000  # the largest clamp
LONGEST: Final = 256  # characters of a word
MOST_PEERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a caller asks for.

    Args:
        protocol: ``psi-sum`` or ``sum``.
        purpose: The one purpose.
        role: ``set``, ``values`` or ``vector``.
        stream: The stream of this house.
        beside: The streams of the others.
        measure: What is made of each person's rows; see ``federation.measure``.
        metric: Name of the metric, for the measure ``value``.
        at_least: Who has less is left out.
        clamp: The most that one person counts for.
        group: How a vector is laid out: ``level``, ``jurisdiction`` or ``value``.
        epsilon_micro: What it costs, millionths.
        party: The name of this house.
        calls: Houses that are called, with host and port.
        answers: Houses that call.
        credentials: Certificate, key and authorities, PEM.
    """

    protocol: str
    purpose: str
    role: str
    stream: str
    beside: tuple[str, ...]
    measure: str
    metric: str | None
    at_least: int
    clamp: int
    group: str | None
    epsilon_micro: int
    party: str
    calls: Mapping[str, Sequence[Any]]
    answers: tuple[str, ...]
    credentials: Mapping[str, str]

    @property
    def parties(self) -> list[str]:
        """All houses, sorted."""
        return sorted({self.party, *self.calls, *self.answers})

    def spec(self) -> dict[str, Any]:
        """Return what the recipe is told."""
        return {
            "stream": self.stream,
            "measure": self.measure,
            "name": self.metric,
            # the clamp is that of the values; a set keeps of its own numbers only who is in
            "clamp": MOST if self.role == "set" else self.clamp,
        }


def read_order(arguments: Mapping[str, Any], protocol: str) -> Order:
    """Return what is asked for.

    Raises:
        InvalidError: It is nothing that can be asked for.
    """
    credentials = arguments.get("credentials")
    calls, answers = arguments.get("calls", {}), arguments.get("answers", [])
    if (
        not isinstance(credentials, dict)
        or set(credentials) != {"certificate", "key", "authorities"}
        or not all(isinstance(one, str) for one in credentials.values())
        or not isinstance(calls, dict)
        or not isinstance(answers, list)
        or not all(
            isinstance(one, list)
            and len(one) == 2
            and isinstance(one[0], str)
            and type(one[1]) is int
            for one in calls.values()
        )
    ):
        raise InvalidError(
            "a join names the other houses and how both ends prove themselves", rule="join.order"
        )
    order = Order(
        protocol=protocol,
        purpose=_word(arguments, "purpose"),
        role="vector" if protocol == "sum" else _one_of(arguments, "role", ("set", "values")),
        stream=_word(arguments, "stream"),
        beside=tuple(sorted(_words(arguments.get("beside", ())))),
        measure=_word(arguments, "measure"),
        metric=None if arguments.get("metric") is None else _word(arguments, "metric"),
        at_least=_whole(arguments, "at_least", least=0),
        clamp=_whole(arguments, "clamp", least=1),
        group=_one_of(arguments, "group", GROUPS) if protocol == "sum" else None,
        epsilon_micro=_whole(arguments, "epsilon_micro", least=2),
        party=_word(arguments, "party"),
        calls={_named(name): address for name, address in calls.items()},
        answers=tuple(_words(answers)),
        credentials=credentials,
    )
    others = len(order.calls) + len(order.answers)
    if len(order.parties) != others + 1 or not 1 <= others <= (
        MOST_PEERS if protocol == "sum" else 1
    ):
        raise InvalidError(
            "a join is of two houses, a sum of two or three, each named once", rule="join.parties"
        )
    return order


def _named(given: Any) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= LONGEST:
        raise InvalidError("a name is a word", rule="join.word")
    return given


def _words(given: Any) -> list[str]:
    if not isinstance(given, list | tuple):
        raise InvalidError("not a list of words", rule="join.word")
    return [_named(one) for one in given]


def _word(arguments: Mapping[str, Any], name: str) -> str:
    return _named(arguments.get(name))


def _one_of(arguments: Mapping[str, Any], name: str, among: Sequence[str]) -> str:
    given = arguments.get(name)
    if given not in among:
        raise InvalidError(
            "not one of the list", field=name, rule="join.word", fix=", ".join(among)
        )
    return str(given)


def _whole(arguments: Mapping[str, Any], name: str, *, least: int) -> int:
    given = arguments.get(name)
    if type(given) is not int or not least <= given <= 1_000_000 * 50:
        raise InvalidError("not a whole number in its range", field=name, rule="join.number")
    return given
