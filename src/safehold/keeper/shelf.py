"""How every artifact stands, as the ledger tells: kept, in quarantine, released from it, or deleted.

Holds: an artifact is in quarantine from the leaf that says so until a later leaf of the board says otherwise; no row
of a database and no restart changes that. A gate that an artifact failed stays failed under the same charter, however
often it is attacked again.

| state | leaf | what may follow |
|---|---|---|
| ``kept`` | when it was sealed, and nothing was found in it | pulled, once the charter's gates have passed |
| ``quarantined`` | a scan, a gate, its provenance or its origin stands against it | released or deleted by the board |
| ``released`` | the board has taken it out of quarantine | pulled, once the charter's gates have passed |
| ``deleted`` | one seat had it deleted | nothing |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safehold.canonical import unb64
from safehold.charter.oversight import Gate
from safehold.errors import DeniedError
from safehold.ledger import Entry, Receipt
from safehold.privacy.attack import FAILED, OPERATORS, PASSED, UNMEASURED, AttackResult, judge

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

KEPT, QUARANTINED, RELEASED, DELETED = "kept", "quarantined", "released", "deleted"
INAPPLICABLE: Final = "inapplicable"  # a gate on what such an artifact does not have
STALE: Final = "stale"
MODEL_ATTACKS: Final = ("membership", "canary", "invert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an artifact stands.

    Args:
        state: ``kept``, ``quarantined``, ``released`` or ``deleted``; empty of one from before there were leaves.
        reason: Why, in one word.
        entry: Index of the leaf that says so; -1 without one.
    """

    state: str = ""
    reason: str = ""
    entry: int = -1


