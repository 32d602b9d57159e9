"""What a balancer asks a portal, and how a portal leaves: it says that it is not ready, and ends a while later.

``/health/live``: this process answers. ``/health/ready``: it takes visitors, and some keeper of the home is there. A
keeper that stands by is enough: while one takes over from another, requests wait for it here. Neither says anything
about the home or anybody in it.
"""

from __future__ import annotations

import threading
import time
from typing import Final

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper.relay import ALIVE
from safehold.keeper.signed import Line
from safehold.portal.visit import Site

HEALTH: Final = "/health/"
EVERY_S: Final = 1.0  # between two looks at the keeper, however often somebody asks
SILENT_S: Final = 5.0  # a look that takes longer says that no keeper is there

router = APIRouter(prefix="/health", include_in_schema=False)


class Health:
    """How a portal is.

    Args:
        line: A bare line to the keeper.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._began_s: float | None = None  # of the look that goes on
        self._there = False
        self._leaving = threading.Event()

    @property
    def leaving(self) -> bool:
        """Whether this portal is about to end."""
        return self._leaving.is_set()

    def leave(self) -> None:
        """Say from now on that this portal takes no more visitors."""
        self._leaving.set()

    def ready(self) -> bool:
        """Tell whether this portal takes visitors: it is not about to end, and a keeper answers."""
        if self.leaving:
            return False
        now = time.monotonic()
        with self._lock:
            if self._began_s is not None:
                return self._there and now - self._began_s < SILENT_S
            if now - self._looked_s < EVERY_S:
                return self._there
            self._began_s = now
        there = self._look()
        with self._lock:
            self._there, self._looked_s, self._began_s = there, time.monotonic(), None
        return there

    def _look(self) -> bool:
        try:
            self._line.call(ALIVE)
        except UnavailableError:
            return False
        except SafeholdError:
            return (
                True  # a keeper that nobody stands by for does not know the word, and has answered
            )
        return True


@router.get("/live")
async def live() -> Response:
    """Answer."""
    return Response("alive\n", media_type="text/plain")


@router.get("/ready")
async def ready(request: Request) -> Response:
    """Say whether visitors may be sent here."""
    site: Site = request.app.state.site
    health: Health = site.shelf[HEALTH]
    if await run_in_threadpool(health.ready):
        return Response("ready\n", media_type="text/plain")
    said = "leaving\n" if health.leaving else "no keeper\n"
    return Response(said, status_code=503, media_type="text/plain")
