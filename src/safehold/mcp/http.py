"""Streamable HTTP on this machine: one message a request, one answer as JSON; no session, no stream.

Whoever calls shows a token for this server and a proof of its key on every request. A browser that was led here from
elsewhere is turned away. What is refused before the keeper knows whose it was is told to the keeper, at most some
times a minute with a count of the rest.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson

from safehold.clock import SECOND_US, Clock
from safehold.errors import InvalidError, SafeholdError, SignInError, UnavailableError
from safehold.keeper.signed import Line
from safehold.ledger.web import Limits, Request, Response, WebServer
from safehold.mcp.guard import Guard
from safehold.mcp.protocol import REVISIONS, answer, for_agent
from safehold.mcp.tools import Bench

PATH: Final = "/mcp"
TOKEN: Final = "/token"  # noqa: S105 - a path
METADATA: Final = "/.well-known/oauth-protected-resource"
JSON: Final = "application/json"
LIMITS: Final = Limits(head=16_384, body=65_536, connections=64, each=32)
TOLD_US: Final = 10 * SECOND_US  # between two leaves about calls of nobody
_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LOCAL: Final = ("127.0.0.1", "::1", "localhost")


class AgentServer:
    """The server.

    Args:
        line: A line to the keeper, as ourselves.
        bench: Carries tools out.
        bind: ``host:port`` on this machine.
        issuer: Whose tokens count.
        key: With which they are signed, as a JWK.
        clock: Time.

    Raises:
        InvalidError: An address that others could reach.
    """

    def __init__(
        self,
        line: Line,
        bench: Bench,
        *,
        bind: str,
        issuer: str,
        key: Mapping[str, Any],
        clock: Clock,
    ) -> None:
        host = bind.rpartition(":")[0].strip("[]")
        if host not in _LOCAL:
            raise InvalidError(
                "agents are served on this machine alone",
                rule="mcp.bind",
                fix="--bind 127.0.0.1:7400",
            )
        self.web = WebServer(self._answer, bind, limits=LIMITS)
        self.base = self.web.url
        self.resource = f"{self.base}{PATH}"
        self._guard = Guard(resource=self.resource, issuer=issuer, key=key, clock=clock)
        self._line = line
        self._bench = bench
        self._clock = clock
        self._lock = threading.Lock()
        self._told: dict[str, int] = {}
        self._untold: dict[str, int] = {}

    def _answer(self, request: Request) -> Response:
        if refusal := self._stranger(request):
            return refusal
        match (request.method, request.path):
            case (
                "GET",
                "/.well-known/oauth-protected-resource"
                | "/.well-known/oauth-protected-resource/mcp",
            ):
                return _json(200, self._metadata())
            case ("POST", "/token"):
                return self._token(request)
            case ("POST", "/mcp"):
                return self._message(request)
            case (_, "/mcp" | "/token"):
                return Response(status=405, allow="POST")
            case _:
                return Response(status=404)

    def _stranger(self, request: Request) -> Response | None:
        """Turn a page away that a browser loaded from elsewhere (DNS rebinding)."""
        host = urlsplit(self.base).netloc
        if request.header("host") != host:
            return Response(status=421)
        if (
            any(name == "origin" for name, _ in request.headers)
            and request.header("origin") != self.base
        ):
            return Response(status=403)
        return None

    def _metadata(self) -> dict[str, Any]:
        """RFC 9728."""
        return {
            "resource": self.resource,
            "bearer_methods_supported": ["header"],
            "dpop_bound_access_tokens_required": True,
            "dpop_signing_alg_values_supported": ["Ed25519"],
            "resource_name": "Safehold",
        }

    def _message(self, request: Request) -> Response:
        try:
            guest = self._guard.admit(
                request.header("authorization"), request.header("dpop"), method="POST"
            )
        except SignInError as error:
            return self._refuse(error)
        if (request.header("content-type") or "").partition(";")[0].strip() != JSON:
            return Response(status=415)
        said = request.header("mcp-protocol-version")
        if said is not None and said not in REVISIONS:
            return _json(400, {"error": "mcp-protocol-version"})
        body = answer(request.body, for_agent(self._bench, guest.agent))
        return Response(status=202) if body is None else Response(status=200, body=body, kind=JSON)

    def _token(self, request: Request) -> Response:
        """RFC 6749 section 4.4 with RFC 7523: what the agent signed goes to the keeper, for whom it is meant."""
        try:
            form = parse_qs(request.body.decode("ascii"), strict_parsing=True, max_num_fields=8)
            one = {name: value[0] for name, value in form.items() if len(value) == 1}
        except (ValueError, UnicodeDecodeError):
            return _json(400, {"error": "invalid_request"})
        if (
            one.get("grant_type") != "client_credentials"
            or one.get("client_assertion_type") != _BEARER
        ):
            return _json(400, {"error": "unsupported_grant_type"})
        if one.get("resource") != self.resource:
            return _json(400, {"error": "invalid_target"})  # RFC 8707 section 2
        try:
            answered = self._line.call(
                "agent.token",
                agent=one.get("client_id", ""),
                resource=self.resource,
                assertion=one.get("client_assertion", ""),
            )
        except UnavailableError:
            return _json(503, {"error": "temporarily_unavailable"})
        except SafeholdError as error:
            return _json(401, {"error": "invalid_client", "error_description": error.rule})
        return _json(200, answered)

    def _refuse(self, error: SignInError) -> Response:
        rule = error.rule or "mcp.token"
        if rule != "mcp.token":  # whoever shows nothing is only told where to get a token
            self._tell(rule)
        challenge = f'DPoP resource_metadata="{self.base}{METADATA}", algs="Ed25519"' + (
            "" if rule == "mcp.token" else ', error="invalid_token"'
        )
        body = orjson.dumps({"error": "invalid_token", "error_description": rule})
        return Response(status=401, body=body, kind=JSON, challenge=challenge)

    def _tell(self, rule: str) -> None:
        now = self._clock.now_us()
        with self._lock:
            self._untold[rule] = self._untold.get(rule, 0) + 1
            last = self._told.get(rule)
            if last is not None and 0 <= now - last < TOLD_US:
                return
            count, self._told[rule] = self._untold.pop(rule), now
        with contextlib.suppress(
            SafeholdError
        ):  # a keeper that is away lets nothing through either
            self._line.call("tool.refused", rule=rule, count=count)


def _json(status: int, value: Mapping[str, Any]) -> Response:
    return Response(status=status, body=orjson.dumps(value), kind=JSON)
