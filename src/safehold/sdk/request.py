"""A request before the board: asked, priced, waited for, opened."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from safehold.access import Grant, Price
from safehold.errors import DeniedError, SignInError, UnavailableError
from safehold.keeper.client import Progress
from safehold.keeper.signed import Line
from safehold.sdk import notebook, table
from safehold.sdk.border import Guarded, guarded
from safehold.sdk.line import careful
from safehold.sdk.result import Result
from safehold.sdk.standing import Standing
from safehold.sdk.use import Use
from safehold.signing import SigningKey

EVERY_S: Final = 2.0  # seconds between two looks at what the seats said
READY: Final = frozenset({"approved", "open"})


class Request(Guarded):
    """What was asked for, at the price that the keeper computed, and what the seats said to it.

    Properties show what the keeper last said; ``refresh`` and ``wait`` ask it. Any thread may use it.

    Args:
        line: The keeper.
        shown: The keeper's answer to ``request.show``.
        key: The holder's key, if this session has it.
        progress: Told how far a wait or a run is.
    """

    __slots__ = ("__weakref__", "_grant", "_key", "_line", "_price", "_progress", "_standing")

    def __init__(
        self, line: Line, shown: dict[str, Any], key: SigningKey | None, progress: Progress
    ) -> None:
        self._line = line
        self._grant = Grant.from_json(shown["grant"])
        self._price = Price.from_json(shown["price"])
        self._key = key if key is not None and key.public == self._grant.holder else None
        self._progress = progress
        self._standing = self._read(shown)

    @property
    def id(self) -> str:
        """Its name; ``session.find`` finds it again by it."""
        return self._grant.id

    @property
    def purpose(self) -> str:
        """The one purpose."""
        return self._grant.purpose

    @property
    def state(self) -> str:
        """``requested``, ``approved``, ``open``, ``denied``, ``lapsed``, ``revoked`` or ``ended``, as last said."""
        return self._standing.state

    @property
    def standing(self) -> Standing:
        """How it stands, as last said: who decided what, how often it was used, when it ends."""
        return self._standing

    @property
    def entry(self) -> int:
        """Index of its ledger entry."""
        return self._standing.entry

    @property
    def price(self) -> Result:
        """How far it reaches at most: people, classes of data, days, models, epsilon. Every seat signs this price."""
        price = self._price
        row = {
            **{name: getattr(price, name) for name in ("people", "days", "reach")},
            "classes": list(price.classes),
            "models": list(price.models),
            "epsilon": price.epsilon_micro / 1e6,
            "epsilon_left": price.epsilon_left_micro / 1e6,
        }
        return Result("price", table.PRICE, lambda: [row])

    @guarded
    def refresh(self) -> Request:
        """Ask the keeper how it stands, and return it.

        Raises:
            UnavailableError: The keeper does not answer.
        """
        self._standing = self._read(self._line.call("request.show", request=self.id))
        return self

    @guarded
    def wait(
        self,
        timeout: float | None = None,
        *,
        every: float = EVERY_S,
        progress: Progress | None = None,
    ) -> Request:
        """Return it when enough seats have approved it.

        Args:
            timeout: Seconds to wait at most; None for as long as it is open, which is a day.
            every: Seconds between two looks.
            progress: Told how it stands at each look; what it raises is ignored.

        Raises:
            DeniedError: A seat denied it, it lapsed, was revoked, or its grant has ended; the rule says which.
            UnavailableError: Nobody decided in time, or the keeper does not answer; the request stays open.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._settled(progress):
            time.sleep(_pause(deadline, every))
        return self

    async def wait_async(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - the same words as ``wait``
        *,
        every: float = EVERY_S,
        progress: Progress | None = None,
    ) -> Request:
        """Return it when enough seats have approved it, as ``wait`` does, and let other tasks run meanwhile.

        Raises:
            DeniedError: As ``wait``.
            UnavailableError: As ``wait``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not await asyncio.to_thread(self._settled, progress):  # noqa: ASYNC110 - the event is in the keeper
            await asyncio.sleep(_pause(deadline, every))
        return self

    @guarded
    def open(self) -> Use:
        """Return the use of what was approved; close it, or open it with ``with``.

        Raises:
            QuorumError: Too few seats have approved it.
            DeniedError: A seat denied it, or the grant was revoked, is used up or has ended.
            SignInError: This session does not hold the key that it was asked for.
        """
        if self._key is None:
            raise SignInError(
                "this session does not hold the key that this was asked for",
                rule="capability.holder",
                fix="name the same key file: safehold.connect(..., holder=...)",
            )
        return Use(self._line, self._grant, self._key, self._progress)

    def __repr__(self) -> str:
        steps = ", ".join(words for words, _, _ in self._standing.steps())
        return f"Request({self.id}: {self.state}; {steps})"

    def _repr_html_(self) -> str:
        return notebook.draw_standing(f"{self.id} for {self.purpose}", self._standing)

    def _read(self, shown: dict[str, Any]) -> Standing:
        begun = shown["state"] == "enacted"
        grants = self._line.call("grant.list")["grants"] if begun else []
        return Standing.read(shown, grants)

    @guarded
    def _settled(self, progress: Progress | None) -> bool:
        """Ask how it stands, tell it, and return whether enough seats have approved."""
        self.refresh()
        now = self._standing
        told = {"title": "waiting for approval", "done": now.agreed, "of": now.needed}
        careful(self._progress if progress is None else progress)({**told, "note": now.state})
        match now.state:
            case "denied":
                raise DeniedError(
                    f"denied by {', '.join(now.seats('deny'))}",
                    rule="approval.denied",
                    fix="ask them why, and ask for less",
                )
            case "lapsed":
                raise DeniedError(
                    "this request was not approved within a day",
                    rule="request.expired",
                    fix="ask again: session.request(...)",
                )
            case "revoked" | "ended" as state:
                raise DeniedError(
                    f"the grant that came of this request is {state}",
                    rule=f"grant.{'revoked' if state == 'revoked' else 'closed'}",
                    fix="ask again: session.request(...)",
                )
            case state:
                return state in READY


def _pause(deadline: float | None, every: float) -> float:
    """Return how long to wait before the next look, seconds.

    Raises:
        UnavailableError: The time is over.
    """
    if deadline is None:
        return every
    left = deadline - time.monotonic()
    if left <= 0:
        raise UnavailableError(
            "not enough seats have approved in this time",
            rule="request.waiting",
            fix="wait again; the request stays open for a day",
        )
    return min(every, left)
