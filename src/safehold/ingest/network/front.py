"""The front: the HTTP server between collectors and keepers. It holds no key, no right, and nothing that came in.

Every request carries what its sender proves themselves by, to the keeper: a device's proof, a sealed envelope, a signed
mark. So whoever breaks in here can drop and delay, and read which device asks for whom; nothing that was recorded.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from safehold.clock import Clock, SystemClock
from safehold.errors import InvalidError, SafeholdError, UnavailableError, revive
from safehold.ingest.network.answer import KIND, LARGEST, split_envelopes
from safehold.ingest.network.combine import Combiner, Line
from safehold.ingest.network.gather import Gatherer
from safehold.ingest.network.pace import Pace
from safehold.ledger.line import is_here
from safehold.ledger.places import house_of
from safehold.ledger.web import Limits, Request, Response, WebServer, split_bind

NONCES: Final = "/v1/nonces"
LEASES: Final = "/v1/leases"
ENVELOPES: Final = "/v1/envelopes"
MARKS: Final = "/v1/marks"
READY: Final = "/v1/ready"
JSON: Final = "application/json"
RETRY_S: Final = 2  # when the keeper is away, or too much waits
LIMITS: Final = Limits(
    head=8_192, body=LARGEST, bodies=32 * LARGEST, connections=1_024, each=64, request_s=30.0,
    answer_s=30.0, threads=64,
)  # fmt: skip
SMALL: Final = 16_384  # bytes of a request that is JSON
A_MINUTE: Final = 600
NONCES_EVERY_S: Final = 0.1  # at least from one call for nonces to the next while others ask too
LEASES_EVERY_S: Final = 0.25
MOST_LEASES: Final = 256  # that one call asks for; the keeper takes no more
MOST_NONCES: Final = 32
_LEASE: Final = {"person", "device", "nonce", "proof"}
_MARK: Final = {"person", "device", "mark"}


class Front:
    """The server.

    Args:
        line: To the keeper, with nothing proved.
        bind: ``host:port``.
        tls: What makes it HTTPS; without, it serves this machine alone.
        a_minute: Requests that one address may make in a minute; 0 sets no limit.
        clock: The time.

    Raises:
        InvalidError: It would be heard by other machines without TLS.
    """

    def __init__(
        self,
        line: Line,
        *,
        bind: str,
        tls: ssl.SSLContext | None = None,
        a_minute: int = A_MINUTE,
        clock: Clock | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        if tls is None and not is_here(split_bind(bind)[0]):
            raise InvalidError(
                "without TLS it serves this machine alone",
                rule="ingest.tls",
                fix="give --certificate and --certificate-key",
            )
        if tls is not None:
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self._line = line
        self._pace = Pace(clock or SystemClock(), a_minute=a_minute)
        self.combiner = Combiner(line)
        self._nonces = Gatherer(
            self._ask_nonces, most=MOST_NONCES, every_s=NONCES_EVERY_S, name="nonces"
        )
        self._leases = Gatherer(
            self._ask_leases, most=MOST_LEASES, every_s=LEASES_EVERY_S, name="leases"
        )
        self._routes: dict[tuple[str, str], Callable[[Request], dict[str, Any]]] = {
            ("POST", NONCES): self._nonce,
            ("POST", LEASES): self._lease,
            ("POST", ENVELOPES): self._envelopes,
            ("POST", MARKS): self._mark,
            ("GET", READY): self._ready,
        }
        self.web = WebServer(self._answer, bind, tls=tls, limits=limits)

    def close(self) -> None:
        """Take no more; what waits is still brought to the keeper."""
        for one in (self.combiner, self._nonces, self._leases):
            one.close()

    def _answer(self, request: Request) -> Response:
        route = self._routes.get((request.method, request.path))
        if route is None:
            there = [method for method, path in self._routes if path == request.path]
            return Response(status=405 if there else 404, allow=", ".join(there))
        if wait_s := self._pace.wait_s(house_of(request.host)):
            return _said(429, {"rule": "ingest.pace"}, retry_s=wait_s)
        try:
            return Response(status=200, body=orjson.dumps(route(request)), kind=JSON)
        except UnavailableError as error:
            return _said(503, error.payload(), retry_s=RETRY_S)
        except SafeholdError as error:
            return _said(error.status, error.payload())

    def _nonce(self, _request: Request) -> dict[str, Any]:
        return {"nonce": self._nonces.ask(None)}

    def _lease(self, request: Request) -> dict[str, Any]:
        return self._leases.ask(_texts(request, _LEASE))

    def _ask_nonces(self, asked: Sequence[None]) -> list[str | SafeholdError]:
        if len(asked) == 1:
            return [str(self._line.call("nonce")["nonce"])]
        return [str(one) for one in self._line.call("nonce", count=len(asked))["nonces"]]

    def _ask_leases(self, asked: Sequence[dict[str, str]]) -> list[dict[str, Any] | SafeholdError]:
        said = self._line.call("lease.obtain-many", asked=list(asked))
        rules, keeper = said["rules"], said["keeper"]
        return [
            revive(one["error"])
            if "error" in one
            else {
                "lease": one["lease"],
                "rules": {stream: rules[stream] for stream in one["streams"]},
                "keeper": keeper,
            }
            for one in said["answers"]
        ]

    def _envelopes(self, request: Request) -> dict[str, Any]:
        if request.header("content-type") != KIND:
            raise InvalidError("not envelopes", rule="ingest.kind")
        answers = self.combiner.hand_in(split_envelopes(request.body))
        return {"answers": [one.to_json() for one in answers]}

    def _mark(self, request: Request) -> dict[str, Any]:
        return {"at_us": self._line.call("lease.mark", **_texts(request, _MARK))["at_us"]}

    def _ready(self, _request: Request) -> dict[str, Any]:
        self._line.call("hello")
        return {"ready": True}


def _texts(request: Request, names: set[str]) -> dict[str, str]:
    """Return the texts of a JSON object that has these fields and no other.

    Raises:
        InvalidError: It is something else.
    """
    try:
        value = orjson.loads(request.body) if len(request.body) <= SMALL else None
    except orjson.JSONDecodeError:
        value = None
    if (
        request.header("content-type") != JSON
        or not isinstance(value, dict)
        or set(value) != names
        or not all(isinstance(one, str) for one in value.values())
    ):
        raise InvalidError("not what is asked for here", rule="ingest.body")
    return value


def _said(status: int, error: dict[str, Any], *, retry_s: int = 0) -> Response:
    return Response(status=status, body=orjson.dumps({"error": error}), kind=JSON, retry_s=retry_s)
