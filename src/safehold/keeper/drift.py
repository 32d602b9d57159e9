"""Is what runs what the board signed? If not, nothing is recorded until it is.

The signed charter is read again from its file and must be the one that the ledger names; what runs is asked of the
parts that act on it (``keeper.running``). A difference is an entry of the ledger that names the clause; leases end,
and no source, envelope or lease is taken until a later look finds no difference. The control database's register of
people is compared with their own recorded choices as well: somebody who was let off or let in by hand is a
difference too.

What is looked at on every turn costs milliseconds; the register is looked at less often, and always within the five
minutes that the charter's promise ``drift`` allows (S12).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.charter import Charter
from safehold.charter import compile as compile_charter
from safehold.charter.clauses import clauses
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, SafeholdError, TamperedError, UnavailableError
from safehold.keeper.desk import Desk
from safehold.keeper.enacted import read_file
from safehold.keeper.panel import unlike_pinned
from safehold.keeper.running import clauses_in_file, differing, rules_of, running_clauses
from safehold.ledger import Entry, Panel

OLDEST_US: Final = 60 * SECOND_US  # nothing is taken in on a look that is older than this
REGISTER_US: Final = (
    200 * SECOND_US
)  # the register is looked at again after this; always within five minutes
SHOWN: Final = 20  # clauses named in one entry
WHOLE: Final = frozenset({"policy.text", "policy.types"})  # say less than a rule's own name
FIX: Final = "put the setting back, or have the change signed by the board: safehold drift"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One difference between what the board signed and what runs.

    Args:
        clause: Key of the charter, such as ``collect.keys.keep``.
        sentence: What is different, in words; it names no value.
    """

    clause: str
    sentence: str


