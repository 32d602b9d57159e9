"""Signing in for programs: a question of the keeper, the proof of whoever they are, a token bound to a key of theirs.

1. The keeper puts a question, and the portal makes a key for the session, as for a browser (``portal.identity``). What
   belongs to the attempt goes back sealed as ``state``.
2. The program proves who it is over question and session key: with a key of its own, an ID token with the right nonce,
   an X.509- or a JWT-SVID. The keeper checks it; the portal decides nothing.
3. It gets an access token, which holds the session sealed and counts only with a DPoP proof of the same key.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from safehold.access.identity import sign_in_message, sign_in_nonce
from safehold.access.identity.proof import DOMAIN
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import SignInError
from safehold.keeper.signed import Session
from safehold.portal.api.field import Base64, Given, Word
from safehold.portal.api.visitor import ApiVisit
from safehold.portal.identity.cookie import START_S
from safehold.portal.identity.sign_in import visitor_of
from safehold.portal.visit import count_sign_in
from safehold.signing import SigningKey

STATE: Final = "safehold.portal-question/1"


class Provider(TypedDict):
    """Where people sign in."""

    issuer: str
    client: str
    authorize: str
    token: str


class Question(TypedDict):
    """What is to be proved, and what goes with it."""

    question: str
    key: str
    domain: str
    message: str
    nonce: str
    audience: str
    state: str
    providers: list[Provider]


class Proof(Given):
    """How somebody proves who they are."""

    state: Annotated[str, StringConstraints(min_length=1, max_length=8_000)]
    method: Literal["key", "oidc", "x509-svid", "jwt-svid"]
    identity: Annotated[str, StringConstraints(max_length=2_000)] | None = Field(
        default=None, description="`key`: the public key"
    )
    proof: Annotated[str, StringConstraints(max_length=8_000)] | None = Field(
        default=None, description="`key`, `x509-svid`: signature over domain, 0, message"
    )
    token: Annotated[str, StringConstraints(max_length=16_384)] | None = Field(
        default=None, description="`oidc`, `jwt-svid`"
    )
    domain: Word | None = Field(default=None, description="SVIDs: the trust domain")
    certificate: Annotated[str, StringConstraints(max_length=65_536)] | None = Field(
        default=None, description="`x509-svid`, PEM"
    )


class Token(TypedDict):
    """A session."""

    access_token: str
    token_type: str
    expires_in: int
    principal: str
    kind: str
    role: str


def ask(visit: ApiVisit) -> Question:
    """Return a question, and what answers it."""
    _count(visit)
    asked, key = visit.site.keeper.call("session.ask"), SigningKey.generate()
    question = unb64(str(asked["question"]))
    nonce = sign_in_nonce(question, key.public)
    sealed = visit.site.cookies.seal(
        {"v": STATE, "question": str(asked["question"]), "key": b64(key.seed())}
    )
    return {
        "question": str(asked["question"]),
        "key": key.public.text(),
        "domain": DOMAIN,
        "message": b64(sign_in_message(question, key.public)),
        "nonce": nonce,
        "audience": f"{asked['audience']}/{nonce}",
        "state": sealed,
        "providers": asked["providers"],
    }


def enter(visit: ApiVisit, given: Proof) -> Token:
    """Return the token of a new session.

    Raises:
        SignInError: What came proves nobody who is enrolled, or comes without the proof of a key for the token.
    """
    _count(visit)
    bound = visit.proofs.check(
        visit.request.headers.get("dpop"), method="POST", url=visit.url, token=None, bound=None
    )
    waiting = visit.site.cookies.open(given.state, longest_s=START_S)
    match waiting:
        case {"v": "safehold.portal-question/1", "question": str(question), "key": str(seed)}:
            key = SigningKey(unb64(seed))
        case _:
            raise SignInError(
                "this answers no question of ours", rule="session.state", fix="ask for a question"
            )
    needed = _NEEDED[given.method]
    said: dict[str, Any] = given.model_dump(include={*needed}, exclude_none=True)
    if missing := set(needed) - set(said):
        raise SignInError(f"a proof without {', '.join(sorted(missing))}", rule="session.proof")
    answer = visit.site.keeper.call(
        "session.open", method=given.method, key=key.public.text(), question=question, **said
    )
    visitor = visitor_of(Session(str(answer["ticket"]), key), answer)
    left = visitor.until_s - visit.site.clock.now_us() // SECOND_US
    return {
        "access_token": visit.site.cookies.write(visitor, bound=bound),
        "token_type": "DPoP",
        "expires_in": max(0, min(left, visit.site.settings.limits.session_s)),
        "principal": visitor.principal,
        "kind": visitor.kind,
        "role": visitor.role,
    }


_NEEDED: Final = {
    "key": ("identity", "proof"),
    "oidc": ("token",),
    "x509-svid": ("domain", "certificate", "proof"),
    "jwt-svid": ("domain", "token"),
}


def _count(visit: ApiVisit) -> None:
    count_sign_in(visit)


__all__ = ["Base64", "Proof", "Question", "Token", "ask", "enter"]
