"""Orders of the board: to stop everything, and to resume.

Holds: an order counts once, for one home, shortly after it was signed, and none that is older than the last:
one seat's stop must not be undone by a resumption that was signed before it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from safehold import canonical
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, InvalidError

VERSION = "safehold.order/1"
DIRECTIONS = {"stop": "stop", "resume": "restart"}  # what an order is called on the roster
LONGEST_REASON = 1000  # characters
ORDER_LIFE_US = 600 * SECOND_US  # an order to stop is taken this long after it was drawn up
# six seats sign on six machines; whoever thinks better of it stops again, and the order is void
RESUME_LIFE_US = 3 * DAY_US

_SHA256 = re.compile(r"[0-9a-f]{64}")


def domain_of(what: str) -> str:
    """Return what a seat signs an order under, so that its word counts for nothing else.

    Args:
        what: ``stop`` or ``resume``.
    """
    return f"safehold.{what}.v1"


def write_order(what: str, *, home: str, reason: str, at_us: int, cause: str = "") -> bytes:
    """Return an order as it is signed.

    Args:
        what: ``stop`` or ``resume``.
        home: Id of the home it is for.
        reason: Why, in a sentence.
        at_us: When it is drawn up.
        cause: To resume: the text that says what had happened; the order names its hash.
    """
    order: dict[str, str | int] = {
        "v": VERSION,
        "what": what,
        "home": home,
        "reason": reason,
        "at_us": at_us,
    }
    if cause:
        order["cause"] = hashlib.sha256(cause.encode()).hexdigest()
    return canonical.encode(order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order of the board.

    Args:
        what: ``stop`` or ``resume``.
        reason: Why, in the board's words.
        at_us: When it was drawn up.
        key: What its leaf is found by in the ledger, so that it counts once.
        cause: SHA-256 of the published cause of the stop, hex; only an order to resume names one.
    """

    what: str
    reason: str
    at_us: int
    key: str
    cause: str = ""


def read_order(text: bytes, *, what: str, home: str) -> Order:
    """Return the order that the board signed.

    Args:
        text: Canonical JSON, as it was signed.
        what: What it must order.
        home: The home it must be for.

    Raises:
        InvalidError: It is no order.
        DeniedError: It orders something else, or is for another home.
    """
    tree = canonical.decode(text)
    match tree:
        case {
            "v": "safehold.order/1",
            "what": str(said),
            "home": str(place),
            "reason": str(reason),
            "at_us": int(at),
            **more,
        } if set(more) <= ({"cause"} if what == "resume" else set()):
            pass
        case _:
            raise InvalidError("not an order", rule="oversight.order")
    if len(reason) > LONGEST_REASON:
        raise InvalidError("a reason of an order is short", rule="oversight.order")
    if said != what or place != home:
        raise DeniedError("an order for something else", rule="oversight.order")
    cause = more.get("cause", "")
    if not isinstance(cause, str) or (cause and not _SHA256.fullmatch(cause)):
        raise InvalidError("a cause is named by its SHA-256", rule="oversight.cause")
    key = f"order/{canonical.digest(tree).hex()}"
    return Order(what=what, reason=reason, at_us=at, key=key, cause=cause)


class Orders:
    """What the orders in the ledger come to: whether everything is stopped, and when it was."""

    def __init__(self) -> None:
        self._stops: list[tuple[int, int | None]] = []
        self._stopped = False
        self._last_us = 0
        self.entry = -1  # index of the leaf of the last stop

    @property
    def stopped(self) -> bool:
        """Whether a stop is in force."""
        return self._stopped

    def stops(self) -> list[tuple[int, int | None]]:
        """Return when the board had stopped everything, microseconds; the last may have no end yet."""
        return list(self._stops)

    def require_running(self) -> None:
        """Pass unless a stop is in force.

        Raises:
            DeniedError: It is.
        """
        if self._stopped:
            raise DeniedError(
                "the board has stopped everything", rule="oversight.stop", fix="safehold resume"
            )

    def check_time(self, order: Order, *, now_us: int) -> None:
        """Pass if an order was signed just now, and after the last one if it is to resume.

        Raises:
            DeniedError: It is of another time.
        """
        self.check_turn(order)
        life = RESUME_LIFE_US if order.what == "resume" else ORDER_LIFE_US
        if not now_us - life <= order.at_us <= now_us + SECOND_US:
            raise DeniedError(
                "an order of another time",
                rule="oversight.order",
                fix="draw it up anew, and see that the clocks agree",
            )

    def check_turn(self, order: Order) -> None:
        """Pass unless an order to resume is older than the last order.

        Raises:
            DeniedError: It is.
        """
        if order.what == "resume" and order.at_us < self._last_us:
            raise DeniedError(
                "an order from before the last stop",
                rule="oversight.order",
                fix="draw up another: everybody who signs must know of that stop",
            )

    def note(self, what: str, at_us: int, *, index: int) -> None:
        """Let an order count whose leaf is durable."""
        if what == "stop":
            self.entry = index
        if what == "stop" and not self._stopped:
            self._stops.append((at_us, None))
        elif what == "resume" and self._stopped:
            self._stops[-1] = (self._stops[-1][0], at_us)
        self._stopped = what == "stop"
        self._last_us = at_us
