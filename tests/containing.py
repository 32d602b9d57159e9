"""Containing and lifting in tests: orders of seats, and what is refused while something is contained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.keeper_desk import Bench

from safehold.charter import Signature
from safehold.errors import SafeholdError
from safehold.keeper.containing import domain_of, write_order
from safehold.signing import SigningKey

WIDE = ("privacy", "employee_representative", "legal", "hr", "ml_lead")


def ordered(
    bench: Bench,
    act: str,
    *seats: str,
    keys: Mapping[str, SigningKey] | None = None,
    domain: str = "",
    at_us: int | None = None,
    home: str = "",
    **said: Any,
) -> dict[str, Any]:
    """Return an order to ``contain`` or to ``lift``, signed by seats."""
    keys = keys or bench.seats
    if act == "lift":
        held = bench.call("containment.list")["containments"]
        named = next((one for one in held if one["entry"] == said["entry"]), None)
        said = {
            "what": "segment" if named is None else named["what"],
            "target": "nothing" if named is None else named["target"],
        } | said
    text = write_order(
        act,
        home=home or bench.home.id,
        at_us=bench.clock.now_us() if at_us is None else at_us,
        **said,
    )
    return {
        "order": text.decode(),
        "signatures": [
            Signature(seat=one, value=keys[one].sign(domain or domain_of(act), text)).to_json()
            for one in seats
        ],
    }


def contain(bench: Bench, what: str, target: str, *seats: str, **said: Any) -> dict[str, Any]:
    """Contain something by the order of one seat."""
    bench.clock.advance(1)  # no two orders are the same
    order = ordered(
        bench, "contain", *(seats or ("hr",)), what=what, target=target, reason="a test", **said
    )
    return bench.call("contain", **order)


def lift(bench: Bench, entry: int, *seats: str) -> dict[str, Any]:
    """Lift a containment by an order of enough seats."""
    return bench.call(
        "containment.lift", **ordered(bench, "lift", *(seats or WIDE), entry=entry, reason="over")
    )


def rule_of(act: Callable[[], Any]) -> str | None:
    """Return the rule that refused an act, or nothing."""
    try:
        act()
    except SafeholdError as error:
        return error.rule or error.code
    return None
