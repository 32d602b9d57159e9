"""People: who is enrolled, what they choose, what is owed to them; and everybody's own under ``/me``.

Under ``/me`` the session speaks for whoever signed in: it sees what is theirs and says what narrows. What widens takes
a statement signed with a key of their own, under ``/people/{person}/choices``.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from safehold.portal.api.answers import people as told
from safehold.portal.api.field import (
    Base64,
    Flag,
    Given,
    Micro,
    Paper,
    Seated,
    Signed,
    Text,
    Value,
    Whole,
    Word,
)
from safehold.portal.api.route import Route

SELF: Final = {"as_self": True}


class Enrolled(Given):
    """One person who is enrolled."""

    person: Word
    jurisdiction: Word
    streams: Annotated[list[Word], Field(max_length=16)] | None = None
    pauses: Annotated[list[list[Whole | None] | Paper], Field(max_length=100)] | None = None
    level: Word | None = None
    key: Value | None = None


class Enrolment(Given):
    """Who is enrolled, and where it is recorded that they agreed."""

    people: Annotated[list[Enrolled], Field(max_length=10_000)]
    evidence: Text


class Chosen(Given):
    """A choice: a statement that the person signed, or what an operator enters in their place."""

    statement: Signed | None = None
    signature: Value | None = None
    key: Value | None = None
    choice: Word | None = None
    evidence: Text | None = None
    streams: Annotated[list[Word], Field(max_length=16)] | None = None
    purposes: Annotated[list[Word], Field(max_length=64)] | None = None
    start_us: Whole | None = None
    end_us: Whole | None = None


class MyChoice(Given):
    """A choice of whoever is signed in; what it may carry depends on the choice (docs/reference/choices.md)."""

    choice: Word
    person: Word | None = None
    code: Word | None = None
    planned: Flag | None = None
    purposes: Annotated[list[Word], Field(max_length=64)] | None = None
    about: Annotated[list[Word], Field(max_length=64)] | None = None
    days: Annotated[list[tuple[Word, int]], Field(max_length=400)] | None = None
    text: Text | None = None
    start_us: Whole | None = None
    end_us: Whole | None = None
    confirm: Word | None = None


class Spoken(Given):
    """The proof that the person asks: a signature of their own key over a fresh nonce."""

    key: Value | None = None
    nonce: Base64 | None = None
    proof: Value | None = None


class Erased(Given):
    """An erasure: where it is recorded that the person asked, or their confirmed statement."""

    evidence: Text | None = None
    statement: Signed | None = None
    signature: Value | None = None
    key: Value | None = None


class Confirmed(Given):
    """The word that confirms what was shown, not older than ten minutes."""

    choice: Word = "erase"
    confirm: Word


class Exported(Given):
    """A request that the person signed with their own key; the copy is sealed to the key in it."""

    request: Signed
    signature: Value


class MyExport(Given):
    """The key that the copy is sealed to."""

    open_to: Value


class Moved(Given):
    """Where somebody works from now on."""

    jurisdiction: Word
    since_day: int | None = None
    level: Word | None = None


class Symmetry(Given):
    """What is released of who takes part, and for how much."""

    purpose: Word
    epsilon_micro: Micro


class Read(Given):
    """Signatures of the seat that reads, over a fresh nonce."""

    nonce: Base64
    signatures: Annotated[list[Seated], Field(max_length=8)]


class Answered(Given):
    """An answer to somebody's request."""

    answer: Signed
    signatures: Annotated[list[Seated], Field(max_length=32)] | None = None


class Effects(Given):
    """Which erasure."""

    request: Word | None = None


