"""Each kind of thing that a person or a seat signs, with the facts that it says.

What becomes of a prepared one, see ``signature``.

Every function is the one place where the bytes of its kind are prepared for signing elsewhere; the bytes themselves are
written by the module that reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from safehold import canonical
from safehold.access import Approval, Grant, Price
from safehold.access import review as reviews
from safehold.access.approval import DECISIONS as ON_REQUESTS
from safehold.access.grant import DOMAIN as GRANT_DOMAIN
from safehold.access.identity import sign_in_message
from safehold.access.identity.proof import DOMAIN as SIGN_IN_DOMAIN
from safehold.app.signature import Draft
from safehold.canonical import unb64
from safehold.charter import Roster
from safehold.charter.proposal import (
    DECISIONS,
    PROPOSAL_DOMAIN,
    VOTE_DOMAIN,
    Proposal,
    Question,
    Vote,
)
from safehold.charter.roster import ROSTER_DOMAIN
from safehold.errors import InvalidError
from safehold.incident import responder, statement
from safehold.keeper import containing, disclosure, order, quarantine
from safehold.keeper.messages import (
    ANSWER_DOMAIN,
    ASK_DOMAIN,
    CHOICE_DOMAIN,
    READ_DOMAIN,
    ask_message,
    write_answer,
    write_statement,
)
from safehold.signing import VerifyKey


def prepare(kind: str, facts: Mapping[str, Any]) -> Draft:
    """Return what is to be signed.

    Args:
        kind: One of ``KINDS``.
        facts: What it says; each kind needs its own, see the functions below.

    Raises:
        InvalidError: There is no such kind, or a fact is missing, unknown or no such thing.
    """
    if kind not in KINDS:
        raise InvalidError(
            "nothing of this kind is signed", rule="signature.kind", fix=", ".join(sorted(KINDS))
        )
    if not isinstance(facts.get("seat", ""), str):
        raise InvalidError("no such seat", field="seat", rule="signature.facts")
    try:
        return KINDS[kind](kind, **facts)
    except (TypeError, ValueError, KeyError) as error:
        raise InvalidError(
            "what is to be signed lacks something, or says something else",
            rule="signature.facts",
            fix="docs/reference/signatures.md names the facts of each kind",
        ) from error


# -- what a person signs ---------------------------------------------------------------------------


def _choice(
    kind: str, *, home: str, person: str, charter: str, nonce: str, choice: str, **fields: Any
) -> Draft:
    """Return a choice; ``charter`` is the hex digest of the one in force, ``nonce`` of the keeper."""
    text = write_statement(
        choice, home=home, person=person, charter=charter, nonce=unb64(nonce), **fields
    )
    return Draft(
        kind=kind,
        domain=CHOICE_DOMAIN,
        message=text,
        verb="people.erase" if choice == "erase" else "people.choose",
        arguments={"statement": text.decode(), "signature": "", "key": ""},
        place=("signature",),
        named=("key",),
    )


def _ask(kind: str, *, home: str, person: str, verb: str, nonce: str) -> Draft:
    """Return what shows that whoever asks holds the person's key: to see what is theirs."""
    return Draft(
        kind=kind,
        domain=ASK_DOMAIN,
        message=ask_message(home, person, verb, unb64(nonce)),
        verb=verb,
        arguments={"person": person, "nonce": nonce, "key": "", "proof": ""},
        place=("proof",),
        named=("key",),
    )


def _sign_in(kind: str, *, question: str, session: str) -> Draft:
    """Return what opens a session; ``session`` is its public key, which whoever prepares this has made."""
    return Draft(
        kind=kind,
        domain=SIGN_IN_DOMAIN,
        message=sign_in_message(unb64(question), VerifyKey.from_text(session)),
        verb="session.open",
        arguments={
            "method": "key",
            "identity": "",
            "key": session,
            "question": question,
            "proof": "",
        },
        place=("proof",),
        named=("identity",),
    )


# -- what a seat signs -----------------------------------------------------------------------------


