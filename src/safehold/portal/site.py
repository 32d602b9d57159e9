"""One portal, put together: pages, API, headers, errors."""

from __future__ import annotations

import json
import os
import threading
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jinja2
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safehold.clock import Clock, SystemClock
from safehold.errors import InvalidError
from safehold.portal import api, pages, problem
from safehold.portal.headers import Guarded
from safehold.portal.heads import Heads, own_key
from safehold.portal.health import HEALTH, Health
from safehold.portal.health import router as health
from safehold.portal.identity.cookie import Cookies
from safehold.portal.journal import Journal, Journaled
from safehold.portal.line import KeptClient, keeper_of
from safehold.portal.meter import KeeperFigures, Metered, serve_figures
from safehold.portal.rate import Rates
from safehold.portal.settings import PortalSettings
from safehold.portal.shared import Shared
from safehold.portal.shown import FILTERS
from safehold.portal.visit import Site

VERSION: Final = "1.0.0"
# bodies that a route itself says how large they may be
UPLOADS: Final = ("/api/v1/sources", "/api/v1/artifacts", "/api/v1/leases")


def build(
    settings: PortalSettings,
    *,
    keeper: KeptClient | None = None,
    clock: Clock | None = None,
    registry: CollectorRegistry | None = None,
) -> FastAPI:
    """Return a portal as an ASGI application.

    Args:
        settings: Where it is.
        keeper: A bare line to the keeper; the home's own by default.
        clock: Tells the time.
        registry: Where requests are counted, if they are.
    """
    for folder in (settings.state, settings.seals):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    app = FastAPI(
        title="Safehold", version=VERSION, docs_url=None, redoc_url=None, openapi_url=None
    )
    now = clock or SystemClock()
    app.state.site = Site(
        settings=settings,
        keeper=(line := keeper or keeper_of(settings.home, *settings.keepers)),
        cookies=Cookies.at(settings.seals),
        rates=Rates(now),
        shared=(shared := Shared(line, settings.seals)),
        clock=now,
        templates=_templates(),
        menu=pages.menu,
    )
    problem.install(app)
    pages.mount(app)
    api.mount(app)
    app.state.site.shelf[HEALTH] = Health(line)
    app.include_router(health)
    journal = Journal(settings.state, now)
    app.state.site.shelf["journal"] = journal
    heads = Heads(journal, app.state.site.keeper, own_key(settings.state))
    app.router.add_event_handler("startup", heads.start)
    app.router.add_event_handler("startup", shared.start)

    def close() -> None:
        journal.close()  # before its head is told for the last time
        heads.close()
        api.close(app.state.site)
        shared.close()
        app.state.site.keeper.close()

    app.router.add_event_handler("shutdown", close)
    app.add_middleware(_Bounded, settings=settings)
    app.add_middleware(Journaled, journal=journal)
    app.add_middleware(Guarded, secure=settings.origin.startswith("https://"))
    if registry is not None:
        registry.register(KeeperFigures(app.state.site.keeper))
        app.add_middleware(Metered, registry=registry, clock=now)
    return app


def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(resources.files(__package__).joinpath("templates"))),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(FILTERS)
    return made


class _Bounded:
    """Refuse a body that is too large before it is read, and cut one that says nothing of its length."""

    def __init__(self, app: ASGIApp, *, settings: PortalSettings) -> None:
        self._app = app
        self._limits = settings.limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        most = self._limits.upload if path.startswith(UPLOADS) else self._limits.body
        headers: dict[bytes, bytes] = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > most:
            await _too_large(send)
            return
        seen = 0

        async def read() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                return {"type": "http.disconnect"}
            return message

        await self._app(scope, read, send)


async def _too_large(send: Send) -> None:
    error = InvalidError("the body is too large", rule="portal.body")
    body = json.dumps(problem.tell(error, 413)).encode()
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _leaving(config: Any, site: Site) -> Any:
    """Return a server that on the first signal says that it leaves, and ends when no balancer sends anybody any more.

    Args:
        config: Of uvicorn.
        site: Of the portal.
    """
    import uvicorn  # noqa: PLC0415 - only a portal that listens needs it

    health: Health = site.shelf[HEALTH]

    class Leaving(uvicorn.Server):
        def handle_exit(self, sig: int, frame: Any) -> None:
            """Leave; at once if it is asked a second time."""
            wait_s = 0.0 if health.leaving else site.settings.drain_s
            health.leave()
            if wait_s <= 0:
                super().handle_exit(sig, frame)
                return
            end = threading.Timer(wait_s, super().handle_exit, (sig, None))
            end.daemon = True
            end.start()

    return Leaving(config)


def serve(
    settings: PortalSettings,
    *,
    bind: str,
    certificate: Path | None,
    key: Path | None,
    figures: str = "",
) -> None:
    """Serve people until a signal asks to finish; what is being answered then is answered first.

    Args:
        settings: Where the portal is.
        bind: ``host:port`` to listen at.
        certificate: PEM file of the certificate chain, for https here.
        key: PEM file of its key.
        figures: ``host:port`` of an address of its own for figures; none without.
    """
    import uvicorn  # noqa: PLC0415 - only a portal that listens needs it

    os.umask(0o077)
    host, _, port = bind.rpartition(":")
    registry = CollectorRegistry() if figures else None
    app = build(settings, registry=registry)
    if registry is not None:
        serve_figures(registry, figures)
    config = uvicorn.Config(
        app,
        host=host.strip("[]") or "127.0.0.1",
        port=int(port),
        ssl_certfile=None if certificate is None else str(certificate),
        ssl_keyfile=None if key is None else str(key),
        proxy_headers=bool(settings.behind),
        forwarded_allow_ips=list(settings.behind) or None,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=20,
        h11_max_incomplete_event_size=65_536,
        limit_concurrency=512,
    )
    _leaving(config, app.state.site).run()


__all__: list[Any] = ["build", "serve"]