ROUTES: Final = (
    Route(method="GET", path="/me", verb="session.show", answer=told.SessionShow,
          says="Who the keeper takes you for."),
    Route(method="GET", path="/me/standing", verb="people.show", name="me.show", fixed=SELF, mine=True,
          answer=told.PeopleShow, says="What you chose, what waits for an answer, what others entered about you."),
    Route(method="GET", path="/me/receipts", verb="people.receipts", name="me.receipts", fixed=SELF, mine=True,
          answer=told.PeopleReceipts, listed="receipts", says="The receipts of everything you chose."),
    Route(method="GET", path="/me/receipt", verb="people.receipt", name="me.receipt", fixed=SELF, mine=True,
          answer=told.PeopleReceipt, says="What commits the keeper to your keys."),
    Route(method="GET", path="/me/trail", verb="people.trail", name="me.trail", fixed=SELF, mine=True,
          answer=told.PeopleTrail, says="The complete, provable list of uses of your data, as a package to verify."),
    Route(method="GET", path="/me/gap", verb="gap", name="me.gap", fixed=SELF, mine=True, answer=told.Gap,
          says="The proof of when nothing was recorded of you."),
    Route(method="POST", path="/me/choices", verb="people.choose", name="me.choose", fixed=SELF, mine=True,
          given=MyChoice, answer=told.PeopleChoose, under="me.show",
          says="Choose what narrows: withdraw, pause, object, restrict, correct."),
    Route(method="POST", path="/me/leavings", verb="people.leave", name="me.leave", fixed=SELF, mine=True,
          answer=told.PeopleLeave, says="What an erasure would end, and the word that confirms it."),
    Route(method="POST", path="/me/erasures", verb="people.erase", name="me.erase", fixed=SELF, mine=True,
          given=Confirmed, answer=told.PeopleErase, long=True, says="Be erased: your keys are destroyed."),
    Route(method="POST", path="/me/exports", verb="people.export", name="me.export", fixed=SELF, mine=True,
          given=MyExport, answer=told.PeopleExport, download=True,
          says="A copy of everything that is held about you, sealed to a key of yours."),
    Route(method="GET", path="/people", verb="people.count", answer=told.PeopleCount,
          says="How many people are enrolled; nobody is listed."),
    Route(method="POST", path="/people", verb="people.enrol", given=Enrolment, answer=told.PeopleEnrol, again=True,
          status=201, says="Enrol people; those who are known are left as they are."),
    Route(method="GET", path="/people/{person}", verb="people.show", answer=told.PeopleShow,
          says="Whether somebody is enrolled; what they chose is shown to them alone."),
    Route(method="POST", path="/people/{person}/standing", verb="people.show", name="people.show-spoken",
          given=Spoken, answer=told.PeopleShow, says="What somebody chose, at the proof of their key."),
    Route(method="POST", path="/people/{person}/choices", verb="people.choose", given=Chosen,
          answer=told.PeopleChoose, says="Hand in a signed choice, or enter one that narrows as an operator."),
    Route(method="POST", path="/people/{person}/receipts", verb="people.receipts", given=Spoken,
          answer=told.PeopleReceipts, says="The receipts of somebody's choices, at the proof of their key."),
    Route(method="POST", path="/people/{person}/receipt", verb="people.receipt", given=Spoken,
          answer=told.PeopleReceipt, says="What commits the keeper to somebody's keys."),
    Route(method="POST", path="/people/{person}/trail", verb="people.trail", given=Spoken, answer=told.PeopleTrail,
          long=True, says="The list of uses of somebody's data, at the proof of their key."),
    Route(method="POST", path="/people/{person}/gap", verb="gap", given=Spoken, answer=told.Gap,
          says="The proof of when nothing was recorded of somebody."),
    Route(method="POST", path="/people/{person}/leavings", verb="people.leave", given=Spoken,
          answer=told.PeopleLeave, says="What an erasure of somebody would end, at the proof of their key."),
    Route(method="POST", path="/people/{person}/erasures", verb="people.erase", given=Erased,
          answer=told.PeopleErase, long=True, says="Erase somebody, at their signed word or with evidence of it."),
    Route(method="POST", path="/people/{person}/invitations", verb="people.invite", answer=told.PeopleInvite,
          says="A one-time code by which somebody sets their key."),
    Route(method="POST", path="/people/{person}/moves", verb="people.move", given=Moved, answer=told.PeopleMove,
          says="Enter where somebody works from now on."),
    Route(method="POST", path="/exports", verb="people.export", given=Exported, answer=told.PeopleExport,
          download=True, says="A copy of everything about whoever signed the request, sealed to them."),
    Route(method="GET", path="/erasures", verb="people.erased", given=Effects, answer=told.PeopleErased,
          says="Erasures with their deadlines, or one with its receipt; whose they were is not known."),
    Route(method="POST", path="/symmetries", verb="people.symmetry", given=Symmetry, answer=told.PeopleSymmetry,
          says="Release how many of each level take part, with noise."),
    Route(method="GET", path="/rights", verb="rights.list", answer=told.RightsList, listed="requests",
          says="What waits for an answer, the most urgent first; not whose it is."),
    Route(method="POST", path="/rights/{case}/readings", verb="rights.read", given=Read, answer=told.RightsRead,
          says="Read a request as a seat of the board; the person sees that you did."),
    Route(method="POST", path="/rights/answers", verb="rights.answer", given=Answered, answer=told.RightsAnswer,
          says="Answer a request."),
)  # fmt: skip
__all__ = ["ROUTES"]
