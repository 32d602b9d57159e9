"""What is in force: the board, the signed charter, a stop, and what each purpose has spent.

Holds: the ledger is the truth and this is its fold; no file and no database says anything that it does not confirm.
A stop counts from the moment its leaf is durable.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from safehold.charter import Charter, Policy, Roster, Signature, SignedCharter, verify
from safehold.charter.admission import admit
from safehold.charter.board import check_quorum
from safehold.clock import Clock
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    ShreddedError,
    TamperedError,
)
from safehold.keeper.asked import Asked, Requested
from safehold.keeper.audits import Audits
from safehold.keeper.board import Board
from safehold.keeper.contained import LEAF, PRINCIPAL, Contained, Held
from safehold.keeper.deliberation import Deliberation
from safehold.keeper.enacted import Enacted
from safehold.keeper.enrolments import Enrolments
from safehold.keeper.order import DIRECTIONS, Order, Orders, domain_of, read_order
from safehold.keeper.proposals import Proposals
from safehold.keeper.requirements import Direction, computed
from safehold.keeper.restart import LONGEST_CAUSE, cause_entry, newest_cause, unmet
from safehold.keeper.spending import Spending
from safehold.keeper.tightening import Tightness, judge
from safehold.ledger import Entry, Ledger
from safehold.settings import Home


class Trust(Spending):
    """What is in force.

    Args:
        home: Where the charter and the roster lie.
        ledger: The record.
        clock: Time.
        direction_of: Tells whether a charter allows more than another.
    """

    def __init__(
        self, home: Home, ledger: Ledger, clock: Clock, *, direction_of: Direction = computed
    ) -> None:
        super().__init__(ledger)
        self._home = home
        self._clock = clock
        self._orders = Orders()
        self._asked = Requested()
        self._enacted = Enacted(home, ledger)
        self._home_leaf = False
        self.enrolments = Enrolments()
        self.contained = Contained()
        self.audits = Audits()
        self._contained: list[tuple[int, dict[str, Any]]] = []  # its leaves, until all are read
        self.board = Board(home, ledger, clock)
        proposals = Proposals(home, ledger, clock, rosters=lambda: self.board.versions)
        # leaves of gates as they were at start, and how many leaves were looked at by then
        self.attacks: list[tuple[int, dict[str, Any]]] = []
        self.artifacts: list[tuple[int, dict[str, Any]]] = []  # likewise of artifacts
        self.read = 0
        for index, leaf in ledger.leaves():
            self.read = index + 1
            self._uses.note(index, leaf)
            self.audits.note(index, leaf)
            self._set_aside(index, leaf)
            match leaf["k"]:
                case "home":
                    self._check_home(leaf.get("pub", {}))
                case "roster":
                    self.board.note(leaf)
                case "charter":
                    self._enacted.note(leaf, rosters=self.board.versions)
                case "proposal":
                    proposals.note(index, leaf)
                case "stop" | "resume":
                    self._orders.note(leaf["k"], int(leaf["t"]) * 1000, index=index)
                case "principal":
                    self.enrolments.note(index, leaf["pub"])
                case "request":
                    self._asked.note(index, leaf)
                case "access.intent":
                    self._spent.append(leaf.get("pub", {}))
                case _:
                    pass
        self.contained.open(self._contained, self._sealed_detail)
        self._contained = []
        self.board.open()
        if not self._home_leaf:
            raise TamperedError("the ledger does not name this home", rule="trust.home")
        self._enacted.open(list(self.board.rosters))
        self.deliberation = Deliberation(
            ledger,
            board=self.board,
            enacted=self._enacted,
            proposals=proposals,
            lock=self._lock,
            direction_of=direction_of,
            check_widening=lambda: self.tightness().check_widening(),
        )

    @property
    def roster(self) -> Roster:
        """The roster that counts now; only its keys speak for seats."""
        return self.board.present

    @property
    def stopped(self) -> bool:
        """Whether a stop is in force."""
        return self._orders.stopped

    def stops(self) -> list[tuple[int, int | None]]:
        """Return when the board had stopped everything, microseconds; the last may have no end yet."""
        return self._orders.stops()

    def signed(self) -> SignedCharter:
        """Return the charter in force with its signatures.

        Raises:
            QuorumError: None is in force.
        """
        return self._enacted.signed()

    def charter(self) -> Charter:
        """Return the charter in force."""
        return self.signed().charter

    def digest(self) -> bytes:
        """Return the digest of the charter in force, or nothing."""
        return self._enacted.digest

    def note_request(self, index: int) -> None:
        """Take the leaf of a request that was just appended."""
        with self._lock:
            for _, leaf in self._ledger.leaves(index, index + 1):
                self._asked.note(index, leaf)

    def request(self, entry: int) -> Asked | None:
        """Return how a request stands, by the index of its leaf."""
        return self._asked.look(entry)

    def requests(self) -> list[Asked]:
        """Return how every request stands, oldest first."""
        with self._lock:
            return self._asked.all()

    def now_ms(self) -> int:
        """Return the present moment in milliseconds."""
        return self._clock.now_us() // 1000

    def require_running(self) -> None:
        """Pass unless a stop is in force.

        Raises:
            DeniedError: It is.
        """
        self._orders.require_running()

    def audited(self) -> Audits:
        """Return the independent audits, read up to now."""
        with self._lock:
            return self.audits.follow(self._ledger)

    def tightness(self) -> Tightness:
        """Return how tight access is held now, because of audits that are due: from leaves and the clock alone."""
        if not self.digest():
            return Tightness()
        with self._lock:
            every = self.charter().audit.independent_days
            return judge(self.audited(), every_days=every, now_ms=self.now_ms())

    def policy(self) -> Policy:
        """Return the compiled policy of the charter in force."""
        return self._enacted.policy()

    def enact(self, tree: Any, signatures: Sequence[Any]) -> dict[str, Any]:
        """Put the first charter of a home in force; the one in force passes and changes nothing.

        A later charter is proposed: see ``deliberation``, which is the only other door.

        Args:
            tree: The charter's canonical JSON.
            signatures: The seats' signatures as JSON.

        Raises:
            QuorumError: The board's signatures do not suffice.
            DeniedError: Another charter is in force.
            InvalidError: It is no charter, does not compile to policy, or is not proved.
            ReachableError: One of its promises can be broken.
        """
        with self._lock:
            new = Charter.from_json(tree)
            if self._enacted.there:
                return self._already(new)
            self.board.require_current()
            signed = verify(new, [Signature.from_json(one) for one in signatures], self.roster)
            receipt = self._enacted.put(
                signed, admit(new), direction="first", rosters=self.board.versions
            )
            return {
                "version": new.version,
                "digest": new.digest().hex(),
                "new": True,
                "entry": receipt.index,
            }

    def _already(self, new: Charter) -> dict[str, Any]:
        if new.digest() == self.digest():
            return {"version": new.version, "digest": new.digest().hex(), "new": False}
        old = self.charter()
        if new.version <= old.version:
            raise DeniedError(
                f"version {new.version} is not newer than version {old.version}",
                rule="charter.version",
                fix="give the new charter a higher version and propose it",
            )
        raise DeniedError(
            "a charter is in force; another one is proposed first",
            rule="charter.proposal",
            fix="safehold charter propose",
        )

    def order(self, what: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an order of the board to stop or to resume.

        Args:
            what: ``stop`` or ``resume``.
            arguments: ``order`` (canonical JSON text), ``signatures`` (seat to base64 text), and to resume
                ``cause``: the text whose hash the order names, to be published with it.

        Raises:
            QuorumError: Too few seats signed it.
            DeniedError: What the charter asks for before a restart is not there, or the roster has expired.
        """
        text = str(arguments["order"]).encode()
        order = read_order(text, what=what, home=self._home.id)
        now = self._clock.now_us()
        signatures = [Signature.from_json(one) for one in arguments["signatures"]]
        self._orders.check_time(order, now_us=now)
        if self._ledger.find(order.key):
            raise DeniedError("an order of another time", rule="oversight.order")
        seats, bad = self.roster.count(domain_of(what), text, signatures)
        needed = self.roster.needed(DIRECTIONS[what], self.signed().charter)
        check_quorum(
            seats,
            bad,
            needed,
            rule=f"oversight.{what}",
            fix=f"sign with the keys that the roster names: safehold board show, safehold {what}",
        )
        with self._lock:
            self._orders.check_turn(order)  # a stop may have come while we were counting
            entries, waived = self._before(order, arguments.get("cause"))
            stop = self._orders.entry
            entries.append(
                Entry(
                    kind=what,
                    actor="board",
                    object="everything",
                    detail={
                        "reason": order.reason,
                        "seats": sorted(seat.name for seat in seats),
                        **({"waived": waived} if waived else {}),
                    },
                    charter=self.digest(),
                    public={"state": what},
                    key=order.key,
                    ref=stop if what == "resume" and stop >= 0 else None,
                )
            )
            receipt = self._ledger.append(entries)[-1]
            self._orders.note(what, now, index=receipt.index)
        return {"state": what, "entry": receipt.index, **({"waived": waived} if waived else {})}

    def _before(self, order: Order, text: Any) -> tuple[list[Entry], list[str]]:
        """Return what becomes durable with an order, and what a home of made-up people is let off."""
        if order.what != "resume" or not self.stopped:
            return [], []
        self.board.require_current()
        published = isinstance(text, str) and 0 < len(text) <= LONGEST_CAUSE
        if published and hashlib.sha256(str(text).encode()).hexdigest() != order.cause:
            raise InvalidError("the seats signed another cause", rule="oversight.cause")
        missing = unmet(
            self.charter(),
            self._ledger,
            stop=self._orders.entry,
            cause=order.cause,
            published=published,
        )
        if missing and not self._home.synthetic:
            raise DeniedError(
                "; ".join(missing),
                rule="oversight.restart",
                fix="publish the cause with safehold resume --cause, and let the promises be measured again",
            )
        entries = (
            [cause_entry(self.charter(), str(text), digest=self.digest())] if published else []
        )
        return entries, missing

    def restart(self) -> list[str]:
        """Return what is missing before anything may resume, one sentence each, as if no cause came with the order."""
        with self._lock:
            return unmet(
                self.charter(),
                self._ledger,
                stop=self._orders.entry,
                cause=newest_cause(self._ledger, self._orders.entry),
                published=False,
            )

    def contain(
        self, what: str, key: str, entry: Entry, *, grant: int = -1, board: bool = False
    ) -> tuple[Held, bool]:
        """Append the leaf of a containment and let it count; what is contained already is contained once.

        Only a principal is contained by a seat beside what others have done: it costs them more.

        Args:
            what: What is held back.
            key: The key by which doors know it.
            entry: The leaf.
            grant: Leaf of the grant of a token.
            board: Whether a seat ordered it.

        Returns:
            The containment in force, and whether it is new.
        """
        with self._lock:
            held = self.contained.find((what, key))
            more = board and what == PRINCIPAL
            if held is not None and held.key and (held.board or not more):
                return held, False
            (receipt,) = self._ledger.append([entry])
            held = Held(
                what=what,
                key=key,
                entry=receipt.index,
                at_ms=self.now_ms(),
                grant=grant,
                board=board,
            )
            self.contained.begin(held)
            return held, True

    def lift(self, entry: Entry) -> int:
        """Append the leaf that lifts the containment which ``entry.ref`` names; return its index."""
        with self._lock:
            if entry.ref is None or self.contained.at(entry.ref) is None:
                raise MissingError("no such containment is in force", rule=f"{LEAF}.missing")
            (receipt,) = self._ledger.append([entry])
            for _, leaf in self._ledger.leaves(receipt.index, receipt.index + 1):
                self.contained.lift(entry.ref, at_ms=int(leaf["t"]))
            return receipt.index

    def _sealed_detail(self, index: int) -> Mapping[str, Any]:
        """Return the sealed detail of a leaf; nothing where nobody can read it any more."""
        try:
            return dict(self._ledger.detail(index)["detail"])
        except (ShreddedError, MissingError):
            return {}

    def _set_aside(self, index: int, leaf: dict[str, Any]) -> None:
        """Set aside leaves that are looked at later, as they were when the ledger was checked."""
        if leaf["k"] == LEAF:
            self._contained.append((index, leaf))
        elif leaf["k"] == "gate":
            self.attacks.append((index, leaf))
        about = leaf["k"] in ("artifact", "attack")
        if about or (leaf["k"] == "access.intent" and "artifact" in leaf.get("pub", {})):
            self.artifacts.append((index, leaf))

    def _check_home(self, facts: Mapping[str, Any]) -> None:
        self._home_leaf = True
        if facts.get("synthetic") != int(self._home.synthetic):
            raise TamperedError(
                "the record of the home is not what the ledger says of it", rule="trust.home"
            )
