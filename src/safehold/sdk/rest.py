"""The line to a portal's API: the same calls as to a keeper on this machine, over HTTP.

The portal says itself which path asks for which verb (its OpenAPI document). The session is opened with a key of the
user's own and bound to a key that lives as long as this line, so a token alone is worth nothing to whoever sees it.
What changes something is sent under a key of its own: when a connection breaks it is sent again, and has one effect.
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from safehold.access.identity.dpop import prove
from safehold.canonical import b64, unb64
from safehold.errors import (
    InvalidError,
    SafeholdError,
    SignInError,
    UnavailableError,
    WentAwayError,
    revive,
)
from safehold.ids import random_bytes
from safehold.keeper.client import Progress
from safehold.ledger.line import HEADERS, split_url, within
from safehold.sdk.line import FIX, LOST, careful
from safehold.signing import SigningKey

PREFIX: Final = "/api/v1"
PATIENCE_S: Final = 60.0
LARGEST: Final = 64 << 20
EVERY_S: Final = 0.3  # seconds between two looks at a job
TRIES: Final = 3
_JSON: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json, application/problem+json",
}


@dataclass(frozen=True, slots=True)
class Way:
    """How a verb is asked for.

    Args:
        method: The HTTP method.
        path: With names in braces.
        names: Which argument stands for which name.
        listed: The list that comes in pages.
        long: Whether it is asked for as a job.
    """

    method: str
    path: str
    names: Mapping[str, str]
    listed: str
    long: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Args:
        status: Of the answer.
        headers: By lower-case name.
        body: Its bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes

    def tree(self) -> dict[str, Any]:
        """Return the JSON object it holds.

        Raises:
            UnavailableError: It holds none.
        """
        try:
            found = orjson.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise UnavailableError("this is no portal", rule="rest.answer")
        return found


class RestLine:
    """A line to a keeper, by the API of its portal; any thread may use it.

    Args:
        url: Where the portal is.
        key: The key that its user is enrolled with.
        tls: What is believed of certificates; what the machine believes else.
    """

    def __init__(self, url: str, key: SigningKey, *, tls: ssl.SSLContext | None = None) -> None:
        self._host, self._port, base, secure = split_url(url, what="portal", rule="rest.place")
        if base:
            raise InvalidError("a portal has no path", rule="rest.place", fix="https://host")
        self._origin = url.rstrip("/")
        self._tls = (tls or ssl.create_default_context()) if secure else None
        self._key = key
        self._bound = SigningKey.generate()
        self._lock = threading.Lock()
        self._token: str | None = None
        self._ways: Mapping[str, Way] = {}

    def call(
        self,
        verb: str,
        *,
        descriptors: Sequence[int] = (),
        progress: Progress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Ask for one thing and wait for the answer; see ``KeeperClient.call``.

        Raises:
            SafeholdError: Whatever the keeper refused, as it refused it.
            UnavailableError: Portal or keeper is not there or went away; its rule is ``keeper.reachable``.
        """
        if descriptors:
            raise InvalidError("no file is handed over from afar", rule="rest.file")
        way = self._way(verb)
        given = {name: value for name, value in arguments.items() if value is not None}
        path = way.path
        for name, argument in way.names.items():
            path = path.replace(f"{{{name}}}", quote(str(given.pop(argument)), safe=""))
        told = careful(progress) if progress is not None else None
        if way.method == "GET":
            return self._listed(path, given, way.listed)
        answer = self._ask(way.method, path, given, asynchronous=way.long)
        if answer.status == 202:
            return self._wait(answer.tree()["job"], told)
        return answer.tree()

    def close(self) -> None:
        """End the session; what cannot be reached any more ends by itself."""
        if self._token is not None:
            with suppress(SafeholdError):
                self._ask("DELETE", "/me/session", None)
            self._token = None

    def _listed(self, path: str, query: dict[str, Any], listed: str) -> dict[str, Any]:
        """Return an answer with all its pages."""
        asked = {name: _text(value) for name, value in query.items()}
        if listed:
            asked["limit"] = "500"
        whole: dict[str, Any] = {}
        for tree in self._pages(path, asked):
            rows = whole.get(listed, []) + tree.get(listed, []) if listed else []
            whole = {**tree, **({listed: rows} if listed else {})}
        return whole

    def _pages(self, path: str, query: dict[str, str]) -> Iterator[dict[str, Any]]:
        following = f"{path}?{urlencode(query)}" if query else path
        while following:
            answer = self._ask("GET", following, None)
            yield answer.tree()
            link = answer.headers.get("link", "")
            target = link.partition("<")[2].partition(">")[0]
            following = target.removeprefix(PREFIX) if 'rel="next"' in link else ""

    def _wait(self, job: str, told: Progress | None) -> dict[str, Any]:
        while True:
            shown = self._ask("GET", f"/jobs/{job}", None).tree()
            if told is not None and shown["progress"] is not None:
                told(shown["progress"])
            if shown["state"] == "done":
                answer: dict[str, Any] = shown["answer"]
                return answer
            if shown["state"] == "failed":
                raise revive(shown["problem"])
            time.sleep(EVERY_S)

    def _way(self, verb: str) -> Way:
        if not self._ways:
            self._ways = read_ways(self._send("GET", f"{PREFIX}/openapi.json", b"", {}).tree())
        if verb not in self._ways:
            raise InvalidError("this portal has no such operation", rule="rest.verb")
        return self._ways[verb]

    def _ask(self, method: str, path: str, body: Any, *, asynchronous: bool = False) -> Answer:
        """Send one request as whoever signed in; once more after a new sign-in, if the session was over."""
        token = self._signed_in()
        more = dict(_JSON)
        if method == "POST":
            more["Idempotency-Key"] = random_bytes(16).hex()
        if asynchronous:
            more["Prefer"] = "respond-async"
        data = b"" if body is None else orjson.dumps(body)
        try:
            return self._checked(self._proved(method, PREFIX + path, data, more, token))
        except SignInError as error:
            if error.rule not in OVER:
                raise
        return self._checked(
            self._proved(method, PREFIX + path, data, more, self._signed_in(after=token))
        )

    def _signed_in(self, *, after: str | None = None) -> str:
        with self._lock:
            if self._token is None or self._token == after:
                asked = self._checked(
                    self._send("POST", f"{PREFIX}/sessions/questions", b"{}", dict(_JSON))
                ).tree()
                proof = self._key.sign(str(asked["domain"]), unb64(str(asked["message"])))
                said = {
                    "state": asked["state"],
                    "method": "key",
                    "identity": self._key.public.text(),
                    "proof": b64(proof),
                }
                path, data = f"{PREFIX}/sessions", orjson.dumps(said)
                answer = self._checked(self._proved("POST", path, data, dict(_JSON), None))
                self._token = str(answer.tree()["access_token"])
            return self._token

    def _proved(
        self, method: str, path: str, data: bytes, headers: dict[str, str], token: str | None
    ) -> Answer:
        """Send a request with the proof of our key, again if the line broke: a new proof, the same request."""
        url = self._origin + path.partition("?")[0]
        gone = False  # whether one of the tries may have been carried out
        if token is not None:
            headers = {**headers, "Authorization": f"DPoP {token}"}
        for left in range(TRIES - 1, -1, -1):
            proof = prove(self._bound, method=method, url=url, now_s=int(time.time()), token=token)
            try:
                answer = self._send(method, path, data, {**headers, "DPoP": proof})
            except UnavailableError as error:
                gone = gone or isinstance(error, WentAwayError)
                if not left or (method == "POST" and "Idempotency-Key" not in headers):
                    if gone and not isinstance(error, WentAwayError):
                        raise _lost(WentAwayError) from None
                    raise
                time.sleep(0.2)
                continue
            if left and _is_early(answer):
                time.sleep(1.0)
                continue
            return answer
        raise AssertionError("unreachable")

    def _send(self, method: str, path: str, data: bytes, headers: dict[str, str]) -> Answer:
        link = http.client.HTTPConnection(self._host, self._port)
        kind = UnavailableError
        try:
            with within(link, PATIENCE_S, tls=self._tls, patience_s=PATIENCE_S):
                kind = UnavailableError if method == "GET" else WentAwayError
                link.request(method, path, data or None, {**HEADERS, **headers})
                answer = link.getresponse()
                body = answer.read(LARGEST + 1)
        except (OSError, http.client.HTTPException):
            # not from it: a frame below holds the token
            raise _lost(kind) from None
        finally:
            link.close()
        if len(body) > LARGEST:
            raise UnavailableError("the portal answers too much", rule="rest.answer")
        named = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, named, body)

    def _checked(self, answer: Answer) -> Answer:
        if answer.status < 400:
            return answer
        said = answer.tree()
        error = revive({**said, "message": said.get("detail")})
        if isinstance(error, UnavailableError) and error.rule == LOST:
            raise type(error)(error.message, rule=LOST, fix=FIX)
        raise error

    def __repr__(self) -> str:
        return "RestLine(...)"


