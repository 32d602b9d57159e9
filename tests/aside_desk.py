"""A keeper whose charter sets malformed messages aside, devices that send some, and grants for their repair."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.keeper_desk import Bench, found_bench
from tests.seated import changed, founding
from tests.stream_desk import PEOPLE, Device

from safehold.access import EVERYBODY, PeopleFilter, Price, approve
from safehold.access.proof import Holder
from safehold.app.draft import draft_grant
from safehold.canonical import b64, unb64
from safehold.catalog.aside import ASIDE
from safehold.charter import Charter
from safehold.clock import SECOND_US
from safehold.keeper.messages import use_message
from safehold.signing import SigningKey

REPAIR = {
    "plain": "Take in again what arrived broken, once its cause is mended.",
    "uses": {"fides": "essential.service.operations", "dpv": "dpv:EnforceSecurity", "sh": None},
    "sources": ["keys", "pointer"],
    "stages": ["ingest"],
    "privacy": None,
    "releases": [],
    "derived_keep_days": None,
}
CLAUSE = {"purpose": "repair", "keep_days": 3, "a_day": 2}
GRANT = {"max_s": 14_400, "token_s": 3_600, "approvers": 2, "reason": "ticket", "budget": None}
GARBAGE = b"no table at all"
# what is said to whoever hands one in
BODY, SCHEMA = ("refused", "leased.body"), ("refused", "leased.schema")


def setting_aside(charter: Charter, **clause: Any) -> Charter:
    """Return the next version of a charter, with the clause."""
    return changed(
        charter,
        set_aside=CLAUSE | clause,
        purposes=lambda given: given | {"repair": REPAIR},
        who_may=lambda given: given | {"engineer": given["engineer"] | {"grant": GRANT}},
    )


def found_aside(path: Path) -> Bench:
    """Make a home whose charter has the clause, and whose people agreed to it."""
    return found_bench(path, people=PEOPLE, charter=setting_aside(founding()))


def broken(device: Any, **header: Any) -> bytes:
    """Return an envelope with something that is no table."""
    return bytes(device.seal(device.table(), body=GARBAGE, **header))


def without(table: pa.Table, name: str) -> pa.Table:
    """Return a table that lacks a column."""
    return table.drop_columns([name])


def spoilt(device: Device, **columns: Any) -> bytes:
    """Return a table that lacks a column and breaks a rule as well."""
    table = without(device.table(**columns), "code")
    return bytes(device.seal(table))


def aside(bench: Bench) -> dict[str, int]:
    """Return how many messages are set aside of each person."""
    return bench.blocks(ASIDE)


def permit(bench: Bench, among: PeopleFilter = EVERYBODY, **changes: Any) -> Holder:
    """Return the holder of an approved grant for a repair."""
    key, now = SigningKey.generate(), bench.clock.now_us()
    asked = draft_grant(
        bench.charter(),
        requester="eve",
        role="engineer",
        purpose="repair",
        reason="a collector was mended",
        holder=key,
        minutes=60,
        recipe="repair",
    )
    asked = replace(
        asked,
        **{
            "asked_us": now,
            "expires_us": now + 3_600 * SECOND_US,
            "first_day": bench.today - 40,
            "last_day": bench.today + 1,
            "people": among.digest(),
        }
        | changes,
    )
    filed = bench.call("request.new", grant=asked.to_json(), people=among.to_json())
    price = Price.from_json(filed["price"])
    approvals = [
        approve(asked, price, seat, bench.seats[seat], now_us=now).to_json()
        for seat in ("privacy", "legal")
    ]
    answer = bench.call("grant.enact", grant=asked.to_json(), approvals=approvals)
    return Holder(answer["token"], key)


def repair(bench: Bench, holder: Holder | None = None) -> dict[str, Any]:
    """Repair under a grant."""
    given = holder or permit(bench)
    nonce = unb64(bench.call("nonce")["nonce"])
    proof = given.prove(nonce, use_message("ingest.repair", "repair"))
    return bench.call("ingest.repair", token=given.token, nonce=b64(nonce), proof=b64(proof))
