"""Orders of the board about containment: one seat contains, several lift.

Holds: an order counts once, for one home, shortly after it was drawn up. An order to lift names the leaf of the
containment that it lifts, so it lifts no later one of the same thing; and what that holds back, so that whoever signs
reads what they give back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.contained import KINDS
from safehold.keeper.order import LONGEST_REASON, ORDER_LIFE_US, RESUME_LIFE_US

VERSION: Final = "safehold.containment-order/1"
CONTAIN, LIFT = "contain", "lift"
LIVES: Final = {CONTAIN: ORDER_LIFE_US, LIFT: RESUME_LIFE_US}
RULE: Final = "containment.order"
LONGEST_TARGET: Final = 256  # characters
NOTHING: Final = -1  # of a leaf that an order names


def domain_of(order: str) -> str:
    """Return what a seat signs an order under.

    Args:
        order: ``contain`` or ``lift``.
    """
    return f"safehold.containment.{order}.v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants contained.

    Args:
        what: What is held back, one of ``KINDS``.
        target: Its name, as people know it.
        reason: Why, in a sentence.
        of: The leaf of an alert or an incident that it answers; -1 for none.
    """

    what: str
    target: str
    reason: str
    of: int = NOTHING

    @classmethod
    def read(cls, tree: Any) -> Wish:
        """Read what a caller or an order says.

        Raises:
            InvalidError: It is no wish.
        """
        match tree:
            case {"what": str(what), "target": str(target), "reason": str(reason), **more} if set(
                more
            ) <= {"of"}:
                of = more.get("of", NOTHING)
            case _:
                raise InvalidError("say what, which one, and why", rule="containment.what")
        if what not in KINDS:
            raise InvalidError(
                "nothing of this kind can be contained",
                field="what",
                rule="containment.what",
                fix=f"{', '.join(KINDS)}; everything: safehold stop",
            )
        if not 0 < len(target) <= LONGEST_TARGET:
            raise InvalidError("a target is a name", field="target", rule="containment.target")
        if not 0 < len(reason) <= LONGEST_REASON:
            raise InvalidError("a reason is short", field="reason", rule="containment.reason")
        if type(of) is not int or of < NOTHING:
            raise InvalidError("a leaf is a number", field="of", rule="containment.of")
        return cls(what=what, target=target, reason=reason, of=of)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainmentOrder:
    """One order of the board.

    Args:
        order: ``contain`` or ``lift``.
        at_us: When it was drawn up.
        key: What its leaf is found by in the ledger, so that it counts once.
        wish: What is to be contained, or is and is to be lifted.
        entry: The leaf of the containment that is to be lifted.
    """

    order: str
    at_us: int
    key: str
    wish: Wish
    entry: int

    def check_time(self, now_us: int) -> None:
        """Pass if it was drawn up just now.

        Raises:
            DeniedError: It is of another time.
        """
        if not now_us - LIVES[self.order] <= self.at_us <= now_us + SECOND_US:
            raise other_time()


def other_time() -> DeniedError:
    """Return what is said of an order that counts no more."""
    return DeniedError(
        "an order of another time",
        rule=RULE,
        fix="draw it up anew, and see that the clocks agree",
    )


def write_order(order: str, *, home: str, at_us: int, **said: Any) -> bytes:
    """Return an order as it is signed.

    Args:
        order: ``contain`` or ``lift``.
        home: Id of the home it is for.
        at_us: When it is drawn up.
        said: ``what``, ``target`` and ``reason``; beside it ``of``, or to lift ``entry``.
    """
    tree = {"v": VERSION, "order": order, "home": home, "at_us": at_us, **said}
    return canonical.encode(tree)


def read_order(text: bytes, *, order: str, home: str) -> ContainmentOrder:
    """Return the order that seats signed.

    Args:
        text: Canonical JSON, as it was signed.
        order: What it must order.
        home: The home it must be for.

    Raises:
        InvalidError: It is no order about containment.
        DeniedError: It orders something else, or is for another home.
    """
    wrong = InvalidError("not an order about containment", rule=RULE)
    match tree := canonical.decode(text):
        case {
            "v": "safehold.containment-order/1",
            "order": str(said),
            "home": str(place),
            "at_us": int(at),
            "reason": str(reason),
            **more,
        }:
            pass
        case _:
            raise wrong
    if said != order or place != home:
        raise DeniedError("an order for something else", rule=RULE)
    entry = NOTHING
    if order == LIFT:
        named = more.pop("entry", None)
        if not isinstance(named, int) or isinstance(named, bool) or "of" in more:
            raise wrong
        entry = named
    wish = Wish.read({**more, "reason": reason})
    key = f"order/{canonical.digest(tree).hex()}"
    return ContainmentOrder(order=order, at_us=at, key=key, wish=wish, entry=entry)
