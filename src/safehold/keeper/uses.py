"""What the ledger says of uses: which intents wait for a result, and what each grant was used for.

A fold over leaves; the trust keeps it under its lock. A grant's caps are judged by it and by nothing else, so a
restored database gives nothing back. A run whose result nobody wrote counts as if it had sent all that it could.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.access import Grant
from safehold.errors import DeniedError

HOUR_MS: Final = 3_600_000
REMEMBERED: Final = (
    1_000  # refused attempts of a grant that are told one by one; all of them are counted
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that all uses of one grant may come to.

    Args:
        runs: Intents.
        rows: Rows opened.
        out_bytes: Bytes through the egress gate.
        per_hour: Intents in any hour.
        epsilon_micro: Epsilon, millionths.
    """

    runs: int
    rows: int
    out_bytes: int
    per_hour: int
    epsilon_micro: int

    @classmethod
    def of(cls, grant: Grant) -> Caps:
        """Return the caps of a grant."""
        return cls(
            runs=grant.max_runs,
            rows=grant.max_rows,
            out_bytes=grant.max_bytes,
            per_hour=grant.max_per_hour,
            epsilon_micro=grant.epsilon_micro,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What the uses of one grant come to so far.

    Args:
        runs: Intents.
        rows: Rows opened, at most.
        out_bytes: Bytes through the egress gate; None after a run whose result nobody wrote.
        hourly: Intents of the last hour.
        epsilon_micro: Epsilon, millionths.
    """

    runs: int
    rows: int
    out_bytes: int | None
    hourly: int
    epsilon_micro: int


@dataclass(slots=True)
class GrantUses:
    """The uses of one grant.

    Args:
        count: How many intents name it.
        first: Index of the first of them, -1 if there is none.
        last: Index of the last of them, -1 if there is none.
        revoked: Whether the ledger revokes it.
        closed: Whether the ledger closes it: no intent may name it any more.
        begun_ms: When its leaf was written, milliseconds; 0 if there is no such leaf.
        ended_ms: When it was revoked or closed, milliseconds; 0 while neither was.
        rows: Rows that its intents name.
        epsilon_micro: Epsilon that they are charged.
        sent: Bytes that passed the egress gate, by intent; None where nobody wrote the result.
        times: When each intent was written, milliseconds.
        intents: Their indices.
        blocks: Hashes of revocation ids of single tokens that were revoked, hex.
        refused: How many attempts under it were refused.
        refusals: Indices of the first of them.
        reviews: Indices of its reviews.
        results: Index of the result, by intent.
    """

    count: int = 0
    first: int = -1
    last: int = -1
    revoked: bool = False
    closed: bool = False
    begun_ms: int = 0
    ended_ms: int = 0
    rows: int = 0
    epsilon_micro: int = 0
    sent: dict[int, int | None] = field(default_factory=dict)
    times: list[int] = field(default_factory=list)
    intents: list[int] = field(default_factory=list)
    blocks: set[str] = field(default_factory=set)
    refused: int = 0
    refusals: list[int] = field(default_factory=list)
    reviews: list[int] = field(default_factory=list)
    results: dict[int, int] = field(default_factory=dict)

    def facts(self, state: str) -> dict[str, int | str]:
        """Return the public facts of the leaf that closes it; without uses there is no range."""
        facts: dict[str, int | str] = {"state": state, "uses": self.count}
        if self.count:
            facts |= {"first": self.first, "last": self.last}
        return facts

    def totals(self, now_ms: int) -> Totals:
        """Return what its uses come to."""
        sent = list(self.sent.values())
        known = [one for one in sent if one is not None]
        return Totals(
            runs=self.count,
            rows=self.rows,
            out_bytes=sum(known) if len(known) == len(sent) else None,
            hourly=sum(one > now_ms - HOUR_MS for one in self.times),
            epsilon_micro=self.epsilon_micro,
        )

    def check(self, caps: Caps, *, rows: int, epsilon_micro: int, now_ms: int) -> None:
        """Pass if one more use stays within the caps.

        Raises:
            DeniedError: It does not; the rule says of what there would be too much.
        """
        done = self.totals(now_ms)
        for rule, total, most, words in (
            ("grant.runs", done.runs + 1, caps.runs, "this grant is used up"),
            ("grant.rate", done.hourly + 1, caps.per_hour, "too many uses within an hour"),
            ("grant.rows", done.rows + rows, caps.rows, "more rows than this grant may open"),
            (
                "grant.epsilon",
                done.epsilon_micro + epsilon_micro,
                caps.epsilon_micro,
                "more epsilon than this grant may spend",
            ),
        ):
            if total > most:
                fix = "wait" if rule == "grant.rate" else "ask for a new one"
                raise DeniedError(words, rule=rule, fix=fix)
        self.check_sent(caps, more=0)

    def check_sent(self, caps: Caps, *, more: int) -> None:
        """Pass if what its runs have sent, and some more, stays within the cap.

        Raises:
            DeniedError: It does not.
        """
        done = self.totals(0).out_bytes
        if done is None:
            raise DeniedError(
                "how much an earlier run sent was never written, so it counts as all there was",
                rule="grant.bytes",
                fix="ask for a new one",
            )
        if done + more > caps.out_bytes:
            raise DeniedError(
                "more bytes than this grant may send", rule="grant.bytes", fix="ask for a new one"
            )


class Uses:
    """The fold."""

    def __init__(self) -> None:
        self._open: dict[int, int | None] = {}  # intents in the order of the log, to their grants
        self._grants: dict[int, GrantUses] = {}
        self._parents: dict[int, int] = {}  # of a grant that was handed on, the one it came of

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take the next leaf."""
        ref, facts = leaf.get("ref"), leaf.get("pub", {})
        match leaf["k"]:
            case "access.intent":
                self.begin(index, ref, facts, at_ms=leaf["t"])
            case "access.result":
                self.answer(leaf["ref"], facts, result=index)
            case "grant":
                self._note_grant(index, ref, facts, at_ms=leaf["t"])
            case "grant.closed":
                uses = self.grant(leaf["ref"])
                uses.closed, uses.ended_ms = True, uses.ended_ms or leaf["t"]
            case "refusal" if ref is not None:
                self.refuse(index, ref)
            case "review":
                self.grant(leaf["ref"]).reviews.append(index)
            case _:
                pass

    def _note_grant(
        self, index: int, ref: int | None, facts: Mapping[str, Any], *, at_ms: int
    ) -> None:
        if ref is None:
            self.grant(index).begun_ms = at_ms
            if "parent" in facts:
                self._parents[index] = int(facts["parent"])
        elif "block" in facts:
            self.grant(ref).blocks.add(str(facts["block"]))
        else:
            uses = self.grant(ref)
            uses.revoked, uses.ended_ms = True, uses.ended_ms or at_ms

    def begin(self, index: int, grant: int | None, facts: Mapping[str, Any], *, at_ms: int) -> None:
        """Take an intent."""
        self._open[index] = grant
        if grant is not None:
            uses = self.grant(grant)
            uses.count += 1
            uses.first = index if uses.first < 0 else uses.first
            uses.last = index
            uses.rows += int(facts.get("rows", 0))
            uses.epsilon_micro += int(facts.get("epsilon_micro", 0))
            uses.sent[index] = 0
            uses.times.append(at_ms)
            uses.intents.append(index)

    def answer(self, intent: int, facts: Mapping[str, Any], *, result: int) -> None:
        """Take the result of an intent."""
        grant = self._open.pop(intent, None)
        if grant is not None:
            uses = self.grant(grant)
            uses.sent[intent], uses.results[intent] = facts.get("bytes"), result

    def above(self, grant: int) -> list[int]:
        """Return the grants that one descends from, nearest first."""
        found: list[int] = []
        while (parent := self._parents.get(grant)) is not None and parent not in found:
            found.append(parent)
            grant = parent
        return found

    def family(self, grant: int) -> GrantUses:
        """Return the uses of a grant and of all that descend from it, as one; to read them."""
        own = self.look(grant)
        below = [one for one in self._parents if grant in self.above(one)]
        if not below:
            return own
        made = GrantUses()
        for uses in (own, *map(self.look, below)):
            made.count += uses.count
            made.rows += uses.rows
            made.epsilon_micro += uses.epsilon_micro
            made.sent |= uses.sent
            made.times += uses.times
        return made

    def refuse(self, index: int, grant: int) -> None:
        """Take the refusal of an attempt under a grant."""
        uses = self._grants.get(grant)
        if uses is not None:  # a refusal may also name an intent
            uses.refused += 1
            if len(uses.refusals) < REMEMBERED:
                uses.refusals.append(index)

    def send(
        self, intent: int, count: int, caps: Caps, above: Mapping[int, Caps] | None = None
    ) -> int:
        """Count bytes that a run means to send, and return what all runs of its grant have sent then.

        Args:
            intent: The intent of the run.
            count: Bytes.
            caps: Of its grant.
            above: Caps of grants that others descend from, by the index of their leaf.

        Raises:
            DeniedError: The grant does not cover them.
        """
        grant = self._open.get(intent)
        if grant is None:
            return 0
        uses = self.grant(grant)
        self.family(grant).check_sent(caps, more=count)
        for one in self.above(grant):
            if above is None or one not in above:
                raise DeniedError("the grant above this one has ended", rule="agent.parent-ended")
            self.family(one).check_sent(above[one], more=count)
        uses.sent[intent] = (uses.sent[intent] or 0) + count
        return uses.totals(0).out_bytes or 0

    def sent(self, intent: int) -> int | None:
        """Return how many bytes a run that goes on has sent under a grant; None if it has none."""
        grant = self._open.get(intent)
        return None if grant is None else self.grant(grant).sent.get(intent)

    def unanswered(self) -> list[int]:
        """Return the intents that have no result, oldest first."""
        return list(self._open)

    def grant(self, index: int) -> GrantUses:
        """Return the uses of the grant whose leaf has an index, to change them."""
        return self._grants.setdefault(index, GrantUses())

    def look(self, index: int) -> GrantUses:
        """Return the uses of a grant, to read them; none if there is no such grant."""
        return self._grants.get(index) or GrantUses()

    def grants(self) -> list[int]:
        """Return the indices of the leaves of all grants."""
        return list(self._grants)