class Drift:
    """Compares, and stands in the way of recording.

    Args:
        desk: What the keeper works with.
        orders: Returns what the next sandbox that takes telemetry in would be told.
        register: Compares the register of people with their recorded choices, and raises.
        on_found: Called when a difference is found: ends what records now.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        orders: Callable[[], Mapping[str, Any]],
        register: Callable[[], None],
        on_found: Callable[[], object],
    ) -> None:
        self._desk = desk
        self._orders = orders
        self._register = register
        self._on_found = on_found
        self._read = 0
        self._named: dict[str, bytes] = {}  # the newest charter and roster of the ledger
        self._synthetic = 0  # whether the ledger says that the home is for made-up people
        self._open: int | None = None  # the entry of the difference that is not settled
        self._checked_us: int | None = None
        self._register_us: int | None = None
        self._register_found: tuple[Found, ...] = ()
        self._promised: tuple[bytes, Mapping[str, str]] = (b"", {})  # a charter's digest, its rules
        self.found: tuple[Found, ...] = ()

    def check(self) -> tuple[Found, ...]:
        """Compare now, note what is new in the ledger, and return every difference.

        Raises:
            UnavailableError: A store that is compared cannot be reached: nothing is recorded until it was. Or a
                difference was found or settled and the ledger takes no word of it; recording has ended all the same.
        """
        desk = self._desk
        with desk.lock:
            self._follow()
            if not desk.trust.digest():
                return ()  # nothing was promised, so nothing is recorded
            self._checked_us = None  # a look that fails is no look
            before, self.found = self.found, self._look()
            self._checked_us = desk.now_us()
            if self.found:
                self._on_found()
            if self.found and (self._open is None or self.found != before):
                self._note("found")
            elif not self.found and self._open is not None:
                self._note("clear")
            return self.found

    def require_none(self) -> None:
        """Pass if what runs is what the board signed; looked at again when the last look is a minute old.

        Raises:
            DeniedError: It is not; the rule names the clause.
            UnavailableError: It could not be compared, since a store is down.
        """
        with self._desk.lock:
            last = self._checked_us
            if last is None or not 0 <= self._desk.now_us() - last < OLDEST_US:
                self.check()
            if self.found:
                first = self.found[0]
                raise DeniedError(
                    f"what runs is not what the board signed: {first.sentence}",
                    rule=f"drift.{first.clause}",
                    fix=FIX,
                )

    def show(self) -> dict[str, Any]:
        """Return what was found on a fresh look, and what is compared."""
        with self._desk.lock:
            found = self.check()
            compared = 0
            if self._desk.trust.digest():
                compared = len(clauses(self._desk.trust.charter()))
            return {
                "ok": not found,
                "compared": compared,
                "found": [{"clause": one.clause, "sentence": one.sentence} for one in found],
                "entry": self._open,
            }

    def _look(self) -> tuple[Found, ...]:
        """Return every difference; whatever keeps a part from being compared is one as well."""
        found: dict[Found, None] = {}
        try:
            for one in self._compare():
                found[one] = None
        except UnavailableError:
            raise  # a store that is down differs from nothing, and no look is no clean look either
        except Exception:  # noqa: BLE001 - whatever stands in the way must not pass for a clean look
            sentence = "what runs cannot be compared with what was signed"
            found[Found(clause="charter", sentence=sentence)] = None
        return tuple(found)

    def _compare(self) -> Iterator[Found]:
        tree = self._read_charter()
        signed = self._signed(tree)
        yield from self._documents(tree)
        yield from self._clauses(signed)
        yield from self._policy(signed)
        yield from self._surroundings()
        yield from self._people()

    def _read_charter(self) -> Any:
        """Return the charter's tree in its file, or nothing if there is none to read."""
        with suppress(SafeholdError, KeyError, TypeError, OSError):
            return read_file(self._desk.home.charter_file)["charter"]
        return None

    def _documents(self, tree: Any) -> Iterator[Found]:
        trust = self._desk.trust
        if trust.roster.digest() != self._named.get("roster"):
            yield Found(clause="oversight.seats", sentence="the board is not the one in the ledger")
        if trust.digest() != self._named.get("charter"):
            yield Found(
                clause="version", sentence="the charter decided by is not the one in the ledger"
            )
        try:
            digest = canonical.digest(tree)
            others = clauses_in_file(trust.charter(), tree) if digest != trust.digest() else []
        except (SafeholdError, KeyError, TypeError):
            yield Found(clause="signatures", sentence="the signed charter cannot be read")
            return
        for clause in others[:SHOWN]:
            yield Found(
                clause=clause, sentence=f"{clause} in the charter's file is not what was signed"
            )

    def _clauses(self, signed: Charter) -> Iterator[Found]:
        runs = running_clauses(self._desk, self._orders())
        for clause in differing(clauses(signed), runs)[:SHOWN]:
            yield Found(clause=clause, sentence=f"{clause} is not carried out as it was signed")

    def _policy(self, signed: Charter) -> Iterator[Found]:
        try:
            if self._promised[0] != signed.digest():
                self._promised = signed.digest(), rules_of(compile_charter(signed))
        except SafeholdError:
            yield Found(clause="red_lines", sentence="the signed charter compiles no more")
            return
        promised = self._promised[1]
        found = differing(promised, rules_of(self._desk.trust.policy()))
        found.sort(
            key=WHOLE.__contains__
        )  # the rule that is another is named before the whole text
        for clause in found[:SHOWN]:
            yield Found(clause=clause, sentence=f"the compiled rule for {clause} is another")

    def _surroundings(self) -> Iterator[Found]:
        """What the machine and the files outside must offer; a home of made-up people is excused.

        Not from having the witnesses that its board named: by them the board is timed.
        """
        desk, charter = self._desk, self._desk.trust.charter()
        if said := unlike_pinned(desk):
            yield Found(clause="audit.witnesses", sentence=said)
        if int(desk.home.synthetic) != self._synthetic:
            yield Found(
                clause="data_subjects.include",
                sentence="the ledger says otherwise whether this home is for made-up people",
            )
        if self._synthetic:
            return
        promised = charter.audit.witnesses
        with suppress(TamperedError):  # that has been said
            panel = Panel.read(desk.home.witnesses_file)
            if panel != desk.panel:
                yield Found(
                    clause="audit.witnesses",
                    sentence="the witnesses in the file are not those the keeper asks",
                )
            if missing := panel.shortfall(least=promised.min, includes=promised.includes):
                yield Found(clause="audit.witnesses", sentence=missing)
        reached = int(desk.workshop.level()[1:])
        for item in charter.collect:
            if reached < charter.assurance.least(item.sensitivity):
                yield Found(
                    clause=f"assurance.sensitivity_{item.sensitivity}",
                    sentence="this machine's sandbox is weaker than the data demands",
                )

    def _people(self) -> Iterator[Found]:
        now, last = self._desk.now_us(), self._register_us
        if last is None or not 0 <= now - last < REGISTER_US:
            self._register_found, self._register_us = self._look_at_register(now)
        yield from self._register_found

    def _look_at_register(self, now: int) -> tuple[tuple[Found, ...], int | None]:
        """Return what differs in the register, and when it was compared; what cannot be compared differs too."""
        clause = "participation.applies_equally_to"
        try:
            self._register()
        except TamperedError:
            sentence = "the register of people is not what they chose themselves"
            return (Found(clause=clause, sentence=sentence),), now
        except UnavailableError:
            self._register_us = None  # compared before anything is recorded again
            raise
        except Exception:  # noqa: BLE001 - whatever stands in the way must not pass for a clean look
            sentence = "the register of people cannot be compared with their choices"
            return (
                Found(clause=clause, sentence=sentence),
            ), None  # looked at again at the next turn
        return (), now

    def _signed(self, tree: Any) -> Charter:
        """Return the charter in the file if the ledger names it; otherwise ``_documents`` has said so."""
        with suppress(SafeholdError, KeyError, TypeError):
            if canonical.digest(tree) == self._named.get("charter"):
                return Charter.from_json(tree)
        return self._desk.trust.charter()

    def _follow(self) -> None:
        ledger = self._desk.ledger
        size = ledger.size
        for index, leaf in ledger.leaves(self._read, size):
            if leaf["k"] in ("charter", "roster"):
                self._named[leaf["k"]] = unb64(leaf["chr"])
            elif leaf["k"] == "home":
                self._synthetic = leaf["pub"]["synthetic"]
            elif leaf["k"] == "drift":
                self._open = index if leaf["pub"]["state"] == "found" else None
        self._read = size

    def _note(self, state: str) -> None:
        clause = self.found[0].clause if self.found else "all"
        try:
            self._desk.log(
                Entry(
                    kind="drift",
                    actor="keeper",
                    object="charter",
                    detail={"clauses": [one.clause for one in self.found][:SHOWN]},
                    charter=self._desk.trust.digest(),
                    public={"state": state, "clause": clause},
                    ref=self._open,
                )
            )
        except UnavailableError:
            if state == "clear":
                self._checked_us = None  # not settled before the ledger says so
            raise
        self._follow()


__all__ = ["Drift", "Found"]
