"""Every intent gets exactly one result.

Holds: a run that ends writes how it ended, whatever ended it; a run whose keeper was killed, or
whose result the ledger could not take, gets the result ``lost`` before anything else is released.
A second one is never appended: the fold over the ledger says which intents still wait, and the key
of a result, which names its intent, saves it again where two come at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from safehold.errors import (
    DeniedError,
    MissingError,
    SafeholdError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.trust import Trust
from safehold.ledger import Entry, Ledger, Receipt

OUTCOMES = ("ok", "failed", "denied", "stopped", "lost")
ENDED = ("oversight.", "containment.")  # rules by which people ended a run


class Answers:
    """Writes results.

    Args:
        ledger: The record.
        trust: Knows which intents have no result.
    """

    def __init__(self, ledger: Ledger, trust: Trust) -> None:
        self._ledger = ledger
        self._trust = trust
        self._running: set[int] = set()

    def begin(self, intent: int) -> None:
        """Know that the run of an intent goes on; called under the lock of the decision."""
        self._running.add(intent)

    def over(self, intent: int) -> None:
        """Know that the run of an intent goes on no longer; without a result it is ``lost`` from here on."""
        self._running.discard(intent)

    @contextlib.contextmanager
    def expected(
        self, intent: int, *, actor: str, thing: str, opened: Mapping[int, int]
    ) -> Iterator[None]:
        """Write the result of a run that does not come to its end.

        Args:
            intent: Index of its intent.
            actor: Who ran it.
            thing: What was run.
            opened: Blocks opened so far, by intent.
        """
        try:
            yield
        except BaseException as error:
            # what ended the run is what the caller hears of; a result that cannot be written is ``lost`` later
            if intent in self._trust.unanswered():
                with contextlib.suppress(UnavailableError, TamperedError):
                    self.write(
                        intent,
                        actor=actor,
                        thing=thing,
                        outcome=outcome_of(error),
                        detail={"rule": _rule_of(error), "blocks": opened.get(intent, 0)},
                    )
            raise
        finally:
            self.over(intent)

    def write(
        self, intent: int, *, actor: str, thing: str, outcome: str, detail: Mapping[str, Any]
    ) -> Receipt:
        """Append the result of an intent, once; under a grant it says how much was sent, unless nobody knows."""
        facts: dict[str, int | str] = {"outcome": outcome}
        sent = self._trust.sent(intent)
        if sent is not None and outcome != "lost":
            facts["bytes"] = sent
        receipt = self._append(
            Entry(
                kind="access.result",
                actor=actor,
                object=thing,
                detail=dict(detail),
                charter=self._trust.digest(),
                public=facts,
                ref=intent,
                key=f"access.result/{intent}",
            )
        )
        self._trust.answer(intent, facts, result=receipt.index)
        return receipt

    def settle(self) -> list[int]:
        """Write ``lost`` for every intent whose run is over without a result; return them.

        Raises:
            UnavailableError: The ledger does not take it, so nothing may be released.
        """
        over = [one for one in self._trust.unanswered() if one not in self._running]
        for intent in over:
            self.write(intent, actor="keeper", thing=self._thing(intent), outcome="lost", detail={})
        return over

    def _append(self, entry: Entry) -> Receipt:
        try:
            (receipt,) = self._ledger.append([entry])
        except OSError as error:
            raise UnavailableError(
                "the ledger cannot be written", rule="ledger.append", fix="safehold doctor"
            ) from error
        return receipt

    def _thing(self, intent: int) -> str:
        try:
            return str(self._ledger.detail(intent)["object"])
        except (ShreddedError, MissingError):
            return ""


def outcome_of(error: BaseException) -> str:
    """Return the public word for what ended a run."""
    if isinstance(error, DeniedError):
        return "stopped" if (error.rule or "").startswith(ENDED) else "denied"
    if not isinstance(error, Exception):  # the keeper was told to end
        return "stopped"
    return "failed"


def _rule_of(error: BaseException) -> str:
    if isinstance(error, SafeholdError):
        return error.rule or error.code
    return type(error).__name__
