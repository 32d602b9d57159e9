"""Signing in at an identity provider, so that the keeper knows who asks and the portal need not be believed.

1. The keeper puts a question; the portal makes a key for this session. Their hash is the ``nonce`` of the ID token.
2. What belongs to the attempt rests sealed with the browser, for ten minutes; ``state`` binds the answer to it.
3. The token goes to the keeper, which checks it and answers with a ticket. The portal never decides who somebody is.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, Final

from safehold.access.identity import sign_in_message, sign_in_nonce
from safehold.access.identity.jose import b64url
from safehold.access.identity.proof import DOMAIN
from safehold.app.signing_in import authorization, choose_provider, random_text, redeem
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import SignInError
from safehold.keeper.signed import Line, Session
from safehold.portal.identity.cookie import START_VERSION, Cookies, Visitor
from safehold.signing import SigningKey, VerifyKey

RETURN: Final = "/sign-in/return"


def begin(
    line: Line, cookies: Cookies, *, origin: str, issuer: str | None, to: str
) -> tuple[str, str]:
    """Return where the browser goes to sign in, and the cookie that waits for its return.

    Args:
        line: To the keeper.
        cookies: Seals it.
        origin: Of the portal.
        issuer: Which provider; may be left out if there is one.
        to: The page to show afterwards.

    Raises:
        InvalidError: There is no such provider.
    """
    asked = line.call("session.ask")
    provider = choose_provider(asked["providers"], issuer)
    key, question = SigningKey.generate(), str(asked["question"])
    state, verifier = random_text(), random_text()
    url = authorization(
        provider,
        redirect=origin + RETURN,
        nonce=sign_in_nonce(unb64(question), key.public),
        state=state,
        verifier=verifier,
    )
    waiting = {
        "v": START_VERSION,
        "issuer": provider["issuer"],
        "question": question,
        "key": b64(key.seed()),
        "state": state,
        "verifier": verifier,
        "to": to,
    }
    return url, cookies.seal(waiting)


def finish(
    line: Line, waiting: Mapping[str, Any] | None, said: Mapping[str, str], *, origin: str
) -> tuple[Visitor, str]:
    """Return who signed in, and the page they wanted.

    Args:
        line: To the keeper.
        waiting: What ``begin`` sealed; nothing if the browser brought none of ours.
        said: What the provider sent back.
        origin: Of the portal.

    Raises:
        SignInError: It is the answer to another attempt, or nobody is enrolled under this identity.
    """
    if (
        waiting is None
        or "state" not in waiting
        or not hmac.compare_digest(str(waiting["state"]).encode(), said.get("state", "").encode())
    ):
        raise SignInError(
            "this is no answer to a sign-in that began here",
            rule="session.state",
            fix="sign in again",
        )
    provider = choose_provider(line.call("session.ask")["providers"], str(waiting["issuer"]))
    token = redeem(provider, said, redirect=origin + RETURN, verifier=str(waiting["verifier"]))
    key = SigningKey(unb64(str(waiting["key"])))
    answer = line.call(
        "session.open",
        method="oidc",
        token=token,
        key=key.public.text(),
        question=waiting["question"],
    )
    return visitor_of(Session(str(answer["ticket"]), key), answer), str(waiting["to"])


def visitor_of(session: Session, answer: Mapping[str, Any]) -> Visitor:
    """Return who a session that was just opened is."""
    return Visitor(
        session=session,
        principal=str(answer["principal"]),
        kind=str(answer["kind"]),
        role=str(answer["role"]),
        until_s=int(answer["until_us"]) // SECOND_US,
    )


def prepare(question: str, key: VerifyKey) -> dict[str, str]:
    """Return what a key signs to sign in here: domain, message, and what a passkey is asked for (base64url)."""
    message = sign_in_message(unb64(question), key)
    whole = DOMAIN.encode("ascii") + b"\0" + message
    return {
        "domain": DOMAIN,
        "message": b64(message),
        "challenge": b64url(hashlib.sha256(whole).digest()),
    }
