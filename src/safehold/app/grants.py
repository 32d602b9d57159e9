"""Asking for a grant and having it enacted: the holder's side of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safehold.access import Approval, Grant, Holder, PeopleFilter, Price, approve
from safehold.access.code import approvers_of
from safehold.app.charters import charter_in_force, keys_in
from safehold.app.permit import Pass
from safehold.app.requests import file_request, read_paper
from safehold.clock import SystemClock
from safehold.errors import InvalidError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.signing import SigningKey

if TYPE_CHECKING:
    from safehold.app.draft import Limits


def ask(
    client: KeeperClient,
    path: Path,
    file: Path,
    *,
    holder: Path,
    people: PeopleFilter,
    **asked: Any,
) -> dict[str, Any]:
    """Draw up a request, put it before the keeper, and write it to a new file.

    Args:
        client: The keeper.
        path: The home.
        file: The new file.
        holder: The holder's key file; made if it does not exist.
        people: Who is meant.
        asked: As for ``draft_grant``.
    """
    # all that a grant may name: only who asks for one needs it
    from safehold.app.draft import draft_grant

    if not holder.exists():
        SigningKey.generate().write(holder)
    grant = draft_grant(
        charter_in_force(Home.open(path)), holder=SigningKey.read(holder), people=people, **asked
    )
    return file_request(client, file, grant, people)


def people_of(places: Sequence[str], file: Path | None) -> PeopleFilter:
    """Return a filter of people: of some places, and of a list of opaque ids where there is one."""
    listed = () if file is None else tuple(sorted(set(file.read_text("utf-8").split())))
    return PeopleFilter(jurisdictions=tuple(sorted(set(places))), people=listed)


def pass_for(
    client: KeeperClient,
    path: Path,
    *,
    purpose: str,
    recipe: str = "train",
    grant: Path | None = None,
    holder: Path | None = None,
    seats: Path | None = None,
    limits: Limits | None = None,
    script: bytes | None = None,
) -> Pass | None:
    """Return a pass: from a grant file and its holder's key, or from a folder of seat keys, or none."""
    if grant is not None:
        if holder is None:
            raise InvalidError(
                "a grant is used with its holder's key", rule="cli.options", fix="--holder"
            )
        paper = read_paper(grant)
        return _enact(client, paper.grant, paper.approvals, SigningKey.read(holder))
    if seats is not None:
        return pass_with_seats(
            client,
            Home.open(path),
            purpose=purpose,
            seats=seats,
            recipe=recipe,
            limits=limits,
            script=script,
        )
    return None


def demand_pass(client: KeeperClient, path: Path, **given: Any) -> Pass:
    """Return a pass, as ``pass_for`` does.

    Raises:
        InvalidError: Nothing to make one of was given.
    """
    permit = pass_for(client, path, **given)
    if permit is None:
        raise InvalidError(
            "this needs a grant",
            rule="cli.options",
            fix="--grant with --holder: safehold request new, and the approval of seats",
        )
    return permit


def pass_with_seats(
    client: KeeperClient,
    home: Home,
    *,
    purpose: str,
    seats: Path,
    recipe: str = "train",
    limits: Limits | None = None,
    script: bytes | None = None,
) -> Pass:
    """Ask, approve with as many seats as the charter wants, and enact; for trying things out."""
    from safehold.app.draft import ROLE, draft_grant  # as above

    charter = charter_in_force(home)
    holder = SigningKey.generate()
    grant = draft_grant(
        charter,
        requester="somebody-trying-things-out",
        purpose=purpose,
        reason="trying things out with every seat in one hand",
        holder=holder,
        minutes=60,
        recipe=recipe,
        limits=limits,
        script=script,
    )
    rule = charter.role(ROLE).grant
    now = SystemClock().now_us()
    price = Price.from_json(client.call("request.new", grant=grant.to_json())["price"])
    needed = 1 if rule is None else approvers_of(grant.recipes, rule.approvers)
    keys = list(keys_in(seats).items())[:needed]
    approvals = [approve(grant, price, seat, key, now_us=now) for seat, key in keys]
    return _enact(client, grant, approvals, holder)


def _enact(
    client: KeeperClient, grant: Grant, approvals: Sequence[Approval], holder: SigningKey
) -> Pass:
    answer = client.call(
        "grant.enact",
        grant=grant.to_json(),
        approvals=[one.to_json() for one in approvals],
    )
    return Pass(answer["grant"], Holder(answer["token"], holder), grant.stages[0])
