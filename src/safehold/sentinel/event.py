"""One thing somebody did, or tried to do, with the data: all that the sentinel ever knows."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("human", "agent", "workload")
OUTCOMES = ("ok", "denied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One use or attempt.

    Args:
        number: What it is called in an alert: the index of its leaf, or the number of its line from 1.
        t_us: When, microseconds since 1970-01-01 UTC; never before the event in front.
        principal: Who, by the id of the register.
        kind: ``human``, ``agent`` or ``workload``.
        role: Their role; empty if unknown.
        team: Their team, or of an agent its operator's; empty if unknown.
        action: What they did, such as ``dataset.read``, ``embedding.export`` or ``artifact.download``.
        objects: Names of what it was done to; two or more beside each other are a join.
        segment: The segment; empty if it is about none.
        purpose: The purpose they stated; empty if none.
        rows: Rows that were opened.
        bytes: Bytes that came out.
        grant: The grant it was done under, if any.
        outcome: ``ok`` or ``denied``.
    """

    number: int
    t_us: int
    principal: str
    kind: str
    role: str = ""
    team: str = ""
    action: str
    objects: tuple[str, ...] = ()
    segment: str = ""
    purpose: str = ""
    rows: int = 0
    bytes: int = 0
    grant: str | None = None
    outcome: str = "ok"
