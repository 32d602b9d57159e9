"""What a keeper tells that goes into something to sign: nonces, questions, prices, the newest leaf of an incident.

So that whoever wants something signed names what it is about, and nothing that the keeper knows better.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from safehold.errors import InvalidError, MissingError
from safehold.incident.statement import WHAT

Ask = Callable[..., dict[str, Any]]  # a verb of the keeper, with its arguments

OF_HOME: Final = frozenset(
    {"choice", "ask", "stop", "resume", "contain", "lift", "reached", "read", "answer", "disclose", "release",
     "delete", *WHAT}
)  # fmt: skip
DATED: Final = frozenset(
    {"decision", "review", "stop", "resume", "contain", "lift", "reached", "disclose", "release", "delete", *WHAT}
)  # fmt: skip
ONCE: Final = frozenset({"choice", "ask", "read"})  # what answers a question of the keeper


def facts_of(ask: Ask, kind: str, named: Mapping[str, Any], *, now_us: int) -> dict[str, Any]:
    """Return all facts of something to sign.

    Args:
        ask: The keeper, as whoever is signed in.
        kind: One of ``signable.KINDS``.
        named: What it is about: of a vote ``proposal``, ``seat`` and ``decision``; of a decision ``request``, ``seat``
            and ``decision``; of everything else what ``signable`` asks for and the keeper does not know.
        now_us: Now, microseconds.

    Raises:
        MissingError: There is no such proposal, or nothing that is contained.
        InvalidError: It is not said what it is about.
    """
    facts = dict(named)
    if kind in OF_HOME:
        facts["home"] = ask("hello")["home"]
    if kind in DATED:
        facts.setdefault("at_us", now_us)
    try:
        facts |= _known(ask, kind, facts)
    except KeyError as error:
        raise InvalidError(
            "it is not said what this is about",
            rule="signature.facts",
            fix="docs/reference/signatures.md names the facts of each kind",
        ) from error
    if kind in ONCE:
        facts["nonce"] = ask("nonce")["nonce"]
    return facts


def _known(ask: Ask, kind: str, facts: dict[str, Any]) -> dict[str, Any]:
    """Return what the keeper knows of a thing; the name that it was asked for by is taken out."""
    if kind in WHAT:
        return {"basis": int(ask("incident.show", incident=facts["incident"])["basis"])}
    found = KNOWN.get(kind)
    return {} if found is None else found(ask, facts)


def _charter(ask: Ask, _facts: dict[str, Any]) -> dict[str, Any]:
    charter = ask("status")["charter"]
    return {"charter": "" if charter is None else charter["digest"]}


def _asked(ask: Ask, facts: dict[str, Any]) -> dict[str, Any]:
    shown = ask("request.show", request=facts.pop("request"))
    return {"grant": shown["grant"], "price": shown["price"]}


def _artifact(ask: Ask, facts: dict[str, Any]) -> dict[str, Any]:
    shown = ask("artifact.show", artifact=facts["artifact"])
    return {"artifact": shown["id"], "sha256": shown["sha256"]}


def _question(ask: Ask, facts: dict[str, Any]) -> dict[str, Any]:
    proposal = facts.pop("proposal")
    for one in ask("charter.proposals")["proposals"]:
        if one["proposal"] == proposal and "question" in one:
            return {"question": one["question"]}
    raise MissingError("no such open proposal", rule="proposal.open", fix="safehold board show")


def _held(ask: Ask, facts: dict[str, Any]) -> dict[str, Any]:
    for one in ask("containment.list")["containments"]:
        if one["entry"] == facts["entry"]:
            return {"what": one["what"], "target": one["target"]}
    raise MissingError(
        "no such containment is in force",
        rule="containment.missing",
        fix="safehold containment list",
    )


def _done(ask: Ask, facts: dict[str, Any]) -> dict[str, Any]:
    return {"record": ask("grant.show", grant=facts["grant"])["digest"]}


KNOWN: Final[Mapping[str, Callable[[Ask, dict[str, Any]], dict[str, Any]]]] = {
    "choice": _charter,
    "vote": _question,
    "decision": _asked,
    "review": _done,
    "lift": _held,
    "release": _artifact,
    "delete": _artifact,
}
