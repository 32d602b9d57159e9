"""Makers of load: each does one thing again and again, and notes what it was told.

A load is a plug-in: whatever has a name, a pace and ``one``. ``run`` calls ``one`` until the time is over, and sorts what
comes of it: an answer, a refusal that the load expects while something is down, or something that no caller
should ever meet.
"""

from __future__ import annotations

import random
import threading
import time
from typing import Protocol

import httpx
from tests.chaos.record import Record
from tests.chaos.site import Site
from tests.portal_load import Bearer

from safehold.errors import SafeholdError, UnavailableError
from safehold.signing import SigningKey

LATE_S = 90.0  # for the last call of a load to come back
SIGN_IN_S = 20.0  # between two tries of one person to sign in


class Load(Protocol):
    """One maker of load.

    Args:
        name: Its name in tables.
        pause_s: Between two operations, seconds.
        expects: Rules that it may be refused by while something is down, beside what is not available.
    """

    name: str
    pause_s: float
    expects: frozenset[str]

    def one(self) -> bool:
        """Do one thing; return whether anything was asked.

        Raises:
            SafeholdError: It was refused, or is not available.
        """
        ...

    def close(self) -> None:
        """End what it holds."""
        ...


class Crew:
    """Loads at work, a thread each.

    Args:
        record: Where everything is noted.
        loads: They.
    """

    def __init__(self, record: Record, loads: list[Load]) -> None:
        self._record, self.loads = record, loads
        self._over = threading.Event()
        self._last: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._run, args=(at, one), daemon=True, name=one.name)
            for at, one in enumerate(loads)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def late(self, since: float) -> list[str]:
        """Return the names of loads that had nothing done which they began after a moment."""
        return [one.name for at, one in enumerate(self.loads) if self._last.get(at, 0.0) < since]

    def stop(self) -> None:
        """Let each end what it does."""
        self._over.set()
        deadline = time.monotonic() + LATE_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self._record.broke(f"{thread.name}: a call never came back")
        for one in self.loads:
            one.close()

    def _run(self, at: int, load: Load) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                if load.one():
                    self._record.succeeded(load.name, began)
                    self._last[at] = began
            except UnavailableError as error:
                self._record.refused(load.name, error.rule or error.code)
            except SafeholdError as error:
                rule = error.rule or error.code
                self._record.refused(load.name, rule)
                if rule not in load.expects:
                    self._record.broke(f"{load.name}: refused by {rule}")
            except Exception as error:
                self._record.broke(f"{load.name}: {type(error).__name__}: {error}")
            self._over.wait(load.pause_s)


class Holding:
    """A load that holds nothing."""

    def close(self) -> None:
        return


class Reads:
    """People who ask the portal for their own things, as programs.

    Args:
        site: The site.
        name: Of one of the readers.
    """

    expects: frozenset[str] = frozenset()
    paths = ("/api/v1/me", "/api/v1/grants", "/api/v1/requests")

    def __init__(self, site: Site, name: str) -> None:
        self.name, self.pause_s = "reads", 0.5
        self._site, self._who = site, name
        self._client: httpx.Client | None = None
        self._dice = random.Random(name)
        self._not_before = 0.0

    def one(self) -> bool:
        if self._client is None:
            if time.monotonic() < self._not_before:
                return False
            # a portal lets one address sign in so often a minute, tries included
            self._not_before = time.monotonic() + SIGN_IN_S
        try:
            if self._client is None:
                self._client = Caller(self._site, self._site.readers[self._who]).http
            answer = self._client.get(self._dice.choice(self.paths))
        except (httpx.HTTPError, KeyError, ValueError) as error:
            raise UnavailableError("the portal does not answer", rule="portal.away") from error
        if answer.status_code == 401:  # its session went with a portal or a keeper
            self.close()
            raise UnavailableError("signed out", rule="portal.session")
        if answer.status_code in (429, 503):
            raise UnavailableError("not now", rule=f"portal.{answer.status_code}")
        if answer.status_code not in (200, 403):
            raise AssertionError(f"the portal answers {answer.status_code}")
        return True

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


class Caller(Bearer):
    """Somebody's program, which holds nothing if it could not sign in."""

    def __init__(self, site: Site, key: SigningKey) -> None:
        try:
            super().__init__(site, key)  # type: ignore[arg-type]  # of a yard it wants the address
        except BaseException:
            if hasattr(self, "http"):
                self.http.close()
            raise
