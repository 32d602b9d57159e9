"""The whole API: every line, and why some verbs of the keeper have none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from safehold.portal.api.answers import people as told
from safehold.portal.api.field import Flag, Given
from safehold.portal.api.nouns import (
    artifacts,
    incidents,
    ledger,
    oversight,
    people,
    principals,
    requests,
    sight,
    sources,
    uses,
)
from safehold.portal.api.route import Route


class Off(Given):
    """Whether everything that acts for you ends too, until you are back."""

    off: Flag | None = None


_OWN: Final = (
    Route(method="DELETE", path="/me/session", verb="session.end", given=Off, answer=told.SessionEnd,
          says="Sign out; the token is worth nothing from then on."),
)  # fmt: skip
ROUTES: Final[tuple[Route, ...]] = (
    *_OWN,
    *sight.ROUTES,
    *people.ROUTES,
    *principals.ROUTES,
    *oversight.ROUTES,
    *requests.ROUTES,
    *uses.ROUTES,
    *artifacts.ROUTES,
    *sources.ROUTES,
    *incidents.ROUTES,
    *ledger.ROUTES,
)
LINES: Final[Mapping[str, Route]] = {route.id: route for route in ROUTES}

# verbs that no program asks for here, and why
WITHOUT: Final[Mapping[str, str]] = {
    # signing in has lines of its own, which keep what belongs to an attempt sealed: portal.api.session
    "session.ask": "POST /sessions/questions asks it",
    "session.open": "POST /sessions asks it",
    # the sentinel's own: it runs beside the keeper, and nobody else keeps its state or raises its alerts
    "sentinel.keep": "the sentinel keeps its own state",
    "sentinel.recall": "the sentinel reads its own state",
    "alert.raise": "the sentinel raises alerts",
    # said by a server of agents about calls that it took or refused
    "tool.call": "a server of tools notes each call before it is carried out",
    "tool.refused": "a server of tools tells what it refused",
    # between houses: a socket is handed over, or megabytes go each step; the entrance for workloads carries them
    "join.psi-sum": "opens a line to another house",
    "join.sum": "opens a line to other houses",
    "federate.join": "a silo asks its own keeper, by the entrance for workloads",
    "federate.step": "a silo asks its own keeper, by the entrance for workloads",
    "federate.check": "a silo asks its own keeper, by the entrance for workloads",
    "federate.done": "a silo asks its own keeper, by the entrance for workloads",
    # thousands of collectors at once come in by their own server, which holds no right
    "lease.hand-in": "safehold ingest serve and safehold ingest consume hand batches in",
    "lease.obtain-many": "safehold ingest serve asks for many devices at once",
    # the portal's own
    "portal.head": "the portal writes the head of its own journal",
    **dict.fromkeys(
        (
            "portal.begin",
            "portal.count",
            "portal.end",
            "portal.hold",
            "portal.notes",
            "portal.put",
            "portal.spend",
        ),
        "portals leave it for each other, sealed",
    ),
}
