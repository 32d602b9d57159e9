"""Figures for whoever runs a portal and its home, as Prometheus reads them; about nobody.

They are served at an address of their own, which people do not reach. What the keeper says there is its public status:
sizes, counts and what is late, never a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safehold.clock import SECOND_US, Clock
from safehold.errors import SafeholdError
from safehold.keeper.signed import Line

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class KeeperFigures(Collector):
    """The status of a keeper at the moment that somebody asks.

    Args:
        line: A bare line to it.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def collect(self) -> Iterator[Metric]:
        """Yield each figure; of a keeper that does not answer only that."""
        try:
            status = self._line.call("status")
        except SafeholdError:
            yield _one("safehold_keeper_up", "Whether a keeper answers.", 0)
            return
        yield _one("safehold_keeper_up", "Whether a keeper answers.", 1)
        for name, says, value in _figures(status):
            yield _one(name, says, value)
        incidents = GaugeMetricFamily(
            "safehold_incidents_open",
            "Open incidents by severity; 0 is the gravest.",
            labels=["severity"],
        )
        for one in status["incidents"]:
            incidents.add_metric([str(one["severity"])], one["count"])
        yield incidents
        periodic = GaugeMetricFamily(
            "safehold_periodic_failures", "How often a periodic task failed.", labels=["task"]
        )
        for one in status["periodic"]:
            periodic.add_metric([str(one["task"])], float(one["failures"]))
        yield periodic


class Metered:
    """Count the requests of a portal and how long they take, by route and status, never by path.

    Args:
        app: What answers.
        registry: Holds the figures.
        clock: Tells the time.
    """

    def __init__(self, app: ASGIApp, *, registry: CollectorRegistry, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        names = ["method", "route", "status"]
        self._count = Counter("safehold_portal_requests", "Requests.", names, registry=registry)
        self._took = Histogram(
            "safehold_portal_seconds",
            "Seconds to the first byte.",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        since = self._clock.now_us()

        async def speak(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"] in METHODS else "other"
                self._count.labels(method, route, str(message["status"])).inc()
                self._took.labels(route).observe((self._clock.now_us() - since) / SECOND_US)
            await send(message)

        await self._app(scope, receive, speak)


METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})


def serve_figures(registry: CollectorRegistry, bind: str) -> tuple[Any, Any]:
    """Serve the figures at ``host:port``; returns server and thread, as the library does."""
    host, _, port = bind.rpartition(":")
    return start_http_server(int(port), host.strip("[]") or "127.0.0.1", registry)


def _one(name: str, says: str, value: float) -> Metric:
    return GaugeMetricFamily(name, says, value=value)


def _figures(status: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    ledger, counts, requests = status["ledger"], status["counts"], status["requests"]
    sentinel = status["sentinel"]
    yield "safehold_ledger_entries", "Entries of the ledger.", ledger["size"]
    yield (
        "safehold_ledger_cosigned",
        "Entries that the newest cosigned head covers.",
        ledger["cosigned"],
    )
    yield (
        "safehold_witnesses_unreachable",
        "Witnesses that did not answer.",
        len(status["witnesses"]["unreachable"]),
    )
    yield "safehold_stopped", "Whether everything is stopped.", float(status["stopped"])
    yield (
        "safehold_contained",
        "Things held back.",
        sum(int(one.get("count", 1)) for one in status["contained"]),
    )
    yield (
        "safehold_drift",
        "Clauses of the charter that what runs differs from.",
        len(status["drift"]),
    )
    yield "safehold_owed", "What is owed to people and late.", len(status["owed"])
    yield "safehold_requests_open", "Requests of people that wait for an answer.", requests["open"]
    yield "safehold_requests_overdue", "Of them overdue.", requests["overdue"]
    yield "safehold_alerts_open", "Alerts that wait for an answer.", sentinel["alerts"]["open"]
    yield "safehold_sentinel_alive", "Whether the sentinel reads.", float(bool(sentinel["alive"]))
    if sentinel["behind_s"] is not None:
        yield (
            "safehold_sentinel_behind_seconds",
            "How far the sentinel is behind.",
            sentinel["behind_s"],
        )
    for name in ("blocks", "people", "sources"):
        yield f"safehold_{name}", f"Number of {name} at rest.", counts[name]
