"""What people look at before they decide; audits and evidence; what anybody may know."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from safehold.portal.api.answers import sight as told
from safehold.portal.api.field import Flag, Given, Order, Paper, Text, Value, Whole, Word
from safehold.portal.api.nouns.people import SELF, Spoken
from safehold.portal.api.route import Route

Words = Annotated[list[Word], Field(max_length=64)]


class Chosen(Given):
    """Which of one's uses."""

    limit: Whole | None = None
    before: Whole | None = None
    sort: Word | None = None
    purpose: Word | None = None
    made: Word | None = None
    first_day: Whole | None = None
    last_day: Whole | None = None


class SpokenChosen(Spoken):
    """Which of somebody's uses, at the proof of their key."""

    limit: Whole | None = None
    before: Whole | None = None
    sort: Word | None = None
    purpose: Word | None = None
    made: Word | None = None
    first_day: Whole | None = None
    last_day: Whole | None = None


class Quoted(Given):
    """What would be asked for."""

    purpose: Word
    recipe: Word
    reason: Text
    holder: Value
    minutes: Whole
    days: Whole
    runs: Whole
    places: Words | None = None


class Announced(Given):
    """Which attacks a run of the drill will make."""

    scenarios: Words
    program: Word


class File(Given):
    """Which published file."""

    name: Annotated[str, Field(max_length=512)]


class Heard(Given):
    """A word that an auditor signed."""

    word: Paper


class Answer(Given):
    """An answer to a finding, and what shows it."""

    finding: Whole
    text: Text
    evidence: Value | Words | None = None


class Engagement(Given):
    """Which engagement."""

    engagement: Whole


class Which(Given):
    """Which framework, and whether to measure anew."""

    framework: Word | None = None
    measure: Flag | None = None


ROUTES: Final = (
    Route(method="GET", path="/public", verb="public.home", answer=told.PublicHome,
          says="What anybody may know of this home."),
    Route(method="GET", path="/public/files", verb="public.file", given=File, answer=told.PublicFile,
          says="A published file of the ledger."),
    Route(method="GET", path="/me/held", verb="people.held", name="me.held", fixed=SELF, mine=True,
          answer=told.Shown, says="What is held of you, in numbers and days."),
    Route(method="GET", path="/me/journey", verb="people.journey", name="me.journey", fixed=SELF, mine=True,
          answer=told.Journey, says="What was made from your data."),
    Route(method="GET", path="/me/uses", verb="people.uses", name="me.uses", fixed=SELF, mine=True, given=Chosen,
          answer=told.Uses, says="Who used your data, for what, when."),
    Route(method="GET", path="/me/uses/{entry}", verb="people.use", name="me.use", fixed=SELF, mine=True,
          answer=told.Shown, says="One use of your data, with the proof of its entry."),
    Route(method="POST", path="/people/{person}/held", verb="people.held", given=Spoken, answer=told.Shown,
          says="What is held of somebody, at the proof of their key."),
    Route(method="POST", path="/people/{person}/journey", verb="people.journey", given=Spoken, answer=told.Journey,
          says="What was made from somebody's data, at the proof of their key."),
    Route(method="POST", path="/people/{person}/uses", verb="people.uses", given=SpokenChosen, answer=told.Uses,
          says="Uses of somebody's data, at the proof of their key."),
    Route(method="POST", path="/people/{person}/uses/{entry}", verb="people.use", given=Spoken, answer=told.Shown,
          says="One use of somebody's data, at the proof of their key."),
    Route(method="POST", path="/disclosures", verb="people.disclose", given=Order, answer=told.Disclosed,
          says="Let accessors be named, or named later, by an order that seats signed; it expires."),
    Route(method="GET", path="/board/seats/mine", verb="board.mine", answer=told.Shown,
          says="Which seats are yours."),
    Route(method="GET", path="/purposes/mine", verb="purpose.explain", answer=told.Shown,
          says="What you may ask for, and why not for more."),
    Route(method="POST", path="/requests/quotes", verb="request.quote", given=Quoted, answer=told.Quote,
          says="What a request would cost, before it is asked."),
    Route(method="GET", path="/requests/{request}/narrower", verb="request.narrower", answer=told.Narrower,
          says="Shorter ways to what a request asks for."),
    Route(method="GET", path="/refusals", verb="refusal.list", answer=told.Shown,
          says="Refusals at red lines and elsewhere, as the board sees them."),
    Route(method="GET", path="/drills", verb="drill.list", answer=told.Shown, says="What drills came to."),
    Route(method="POST", path="/drills/beginnings", verb="drill.begin", given=Announced, answer=told.Begun,
          says="Announce a run of the drill."),
    Route(method="GET", path="/audits", verb="audit.list", answer=told.Audits, listed="audits",
          says="The engagements of auditors with their findings; no texts."),
    Route(method="GET", path="/audits/due", verb="audit.due", answer=told.Shown, says="When the next audit is due."),
    Route(method="GET", path="/audits/{engagement}", verb="audit.show", answer=told.Shown,
          says="One engagement: the order with its signatures, every finding."),
    Route(method="POST", path="/audits", verb="audit.engage", given=Order, answer=told.Engaged, status=201,
          says="Engage an auditor, by an order that seats signed."),
    Route(method="POST", path="/audits/dismissals", verb="audit.dismiss", given=Order, answer=told.Engaged,
          says="End an engagement before its opinion, by an order that seats signed."),
    Route(method="POST", path="/audits/words", verb="audit.hear", given=Heard, answer=told.Shown,
          says="Hand in what an auditor signed: a finding, an opinion."),
    Route(method="POST", path="/audits/answers", verb="audit.answer", given=Answer, answer=told.Answered,
          says="Answer a finding, and show what was done."),
    Route(method="POST", path="/audits/counters", verb="audit.counters", given=Engagement, answer=told.Shown,
          long=True, says="Counters of releases for an auditor, sealed to them."),
    Route(method="GET", path="/evidence/controls", verb="evidence.controls", given=Which, answer=told.Controls,
          says="The controls, each with what shows it now."),
    Route(method="GET", path="/evidence/history", verb="evidence.history", answer=told.Shown,
          says="How promises stood over time."),
    Route(method="POST", path="/evidence/bundles", verb="evidence.build", answer=told.Shown, download=True,
          says="One offline bundle of all evidence; what is said of it comes in a header."),
)  # fmt: skip
__all__ = ["ROUTES"]
