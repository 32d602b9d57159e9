"""Requests for data, what seats said to them, and the grants that came of them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from safehold.portal.api.answers import requests as told
from safehold.portal.api.field import Flag, Given, Paper, Text, Value, Whole, Word
from safehold.portal.api.route import Route


class Requester(Given):
    """Who asks."""

    kind: Word
    id: Word
    role: Word
    operator: Word = ""


Words = Annotated[list[Word], Field(max_length=200)]


class Grant(Given):
    """What is asked for: one holder, one purpose, one recipe; `safehold-grant/2`."""

    v: Word
    id: Word
    requester: Requester
    holder: Value
    purpose: Word
    segments: Words
    streams: Words
    columns: Words
    stages: Words
    recipes: Words
    people: Word
    first_day: Whole
    last_day: Whole
    asked_us: Whole
    expires_us: Whole
    minutes: Whole
    max_runs: Whole
    max_rows: Whole
    max_bytes: Whole
    max_per_hour: Whole
    epsilon_micro: Whole
    depth: Whole
    reason: Text
    charter: Word
    parent: Word
    break_glass: Flag | None = None


class People(Given):
    """Who is meant; `safehold-people/1`."""

    v: Word
    jurisdictions: Words
    people: Annotated[list[Word], Field(max_length=10_000)]


class Approval(Given):
    """What a seat signed about a request and its price."""

    grant: Word
    price: Word
    seat: Word
    decision: Word
    at_us: Whole
    value: Value


class Asked(Given):
    """A request."""

    grant: Grant | Paper
    people: People | None = None


class Decided(Given):
    """A decision."""

    approval: Approval | Paper


class Enacted(Given):
    """A grant, and the approvals that were given on paper."""

    grant: Grant | Paper
    approvals: Annotated[list[Approval | Paper], Field(max_length=32)] | None = None


class Revoked(Given):
    """Which token, if it is not the whole grant."""

    block: Word | None = None


class Reviewed(Given):
    """What a seat signed about what was done under a grant."""

    review: Paper


class Mine(Given):
    """Whether only one's own are meant."""

    mine: Flag | None = None


ROUTES: Final = (
    Route(method="GET", path="/requests", verb="request.list", given=Mine, answer=told.RequestList, listed="requests",
          says="The requests, newest first, with what each seat said."),
    Route(method="POST", path="/requests", verb="request.new", given=Asked, answer=told.RequestNew, status=201,
          says="Ask for a use, for one holder, one purpose and one recipe; the keeper says how far it reaches."),
    Route(method="GET", path="/requests/{request}", verb="request.show", answer=told.RequestShow,
          says="One request, its price, and who decided."),
    Route(method="POST", path="/requests/{request}/decisions", verb="request.decide", given=Decided,
          answer=told.RequestDecide, under="request.show", says="Hand in what a seat signed about a request."),
    Route(method="GET", path="/grants", verb="grant.list", answer=told.GrantList, listed="grants",
          says="The grants with their use so far."),
    Route(method="POST", path="/grants", verb="grant.enact", given=Enacted, answer=told.GrantEnact, again=True,
          says="Take an approved grant and mint a capability; each has its own."),
    Route(method="GET", path="/grants/due", verb="grant.due", answer=told.GrantDue, listed="due",
          says="What is to be reviewed, and until when."),
    Route(method="GET", path="/grants/{grant}", verb="grant.show", answer=told.GrantShow,
          says="What was asked, held against every action under it."),
    Route(method="POST", path="/grants/{grant}/revocations", verb="grant.revoke", given=Revoked,
          answer=told.GrantRevoke, under="grant.show", says="End a grant at once, or one token of it."),
    Route(method="POST", path="/grants/reviews", verb="grant.review", given=Reviewed, answer=told.GrantReview,
          says="Hand in what a seat signed about what was done under a grant."),
)  # fmt: skip
__all__ = ["ROUTES"]
