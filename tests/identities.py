"""Callers of a keeper in tests: they sign in for real, and sign every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from safehold.access.identity import sign_call, sign_in_message
from safehold.access.identity.proof import DOMAIN
from safehold.canonical import b64, unb64
from safehold.signing import SigningKey

Call = Callable[..., dict[str, Any]]
POLICY = {
    "purposes": ["train_ui_agent"],
    "recipes": ["train"],
    "rows": 1_000_000,
    "bytes": 1_000_000,
    "runs": 2,
    "calls": 60,
}


@dataclass
class Somebody:
    """A principal with a key of their own, signed in or not."""

    call: Call
    id: str
    key: SigningKey = field(default_factory=SigningKey.generate)
    session: SigningKey = field(default_factory=SigningKey.generate)
    ticket: str = ""

    @property
    def name(self) -> str:
        return f"key:{self.key.public.text()}"

    def sign_in(self, **changes: Any) -> Somebody:
        question = self.call("session.ask")["question"]
        message = sign_in_message(unb64(question), self.session.public)
        arguments = {
            "method": "key",
            "identity": self.key.public.text(),
            "key": self.session.public.text(),
            "question": question,
            "proof": b64(self.key.sign(DOMAIN, message)),
        } | changes
        self.ticket = self.call("session.open", **arguments)["ticket"]
        return self

    def proof(self, verb: str, arguments: dict[str, Any], **changes: Any) -> dict[str, Any]:
        nonce = self.call("nonce")["nonce"]
        return {
            "ticket": self.ticket,
            "nonce": nonce,
            "proof": b64(sign_call(self.session, unb64(nonce), verb, arguments)),
        } | changes

    def ask(self, verb: str, *descriptors: int, **arguments: Any) -> dict[str, Any]:
        """Ask for a verb as themselves."""
        return self.call(verb, *descriptors, **arguments, caller=self.proof(verb, arguments))


def human(call: Call, name: str, role: str = "data_scientist", **fields: Any) -> Somebody:
    made = Somebody(call, name)
    call("principal.enrol", principal=name, kind="human", role=role, names=[made.name], **fields)
    return made.sign_in()


def workload(call: Call, name: str, role: str = "") -> Somebody:
    made = Somebody(call, name)
    call("principal.enrol", principal=name, kind="workload", role=role, names=[made.name])
    return made.sign_in()


def agent(call: Call, name: str, operator: str, via: str = "", **policy: Any) -> Somebody:
    made = Somebody(call, name)
    call(
        "agent.enrol",
        principal=name,
        operator=operator,
        names=[made.name],
        via=via,
        policy=POLICY | policy,
    )
    return made.sign_in()
