"""A seat of the board reads what somebody asked for, and signs the answer."""

from __future__ import annotations

from typing import Any

from safehold import canonical
from safehold.charter import Signature
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import ANSWER_DOMAIN, READ_DOMAIN, write_answer
from safehold.settings import Home
from safehold.signing import SigningKey


def read_request(
    home: Home, client: KeeperClient, case: str, *, seat: str, key: SigningKey
) -> dict[str, Any]:
    """Return a request in full; the person is told who read it."""
    nonce = client.call("nonce")["nonce"]
    text = canonical.encode([home.id, case, nonce])
    signed = Signature(seat=seat, value=key.sign(READ_DOMAIN, text)).to_json()
    return client.call("rights.read", case=case, nonce=nonce, signatures=[signed])


def answer_request(
    home: Home,
    client: KeeperClient,
    case: str,
    *,
    outcome: str,
    text: str,
    keys: dict[str, SigningKey],
) -> dict[str, Any]:
    """Answer a request, signed by seats; by none, it is an operator's answer.

    Args:
        home: The home.
        client: A line to its keeper.
        case: Which request.
        outcome: The answer, in a word.
        text: The answer to the person.
        keys: The keys of the seats that sign, by seat.
    """
    words = write_answer(home=home.id, case=case, outcome=outcome, text=text)
    return client.call(
        "rights.answer",
        answer=words.decode(),
        signatures=[
            Signature(seat=seat, value=key.sign(ANSWER_DOMAIN, words)).to_json()
            for seat, key in keys.items()
        ],
    )
