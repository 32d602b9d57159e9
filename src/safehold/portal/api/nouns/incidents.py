"""Incidents, and who is watched for them: opened, worked on, told of, ended by two seats."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from safehold.portal.api.answers import alerts
from safehold.portal.api.answers import incidents as told
from safehold.portal.api.field import Digest, Flag, Given, Order, Paper, Text, Whole, Word
from safehold.portal.api.route import Route

Names = Annotated[list[Word], Field(max_length=1_000)]


class Scope(Given):
    """What an incident is about."""

    grants: Annotated[list[Whole], Field(max_length=1_000)] | None = None
    principals: Names | None = None
    segments: Names | None = None
    artifacts: Names | None = None
    keys: Names | None = None
    first_ms: Whole | None = None
    last_ms: Whole | None = None


class Opened(Given):
    """An incident."""

    text: Text
    severity: Whole | None = None
    scope: Scope | None = None
    alert: Whole | None = None
    since_us: Whole | None = None


class Noted(Given):
    """A note."""

    text: Text
    scope: Scope | None = None


class Said(Given):
    """What is to be said."""

    text: Text


class Aware(Given):
    """Since when somebody knew."""

    since_us: Whole
    text: Text


class Assigned(Given):
    """Who gets which role."""

    role: Word
    principal: Word


class Grave(Given):
    """How grave it is."""

    severity: Whole
    text: Text


class Moved(Given):
    """Where it moves on to."""

    state: Word
    text: Text = ""


class Done(Given):
    """Something to do, or which of them is done."""

    text: Text
    done: Whole | None = None


class Stated(Given):
    """What one seat signed."""

    statement: Paper


class Letters(Given):
    """What seats signed about the letters."""

    statements: Annotated[list[Paper], Field(max_length=8)]


class Target(Given):
    """What an answer about reach is of; at least one of these."""

    grant: Word | None = None
    capability: Word | None = None
    principal: Word | None = None
    key: Word | None = None
    segment: Word | None = None
    artifact: Word | None = None
    since_us: Whole | None = None
    until_us: Whole | None = None


class Reached(Given):
    """About what reach is asked."""

    target: Target


class Report(Given):
    """The hash of a report that is published."""

    sha256: Digest


class Which(Given):
    """Which notice."""

    notice: Word


class Scaled(Given):
    """Whether the scale of severities comes along."""

    scale: Flag | None = None


class Waiting(Given):
    """Whether only those that wait for an answer are meant."""

    open: Flag | None = None


class Answered(Given):
    """Why there is no more to be done about an alert."""

    reason: Text


class Read(Given):
    """Who reads, from which entry on."""

    reader: Word
    since: Whole
    limit: Whole | None = None


class Ended(Given):
    """Who reads."""

    reader: Word


_ONE: Final = "/incidents/{incident}"
ROUTES: Final = (
    Route(method="GET", path="/alerts", verb="alert.list", given=Waiting, fixed={"limit": 1000},
          answer=alerts.AlertList, listed="alerts", says="The alerts, newest first."),
    Route(method="GET", path="/alerts/{alert}", verb="alert.show", answer=alerts.AlertShow,
          says="One alert: the sentence, the entries that show it, what was done, who answered."),
    Route(method="POST", path="/alerts/{alert}/answers", verb="alert.ack", given=Answered, answer=alerts.AlertAck,
          under="alert.show", says="Answer an alert after having looked at it. It lifts nothing."),
    Route(method="GET", path="/watching/events", verb="sentinel.events", given=Read, answer=alerts.SentinelEvents,
          says="Who asked for what: all that the sentinel knows, read under an intent of its own."),
    Route(method="POST", path="/watching/readings", verb="sentinel.done", given=Ended, answer=alerts.SentinelDone,
          says="Say that a reading has ended."),
    Route(method="GET", path="/incidents", verb="incident.list", given=Scaled, answer=told.IncidentList,
          listed="incidents", says="The incidents, open and grave ones first."),
    Route(method="POST", path="/incidents", verb="incident.open", given=Opened, answer=told.IncidentOpen,
          status=201, says="Open an incident; every clock of the law runs from now, or from when somebody knew."),
    Route(method="GET", path="/incidents/restart", verb="incident.restart", answer=told.IncidentRestart,
          says="What keeps everything stopped."),
    Route(method="POST", path="/incidents/reach", verb="incident.blast", given=Reached, answer=told.IncidentBlast,
          long=True, says="How far something reaches: what was opened, and apart from it what could have been."),
    Route(method="POST", path="/incidents/reached", verb="incident.reached", given=Order,
          answer=told.IncidentReached, long=True,
          says="Find out whose data it was: an order that two seats sign, and a sealed list."),
    Route(method="GET", path=_ONE, verb="incident.show", answer=told.IncidentShow,
          says="Where an incident stands, what is missing before it may end, its clocks; no names."),
    Route(method="GET", path=f"{_ONE}/timeline", verb="incident.timeline", answer=told.IncidentTimeline,
          says="What happened, from the ledger; people are counted, never named."),
    Route(method="GET", path=f"{_ONE}/clocks", verb="incident.clock", answer=told.IncidentClock, listed="clocks",
          says="The clocks: due, late, met."),
    Route(method="GET", path=f"{_ONE}/drafts", verb="incident.draft", given=Which, answer=told.IncidentDraft,
          says="The draft of a notice."),
    Route(method="GET", path=f"{_ONE}/report", verb="incident.report", answer=told.IncidentReport,
          says="The report: each claim with its entry and the proof of it."),
    Route(method="POST", path=f"{_ONE}/notes", verb="incident.note", given=Noted, answer=told.IncidentStep,
          under="incident.show", says="Note something, and name more that it is about."),
    Route(method="POST", path=f"{_ONE}/roles", verb="incident.assign", given=Assigned, answer=told.IncidentStep,
          under="incident.show", says="Give somebody a role."),
    Route(method="POST", path=f"{_ONE}/awareness", verb="incident.aware", given=Aware, answer=told.IncidentStep,
          under="incident.show", says="Say since when somebody knew."),
    Route(method="POST", path=f"{_ONE}/severities", verb="incident.severity", given=Grave,
          answer=told.IncidentStep, under="incident.show", says="Set how grave it is: graver, anybody may."),
    Route(method="POST", path=f"{_ONE}/moves", verb="incident.move", given=Moved, answer=told.IncidentStep,
          under="incident.show", says="Move it on."),
    Route(method="POST", path=f"{_ONE}/uncontained", verb="incident.uncontained", given=Said,
          answer=told.IncidentStep, under="incident.show", says="State why nothing is held back."),
    Route(method="POST", path=f"{_ONE}/causes", verb="incident.cause", given=Said, answer=told.IncidentCause,
          under="incident.show", says="Publish the root cause: its hash in the clear, its text sealed."),
    Route(method="POST", path=f"{_ONE}/actions", verb="incident.action", given=Done, answer=told.IncidentStep,
          under="incident.show", says="Write down something to do, or that it is done."),
    Route(method="POST", path=f"{_ONE}/publications", verb="incident.publish", given=Report,
          answer=told.IncidentStep, under="incident.show", says="Put the hash of a report into the ledger."),
    Route(method="POST", path=f"{_ONE}/reopenings", verb="incident.reopen", given=Said, answer=told.IncidentStep,
          under="incident.show", says="Open it again; its clocks go on from when they began."),
    Route(method="POST", path=f"{_ONE}/closings", verb="incident.close", given=Stated, answer=told.IncidentAgreed,
          under="incident.show", says="Agree, as a seat, that it ends."),
    Route(method="POST", path=f"{_ONE}/lowerings", verb="incident.lower", given=Stated,
          answer=told.IncidentAgreed, under="incident.show", says="Agree, as a seat, that it is less grave."),
    Route(method="POST", path=f"{_ONE}/notices", verb="incident.notice", given=Stated, answer=told.IncidentNotice,
          under="incident.show", says="Say, as a seat, that a notice was sent or is not needed."),
    Route(method="POST", path=f"{_ONE}/letters", verb="incident.letters", given=Letters,
          answer=told.IncidentLetters, long=True, says="Draw up who is to be told, sealed to the privacy seat."),
)  # fmt: skip
__all__ = ["ROUTES"]
