"""Hard limits: what is told at once, whoever does it, however new they are; nothing here is learnt.

A profile needs days before it says anything, and an intruder does not wait for it. These are few, and of things that
nobody's work is made of: many refusals in a row, vectors asked for, a model pulled without a right to it, an agent
that tries to change who may do what, a machine that calls without end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import InvalidError
from safehold.sentinel.alert import Alert
from safehold.sentinel.event import Event

MINUTE_US: Final = 60_000_000
QUIET_US: Final = (
    60 * MINUTE_US
)  # so long the same is not told of the same principal again, unless it got worse
# a machine was stopped when it was told of: what it does after that, it does because somebody gave it back
MACHINES_QUIET_US: Final = 10 * MINUTE_US
AFTER_US: Final = 15 * MINUTE_US  # within which a refused way out belongs to what was read before
MOST: Final = 20_000  # principals that are remembered; those longest silent go first
SHOWN: Final = 32  # entries that an alert names

DENIED: Final = "denied_burst"
VECTORS: Final = "vectors_asked"
PULLED: Final = "pull_refused"
OVERREACH: Final = "agent_overreach"
RUNAWAY: Final = "agent_runaway"
SENDING: Final = "read_then_send"

# verbs by which somebody changes who may do what; no agent has work that needs one
CHANGING: Final = (
    "agent.enrol", "agent.suspend", "alert.", "artifact.decide", "artifact.import", "artifact.quarantine", "audit.",
    "board.", "charter.", "contain", "dataset.compact", "dataset.sweep", "document.publish", "drill.", "gap",
    "grant.review", "grant.revoke", "incident.", "ingest", "key.", "lease.", "ledger.close-epoch", "ledger.publish",
    "ledger.rotate", "people.", "principal.", "request.decide", "resume", "rights.", "sentinel.", "source.", "stop",
)  # fmt: skip
OUTWARD: Final = ("artifact.download", "embedding.export", "join", "people.export")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """So many of something, in so long.

    Args:
        signal: What is told.
        count: From how many on.
        within_us: In how many microseconds.
        severity: How severe it is then; one more at five times as many, up to 4.
        sentence: What is told; ``{count}``, ``{times}`` and ``{minutes}`` stand in it.
    """

    signal: str
    count: int
    within_us: int
    severity: int
    sentence: str


LIMITS: Final[Mapping[str, Limit]] = {
    one.signal: one
    for one in (
        Limit(signal=DENIED, count=20, within_us=10 * MINUTE_US, severity=3,
              sentence="{count} attempts were refused within {minutes} minutes; the limit for anybody is 20"),
        Limit(signal=VECTORS, count=1, within_us=1440 * MINUTE_US, severity=3,
              sentence="vectors were asked for {times} within a day; they never leave, and no work needs that"),
        Limit(signal=PULLED, count=1, within_us=1440 * MINUTE_US, severity=2,
              sentence="a pull of a model was refused, {times} within a day; whoever may pull one is not refused"),
        Limit(signal=OVERREACH, count=1, within_us=1440 * MINUTE_US, severity=3,
              sentence="an agent tried to change who may do what, {times} within a day; no agent may"),
        Limit(signal=RUNAWAY, count=120, within_us=2 * MINUTE_US, severity=4,
              sentence="an agent asked {count} times within {minutes} minutes; the limit for any is 120"),
        Limit(signal=SENDING, count=1, within_us=1440 * MINUTE_US, severity=3,
              sentence="an agent read data, and was refused a way out soon after, {times} within a day"),
    )
}  # fmt: skip


class Limits:
    """Counts, by principal and signal; its state is bounded and goes on from a snapshot."""

    def __init__(self) -> None:
        # principal -> signal -> [times and numbers of the newest], newest last
        self._seen: dict[str, dict[str, list[list[int]]]] = {}
        self._told: dict[str, dict[str, list[int]]] = {}  # when, and how severe

    def observe(self, event: Event) -> list[Alert]:
        """Count an event, and return what it is too much of.

        Args:
            event: The next event.
        """
        found = []
        for signal in _signals(event, lately=self._read_lately(event)):
            alert = self._count(event, LIMITS[signal])
            if alert is not None:
                found.append(alert)
        if event.kind == "agent" and event.outcome == "ok" and event.rows:
            self._of(event.principal)["read"] = [[event.t_us, event.number]]
        return found

    def _count(self, event: Event, limit: Limit) -> Alert | None:
        seen = self._of(event.principal).setdefault(limit.signal, [])
        seen.append([event.t_us, event.number])
        most = 25 * limit.count if limit.count > 1 else 125
        while len(seen) > most or seen[0][0] <= event.t_us - limit.within_us:
            seen.pop(0)
        count = len(seen)
        if count < limit.count:
            return None
        severity = min(4, limit.severity + (count >= 5 * limit.count))
        told = self._told.setdefault(event.principal, {}).get(limit.signal)
        quiet = QUIET_US if event.kind == "human" else MACHINES_QUIET_US
        if told is not None and event.t_us - told[0] < quiet and severity <= told[1]:
            return None
        self._told[event.principal][limit.signal] = [event.t_us, severity]
        return Alert(
            t_us=event.t_us,
            principal=event.principal,
            signal=limit.signal,
            severity=severity,
            sentence=limit.sentence.format(
                count=count,
                times="once" if count == 1 else f"{count} times",
                minutes=limit.within_us // MINUTE_US,
            ),
            events=tuple(dict.fromkeys(number for _, number in seen[-SHOWN:])),
        )

    def _read_lately(self, event: Event) -> bool:
        read = self._seen.get(event.principal, {}).get("read", [])
        return any(event.t_us - at <= AFTER_US for at, _ in read)

    def _of(self, principal: str) -> dict[str, list[list[int]]]:
        found = self._seen.pop(principal, None)
        if found is None:
            found = {}
            if len(self._seen) >= MOST:
                longest = next(iter(self._seen))
                del self._seen[longest]
                self._told.pop(longest, None)
        self._seen[principal] = found  # the one that was seen last stands last
        return found

    def to_json(self) -> dict[str, Any]:
        """Return its state; a list keeps whose turn it was."""
        return {"seen": list(self._seen.items()), "told": self._told}

    @classmethod
    def from_json(cls, tree: Any) -> Limits:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no such state.
        """
        made = cls()
        try:
            made._seen = {str(name): dict(held) for name, held in tree["seen"]}
            made._told = {str(name): dict(held) for name, held in tree["told"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidError("not a state of limits", rule="sentinel.snapshot") from error
        return made


def _signals(event: Event, *, lately: bool) -> Iterator[str]:
    denied, agent = event.outcome == "denied", event.kind == "agent"
    if agent:
        yield RUNAWAY
    if not denied:
        return
    yield DENIED
    if event.action == "embedding.export":
        yield VECTORS
    if event.action == "artifact.download":
        yield PULLED
    if agent and event.action.startswith(CHANGING):
        yield OVERREACH
    if agent and lately and event.action.startswith(OUTWARD):
        yield SENDING