def _proposal(
    kind: str, *, proposal: Mapping[str, Any], charter: Any = None, change: Any = None
) -> Draft:
    """Return a proposal: of a charter, or of a change of the roster."""
    said = Proposal.from_json(dict(proposal))
    about = {"charter": charter} if said.about == "charter" else {"change": change}
    return Draft(
        kind=kind,
        domain=PROPOSAL_DOMAIN,
        message=said.message(),
        verb="charter.propose" if said.about == "charter" else "board.propose",
        arguments={**about, "proposal": said.to_json(), "signature": ""},
        place=("signature",),
    )


def _vote(kind: str, *, question: Mapping[str, Any], seat: str, decision: str) -> Draft:
    """Return a vote on a proposal: ``sign`` or ``refuse``."""
    if decision not in DECISIONS:
        raise ValueError
    made = Vote(question=Question.from_json(dict(question)), seat=seat, decision=decision)
    return Draft(
        kind=kind,
        domain=VOTE_DOMAIN,
        message=made.message(),
        verb="charter.vote",
        arguments={"vote": made.to_json()},
        place=("vote", "value"),
    )


def _rotation(kind: str, *, roster: Mapping[str, Any], seat: str) -> Draft:
    """Return the next roster, in which a seat has another key; the old key and the new one sign it."""
    made = Roster.from_json(dict(roster))
    arguments = {"roster": {**made.to_json(), "signatures": [{"seat": seat, "value": ""}]}}
    return Draft(
        kind=kind,
        domain=ROSTER_DOMAIN,
        message=made.message(),
        verb="board.rotate",
        arguments=arguments,
        place=("roster", "signatures", 0, "value"),
    )


def _decision(
    kind: str, *, grant: Mapping[str, Any], price: Mapping[str, Any], seat: str, decision: str, at_us: int
) -> Draft:  # fmt: skip
    """Return a seat's word on a request at the price that it was shown: ``approve`` or ``deny``."""
    asked = Grant.from_json(dict(grant))
    made = Approval(
        grant=asked.digest(),
        price=Price.from_json(dict(price)).digest(),
        seat=seat,
        decision=decision,
        at_us=at_us,
        value=b"",
    )
    if decision not in ON_REQUESTS:
        raise ValueError
    return Draft(
        kind=kind,
        domain=GRANT_DOMAIN,
        message=made.message(),
        verb="request.decide",
        arguments={"request": asked.id, "approval": made.to_json()},
        place=("approval", "value"),
    )


def _review(kind: str, *, grant: str, record: str, seat: str, outcome: str, at_us: int) -> Draft:
    """Return the review of a grant; ``record`` is the digest that ``grant.show`` told, hex."""
    if outcome not in reviews.OUTCOMES:
        raise ValueError
    made = reviews.Review(
        grant=grant,
        record=bytes.fromhex(record),
        seat=seat,
        outcome=outcome,
        at_us=at_us,
        value=b"",
    )
    return Draft(
        kind=kind,
        domain=reviews.DOMAIN,
        message=made.message(),
        verb="grant.review",
        arguments={"review": made.to_json()},
        place=("review", "value"),
    )


def _stop_or_resume(
    kind: str, *, home: str, reason: str, seat: str, at_us: int, cause: str = ""
) -> Draft:
    """Return an order to stop or to resume; ``cause`` is the text that is published with a resumption."""
    if cause and kind == "stop":
        raise ValueError
    text = order.write_order(kind, home=home, reason=reason, at_us=at_us, cause=cause)
    order.read_order(text, what=kind, home=home)
    more = {"cause": cause} if cause else {}
    return _ordered(kind, text, order.domain_of(kind), kind, seat, **more)


def _containment(kind: str, *, home: str, seat: str, at_us: int, **said: Any) -> Draft:
    """Return an order to contain something (what, target, reason, of) or to lift that (entry, what, target, reason)."""
    text = containing.write_order(kind, home=home, at_us=at_us, **said)
    containing.read_order(text, order=kind, home=home)
    verb = "contain" if kind == containing.CONTAIN else "containment.lift"
    return _ordered(kind, text, containing.domain_of(kind), verb, seat)


