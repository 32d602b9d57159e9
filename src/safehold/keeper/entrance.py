"""The entrance for workloads on other machines: TLS 1.3, and both ends show a certificate of their trust domain.

It is a process of its own, with no key of the home and no right: it hands calls to the keeper's socket and answers
back. Nothing comes through without a session that was opened here with the very certificate of the connection; so a
session that was stolen, ticket and key, is worth nothing without the workload's own key. What the keeper lets a local
caller ask without proof is not asked through here. No file descriptor comes through.
"""

from __future__ import annotations

import contextlib
import hashlib
import ssl
import threading
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import orjson

from safehold.access.identity.spiffe import Bundle, first_of, read_peer
from safehold.clock import SECOND_US, Clock
from safehold.errors import InvalidError, SafeholdError, SignInError
from safehold.keeper.relay import RELAYED
from safehold.keeper.signed import Line
from safehold.ledger.web import Limits, Request, Response, WebServer

PATH: Final = "/call"
LIVE: Final = "/health/live"
READY: Final = "/health/ready"  # whether a keeper leads here: one that stands by on another host hands nothing on
JSON: Final = "application/json"
LIMITS: Final = Limits(head=8_192, body=1 << 20, connections=64, each=16)
# what is asked to become somebody; everything else carries the session
BEFORE: Final = frozenset({"hello", "nonce", "session.ask"})
OPEN: Final = "session.open"
# words of the line itself: no verb has an argument of such a name
OURS: Final = frozenset({"self", "verb", "descriptors", "progress"})
METHOD: Final = "x509-svid"
MOST_SESSIONS: Final = 4_096
TOLD_US: Final = 10 * SECOND_US  # between two leaves about calls of nobody


