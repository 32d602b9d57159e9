"""Signing in: the verbs that turn a proof of identity into a session.

Every session is a leaf before its ticket exists. It lasts an hour at most, an agent's 15 minutes, and never longer
than what proved it. The ticket names who it is; what they may do is looked up at every call.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold import ids
from safehold.access import Nonces
from safehold.access.identity import (
    METHODS,
    Bundle,
    Proved,
    Provider,
    Ticket,
    check_id_token,
    check_jwt_svid,
    check_key,
    check_x509_svid,
    mint_ticket,
    sign_in_message,
    sign_in_nonce,
)
from safehold.access.identity.jose import UnknownKeyError, public_jwk, read_header, read_unproved
from safehold.access.identity.keyset import KeySets
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import InvalidError, SignInError
from safehold.keeper.caller import AGENT, HUMAN, caller
from safehold.keeper.principals import Enrolled, Principals
from safehold.keeper.server import Report, Verb
from safehold.keeper.signed_in import linked_person
from safehold.ledger import Entry
from safehold.signing import SigningKey, VerifyKey, speaking_key

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LONGEST_S: Final = 3600
LONGEST_AGENT_S: Final = 900
TOKENS: Final = "agent-token"  # what the key of agents' tokens is derived for
QUESTION_S: Final = 600  # people need a while at their identity provider


class SignIn:
    """The verbs ``session.*``.

    Args:
        desk: What the keeper works with.
        principals: The register.
    """

    def __init__(self, desk: Desk, principals: Principals) -> None:
        self._desk = desk
        self._principals = principals
        self._key = SigningKey(desk.vault.derive("session-mint"))
        self._questions = Nonces(life_us=QUESTION_S * SECOND_US)
        self.keysets = KeySets()
        self.public = self._key.public

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "session.ask": self.ask,
            "session.open": self.open,
            "session.show": self.show,
            "session.end": self.end,
        }

    def ask(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a fresh question, and which identity providers are believed; only where to go, no secret."""
        return {
            "question": b64(self._questions.issue(self._desk.now_us())),
            "audience": self._audience(),
            # whose tokens an agent's server takes
            "token_key": public_jwk(SigningKey(self._desk.vault.derive(TOKENS)).public.raw),
            "providers": [
                {name: one[name] for name in ("issuer", "client", "authorize", "token")}
                for _, one in sorted(self._principals.providers().items())
            ],
        }

    def open(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the ticket of a session.

        Raises:
            SignInError: What came proves nobody who is enrolled.
            DeniedError: They were suspended, or have left.
        """
        desk = self._desk
        now = desk.now_us()
        question = self._questions.spend(unb64(str(arguments["question"])), now)
        key = VerifyKey.from_text(str(arguments["key"]))
        method = str(arguments["method"])
        proved = self._check(method, arguments, question, key)
        found = self._principals.active(self._principals.proved(proved.name).id)
        life_s = LONGEST_AGENT_S if found.kind == AGENT else LONGEST_S
        until = min(now + life_s * SECOND_US, proved.until_us)
        if until <= now:
            raise SignInError("what proves you has ended", rule="session.expired")
        if found.off:
            self._principals.change(found.id, "back", off=False)
        session = ids.new_id("ses")
        (receipt,) = desk.log(
            Entry(
                kind="session",
                actor=found.id,
                object=session,
                detail={"method": method, "kind": found.kind, "until_us": until},
                charter=desk.trust.digest(),
                public={"state": "opened"},
            )
        )
        ticket = Ticket(
            id=session,
            home=desk.home.id,
            principal=found.id,
            method=method,
            name=proved.name,
            key=key.text(),
            since_us=now,
            until_us=until,
            entry=receipt.index,
        )
        return {"ticket": mint_ticket(ticket, self._key), **_told(found), "until_us": until}

    def show(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return who the keeper takes the caller for.

        Raises:
            SignInError: For nobody.
        """
        who = caller()
        if not who.proved:
            raise SignInError("you are signed out", rule="session.none", fix="safehold sign-in")
        told = _told(self._principals.active(who.id)) | {"identity": who.name}
        person = linked_person(self._desk, who)
        return told | ({"person": person} if person else {})

    def end(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End the caller's session, and with ``off`` everything that acts for them until they are back.

        Raises:
            SignInError: There is none.
        """
        who = caller()
        if not who.proved:
            raise SignInError("you are signed out", rule="session.none", fix="safehold sign-in")
        entry = self._principals.end_session(
            who.session, self._desk.now_us() + LONGEST_S * SECOND_US
        )
        if arguments.get("off") is True and who.kind == HUMAN:
            entry = self._principals.change(who.id, "off", off=True)
        return {"ended": True, "entry": entry}

    def _check(
        self, method: str, arguments: dict[str, Any], question: bytes, key: VerifyKey
    ) -> Proved:
        now, message = self._desk.now_us(), sign_in_message(question, key)
        match method:
            case "key":
                return check_key(
                    speaking_key(str(arguments["identity"])),
                    question,
                    key,
                    unb64(str(arguments["proof"])),
                    until_us=now + LONGEST_S * SECOND_US,
                )
            case "oidc":
                return self._oidc(str(arguments["token"]), sign_in_nonce(question, key))
            case "x509-svid":
                bundle = Bundle.from_json(self._principals.bundle(str(arguments["domain"])))
                return check_x509_svid(
                    str(arguments["certificate"]),
                    bundle,
                    message=message,
                    proof=unb64(str(arguments["proof"])),
                    now_us=now,
                )
            case "jwt-svid":
                bundle = Bundle.from_json(self._principals.bundle(str(arguments["domain"])))
                return check_jwt_svid(
                    str(arguments["token"]),
                    bundle,
                    audience=f"{self._audience()}/{sign_in_nonce(question, key)}",
                    now_us=now,
                )
            case _:
                raise InvalidError(
                    "no such way to sign in", rule="session.method", fix=", ".join(METHODS)
                )

    def _oidc(self, token: str, nonce: str) -> Proved:
        read_header(token, rule="oidc")
        issuer = read_unproved(token, "iss", rule="oidc")
        provider = Provider.from_json(self._principals.provider(issuer))
        now = self._desk.now_us()
        try:
            return check_id_token(token, provider, nonce=nonce, now_us=now)
        except UnknownKeyError:
            # the provider may have rotated its keys; only the one that was enrolled is asked, and seldom
            newest = self.keysets.refresh(provider, now_us=now)
            proved = check_id_token(token, newest, nonce=nonce, now_us=now)
            self._principals.put_provider(issuer, newest.to_json(), state="keys")
            return proved

    def _audience(self) -> str:
        return f"safehold:{self._desk.home.id}"


def _told(found: Enrolled) -> dict[str, Any]:
    return {
        "principal": found.id,
        "kind": found.kind,
        "role": found.role,
        **({"operator": found.operator} if found.operator else {}),
    }
