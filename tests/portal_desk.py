"""A portal in front of a real keeper, with an identity provider, for those who come to it as people do: by HTTP or browser.

``found_portal`` makes the home once; ``Portal`` copies it, serves keeper and portal, and signs people in. The host is
``localhost``, so that browsers treat it as they treat https.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn
from tests.keeper_desk import Bench
from tests.oidc_provider import CLIENT, Provider
from tests.ports import free_port
from tests.served import Served, copy_served, found_served

from safehold.portal.settings import Limits, PortalSettings
from safehold.portal.site import build

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

# who is enrolled, under which role of the charter; each signs in as "sub-NAME"
CAST = {
    "dana": "data_scientist",
    "enno": "engineer",
    "aude": "auditor",
    "emil": "employee",
    "evangeline": "employee",
}
CHROMIUM = "the browser chromium is not on this machine"


class Portal:
    """Keeper, provider and portal of one home.

    Args:
        served: The keeper.
        limits: Of the portal; so many requests a minute that a test meets them only on purpose.
    """

    def __init__(self, served: Served, *, limits: Limits | None = None) -> None:
        self.served = served
        self.provider = Provider()
        self.limits = limits or Limits(reads=1_000_000, writes=1_000_000, sign_ins=1_000_000)
        self.url = ""
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._clients: list[httpx.Client] = []
        self.programs: list[httpx.Client] = []  # these outlive a restart of the portal

    @property
    def bench(self) -> Bench:
        return self.served.bench

    @property
    def home(self):
        return self.bench.home

    @property
    def state(self) -> Path:
        return self.served.home.parent / "portal"

    def enrol(self) -> None:
        """Let the keeper believe the provider, and know everybody of the cast."""
        call = self.bench.call
        call("principal.provider", issuer=self.provider.issuer, client=CLIENT)
        for name, role in CAST.items():
            names = [f"oidc:{self.provider.issuer}#sub-{name}"]
            call("principal.enrol", principal=name, kind="human", role=role, names=names)

    def listen(self, port: int = 0) -> None:
        """Serve the portal in a thread of this process; at a given port it is the same address again."""
        config = uvicorn.Config(
            lambda: build(self.settings),
            factory=True,
            host="localhost",
            port=port or free_port(),
            log_level="error",
            access_log=False,
            server_header=False,
        )
        self.url = f"http://localhost:{config.port}"
        self.settings = PortalSettings(
            home=self.bench.home, origin=self.url, state=self.state, limits=self.limits
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        for _ in range(2_000):
            if self._server.started:
                return
            time.sleep(0.01)
        raise AssertionError("the portal does not start")

    def close(self) -> None:
        """End the portal; keeper and provider go on."""
        while self._clients:
            self._clients.pop().close()
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(60)

    def client(self, name: str | None = None, **more: Any) -> httpx.Client:
        """Return an HTTP client, signed in as one of the cast if a name is given."""
        made = httpx.Client(base_url=self.url, follow_redirects=True, timeout=60, **more)
        self._clients.append(made)
        if name is not None:
            self.sign_in(made, name)
        return made

    def sign_in(self, client: httpx.Client, name: str) -> None:
        """Sign a client in at the provider."""
        self.provider.person = f"sub-{name}"
        answer = client.get("/sign-in/begin")
        assert answer.status_code == 200, answer.text[:400]
        assert client.cookies.get("safehold"), "no session"

    def visit(self, context: BrowserContext, name: str) -> None:
        """Sign a browser in at the provider."""
        self.provider.person = f"sub-{name}"
        page = context.new_page()
        page.goto(f"{self.url}/sign-in/begin")
        page.close()


def post(client: httpx.Client, path: str, page: str, **fields: Any) -> httpx.Response:
    """Send a form as the page that holds it would: with its hidden token."""
    return client.post(path, data={"csrf": csrf_of(client, page), **fields})


def csrf_of(client: httpx.Client, page: str) -> str:
    """Return the token in a page's forms."""
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', client.get(page).text)
    assert found is not None, f"no form on {page}"
    return found[1]


@contextmanager
def portal_of(made: Bench, folder: Path, **more: Any) -> Iterator[Portal]:
    """Yield a portal over a copy of a home that ``found_served`` made."""
    portal = Portal(copy_served(made, folder / "copy"), **more)
    with portal.provider.running():
        portal.served.start()
        try:
            portal.enrol()
            portal.listen()
            yield portal
        finally:
            for one in portal.programs:
                one.close()
            portal.close()
            portal.served.stop()


@contextmanager
def browser_running() -> Iterator[Browser]:
    """Yield Debian's Chromium; without it the test skips aloud."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    if program is None:
        pytest.skip(CHROMIUM)
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=flags)
        try:
            yield browser
        finally:
            browser.close()


__all__ = [
    "CAST", "Portal", "browser_running", "csrf_of", "found_served", "portal_of", "post",
]  # fmt: skip
