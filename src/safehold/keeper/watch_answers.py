"""What an alert is answered by: each answer narrows, at once, and only around whom the alert is about.

Holds: nothing here allows anybody more. Who is suspended comes back by a person; what is contained, by the board. The
answers are done under the alert's leaf, which names the principal and the entries: the sentinel cannot choose others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper.caller import caller
from safehold.keeper.contained import PRINCIPAL, PURPOSE, RUN
from safehold.keeper.containing import Wish
from safehold.keeper.nobody import RESERVED
from safehold.keeper.principals import ACTIVE, SUSPENDED, Principals
from safehold.keeper.watch_events import Known

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

REVIEW: Final = "review"
HOLD: Final = "hold_result"
SUSPEND: Final = "suspend_token"
FREEZE: Final = "freeze_enclave"
PAUSE: Final = "pause_purpose"
ANSWERS: Final = (REVIEW, HOLD, SUSPEND, FREEZE, PAUSE)

Look = Callable[[int], Known | None]


class Contain(Protocol):
    """Contains something, by whom it is done, and returns what that did."""

    def __call__(self, wish: Wish, *, by: str) -> dict[str, Any]:
        """See ``Containment.begin``."""


class Answering:
    """Carries answers out.

    Args:
        desk: What the keeper works with.
        principals: The register.
        look: Says what is known of an entry.
        contain: Contains something.
    """

    def __init__(self, desk: Desk, principals: Principals, look: Look, contain: Contain) -> None:
        self._desk = desk
        self._principals = principals
        self._look = look
        self._contain = contain

    def carry_out(
        self, answers: Sequence[str], said: Mapping[str, Any], *, alert: int
    ) -> list[dict[str, Any]]:
        """Do what an alert is answered by, and return what was done, by which entries.

        One answer that may not be done does not keep the others from it; it is told by its rule. What cannot be done
        just now leaves all of it to be done: doing it again changes nothing.

        Args:
            answers: Some of ``ANSWERS``.
            said: What the alert says.
            alert: Its leaf.

        Raises:
            UnavailableError: Something that is needed does not answer just now, as the ledger.
        """
        did: list[dict[str, Any]] = []
        for answer in answers:
            for what, target, act in self._steps(answer, said, alert):
                step: dict[str, Any] = {"answer": answer, "what": what, "target": target}
                try:
                    did.append(step | {"entry": act()})
                except UnavailableError:
                    raise
                except SafeholdError as error:
                    did.append(step | {"refused": error.rule or error.code})
            if not any(one["answer"] == answer for one in did):
                did.append(
                    {"answer": answer, "what": "nothing", "target": ""}
                )  # it was over already
        return did

    def _steps(
        self, answer: str, said: Mapping[str, Any], alert: int
    ) -> Iterator[tuple[str, str, Callable[[], int]]]:
        who, events = str(said["principal"]), [int(one) for one in said["events"]]
        why = f"alert {alert}: {said['signal']}"

        def contain(what: str, target: str) -> tuple[str, str, Callable[[], int]]:
            wish = Wish(what=what, target=target, reason=why, of=alert)
            return what, target, lambda: int(self._contain(wish, by=caller().id)["entry"])

        if answer == SUSPEND:
            found = self._principals.find(who)
            if found is None and who not in RESERVED:  # a name that many share is nobody
                yield contain(PRINCIPAL, who)
            elif found is not None and found.state == ACTIVE:
                yield "principal", who, lambda: self._suspend(who)
        elif answer in (HOLD, FREEZE):
            for intent in self._desk.trust.unanswered():
                known = self._look(intent)
                if known is None or known.principal != who:
                    continue
                if answer == FREEZE or intent in events:
                    yield contain(RUN, str(intent))
        elif answer == PAUSE:
            known = self._look(events[-1])
            if known is not None and known.purpose:
                yield contain(PURPOSE, known.purpose)

    def _suspend(self, who: str) -> int:
        return self._principals.change(who, "suspended", state=SUSPENDED)