EARLY: Final = "api.proof.time"
OVER: Final = frozenset({"api.token", "session.expired", "session.ended", "session.none"})


def read_ways(document: Mapping[str, Any]) -> dict[str, Way]:
    """Return how each verb is asked for, from the OpenAPI document of a portal."""
    found: dict[str, Way] = {}
    for path, methods in document.get("paths", {}).items():
        for method, operation in methods.items():
            verb = operation.get("x-safehold-verb")
            if verb is None or operation.get("operationId") != verb:
                continue
            if operation.get("x-safehold-file"):
                continue
            found[str(verb)] = Way(
                method=method.upper(),
                path=str(path).removeprefix(PREFIX),
                names=dict(operation.get("x-safehold-names", {})),
                listed=str(operation.get("x-safehold-listed", "")),
                long="202" in operation.get("responses", {}),
            )
    return found


def _lost(kind: type[UnavailableError]) -> UnavailableError:
    said = ": whether it was carried out is not known" if kind is WentAwayError else ""
    return kind(f"the portal does not answer{said}", rule=LOST, fix=FIX)


def _is_early(answer: Answer) -> bool:
    """Whether a proof was refused since its keeper had just begun: nothing was done."""
    return answer.status == HTTPStatus.UNAUTHORIZED and answer.tree().get("rule") == EARLY


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
