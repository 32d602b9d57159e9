"""An agent that speaks to a server of agents over HTTP, with real tokens and proofs, by hand."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.agency import Agency
from tests.identities import Somebody, agent, workload
from tests.keeper_desk import Bench

from safehold import ids
from safehold.access import Grant, Price, approve
from safehold.access.identity import jose
from safehold.access.identity.dpop import token_hash
from safehold.keeper.signed import line_with_key
from safehold.mcp.http import AgentServer
from safehold.mcp.tools import Bench as ToolBench

BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class BenchLine:
    """A line to a keeper of tests, without a socket."""

    def __init__(self, bench) -> None:
        self.bench = bench
        self.sent: list[str] = []  # everything that was sent to the keeper, as text

    def call(self, verb, *, descriptors=(), progress=None, **arguments):
        self.sent.append(json.dumps([verb, arguments]))
        return self.bench.call(verb, *descriptors, **arguments)


@dataclass
class McpAgent:
    """One agent before one server."""

    who: Somebody
    url: str
    clock: Any
    token: str = ""
    numbers: int = field(default=0)

    @property
    def now_s(self) -> int:
        return self.clock.now_us() // 1_000_000

    def assertion(self, **changes: Any) -> str:
        claims = {
            "iss": self.who.id, "sub": self.who.id, "aud": self.url, "iat": self.now_s, "exp": self.now_s + 60,
            "jti": ids.new_id("jti"),
        }  # fmt: skip
        return jose.sign(claims | changes, self.who.key, typ="JWT")

    def obtain(self, **changes: Any) -> McpAgent:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": BEARER,
            "client_assertion": self.assertion(),
            "client_id": self.who.id,
            "resource": self.url,
        } | changes
        status, _, body = self.post(
            "/token",
            urlencode(form).encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert status == 200, f"{status} {body.decode()}"
        self.token = json.loads(body)["access_token"]
        return self

    def proof(self, key=None, header: dict[str, Any] | None = None, **changes: Any) -> str:
        key = key or self.who.key
        claims = {
            "htm": "POST",
            "htu": self.url,
            "iat": self.now_s,
            "jti": ids.new_id("jti"),
            "ath": token_hash(self.token),
        } | changes
        jwk = jose.public_jwk(key.public.raw)
        return jose.sign(
            {name: value for name, value in claims.items() if value is not None},
            key, typ="dpop+jwt", **{"jwk": jwk, **(header or {})},
        )  # fmt: skip

    def headers(self, **changes: Any) -> dict[str, str]:
        made = {
            "Authorization": f"DPoP {self.token}",
            "DPoP": changes.pop("proof", None) or self.proof(),
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        } | changes
        return {name: value for name, value in made.items() if value is not None}

    def post(
        self, path: str, body: bytes, headers: dict[str, str], method: str = "POST"
    ) -> tuple[int, dict[str, str], bytes]:
        place = urlsplit(self.url)
        link = http.client.HTTPConnection(place.hostname or "", place.port or 0, timeout=60)
        link.request(method, path, body, headers)
        answer = link.getresponse()
        found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        link.close()
        return found

    def send(self, message: Any, **changes: Any) -> tuple[int, Any]:
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        status, _, said = self.post("/mcp", body, self.headers(**changes))
        return status, json.loads(said) if said else None

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self.numbers += 1
        status, said = self.send(
            {"jsonrpc": "2.0", "id": self.numbers, "method": method, "params": params}
        )
        assert status == 200, said
        return said

    def tool(self, name: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return what it said, refused or not."""
        result = self.ask("tools/call", name=name, arguments=arguments)["result"]
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
        return result["structuredContent"] | {"failed": result["isError"]}


class Street(Agency):
    """Ana, her grant, an agent that comes through a server, and that server."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.ana = self.person("ana")
        self.gate = workload(bench.call, "gate")
        self.robot = agent(bench.call, "robot", "ana", via="gate")
        self.other = agent(bench.call, "other", "ana")
        self.grant, self.holder = self.operator(self.ana)
        self.line = BenchLine(bench)
        signed = line_with_key(self.line, self.gate.key)
        asked = bench.call("session.ask")
        self.server = AgentServer(
            signed,
            ToolBench(signed, self.gate.key),
            bind="127.0.0.1:0",
            issuer=asked["audience"],
            key=asked["token_key"],
            clock=bench.clock,
        )
        self.client = McpAgent(self.robot, self.server.resource, bench.clock)

    def decide(self, request: str, *seats: str) -> None:
        shown = self.bench.call("request.show", request=request)
        grant, price = Grant.from_json(shown["grant"]), Price.from_json(shown["price"])
        for seat in seats:
            signed = approve(
                grant, price, seat, self.bench.seats[seat], now_us=self.bench.clock.now_us()
            )
            self.bench.call("request.decide", request=request, approval=signed.to_json())

    def rights(self) -> dict:
        """Return everything that says who may do what."""
        bench = self.bench
        return {
            "principals": bench.call("principal.list"),
            "grants": bench.call("grant.list"),
            "charter": bench.desk.trust.digest(),
            "board": bench.desk.trust.roster.digest(),
            "budget": bench.call("budget.show"),
        }