def _incident(
    kind: str, *, home: str, incident: int, facts: Mapping[str, Any], basis: int, seat: str, at_us: int
) -> Draft:  # fmt: skip
    """Return what a seat says about an incident; ``basis`` is the newest leaf that ``incident.show`` told."""
    made = statement.Statement(
        home=home, incident=incident, what=kind, facts=facts, basis=basis, seat=seat, at_us=at_us
    )
    several = kind == "letters"
    said: dict[str, Any] = (
        {"statements": [made.to_json()]} if several else {"statement": made.to_json()}
    )
    return Draft(
        kind=kind,
        domain=statement.DOMAIN,
        message=made.message(),
        verb=f"incident.{kind}",
        arguments={"incident": incident, **said},
        place=("statements", 0, "value") if several else ("statement", "value"),
    )


def _reached(
    kind: str, *, home: str, target: Mapping[str, Any], open_to: str, reason: str, seat: str, at_us: int
) -> Draft:  # fmt: skip
    """Return an order for the names of the people whom an incident reached, sealed to ``open_to``."""
    text = responder.write_order(
        home=home, target=target, open_to=open_to, reason=reason, at_us=at_us
    )
    return _ordered(kind, text, responder.DOMAIN, "incident.reached", seat)


def _read(kind: str, *, home: str, case: str, nonce: str, seat: str) -> Draft:
    """Return what shows somebody's request to a seat."""
    return Draft(
        kind=kind,
        domain=READ_DOMAIN,
        message=canonical.encode([home, case, nonce]),
        verb="rights.read",
        arguments={
            "case": case,
            "nonce": nonce,
            "signatures": [{"seat": seat, "value": ""}],
        },
        place=("signatures", 0, "value"),
    )


def _answer(kind: str, *, home: str, case: str, outcome: str, text: str, seat: str) -> Draft:
    """Return the answer to somebody's request; one against them takes several seats."""
    words = write_answer(home=home, case=case, outcome=outcome, text=text)
    return Draft(
        kind=kind,
        domain=ANSWER_DOMAIN,
        message=words,
        verb="rights.answer",
        arguments={"answer": words.decode(), "signatures": [{"seat": seat, "value": ""}]},
        place=("signatures", 0, "value"),
    )


def _artifact(
    kind: str, *, home: str, artifact: str, sha256: str, reason: str, seat: str, at_us: int
) -> Draft:
    """Return an order about a model: to ``release`` it from quarantine, or to ``delete`` it."""
    text = quarantine.write_order(
        kind, home=home, artifact=artifact, sha256=sha256, reason=reason, at_us=at_us
    )
    return _ordered(kind, text, quarantine.domain_of(kind), "artifact.decide", seat)


def _disclosure(
    kind: str, *, home: str, what: str, person: str, entries: list[int], reason: str, until_us: int,
    seat: str, at_us: int,
) -> Draft:  # fmt: skip
    """Return a decision about what a person is told of uses: who it was (``identity``), or later (``delay``)."""
    text = disclosure.write_order(
        what, home=home, person=person, entries=entries, reason=reason, at_us=at_us, until_us=until_us
    )  # fmt: skip
    return _ordered(kind, text, disclosure.DOMAIN, "people.disclose", seat)


def _ordered(kind: str, text: bytes, domain: str, verb: str, seat: str, **more: Any) -> Draft:
    return Draft(
        kind=kind,
        domain=domain,
        message=text,
        verb=verb,
        arguments={
            "order": text.decode(),
            "signatures": [{"seat": seat, "value": ""}],
            **more,
        },
        place=("signatures", 0, "value"),
    )


KINDS: Final[Mapping[str, Callable[..., Draft]]] = {
    "choice": _choice,
    "ask": _ask,
    "sign-in": _sign_in,
    "proposal": _proposal,
    "vote": _vote,
    "rotation": _rotation,
    "decision": _decision,
    "review": _review,
    "stop": _stop_or_resume,
    "resume": _stop_or_resume,
    "contain": _containment,
    "lift": _containment,
    "close": _incident,
    "lower": _incident,
    "notice": _incident,
    "letters": _incident,
    "reached": _reached,
    "read": _read,
    "answer": _answer,
    "disclose": _disclosure,
    "release": _artifact,
    "delete": _artifact,
}
