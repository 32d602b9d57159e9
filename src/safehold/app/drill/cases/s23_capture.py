"""S23: two seats and root collude to widen what is allowed.

They vote, forge the votes of the others, sign the text itself, exchange the file of the charter and that of the board,
and write a leaf into the ledger that says it was agreed to, with the log's own keys. After each a keeper is started on
what lies there. What they tried in the open must be in the published record that anybody reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import orjson

from safehold import canonical
from safehold.app.drill.company import PEOPLE, Company, altered
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.charter import Charter, sign
from safehold.charter.proposal import Question, vote
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.ledger import Entry
from safehold.signing import SigningKey
from safehold_verify import VerificationError, verify_log

TWO: Final = ("hr", "security")
LONGER: Final = 31  # days, not 14


def attempt(place: Place) -> Findings:
    """Widen with two seats and root."""
    return Findings(live=_attack(place.company("s23"), ()))


def control(place: Place) -> Findings:
    """The same where two seats are a quorum."""
    off = (f"{__name__}:without_quorum",)
    return Findings(live=_attack(place.company("s23-control"), off))


def without_quorum() -> None:
    """Let any number of seats be enough."""
    replace("safehold.charter.signed:check_quorum", lambda *_, **__: None)


def lake(place: Place) -> Findings:
    """A policy file that whoever administers it writes."""
    folder = place.bin("s23-lake")
    file = folder / "policy.json"
    file.write_bytes(orjson.dumps({"keep_days": 14, "approved_by": ["all"]}))
    file.write_bytes(orjson.dumps({"keep_days": LONGER, "approved_by": list(TWO)}))
    kept = orjson.loads(file.read_bytes())["keep_days"]
    return Findings(live=Exposure(people=PEOPLE, records=int(kept == LONGER), segments=1))


def _attack(company: Company, off: tuple[str, ...]) -> Exposure:
    told: dict[str, Any] = {}
    old = company.charter
    wider = altered(old, collect=lambda items: [items[0] | {"keep_days": LONGER}, *items[1:]])
    began = time.monotonic()
    with company.keeper(off=off) as client:
        proposal = _at_the_door(company, client, wider, told)
        client.call("ledger.publish")
    wrong = [] if _seen(company, told) else ["what they tried is not in the published record"]
    told["seen_s"] = round(time.monotonic() - began, 1)
    widened = int(_in_force(company) == LONGER)
    if not widened:
        for way, act in (
            ("the charter's file", lambda: _write_charter(company, wider)),
            ("the board's file", lambda: _write_board(company)),
            ("a leaf by the log's own keys", lambda: _write_leaf(company, wider, proposal)),
        ):
            kept = {
                file: file.read_bytes()
                for file in (company.home.charter_file, company.home.roster_file)
            }
            act()
            widened += _starts(company, off, way, told)
            for file, data in kept.items():
                file.write_bytes(data)
    return Exposure(
        people=len(company.people) if widened else 0,
        records=widened,
        segments=int(bool(widened)),
        canaries=0,
        wrong=tuple(wrong),
        told=told,
    )


def _seen(company: Company, told: dict[str, Any]) -> bool:
    """Whether anybody who reads the published record sees what was tried, or that something in it cannot be."""
    try:
        kinds = verify_log(company.home.ledger, company.home.policy_file).kinds
    except VerificationError as error:
        told["seen by anybody"] = error.message
        return True
    told["seen by anybody"] = {
        kind: kinds[kind] for kind in ("proposal", "refusal") if kind in kinds
    }
    return "proposal" in kinds


def _in_force(company: Company) -> int:
    return company.charter.collect[0].keep_days


def _at_the_door(
    company: Company, client: KeeperClient, wider: Charter, told: dict[str, Any]
) -> int:
    """Do what two seats can do with their keys, and return the index of their proposal."""

    def tries(way: str, act: Callable[[], object]) -> None:
        try:
            act()
        except SafeholdError as error:
            told[way] = error.rule
        else:
            told[way] = "passed"

    signatures = [
        sign(wider, seat, key, home=company.home.id).to_json()
        for seat, key in company.board.items()
    ]
    made = company.propose(client, wider)
    company.vote(client, made, *TWO)
    question = Question.from_json(dict(made["question"]))
    for seat in sorted(company.board.keys() - set(TWO)):
        forged = vote(question, seat, company.board[TWO[0]]).to_json()
        tries(f"the vote of {seat}, forged", partial(client.call, "charter.vote", vote=forged))
    tries(
        "signatures over the text",
        lambda: client.call("charter.enact", charter=wider.to_json(), signatures=signatures[:2]),
    )
    tries("two votes", lambda: client.call("charter.enact", proposal=made["proposal"]))
    return int(made["proposal"])


def _write_charter(company: Company, wider: Charter) -> None:
    file = company.home.charter_file
    tree = canonical.decode(file.read_bytes())
    tree["charter"] = wider.to_json()
    file.write_bytes(canonical.encode(tree))


def _write_board(company: Company) -> None:
    """Put keys of their own in the place of every seat's."""
    file = company.home.roster_file
    text = file.read_bytes()
    for key in company.board.values():
        text = text.replace(
            key.public.text().encode(), SigningKey.generate().public.text().encode()
        )
    file.write_bytes(text)


def _write_leaf(company: Company, wider: Charter, proposal: int) -> None:
    """Let the ledger say that it was agreed to, and put a file with two votes beside it."""
    with company.desk() as desk:
        desk.log(
            Entry(
                kind="charter",
                actor="board",
                object=wider.id,
                detail={},
                charter=wider.digest(),
                public={"version": wider.version, "direction": "widen"},
                ref=proposal,
            )
        )
        desk.ledger.publish()
    file = company.home.charter_file
    tree = canonical.decode(file.read_bytes())
    for name in ("charter", "base"):
        if name in tree:
            tree[name] = wider.to_json()
    file.write_bytes(canonical.encode(tree))


def _starts(company: Company, off: tuple[str, ...], way: str, told: dict[str, Any]) -> int:
    """Return 1 if a keeper starts on what lies there, with the wider charter in force."""
    try:
        with company.keeper(off=off) as client:
            charter = client.call("status")["charter"]
            told[way] = "a keeper starts on it"
            with suppress(SafeholdError):
                return int(charter["version"] > 1)
            return 0
    except SafeholdError as error:
        told[way] = error.rule
        return 0


__all__ = ["attempt", "control", "lake", "without_quorum"]
