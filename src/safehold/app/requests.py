"""Requests on paper and before the keeper: asking, approving and denying, from the side of people.

A request file carries a grant, its price and the approvals from hand to hand; a seat may sign it without a line to
the keeper. A denial goes to the keeper at once: on paper it could be left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.access import Approval, Grant, PeopleFilter, Price, approve
from safehold.access.review import review
from safehold.app.charters import roster_of
from safehold.app.paper import write_paper
from safehold.clock import SystemClock
from safehold.errors import InvalidError
from safehold.keeper.client import KeeperClient
from safehold.keeper.request import VERSION
from safehold.settings import Home
from safehold.signing import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A request file.

    Args:
        grant: What is asked for.
        people: Who is meant.
        price: How far it reaches, as the keeper computed it.
        approvals: What seats signed on paper.
    """

    grant: Grant
    people: PeopleFilter
    price: Price
    approvals: tuple[Approval, ...] = ()


def file_request(
    client: KeeperClient, file: Path, grant: Grant, people: PeopleFilter
) -> dict[str, Any]:
    """Put a request before the keeper, and write it to a new file with its price."""
    if file.exists():
        raise InvalidError("this file exists", file=file.name, rule="request.file")
    answer = client.call("request.new", grant=grant.to_json(), people=people.to_json())
    write(file, Paper(grant=grant, people=people, price=Price.from_json(answer["price"])))
    return {**answer, "file": file.name}


def show_paper(file: Path) -> dict[str, Any]:
    """Return a request on paper, its price, and the seats that decided on it there."""
    paper = read_paper(file)
    return {
        **paper.grant.to_json(),
        "digest": paper.grant.digest().hex(),
        "filter": paper.people.to_json(),
        "price": paper.price.to_json(),
        "reach": paper.price.reach,
        "decisions": {one.seat: one.decision for one in paper.approvals},
    }


def sign_paper(path: Path, file: Path, *, seat: str, key: Path) -> None:
    """Add one seat's approval to a request on paper.

    Raises:
        InvalidError: The key does not speak for the seat.
    """
    paper, signer = read_paper(file), _signer(path, seat, key)
    kept = tuple(one for one in paper.approvals if one.seat != seat)
    now = SystemClock().now_us()
    write(
        file,
        replace(
            paper, approvals=(*kept, approve(paper.grant, paper.price, seat, signer, now_us=now))
        ),
    )


def decide(
    client: KeeperClient, path: Path, request: str, *, seat: str, key: Path, decision: str
) -> dict[str, Any]:
    """Send one seat's decision to the keeper, on what the keeper shows of the request.

    Args:
        client: The keeper.
        path: The home.
        request: Id of the request, or its file.
        seat: The seat.
        key: Its key file.
        decision: ``approve`` or ``deny``.
    """
    file = Path(request)
    name = read_paper(file).grant.id if file.is_file() else request
    shown = client.call("request.show", request=name)
    grant, price = Grant.from_json(shown["grant"]), Price.from_json(shown["price"])
    signed = approve(
        grant,
        price,
        seat,
        _signer(path, seat, key),
        now_us=SystemClock().now_us(),
        decision=decision,
    )
    return client.call("request.decide", request=name, approval=signed.to_json())


def review_grant(
    client: KeeperClient, path: Path, grant: str, *, seat: str, key: Path, outcome: str
) -> dict[str, Any]:
    """Sign what the keeper shows of a grant, and send the review."""
    shown = client.call("grant.show", grant=grant)
    signed = review(
        grant,
        bytes.fromhex(shown["digest"]),
        seat,
        _signer(path, seat, key),
        outcome=outcome,
        now_us=SystemClock().now_us(),
    )
    return client.call("grant.review", review=signed.to_json())


def read_paper(file: Path) -> Paper:
    """Read a request file.

    Raises:
        InvalidError: It is none, or an older version wrote it.
    """
    match canonical.decode(file.read_bytes().strip()):
        case {
            "v": "safehold-request/2",
            "grant": grant,
            "people": people,
            "price": price,
            "approvals": list(approvals),
        }:
            return Paper(
                grant=Grant.from_json(grant),
                people=PeopleFilter.from_json(people),
                price=Price.from_json(price),
                approvals=tuple(Approval.from_json(one) for one in approvals),
            )
        case {"v": "safehold-request/1"}:
            raise InvalidError(
                "a request of an older version",
                file=file.name,
                rule="request.version",
                fix="ask again",
            )
        case _:
            raise InvalidError("not a request", file=file.name, rule="request.file")


def write(file: Path, paper: Paper) -> None:
    """Write a request file, whole or not at all."""
    record = {
        "v": VERSION,
        "grant": paper.grant.to_json(),
        "people": paper.people.to_json(),
        "price": paper.price.to_json(),
        "approvals": [one.to_json() for one in sorted(paper.approvals, key=lambda one: one.seat)],
    }
    write_paper(file, canonical.encode(record) + b"\n")


def _signer(path: Path, seat: str, key: Path) -> SigningKey:
    signer = SigningKey.read(key)
    if roster_of(Home.open(path)).seat(seat).key != signer.public:
        raise InvalidError(f"this key does not speak for {seat}", rule="request.seat")
    return signer