class Entrance:
    """The server.

    Args:
        line: To the keeper, with nothing proved; calls bring their own proof.
        own: To the keeper as ourselves, a workload; refusals are told on it.
        bundle: Of the trust domain whose workloads may come in.
        bind: ``host:port``.
        certificate: File of our own certificate chain, PEM.
        key: File of its key, PEM.
        clock: Time.
        leads: Tells whether a keeper that is reached from here leads.

    Raises:
        InvalidError: Certificate and key cannot be used, or the bundle has no roots.
    """

    def __init__(
        self,
        line: Line,
        own: Line,
        *,
        bundle: Bundle,
        bind: str,
        certificate: str,
        key: str,
        clock: Clock,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._line = line
        self._leads = leads
        self._own = own
        self._bundle = bundle
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: OrderedDict[bytes, str] = OrderedDict()
        self._told: dict[str, int] = {}
        self._untold: dict[str, int] = {}
        tls = mutual(ssl.PROTOCOL_TLS_SERVER, bundle, certificate=certificate, key=key)
        self.web = WebServer(self._answer, bind, tls=tls, limits=LIMITS)

    def health(self, request: Request) -> Response:
        """Answer a balancer: whether this process is there, and whether a keeper leads here; nothing else."""
        match (request.method, request.path):
            case ("GET", "/health/live"):
                return Response(status=200, body=b"alive\n")
            case ("GET", "/health/ready"):
                led = self._leads()
                return Response(
                    status=200 if led else 503, body=b"ready\n" if led else b"no keeper\n"
                )
            case _:
                return Response(status=404)

    def _answer(self, request: Request) -> Response:
        if request.method == "GET":
            return self.health(request)
        if (request.method, request.path) != ("POST", PATH):
            return Response(status=404)
        try:
            verb, arguments = self._admit(request)
            answer = self._line.call(verb, **arguments)
            if verb == OPEN:
                self._remember(str(answer["ticket"]), request.peer)
        except SignInError as error:
            self._tell(error.rule or "entrance")
            return _json(401, {"error": error.payload()})
        except SafeholdError as error:
            return _json(409, {"error": error.payload()})
        return _json(200, {"answer": answer})

    def _admit(self, request: Request) -> tuple[str, dict[str, Any]]:
        """Return what may be handed on.

        Raises:
            SignInError: It comes from nobody of the trust domain, or without a session of this connection's workload.
            InvalidError: It is not a call.
        """
        name = read_peer(request.peer, self._bundle, now_us=self._clock.now_us()).name
        try:
            message = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise InvalidError("not a call", rule="entrance.call") from error
        match message:
            case {"verb": str(verb), "arguments": dict(arguments)} if len(message) == 2:
                pass
            case _:
                raise InvalidError("not a call", rule="entrance.call")
        if not OURS.isdisjoint(arguments):
            raise InvalidError("a file cannot be handed over from afar", rule="entrance.call")
        if verb in BEFORE:
            arguments.pop("caller", None)
        elif verb == OPEN:
            self._check_opening(arguments, request.peer)
        else:
            self._check_session(arguments.get("caller"), name)
            if verb.startswith(RELAYED):  # one keeper says this to another, and nobody else
                raise SignInError("no keeper comes in here", rule="entrance.relayed")
        return verb, arguments

    def _check_opening(self, arguments: dict[str, Any], peer: bytes) -> None:
        if arguments.get("method") != METHOD:
            raise SignInError(
                "a workload signs in here with the certificate of its connection",
                rule="entrance.method",
            )
        if first_of(str(arguments.get("certificate", ""))) != peer:
            raise SignInError(
                "another certificate than that of the connection", rule="entrance.certificate"
            )

    def _check_session(self, caller: Any, name: str) -> None:
        match caller:
            case {"ticket": str(ticket)}:
                owner = self._owner(ticket)
            case _:
                raise SignInError(
                    "a call from afar is made in a session", rule="entrance.session", fix="sign in"
                )
        if owner is None:  # too old, or opened before this entrance was
            raise SignInError("no such session here", rule="session.ended", fix="sign in again")
        if owner != name:
            raise SignInError("the session of another workload", rule="entrance.session")

    def _remember(self, ticket: str, peer: bytes) -> None:
        name = read_peer(peer, self._bundle, now_us=self._clock.now_us()).name
        with self._lock:
            self._sessions[_mark(ticket)] = name
            while len(self._sessions) > MOST_SESSIONS:
                self._sessions.popitem(last=False)  # its workload signs in again

    def _owner(self, ticket: str) -> str | None:
        with self._lock:
            return self._sessions.get(_mark(ticket))

    def _tell(self, rule: str) -> None:
        now = self._clock.now_us()
        with self._lock:
            self._untold[rule] = self._untold.get(rule, 0) + 1
            last = self._told.get(rule)
            if last is not None and 0 <= now - last < TOLD_US:
                return
            count, self._told[rule] = self._untold.pop(rule), now
        with contextlib.suppress(SafeholdError):  # a keeper that is away lets nobody in either
            self._own.call("tool.refused", rule=rule, count=count)


def mutual(protocol: int, bundle: Bundle, *, certificate: str, key: str) -> ssl.SSLContext:
    """Return what both ends prove themselves by: TLS 1.3, a certificate each, the roots of one trust domain.

    Args:
        protocol: ``ssl.PROTOCOL_TLS_SERVER`` or ``ssl.PROTOCOL_TLS_CLIENT``.
        bundle: Whose authorities count; none of the system's does.
        certificate: File of our own chain, PEM.
        key: File of its key, PEM.

    Raises:
        InvalidError: Certificate and key cannot be used, or the bundle has no roots.
    """
    if not bundle.roots:
        raise InvalidError("this trust domain has no certificates", rule="spiffe.bundle")
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # a SPIFFE id is the name, and is checked by whoever asks
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cadata="".join(_pem(one) for one in bundle.roots))
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidError(
            "certificate and key cannot be used",
            rule="entrance.tls",
            fix="give a PEM chain and the PEM key that belongs to it",
        ) from error
    return context


def _pem(der: bytes) -> str:
    text = b64encode(der).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"


def _mark(ticket: str) -> bytes:
    return hashlib.sha256(ticket.encode()).digest()


def _json(status: int, value: dict[str, Any]) -> Response:
    return Response(status=status, body=orjson.dumps(value), kind=JSON)
