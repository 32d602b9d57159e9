"""What a proof gives: the promises that hold, or one request that breaks one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from safehold.charter.prove.request import Request
from safehold.errors import RedLineError

CLOSED_WORLD: Final = "closed_world"
WHO_MAY: Final = "who_may"
LIMITS: Final = (
    "proved for the compiled policy and its types; what puts facts into a request is not part of it",
    "a stated purpose is a claim; what is done under it is held by the recipe list and the ledger",
    "the prover and z3 are trusted here; `charter check` tries the same promises by enumeration",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One promise that holds.

    Args:
        id: ``red_line.<id>``, ``guard.<name>``, ``closed_world`` or ``who_may``.
        plain: What it says, for people.
        cpu_ms: Milliseconds of computing that its proof took; None where it was proved together
            with the others.
    """

    id: str
    plain: str
    cpu_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Every promise holds for one policy; a promise that does not would have raised.

    Args:
        charter: Id of the charter.
        version: Its version.
        digest: SHA-256 of its canonical bytes, hex.
        policies: Number of Cedar policies.
        environments: Pairs of action and kind of principal; each promise was proved in all.
        held: The promises.
        dead: Permits that can never fire: a warning.
        idle: Forbids that change nothing because others say the same; for information.
        cpu_ms: Milliseconds of computing in all.
        limits: What is not proved.
    """

    charter: str
    version: int
    digest: str
    policies: int
    environments: int
    held: tuple[Held, ...]
    dead: tuple[str, ...]
    idle: tuple[str, ...]
    cpu_ms: int
    limits: tuple[str, ...] = LIMITS

    def to_json(self) -> dict[str, Any]:
        """Return the proof as JSON."""
        return {
            "charter": self.charter,
            "version": self.version,
            "digest": self.digest,
            "proved": len(self.held),
            "policies": self.policies,
            "environments": self.environments,
            "cpu_ms": self.cpu_ms,
            "promises": [
                {"id": one.id, "plain": one.plain, "cpu_ms": one.cpu_ms} for one in self.held
            ],
            "never_fires": list(self.dead),
            "changes_nothing": list(self.idle),
            "limits": list(self.limits),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterexample:
    """A request that breaks a promise; Cedar itself decides it so.

    Args:
        promise: Id of the promise.
        sentence: The same in plain words.
        request: The request.
        careless: Whether it takes one further, careless permit.
    """

    promise: str
    sentence: str
    request: Request
    careless: bool


class ReachableError(RedLineError):
    """A promise can be broken.

    Args:
        counterexample: How.
        complaint: What strict validation says against the policy, if anything.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, counterexample: Counterexample, *, complaint: str = "") -> None:
        remark = f" (and the policy is not valid: {complaint})" if complaint else ""
        super().__init__(
            f"{counterexample.sentence}{remark}",
            rule=f"charter.{counterexample.promise}",
            fix="the policy does not hold this promise; do not sign this charter",
        )
        self.counterexample = counterexample
        self.complaint = complaint