class Shelf:
    """What the ledger says of artifacts.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._read = desk.trust.read
        self._leaves: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        self._pulls: dict[str, list[tuple[int, int]]] = {}  # index and time, milliseconds
        # from when the ledger was checked, and not from a file that somebody edited since
        for index, leaf in desk.trust.artifacts:
            self._note(index, leaf)

    def put(
        self,
        artifact: str,
        state: str,
        reason: str,
        *,
        facts: Mapping[str, int | str] | None = None,
        detail: Mapping[str, Any] | None = None,
        actor: str = "keeper",
        ref: int | None = None,
    ) -> Receipt:
        """Write down a new state, and let it count.

        Args:
            artifact: Its id.
            state: The new state.
            reason: Why, in one word.
            facts: Public facts beside: format, size class, SHA-256.
            detail: What the leaf commits to.
            actor: Who changes it.
            ref: The leaf it follows: an intent, or the artifact's last leaf.
        """
        desk = self._desk
        if ref is None and (now := self.standing(artifact)).entry >= 0:
            ref = now.entry
        with desk.lock:
            (receipt,) = desk.log(
                Entry(
                    kind="artifact",
                    actor=actor,
                    object=artifact,
                    detail=dict(detail or {}),
                    charter=desk.trust.digest(),
                    public={
                        "artifact": artifact,
                        "state": state,
                        "reason": reason,
                        **(facts or {}),
                    },
                    ref=ref,
                )
            )
            self._fold()
        return receipt

    def standing(self, artifact: str) -> Standing:
        """Return how an artifact stands now."""
        for index, leaf in reversed(self._of(artifact)):
            if leaf["k"] == "artifact":
                said = leaf["pub"]
                return Standing(state=said["state"], reason=said["reason"], entry=index)
        return Standing()

    def require_free(self, artifact: str) -> Standing:
        """Return how an artifact stands if it may be handed out as far as quarantine goes.

        Raises:
            DeniedError: It lies in quarantine, was deleted, or no leaf says that it was ever kept.
        """
        now = self.standing(artifact)
        if now.state in (KEPT, RELEASED):
            return now
        if now.state == DELETED:
            raise DeniedError("this artifact was deleted", rule="artifact.deleted")
        raise DeniedError(
            "this artifact lies in quarantine"
            if now.state
            else "no leaf says that this artifact was ever looked at",
            rule="artifact.quarantine",
            fix="the board decides: safehold artifact quarantine",
        )

    def facts(self, artifact: str) -> Mapping[str, Any]:
        """Return the public facts of the first leaf of an artifact: format, size class, SHA-256."""
        first = next((leaf for _, leaf in self._of(artifact) if leaf["k"] == "artifact"), None)
        return {} if first is None else first["pub"]

    def history(self, artifact: str) -> list[dict[str, Any]]:
        """Return every change of state, oldest first."""
        return [
            {
                "entry": index,
                "at_ms": int(leaf["t"]),
                "state": leaf["pub"]["state"],
                "reason": leaf["pub"]["reason"],
            }
            for index, leaf in self._of(artifact)
            if leaf["k"] == "artifact"
        ]

    def pulls(self, artifact: str) -> list[dict[str, Any]]:
        """Return every pull that was decided, oldest first, with who it was as far as the side-car still tells."""
        with self._desk.lock:
            self._fold()
            found = list(self._pulls.get(artifact, ()))
        return [{"entry": index, "at_ms": at} for index, at in found]

    def record(
        self, artifact: str, gate: Gate, result: AttackResult | None, *, intent: int, actor: str
    ) -> dict[str, Any]:
        """Judge what an attack found by one gate, put it in the ledger, and return it.

        A gate that does not pass puts the artifact in quarantine, in the same step.

        Args:
            artifact: Its id.
            gate: A gate of the charter in force.
            result: What was found; None where there is nothing that this gate is about.
            intent: The intent that it was found under.
            actor: Who attacked.
        """
        desk = self._desk
        if result is None:
            state = INAPPLICABLE
        else:
            state = judge(result, gate.must_be, measure=gate.measure)
            if state == PASSED and self._failed_before(artifact, gate.id):
                state = FAILED
        public: dict[str, int | str] = {
            "artifact": artifact,
            "gate": gate.id,
            "attack": gate.attack,
            "measure": gate.measure,
            "op": OPERATORS.get(gate.must_be.op, "none"),
            "bound": gate.must_be.micro,
            "state": state,
        }
        if result is not None:
            public |= {
                "version": result.version,
                "micro": result.point,
                "lower": result.lower,
                "upper": result.upper,
                "confidence": result.confidence,
                **dict(result.trials),
            }
            if result.detectable is not None:
                public["detectable"] = result.detectable
        with desk.lock:
            (receipt,) = desk.log(
                Entry(
                    kind="attack",
                    actor=actor,
                    object=gate.id,
                    detail={} if result is None else result.to_record(),
                    charter=desk.trust.digest(),
                    public=public,
                    ref=intent,
                )
            )
            self._fold()
            if state not in (PASSED, INAPPLICABLE) and self.standing(artifact).state in (
                KEPT,
                RELEASED,
            ):
                self.put(artifact, QUARANTINED, f"gate.{state}", detail={"gate": gate.id})
        return {**public, "power": "" if result is None else result.power, "entry": receipt.index}

    def gates(self, artifact: str, charter: Sequence[Gate]) -> list[dict[str, Any]]:
        """Return how an artifact stands before each of some gates, with the newest figures."""
        found = []
        for gate in charter:
            leaf = self._newest(artifact, gate.id)
            said: dict[str, Any] = {
                "gate": gate.id,
                "attack": gate.attack,
                "measure": gate.measure,
                "must_be": f"{gate.must_be.op}{gate.must_be.micro / 1e6:g}",
                "state": self._state(gate, leaf),
            }
            if leaf is not None:
                index, one = leaf
                names = ("micro", "lower", "upper", "detectable")
                said |= {name: one["pub"][name] / 1e6 for name in names if name in one["pub"]}
                trials = ("members", "others", "planted", "candidates", "version")
                said |= {name: one["pub"][name] for name in trials if name in one["pub"]}
                said["entry"] = index
            found.append(said)
        return found

    def passed(self, artifact: str, charter: Sequence[Gate]) -> tuple[str, ...]:
        """Return the ids of those of some gates that an artifact has passed, or that are not about such an artifact."""
        return tuple(
            gate.id
            for gate in charter
            if self._state(gate, self._newest(artifact, gate.id)) in (PASSED, INAPPLICABLE)
        )

    def _state(self, gate: Gate, leaf: tuple[int, dict[str, Any]] | None) -> str:
        """Return how an artifact stands before a gate by its newest leaf; one under another charter is stale."""
        if leaf is None:
            return UNMEASURED
        said = leaf[1]["pub"]
        same = (said["measure"], said["op"], said["bound"]) == (
            gate.measure,
            OPERATORS.get(gate.must_be.op, "none"),
            gate.must_be.micro,
        )
        if not same or unb64(leaf[1]["chr"]) != self._desk.trust.digest():
            return STALE
        return str(said["state"])

    def _newest(self, artifact: str, gate: str) -> tuple[int, dict[str, Any]] | None:
        for index, leaf in reversed(self._of(artifact)):
            if leaf["k"] == "attack" and leaf["pub"]["gate"] == gate:
                return index, leaf
        return None

    def _failed_before(self, artifact: str, gate: str) -> bool:
        digest = self._desk.trust.digest()
        return any(
            leaf["k"] == "attack"
            and leaf["pub"]["gate"] == gate
            and leaf["pub"]["state"] == FAILED
            and unb64(leaf["chr"]) == digest
            for _, leaf in self._of(artifact)
        )

    def _of(self, artifact: str) -> list[tuple[int, dict[str, Any]]]:
        with self._desk.lock:
            self._fold()
            return list(self._leaves.get(artifact, ()))

    def _fold(self) -> None:
        ledger = self._desk.ledger
        with self._desk.lock:
            size = ledger.size
            for index, leaf in ledger.leaves(self._read, size):
                self._note(index, leaf)
            self._read = size

    def _note(self, index: int, leaf: dict[str, Any]) -> None:
        said = leaf.get("pub", {})
        if leaf["k"] in ("artifact", "attack"):
            self._leaves.setdefault(said["artifact"], []).append((index, leaf))
        elif leaf["k"] == "access.intent" and said.get("action") == "pull_artifact":
            self._pulls.setdefault(said["artifact"], []).append((index, int(leaf["t"])))
