"""Programs before the API of a portal: they sign in with a key, and prove that key on every request."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
from tests.portal_desk import Portal

from safehold.access.identity.dpop import prove
from safehold.canonical import b64, unb64
from safehold.signing import SigningKey

V1 = "/api/v1"


class Program(httpx.Auth):
    """Somebody's program.

    Args:
        portal: The portal.
        key: The key that its owner is enrolled with.
    """

    def __init__(self, portal: Portal, key: SigningKey) -> None:
        self.url = portal.url
        self.key = key
        self.bound = SigningKey.generate()
        self.token: str | None = None
        self.http = httpx.Client(base_url=portal.url, timeout=60, auth=self)
        portal.programs.append(self.http)

    def auth_flow(self, request: httpx.Request):
        url = str(request.url.copy_with(query=None, fragment=None))
        request.headers["dpop"] = self.proof(request.method, url)
        if self.token is not None:
            request.headers["authorization"] = f"DPoP {self.token}"
        yield request

    def proof(self, method: str, url: str, *, at_s: int | None = None) -> str:
        now = int(time.time()) if at_s is None else at_s
        return prove(self.bound, method=method, url=url, now_s=now, token=self.token)

    def sign_in(self) -> Program:
        asked = self.http.post(f"{V1}/sessions/questions").json()
        proof = self.key.sign(asked["domain"], unb64(asked["message"]))
        said = {
            "state": asked["state"],
            "method": "key",
            "identity": self.key.public.text(),
            "proof": b64(proof),
        }
        answer = self.http.post(f"{V1}/sessions", json=said)
        if answer.status_code == 401 and answer.json()["rule"] == "api.proof.time":
            time.sleep(1.1)  # its keeper began in this very second
            answer = self.http.post(f"{V1}/sessions", json=said)
        assert answer.status_code == 201, answer.text
        self.token = answer.json()["access_token"]
        return self

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.http.get(V1 + path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.http.post(V1 + path, json={} if body is None else body, **more)


def program(portal: Portal, name: str, role: str, *, kind: str = "human") -> Program:
    """Enrol somebody with a key, and return their program, signed in."""
    key = SigningKey.generate()
    portal.bench.call(
        "principal.enrol", principal=name, kind=kind, role=role, names=[f"key:{key.public.text()}"]
    )
    return Program(portal, key).sign_in()


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    """Return what an answer says went wrong."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text[:300]
    return json.loads(answer.content)
