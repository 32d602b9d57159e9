"""The border between us and whoever called: no error carries across it what our variables held.

Notebooks and crash reporters print the local variables of every frame of a traceback, and ours hold tokens, answers
and tables. So an error is made anew at the border: the same words, rule and fix, and none of our frames below it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from safehold.errors import DeniedError, SafeholdError, place_of, revive

P = ParamSpec("P")
T = TypeVar("T")


def guarded(method: Callable[P, T]) -> Callable[P, T]:
    """Return a function whose errors begin at the border."""

    @functools.wraps(method)
    def carried(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return method(*args, **kwargs)
        except TypeError as error:
            # a call with wrong arguments is the caller's; its text names parameters only
            misused = _misuse(method, args, kwargs)
            left = bare(error) if misused is None else TypeError(misused)
        except BaseException as error:  # noqa: BLE001 - an interruption carries frames as well
            left = bare(error)
        del args, kwargs  # nor what the caller gave
        raise left  # outside the handlers: a context would hold the frames again

    return carried


def bare(error: BaseException) -> BaseException:
    """Return an error with the same words and no frames; a foreign one keeps its kind and its place in our source."""
    match error:
        case SafeholdError():
            return revive(error.payload())
        case KeyboardInterrupt():
            return KeyboardInterrupt()
        case SystemExit():
            return SystemExit(error.code if isinstance(error.code, int) else 1)
        case _:
            return SafeholdError(
                f"a fault in Safehold itself: {type(error).__name__} at {place_of(error)}",
                rule="sdk.fault",
                fix="report this line; `safehold doctor` tells whether the machine is the cause",
            )


def _misuse(
    method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str | None:
    """Return what is wrong with the arguments of a call, in names; nothing if they fit."""
    try:
        inspect.signature(method).bind(*args, **kwargs)
    except TypeError as error:
        return f"{method.__name__}: {error}"
    return None


class Guarded:
    """What is neither copied nor written down: it stands for a live right, or for who may have one."""

    __slots__ = ()

    def __reduce_ex__(self, _protocol: Any) -> str | tuple[Any, ...]:
        raise DeniedError(
            f"a {type(self).__name__} is neither pickled nor copied",
            rule="sdk.pickle",
            fix="keep the id of the request, and find it again: session.find(id)",
        )


class Secret:
    """Something of which nothing is shown.

    Args:
        value: It.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def tell(self) -> Any:
        """Return it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce_ex__(self, _protocol: Any) -> str | tuple[Any, ...]:
        raise DeniedError("a secret is neither pickled nor copied", rule="sdk.pickle")
