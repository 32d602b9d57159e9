"""Signing in from the command line: at an identity provider, with a key, or as a workload; and signing out.

At a provider it is the authorization code flow with PKCE and a redirect to this machine (RFC 6749, 7636, 8252, 9207).
The nonce it is asked to put into its token binds that token to the keeper's question and to the key of this session.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import queue
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from safehold import canonical, ids
from safehold.access.identity import sign_in_message, sign_in_nonce
from safehold.access.identity.proof import DOMAIN
from safehold.access.identity.spiffe import sign_with_pem
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, SignInError, UnavailableError
from safehold.keeper.client import KeeperClient
from safehold.keeper.signed import Session, open_with_key, prove
from safehold.ledger.line import HEADERS, split_url, within
from safehold.ledger.web import Request, Response, WebServer
from safehold.settings import Home
from safehold.signing import SigningKey, VerifyKey

VERSION: Final = "safehold.session/1"
PATIENCE_S: Final = 300.0  # for somebody at their provider
ANSWER_S: Final = 20.0
LARGEST: Final = 131_072
_DONE: Final = b"You are signed in. You may close this page.\n"
_FAILED: Final = b"Signing in failed. You may close this page.\n"


def sign_in_with_key(client: KeeperClient, home: Home, key: SigningKey) -> dict[str, Any]:
    """Sign in with a key of one's own, and remember the session.

    Raises:
        SignInError: Nobody is enrolled with this key.
    """
    session, answer = open_with_key(client, key)
    return _remember(home, session, answer)


def sign_in_at_provider(
    client: KeeperClient, home: Home, *, issuer: str | None, show: Callable[[str], None]
) -> dict[str, Any]:
    """Sign in at an identity provider of the home, and remember the session.

    Args:
        client: The keeper.
        home: The home.
        issuer: Which provider; may be left out if there is one.
        show: Is given the address at which the person signs in.

    Raises:
        SignInError: The person did not sign in, or nobody is enrolled under their identity.
        InvalidError: There is no such provider.
    """
    asked = client.call("session.ask")
    provider = choose_provider(asked["providers"], issuer)
    session, question = SigningKey.generate(), str(asked["question"])
    nonce = sign_in_nonce(unb64(question), session.public)
    token = _fetch_id_token(provider, nonce, show)
    answer = client.call(
        "session.open", method="oidc", token=token, key=session.public.text(), question=question
    )
    return _remember(home, Session(str(answer["ticket"]), session), answer)


def sign_in_as_workload(
    client: KeeperClient, home: Home, *, domain: str, certificate: Path, key: Path
) -> dict[str, Any]:
    """Sign in with an X.509-SVID and its key, both PEM files, and remember the session.

    Raises:
        SignInError: The certificate proves nobody who is enrolled.
    """
    session, question = SigningKey.generate(), str(client.call("session.ask")["question"])
    message = sign_in_message(unb64(question), session.public)
    answer = client.call(
        "session.open",
        method="x509-svid",
        domain=domain,
        certificate=certificate.read_text("ascii"),
        proof=b64(sign_with_pem(key.read_bytes(), message)),
        key=session.public.text(),
        question=question,
    )
    return _remember(home, Session(str(answer["ticket"]), session), answer)


def answer_question(code: str, key: SigningKey) -> str:
    """Return how a key answers the question of a portal: its public half, a dot, its signature.

    Args:
        code: What the portal shows: its question and the key of the session that is to be, with a dot between.
        key: A key that somebody is enrolled with.

    Raises:
        InvalidError: It is no such code.
    """
    question, dot, session = code.strip().partition(".")
    if not dot:
        raise InvalidError("not the question of a portal", rule="session.question")
    message = sign_in_message(unb64(question), VerifyKey.from_text(session))
    return f"{key.public.text()}.{b64(key.sign(DOMAIN, message))}"


def sign_out(client: KeeperClient, home: Home, *, off: bool) -> dict[str, Any]:
    """End the session of this machine, and with ``off`` whatever acts for the person until they are back.

    Raises:
        SignInError: There is none.
    """
    session = session_of(home)
    if session is None:
        raise SignInError("you are signed out", rule="session.none", fix="safehold sign-in")
    home.session_file.unlink(missing_ok=True)
    return signed(client, session).call("session.end", off=off)


def session_of(home: Home) -> Session | None:
    """Return the session that was opened on this machine, if there is one.

    Raises:
        InvalidError: The file is not a session, or others may read it.
    """
    try:
        data = home.session_file.read_bytes()
    except FileNotFoundError:
        return None
    if home.session_file.stat().st_mode & 0o077:
        raise InvalidError(
            "others may read this session", rule="session.file", fix="safehold sign-in"
        )
    match canonical.decode(data):
        case {"v": "safehold.session/1", "ticket": str(ticket), "key": str(seed)}:
            return Session(ticket, SigningKey(unb64(seed)))
        case _:
            raise InvalidError("not a session", rule="session.file", fix="safehold sign-in")


def signed(client: KeeperClient, session: Session) -> KeeperClient:
    """Return a line on which every call is signed in a session."""
    return client.proving(
        lambda bare: lambda verb, arguments: prove(bare, session, verb, arguments)
    )


def _remember(home: Home, session: Session, answer: Mapping[str, Any]) -> dict[str, Any]:
    record = {"v": VERSION, "ticket": session.ticket, "key": b64(session.key.seed())}
    fresh = home.session_file.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(canonical.encode(record))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(home.session_file)
    return {name: value for name, value in answer.items() if name != "ticket"}


def choose_provider(providers: list[dict[str, str]], issuer: str | None) -> dict[str, str]:
    """Return the provider of an issuer, or the only one.

    Raises:
        InvalidError: There is no such provider, or more than one.
    """
    found = [one for one in providers if issuer is None or one["issuer"] == issuer]
    if len(found) != 1:
        raise InvalidError(
            "no such identity provider, or more than one",
            rule="session.provider",
            fix="safehold principal provider; name one with --issuer",
        )
    return found[0]


def _fetch_id_token(provider: Mapping[str, str], nonce: str, show: Callable[[str], None]) -> str:
    verifier, state = random_text(), random_text()
    came: queue.Queue[dict[str, str]] = queue.Queue(1)

    def receive(request: Request) -> Response:
        parts = urlsplit(request.path)
        if request.method != "GET" or parts.path != "/callback":
            return Response(status=404)
        said = {k: v[0] for k, v in parse_qs(parts.query).items() if len(v) == 1}
        if said.get("state") != state:
            return Response(status=400, body=_FAILED)  # somebody else's page: ours may still come
        if came.empty():
            came.put(said)
        return Response(status=200, body=_DONE if "code" in said else _FAILED)

    with WebServer(receive, "127.0.0.1:0").running() as here:
        redirect = f"{here}/callback"
        show(
            authorization(provider, redirect=redirect, nonce=nonce, state=state, verifier=verifier)
        )
        try:
            said = came.get(timeout=PATIENCE_S)
        except queue.Empty as error:
            raise SignInError(
                "nobody signed in", rule="session.patience", fix="safehold sign-in"
            ) from error
    return redeem(provider, said, redirect=redirect, verifier=verifier)


def authorization(
    provider: Mapping[str, str], *, redirect: str, nonce: str, state: str, verifier: str
) -> str:
    """Return the address at which somebody signs in: authorization code, PKCE with S256 (RFC 6749, 7636).

    Args:
        provider: As the keeper names it.
        redirect: Where the provider sends the browser afterwards.
        nonce: Goes into the ID token.
        state: Comes back beside the code.
        verifier: The secret of PKCE.
    """
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    query = {
        "response_type": "code",
        "client_id": provider["client"],
        "redirect_uri": redirect,
        "scope": "openid",
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge.rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    mark = "&" if "?" in provider["authorize"] else "?"
    return f"{provider['authorize']}{mark}{urlencode(query)}"


def redeem(
    provider: Mapping[str, str], said: Mapping[str, str], *, redirect: str, verifier: str
) -> str:
    """Return the ID token for the code in what the provider sent back.

    Raises:
        SignInError: It refused, or it is the answer of another provider (RFC 9207).
        UnavailableError: It cannot be reached.
    """
    if "code" not in said:
        raise SignInError("the identity provider refused", rule="oidc.refused")
    if said.get("iss", provider["issuer"]) != provider["issuer"]:
        raise SignInError("an answer of another identity provider", rule="oidc.mixed")
    form = {
        "grant_type": "authorization_code",
        "code": said["code"],
        "redirect_uri": redirect,
        "client_id": provider["client"],
        "code_verifier": verifier,
    }
    return _exchange(provider["token"], form)


def _exchange(url: str, form: Mapping[str, str]) -> str:
    host, port, path, secure = split_url(url, what="identity provider", rule="oidc.place")
    link = http.client.HTTPConnection(host, port)
    tls = ssl.create_default_context() if secure else None
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    try:
        with within(link, ANSWER_S, tls=tls, patience_s=ANSWER_S):
            link.request("POST", path or "/", urlencode(form), {**HEADERS, **kind})
            answer = link.getresponse()
            body = answer.read(LARGEST + 1)
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(
            "the identity provider cannot be reached", rule="oidc.fetch"
        ) from error
    finally:
        link.close()
    try:
        token = json.loads(body)["id_token"] if answer.status == 200 else None
    except (ValueError, KeyError, TypeError):
        token = None
    if not isinstance(token, str) or len(body) > LARGEST:
        raise SignInError("the identity provider gave no token", rule="oidc.refused")
    return token


def random_text() -> str:
    """Return 256 random bits as text that may stand in an address."""
    return base64.urlsafe_b64encode(ids.random_bytes(32)).rstrip(b"=").decode()
