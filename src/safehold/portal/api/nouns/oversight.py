"""The charter, the board that signs it, and what a board can do at once."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from safehold.portal.api.answers import oversight as told
from safehold.portal.api.field import (
    Given,
    Order,
    Paper,
    Seated,
    Signed,
    Text,
    Value,
    Whole,
    Word,
)
from safehold.portal.api.route import Route


class Vote(Given):
    """A vote that a seat signed."""

    vote: Paper


class CharterProposal(Given):
    """A charter, and the signature of the seat that proposes it."""

    charter: Paper
    proposal: Paper
    signature: Value


class CharterEnacted(Given):
    """The number of a proposal; or the first charter of a home with its signatures."""

    proposal: Whole | None = None
    charter: Paper | None = None
    signatures: Annotated[list[Paper | Seated], Field(max_length=32)] | None = None


class BoardProposal(Given):
    """A change of the roster, and the signature of the seat that proposes it."""

    change: Paper
    proposal: Paper
    signature: Value


class BoardEnacted(Given):
    """The number of a proposal about the board."""

    proposal: Whole


class Rotated(Given):
    """A roster with a new key of one's own seat."""

    roster: Paper


class Published(Given):
    """A text that the law asks for."""

    name: Word
    text: Text


class Resumed(Order):
    """An order to resume, and what caused the stop if it was an incident."""

    cause: Text | None = None


class Contained(Given):
    """What is to be held back; by whoever operates or watches, or by an order that seats signed."""

    what: Word | None = None
    target: Word | None = None
    reason: Text | None = None
    of: Whole | None = None
    order: Signed | None = None
    signatures: Annotated[list[Seated], Field(max_length=32)] | None = None


class Previewed(Given):
    """What would be held back."""

    what: Word
    target: Word = ""
    reason: Word | None = None


ROUTES: Final = (
    Route(method="GET", path="/charter", verb="charter.show", answer=told.Charter,
          says="The charter in force, in its canonical form."),
    Route(method="GET", path="/charter/log", verb="charter.log", answer=told.CharterLog, listed="log",
          says="What the board did, step by step."),
    Route(method="GET", path="/charter/proposals", verb="charter.proposals", answer=told.CharterProposals,
          listed="proposals", says="The open proposals: what, who agreed, how many more it takes, and from when."),
    Route(method="POST", path="/charter/proposals", verb="charter.propose", given=CharterProposal,
          answer=told.CharterPropose, status=201, says="Propose a charter in place of the one in force."),
    Route(method="POST", path="/charter/votes", verb="charter.vote", given=Vote, answer=told.CharterVote,
          says="Hand in a signed vote on a proposal, also on one about the board."),
    Route(method="POST", path="/charter/enactments", verb="charter.enact", given=CharterEnacted,
          answer=told.CharterEnact, says="Put a charter in force: the first of a home, or a proposed one."),
    Route(method="GET", path="/board", verb="board.show", answer=told.BoardShow,
          says="Seats, thresholds, expiry, open proposals."),
    Route(method="POST", path="/board/proposals", verb="board.propose", given=BoardProposal,
          answer=told.BoardPropose, status=201, says="Propose a change of the roster."),
    Route(method="POST", path="/board/enactments", verb="board.enact", given=BoardEnacted, answer=told.BoardEnact,
          says="Let an agreed change of the roster take effect."),
    Route(method="POST", path="/board/keys", verb="board.rotate", given=Rotated, answer=told.BoardRotate,
          says="Give one's own seat a new key."),
    Route(method="GET", path="/documents", verb="document.list", answer=told.DocumentList, listed="documents",
          says="The published texts, and whether they are current."),
    Route(method="POST", path="/documents", verb="document.publish", given=Published, answer=told.DocumentPublish,
          says="Publish a text; its hash is an entry of the ledger."),
    Route(method="POST", path="/stops", verb="stop", given=Order, answer=told.Stop,
          says="Stop everything, by an order that one seat signed."),
    Route(method="POST", path="/resumptions", verb="resume", given=Resumed, answer=told.Resume,
          says="Resume, by an order that enough seats signed."),
    Route(method="GET", path="/containments", verb="containment.list", answer=told.ContainmentList,
          listed="containments", says="What is held back now, by whom and why, and what it takes to lift it."),
    Route(method="GET", path="/containments/preview", verb="containment.preview", given=Previewed,
          answer=told.ContainmentPreview, says="What containing something would reach. Nothing happens."),
    Route(method="POST", path="/containments", verb="contain", given=Contained, answer=told.Contain,
          under="containment.list", says="Hold something back at once."),
    Route(method="POST", path="/containments/lifts", verb="containment.lift", given=Order,
          answer=told.ContainmentLift, under="containment.list",
          says="Lift a containment, by an order that seats signed."),
    Route(method="GET", path="/drift", verb="drift", answer=told.Drift,
          says="What runs, compared with the charter that the board signed."),
    Route(method="GET", path="/milestones", verb="milestones", answer=told.Milestones, listed="milestones",
          says="Each promise of the charter with its newest measurement."),
    Route(method="POST", path="/milestones/measurements", verb="milestones", name="milestones.measure",
          fixed={"measure": True}, answer=told.Milestones, long=True, says="Measure each promise anew."),
)  # fmt: skip
__all__ = ["ROUTES"]
