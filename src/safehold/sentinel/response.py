"""What to do about an alert: a table by signal and severity, for whoever acts on alerts; itself it does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from safehold.sentinel.alert import Alert

REVIEW: Final = "review"
HOLD: Final = "hold_result"
SUSPEND: Final = "suspend_token"
FREEZE: Final = "freeze_enclave"
PAUSE: Final = "pause_purpose"
ACTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        REVIEW: "somebody who is not the principal looks at it",
        HOLD: "what the use makes is kept, and handed out after the review",
        SUSPEND: "the capability the principal uses is refused from now on",
        FREEZE: "the principal's running enclaves stop and keep their state",
        PAUSE: "nothing is released for the stated purpose until a seat says so",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What is proposed about alerts of one signal.

    Args:
        signal: Which.
        severity: From which severity on.
        kinds: About which kinds of principals.
        actions: What to do, first things first.
        why: The reason, in a sentence.
    """

    signal: str
    severity: int
    kinds: tuple[str, ...]
    actions: tuple[str, ...]
    why: str


_ALL: Final = ("human", "agent", "workload")
_MACHINES: Final = ("agent", "workload")


def _when(
    signal: str, severity: int, *actions: str, why: str, kinds: tuple[str, ...] = _ALL
) -> Response:
    return Response(signal=signal, severity=severity, kinds=kinds, actions=actions, why=why)


# the last line that fits counts, so each signal goes from the mildest to the hardest
RESPONSES: Final = (
    _when("export", 0, HOLD, REVIEW, why="vectors that have left cannot be called back"),
    _when("export", 4, HOLD, SUSPEND, REVIEW, why="it was refused and is tried again"),
    _when("join", 0, REVIEW, why="a joined table tells what neither part does"),
    _when("join", 2, HOLD, REVIEW, why="held, the join costs an hour; handed out, it stays"),
    _when("join", 3, HOLD, FREEZE, REVIEW, why="it was refused and is tried again"),
    _when("artifact", 0, HOLD, REVIEW, why="a model that has left cannot be called back"),
    _when("artifact", 4, HOLD, SUSPEND, REVIEW, why="it was refused and is tried again"),
    _when("agent", 0, REVIEW, why="somebody with a script is asked, not stopped"),
    _when("agent", 3, SUSPEND, FREEZE, REVIEW, kinds=_MACHINES, why="a machine does harm faster than anybody reads"),
    _when("off-hours", 0, REVIEW, why="most nights are somebody on call"),
    _when("first-time", 0, REVIEW, why="most first times are a new task"),
    _when("first-time", 3, HOLD, REVIEW, why="it was refused and is tried again"),
    _when("slow", 0, REVIEW, why="it took days, so that an hour more is no loss"),
    _when("scope", 0, REVIEW, why="the grants behind it are looked at together"),
    _when("denied", 0, REVIEW, why="a wrong setting looks the same"),
    _when("denied", 3, SUSPEND, REVIEW, kinds=_MACHINES, why="a machine that tries doors is stopped"),
    _when("drift", 0, REVIEW, why="what was stated is held against what is done"),
    _when("drift", 3, PAUSE, REVIEW, why="the purpose no longer says what happens under it"),
)  # fmt: skip


def actions_for(alert: Alert, kind: str) -> Response:
    """Return what is proposed about an alert: the last line of the table that fits.

    A signal that the table does not know is for a review.

    Args:
        alert: The alert.
        kind: Kind of its principal: ``human``, ``agent`` or ``workload``.
    """
    found = _when(alert.signal, 0, REVIEW, why="no line of the table fits")
    for line in RESPONSES:
        if line.signal == alert.signal and alert.severity >= line.severity and kind in line.kinds:
            found = line
    return found
