"""Containment: narrowing by one act, of one thing, at once; and what it takes to lift it again.

1. Any one seat contains anything, by a signed order. Whoever operates or checks here, and the sentinel, contain what
   is narrow. Agents contain nothing.
2. The leaf is durable before anything else happens. From it on no door opens for what is contained, and what goes on
   is ended at once; its results are ``stopped``.
3. Containing twice is containing once, but for a principal whom others contained before a seat did. What is not there
   is not contained.
4. To lift is to widen: two people, security or privacy among them, give back one grant, token, principal or run; all
   else takes as many as widening does. A person whom a seat has contained counts for nothing in it, nor anybody for
   themselves; an agent, the sentinel or whoever operates cannot do it at all, nor take the vote of one who could.
5. Nothing else lifts: no charter, no grant, no token, no resumption, no restored database.

What people may do about their own data goes on: their choices, their copy, their erasure.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.charter import Signature
from safehold.charter.board import Seat, Threshold, check_quorum
from safehold.errors import (
    ConflictError,
    DeniedError,
    MissingError,
    QuorumError,
    ShreddedError,
    UnavailableError,
)
from safehold.keeper import contained
from safehold.keeper.caller import caller
from safehold.keeper.contained import BEGUN, LEAF, LIFTED, SEALED, Held
from safehold.keeper.containing import (
    CONTAIN,
    LIFT,
    NOTHING,
    ContainmentOrder,
    Wish,
    domain_of,
    other_time,
    read_order,
)
from safehold.keeper.grants import Grants
from safehold.keeper.leases import Leases
from safehold.keeper.models import Models
from safehold.keeper.principals import Principals
from safehold.keeper.reach import Reach
from safehold.keeper.server import Report, Verb
from safehold.keeper.targets import Target, Targets
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

BOARD: Final = "board"
SENTINEL: Final = "sentinel"
# what one seat alone contains: recording of people is no matter for whoever operates, nor for a detector
BY_SEATS: Final = frozenset({contained.COLLECTION})
NARROW: Final = frozenset({contained.GRANT, contained.CAPABILITY, contained.PRINCIPAL})
WATCHFUL: Final = ("privacy", "security")  # seats, of which one must agree to lift what is narrow
TWO: Final = Threshold(approve=2)
PATIENCE_S: Final = 10.0  # for ended sandboxes to be gone, before the answer says how many are not


class Containment:
    """The verbs, and what the sentinel calls.

    Args:
        desk: What the keeper works with.
        principals: Who is enrolled.
        grants: What is known of grants.
        models: What is known of artifacts.
        leases: What a containment of collection ends.
    """

    def __init__(
        self,
        desk: Desk,
        principals: Principals,
        grants: Grants,
        models: Models,
        leases: Leases,
    ) -> None:
        self._desk = desk
        self._principals = principals
        self._leases = leases
        self._targets = Targets(desk, principals, grants, models)
        self._reach = Reach(desk, grants)

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "contain": self._contain,
            "containment.preview": self._preview,
            "containment.list": self._listing,
            "containment.lift": self._lift,
        }

    def begin(
        self, wish: Wish, *, by: str, seats: Sequence[str] = (), key: str = ""
    ) -> dict[str, Any]:
        """Contain something at once, and return what that did.

        Args:
            wish: What, and why.
            by: On whose behalf: ``board``, ``sentinel``, or the id of a principal.
            seats: Seats whose order it is.
            key: What the leaf of an order is found by.

        Returns:
            ``entry``, ``what``, ``target``, ``already``, ``runs_ended``, ``runs_left`` (those that have not ended yet)
            and ``leases_ended``.

        Raises:
            MissingError: There is no such thing.
            DeniedError: Only a seat may contain this, or nobody by itself.
            UnavailableError: The ledger takes nothing; what runs was ended all the same.
        """
        target = self._targets.find(wish)
        self._check_leaf(wish.of)
        if wish.what in BY_SEATS and not seats:
            raise DeniedError(
                "a seat of the board contains this, by a signed order",
                rule="containment.seat",
                fix="safehold containment begin --seat SEAT --key FILE",
            )
        desk = self._desk
        public = {"what": target.what, "state": BEGUN}
        if target.what not in SEALED:
            public["target"] = target.key
        entry = Entry(
            kind=LEAF,
            actor=by,
            object=target.name,
            detail={
                "key": target.key,
                "reason": wish.reason,
                **({"seats": list(seats)} if seats else {}),
                **({"grant": target.grant} if target.grant >= 0 else {}),
            },
            charter=desk.trust.digest(),
            public=public,
            ref=None if wish.of == NOTHING else wish.of,
            key=key,
        )
        why: Held | None = None
        try:
            with desk.turn.first():  # no intent that it would have refused follows its leaf
                why, fresh = desk.trust.contain(
                    target.what, target.key, entry, grant=target.grant, board=bool(seats)
                )
        except (OSError, UnavailableError):
            # it cannot be written down, and so nothing new is opened either; what runs ends all the same
            desk.end_touching((target.what, target.key), _unwritten)
            raise
        return self._effects(target, why, fresh=fresh)

    def _effects(self, target: Target, held: Held, *, fresh: bool) -> dict[str, Any]:
        """End what goes on; also the second time, since whoever asks again wants to see that nothing does."""
        runs = self._desk.end_touching((target.what, target.key), held.refusal)
        leases = 0
        if fresh and target.what == contained.COLLECTION:
            leases = self._leases.halt(target.key)
        until = time.monotonic() + PATIENCE_S
        left = sum(not run.gone(max(until - time.monotonic(), 0.0)) for run in runs)
        return {
            "entry": held.entry,
            "what": target.what,
            "target": target.name,
            "already": not fresh,
            "runs_ended": len(runs),
            "runs_left": left,
            "leases_ended": leases,
        }

    def _contain(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Contain something: by the order of one seat, or on behalf of whoever asks.

        Raises:
            QuorumError: No seat has signed the order.
        """
        if "order" not in arguments:
            named = ("what", "target", "reason", "of")
            wish = Wish.read({one: arguments[one] for one in named if one in arguments})
            return self.begin(wish, by=caller().id)
        order = read_order(str(arguments["order"]).encode(), order=CONTAIN, home=self._desk.home.id)
        order.check_time(self._desk.now_us())
        trust = self._desk.trust
        needed = trust.roster.needed("stop", *([trust.charter()] if trust.digest() else []))
        seats = self._signed(order, arguments, needed)
        used = self._desk.ledger.find(order.key)
        if used is not None and trust.contained.at(used.index) is None:
            raise other_time()  # it was carried out, and lifted since
        names = sorted(seat.name for seat in seats)
        return self.begin(order.wish, by=BOARD, seats=names, key=order.key)

    def _preview(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what a containment would reach; nothing happens."""
        named = {one: arguments[one] for one in ("what", "target") if one in arguments}
        target = self._targets.find(Wish.read({**named, "reason": "a preview"}))
        held = self._desk.trust.contained.find((target.what, target.key))
        return {
            "what": target.what,
            "target": target.name,
            "contained": None if held is None else held.entry,
            **self._reach.of(target),
            "lift_takes": self._told(target.what),
        }

    def _listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what is contained now, oldest first."""
        return {"containments": [self._shown(held) for held in self._in_force()]}

    def status(self) -> list[dict[str, Any]]:
        """Return how much of each kind is contained now, and its names unless they stand in no public fact."""
        held: dict[str, list[str]] = {}
        for one in self._in_force():
            held.setdefault(one.what, []).append(one.key)
        return [
            {"what": what, "count": len(held[what])}
            | ({} if what in SEALED else {"names": sorted(name for name in held[what] if name)})
            for what in contained.KINDS
            if what in held
        ]

    def _in_force(self) -> list[Held]:
        """Return every containment that holds something back, oldest first; a run that has ended is over."""
        trust = self._desk.trust
        waiting = set(trust.unanswered())
        return [
            held
            for held in trust.contained.all()
            if held.what != contained.RUN or int(held.key) in waiting
        ]

    def _shown(self, held: Held) -> dict[str, Any]:
        shown: dict[str, Any] = {
            "entry": held.entry,
            "what": held.what,
            "at_us": held.at_ms * 1000,
            "lift_takes": self._told(held.what),
        }
        try:
            said = self._desk.ledger.detail(held.entry)
        except (ShreddedError, MissingError):
            # what nobody can name is held back with all of its kind
            return shown | {"target": self._name(held), "by": "no longer known"}
        detail = said["detail"]
        return shown | {
            "target": said["object"],
            "by": said["actor"],
            "reason": detail["reason"],
            **({"seats": detail["seats"]} if "seats" in detail else {}),
        }

    def _lift(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Lift a containment by an order of the board.

        Raises:
            QuorumError: Too few have signed it who count.
            MissingError: No such containment is in force.
            DeniedError: The order is of another time, or the roster has expired.
        """
        desk = self._desk
        order = read_order(str(arguments["order"]).encode(), order=LIFT, home=desk.home.id)
        order.check_time(desk.now_us())
        if desk.ledger.find(order.key):
            raise other_time()
        desk.trust.board.require_current()
        with desk.lock:
            held = desk.trust.contained.at(order.entry)
            if held is None:
                raise MissingError(
                    "no such containment is in force",
                    rule="containment.missing",
                    fix="safehold containment list",
                )
            name = self._name(held)
            if (order.wish.what, order.wish.target) != (held.what, name):
                raise DeniedError("the order is about something else", rule="containment.order")
            if held.what == contained.RUN:
                raise ConflictError("a run that was ended is over", rule="containment.run-over")
            seats = self._signed(order, arguments, self._takes(held.what))
            if held.what in NARROW and not {seat.name for seat in seats} & set(WATCHFUL):
                raise QuorumError(
                    f"missing: one of {', '.join(WATCHFUL)}", rule="containment.lift", fix=_SIGN
                )
            public = {"what": held.what, "state": LIFTED}
            if held.what not in SEALED and held.key:
                public["target"] = held.key
            index = desk.trust.lift(
                Entry(
                    kind=LEAF,
                    actor=BOARD,
                    object=name,
                    detail={
                        "key": held.key,
                        "reason": order.wish.reason,
                        "seats": sorted(seat.name for seat in seats),
                    },
                    charter=desk.trust.digest(),
                    public=public,
                    ref=held.entry,
                    key=order.key,
                )
            )
        return {"what": held.what, "lifted": held.entry, "entry": index}

    def _signed(
        self, order: ContainmentOrder, arguments: Mapping[str, Any], needed: Threshold
    ) -> tuple[Seat, ...]:
        """Return the seats that signed an order and count.

        Raises:
            QuorumError: They do not suffice.
        """
        text = str(arguments["order"]).encode()
        made = [Signature.from_json(one) for one in arguments["signatures"]]
        seats, bad = self._desk.trust.roster.count(domain_of(order.order), text, made)
        if order.order == LIFT:
            seats = tuple(seat for seat in seats if not self._is_silent(seat, order.entry))
        check_quorum(seats, bad, needed, rule=f"containment.{order.order}", fix=_SIGN)
        return seats

    def _is_silent(self, seat: Seat, lifted: int) -> bool:
        """Return whether a seat counts for nothing when something is lifted, since whoever holds it is contained.

        A seat of the board did that, or it is this that would be lifted: whoever merely operates takes nobody's vote.

        Args:
            seat: The seat.
            lifted: The leaf of the containment that would be lifted.
        """
        held = self._desk.trust.contained.find((contained.PRINCIPAL, seat.person))
        if held is None or not held.key:
            return False
        return held.board or held.entry == lifted

    def _takes(self, what: str) -> Threshold:
        if what in NARROW:
            return TWO
        return self._desk.trust.roster.needed("widen", self._desk.trust.charter())

    def _told(self, what: str) -> dict[str, Any]:
        takes = self._takes(what)
        return {
            "approve": takes.approve,
            "must_include": list(takes.must_include),
            **({"one_of": list(WATCHFUL)} if what in NARROW else {}),
        }

    def _name(self, held: Held) -> str:
        try:
            return str(self._desk.ledger.detail(held.entry)["object"])
        except (ShreddedError, MissingError):
            return held.key or f"every {held.what}"

    def _check_leaf(self, index: int) -> None:
        """Pass if a leaf that a wish names is one of an alert, an incident or a containment."""
        if index == NOTHING:
            return
        for _, leaf in self._desk.ledger.leaves(index, index + 1):
            if leaf["k"] in ("alert", "incident", LEAF):
                return
        raise MissingError(
            "no such alert or incident", rule="containment.of", fix="safehold ledger show ENTRY"
        )


_SIGN: Final = "sign with the keys that the roster names: safehold board show"


def _unwritten() -> DeniedError:
    return DeniedError(
        "this was to be contained, and the ledger took no word of it",
        rule="containment.unwritten",
        fix="safehold doctor",
    )
