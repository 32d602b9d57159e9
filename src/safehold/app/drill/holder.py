"""Somebody with a grant of a twin: asks, lets seats approve, and uses it, rightly and wrongly."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from safehold.access import Grant, Holder, PeopleFilter, Price, approve
from safehold.app.charters import charter_in_force, keys_in
from safehold.app.draft import Limits, draft_grant
from safehold.app.drill.twin import PURPOSE, Twin, sign_in
from safehold.canonical import b64, unb64
from safehold.clock import SystemClock
from safehold.errors import SafeholdError
from safehold.ids import new_id
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import use_message
from safehold.signing import SigningKey

MINUTES: Final = 240
SEATS: Final = 2


@dataclass(slots=True)
class GrantHolder:
    """A person of a twin with a grant.

    Args:
        twin: The twin.
        name: Their id.
        line: A line on which they have signed in.
        key: Their key.
        grant: The grant.
        holder: Token and key.
        approvals: What the seats signed.
        people: Who is meant.
    """

    twin: Twin
    name: str
    line: KeeperClient
    key: SigningKey
    grant: Grant
    holder: Holder
    approvals: list[dict[str, Any]]
    people: PeopleFilter

    def prove(
        self, verb: str, purpose: str = PURPOSE, *, key: SigningKey | None = None
    ) -> dict[str, Any]:
        """Return what a verb takes under the grant; with another key than the holder's it is forged."""
        nonce = unb64(self.line.call("nonce")["nonce"])
        by = self.holder if key is None else Holder(self.holder.token, key)
        return {
            "purpose": purpose,
            "token": self.holder.token,
            "nonce": b64(nonce),
            "proof": b64(by.prove(nonce, use_message(verb, purpose))),
        }

    def use(self, verb: str, purpose: str = PURPOSE, **more: Any) -> dict[str, Any]:
        """Use the grant for a verb."""
        return self.line.call(verb, **self.prove(verb, purpose), **more)

    def enact(self, **changes: Any) -> dict[str, Any]:
        """Hand in another grant with something changed in it, and the approvals of this one."""
        wider = replace(self.grant, id=new_id("grant"), **changes)
        return self.line.call("grant.enact", grant=wider.to_json(), approvals=self.approvals)


def grant_to(
    twin: Twin,
    client: KeeperClient,
    name: str,
    *,
    segment: str,
    place: str,
    recipe: str = "train",
    limits: Limits | None = None,
    script: bytes | None = None,
    seats: int = SEATS,
) -> GrantHolder:
    """Enrol an engineer and give them a valid grant to one segment, for as long as the charter allows.

    Args:
        twin: The twin.
        client: A line of whoever may enrol.
        name: Their id.
        segment: The one segment.
        place: Its jurisdiction; the people of no other are meant.
        recipe: What they may run.
        limits: The most it may come to.
        script: The code that is to run, if the recipe is code.
        seats: How many seats approve.
    """
    key = SigningKey.generate()
    client.call(
        "principal.enrol",
        principal=name,
        kind="human",
        role="data_scientist",
        names=[f"key:{key.public.text()}"],
    )
    line = sign_in(client, key)
    with twin.here():
        charter = charter_in_force(twin.home)
    people = PeopleFilter(jurisdictions=(place,))
    grant = draft_grant(
        charter,
        requester=name,
        purpose=PURPOSE,
        reason="ticket 1: a drill",
        holder=key,
        minutes=MINUTES,
        recipe=recipe,
        people=people,
        segment=segment,
        limits=limits or Limits(runs=1, per_hour=1),
        script=script,
    )
    asked = line.call("request.new", grant=grant.to_json(), people=people.to_json())
    price, now = Price.from_json(asked["price"]), SystemClock().now_us()
    signing = list(keys_in(twin.seats).items())[:seats]
    approvals = [approve(grant, price, seat, one, now_us=now).to_json() for seat, one in signing]
    made = line.call("grant.enact", grant=grant.to_json(), approvals=approvals)
    return GrantHolder(twin, name, line, key, grant, Holder(made["token"], key), approvals, people)


def grant_code(
    twin: Twin, client: KeeperClient, name: str, *, script: bytes, segment: str, place: str
) -> GrantHolder:
    """Give an engineer a valid grant to run a script of their own over one segment; that takes one seat more."""
    return grant_to(
        twin,
        client,
        name,
        segment=segment,
        place=place,
        recipe="code",
        script=script,
        seats=SEATS + 1,
    )


def segments_opened(client: KeeperClient, since: int) -> tuple[set[str], int]:
    """Return the segments of every use since an entry of the ledger, and how many people the widest was about.

    Args:
        client: A line of somebody who may look at entries.
        since: Index of the first entry that counts.
    """
    segments: set[str] = set()
    people = 0
    for index in range(since, int(client.call("status")["ledger"]["size"])):
        shown = client.call("ledger.show", index=index)
        if shown["leaf"]["k"] == "access.intent":
            detail = shown.get("detail", {})
            segments |= set(detail.get("segments", ()))
            people = max(people, int(detail.get("people", 0)))
    return segments, people


def tries(attempts: Iterable[tuple[str, Any]]) -> tuple[dict[str, str], list[str]]:
    """Make attempts, and return by which rule each was refused, and which were not."""
    refused: dict[str, str] = {}
    let_through: list[str] = []
    for name, attempt in attempts:
        try:
            attempt()
        except SafeholdError as error:
            refused[name] = error.rule or error.code
        else:
            let_through.append(name)
    return refused, let_through


__all__ = ["GrantHolder", "grant_code", "grant_to", "segments_opened", "tries"]
