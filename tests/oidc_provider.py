"""A real OpenID provider on this machine, over HTTP: discovery, rotating keys, authorization code with PKCE.

What a real one would not do can be asked for by name: see ``spoil``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

CLIENT = "safehold-cli"


class Provider:
    """One provider.

    Args:
        now_s: Tells the time, so that tokens fit a keeper whose clock stands still.
    """

    def __init__(self, now_s=lambda: int(time.time())) -> None:
        self.now_s = now_s
        self.person = "sub-ana"
        self.keys = [self._key("k1")]
        self.spoil: dict[str, Any] = {}
        self.asked_for_keys = 0
        self.codes: dict[str, dict[str, str]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"

    @staticmethod
    def _key(kid: str) -> ECKey:
        return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})

    def rotate(self) -> None:
        """Sign with a new key, and forget the old one."""
        self.keys = [self._key(f"k{secrets.token_hex(4)}")]

    def discovery(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["ES256"],
        } | self.spoil.get("discovery", {})

    def claims(self, nonce: str, /, **changes: Any) -> dict[str, Any]:
        now = self.now_s()
        return {
            "iss": self.issuer,
            "sub": self.person,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 600,
            "nonce": nonce,
            # a token that says what its owner may do; nobody reads it
            "roles": ["engineer", "admin"],
            "role": "security",
        } | changes

    def id_token(self, nonce: str, /, **changes: Any) -> str:
        return self.sign(self.claims(nonce, **changes))

    def sign(self, claims: dict[str, Any]) -> str:
        key = self.keys[-1]
        return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key, algorithms=["ES256"])

    def authorize(self, query: dict[str, str]) -> str:
        """Sign the person in, without asking, and return where the browser goes next."""
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        state = self.spoil.get("state", query["state"])
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': state})}"

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        query = self.codes.pop(form.get("code", ""), None)
        made = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(made).rstrip(b"=").decode()
        if (
            query is None
            or challenge != query["code_challenge"]
            or form["redirect_uri"] != query["redirect_uri"]
            or form["client_id"] != query["client_id"]
        ):
            return 400, {"error": "invalid_grant"}
        token = self.id_token(query["nonce"], **self.spoil.get("claims", {}))
        return 200, {"id_token": token, "access_token": "not-for-safehold", "token_type": "Bearer"}

    @contextmanager
    def running(self) -> Iterator[Provider]:
        thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.server.shutdown()
            self.server.server_close()
            thread.join()


def _handler(provider: Provider) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            match parts.path:
                case "/.well-known/openid-configuration":
                    self._json(200, provider.discovery())
                case "/keys":
                    provider.asked_for_keys += 1
                    self._json(200, KeySet(provider.keys).as_dict())
                case "/authorize":
                    place = provider.authorize(
                        {name: value[0] for name, value in parse_qs(parts.query).items()}
                    )
                    self.send_response(302)
                    self.send_header("Location", place)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                case _:
                    self._json(404, {})

        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            form = {k: v[0] for k, v in parse_qs(self.rfile.read(size).decode()).items()}
            self._json(*provider.exchange(form))

        def _json(self, status: int, value: Any) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


__all__ = ["CLIENT", "Provider", "RSAKey"]
