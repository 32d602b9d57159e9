"""The verbs of the board: propose, vote, enact, stop, resume; and what it did so far."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.errors import DeniedError, MissingError, ShreddedError, UnavailableError
from safehold.keeper.leases import Leases
from safehold.keeper.panel import unlike_pinned
from safehold.keeper.server import Report, Verb

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

KINDS: Final = ("roster", "charter", "proposal", "stop", "resume", "document")
LIMITS: Final = (
    "two seats, even with whoever can write every file and the control database, make no approval: each is a signature",
    "K1: whoever runs as the keeper's user, and root on its host, can exchange its program and so ignore the board",
    "K1 and K2: root can set the clock and use the local witness, so a notice timed by it alone proves nothing",
    "K2: callers of the keeper have another user id and can do neither; root on its host still can",
    "at neither level is a signature made without its key, nor an enacted charter hidden from witnesses outside",
)


class Oversight:
    """What the board can ask the keeper for.

    Args:
        desk: What the keeper works with.
        leases: What a stop ends.
    """

    def __init__(self, desk: Desk, leases: Leases) -> None:
        self._desk = desk
        self._leases = leases

    def verbs(self) -> dict[str, Verb]:
        """Return its verbs by name."""
        return {
            "charter.enact": self._enact,
            "charter.show": self._charter,
            "charter.propose": self._propose,
            "charter.vote": self._vote,
            "charter.proposals": self._proposals,
            "charter.log": self._log,
            "board.show": self._show,
            "board.propose": self._propose_roster,
            "board.enact": self._enact_roster,
            "board.rotate": self._rotate,
            "stop": self._stop,
            "resume": self._resume,
        }

    def _charter(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the charter in force: whoever it is about, and whoever asks under it, may read it."""
        trust = self._desk.trust
        charter = trust.charter()
        return {"charter": charter.to_json(), "digest": trust.digest().hex()}

    def _enact(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        trust = self._desk.trust
        if "proposal" in arguments:
            now_s = trust.deliberation.time_for(arguments["proposal"])
            self._require_witnesses(now_s)
            with self._desk.lock:  # no decision under one charter is logged under another
                answer = trust.deliberation.enact(arguments["proposal"], now_s)
            self._leases.end()  # what was sealed under the charter before opens for nobody
            return answer
        with self._desk.lock:
            return trust.enact(arguments["charter"], arguments["signatures"])

    def _propose(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        answer = self._desk.trust.deliberation.propose(
            arguments["charter"], arguments["proposal"], str(arguments["signature"])
        )
        return self._begun(answer)

    def _propose_roster(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        answer = self._desk.trust.deliberation.propose_roster(
            arguments["change"], arguments["proposal"], str(arguments["signature"])
        )
        return self._begun(answer)

    def _begun(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Have a proposal cosigned at once if that can be: from then on its notice counts."""
        try:
            self._desk.ledger.publish()
        except UnavailableError:
            return answer
        found = self._desk.trust.deliberation.open()
        return next((one for one in found if one["proposal"] == answer["proposal"]), answer)

    def _vote(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        return self._desk.trust.deliberation.vote(arguments["vote"])

    def _proposals(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        language = str(arguments.get("language", "en"))
        return {"proposals": self._desk.trust.deliberation.open(language)}

    def _enact_roster(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        deliberation, index = self._desk.trust.deliberation, arguments["proposal"]
        now_s = deliberation.time_for(index)
        self._require_witnesses(now_s)
        with self._desk.lock:  # a grant is approved under one roster
            return deliberation.enact_roster(index, now_s)

    def _rotate(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        with self._desk.lock:
            return self._desk.trust.deliberation.rotate(arguments["roster"])

    def _require_witnesses(self, now_s: int | None) -> None:
        """Pass if no notice is asked, or the witnesses of this home are those that the board named.

        Raises:
            DeniedError: They are not.
        """
        if now_s is not None and (said := unlike_pinned(self._desk)):
            raise DeniedError(
                f"nothing is widened: {said}",
                rule="drift.audit.witnesses",
                fix="put the list of witnesses back, or have the board name these: safehold board witnesses",
            )

    def _show(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        desk, roster = self._desk, self._desk.trust.roster
        return {
            "version": roster.version,
            "digest": roster.digest().hex(),
            "expires_us": roster.expires_s * 1_000_000,
            "expired": desk.now_us() >= roster.expires_s * 1_000_000,
            "seats": [
                {"seat": seat.name, "person": seat.person, "key": seat.key.key_id}
                for seat in roster.seats
            ],
            "roster": roster.to_json(),
            "several_seats": list(roster.several),
            "thresholds": {
                name: {"approve": rule.approve, "must_include": list(rule.must_include)}
                for name, rule in roster.thresholds.items()
            },
            "witnesses": roster.pinned.to_json(),
            "witnesses_differ": unlike_pinned(desk),
            "versions": [one.digest().hex() for one in desk.trust.board.rosters],
            "proposals": desk.trust.deliberation.open(),
            "limits": list(LIMITS),
        }

    def _log(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what the board did, oldest first, and who sits behind each step."""
        steps = []
        for index, leaf in self._desk.ledger.leaves():
            if leaf["k"] in KINDS:
                facts = leaf.get("pub", {})
                steps.append(
                    {
                        "entry": index,
                        "at_us": int(leaf["t"]) * 1000,
                        "what": leaf["k"],
                        **{
                            name: facts[name]
                            for name in ("state", "about", "direction", "version", "seat", "name")
                            if name in facts
                        },
                        **({"of": leaf["ref"]} if "ref" in leaf else {}),
                        **self._behind(index, leaf["k"]),
                    }
                )
        return {"log": steps}

    def _behind(self, index: int, kind: str) -> dict[str, Any]:
        """Return who is behind a step, as its side-car says."""
        try:
            said = self._desk.ledger.detail(index)
        except (ShreddedError, MissingError):
            return {"by": "no longer known"}
        detail = said["detail"]
        found: dict[str, Any] = {"by": said["actor"]} if kind == "proposal" else {}
        for name in ("seats", "reason", "why", "change", "waived"):
            if detail.get(name):
                found[name] = detail[name]
        return found

    def _stop(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        try:
            answer = self._desk.trust.order("stop", arguments)
        except UnavailableError:
            # the order holds but cannot be written down: what runs ends all the same, only the word is missing
            self._desk.halt()
            self._leases.cut(None, "stop")
            raise
        ended = self._desk.halt()
        return {
            **answer,
            "jobs_ended": ended,
            "leases_ended": self._leases.close(None, "stop"),
        }

    def _resume(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        answer = self._desk.trust.order("resume", arguments)
        self._leases.reopen(None)
        return answer
