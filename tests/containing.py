"""Containing and lifting in tests: orders of seats, and what is refused while something is contained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.agency import with_agents
from tests.keeper_desk import CROWD, PURPOSE, Bench, found_bench
from tests.world import raised

from safehold.charter import Signature
from safehold.clock import DAY_US
from safehold.errors import SafeholdError
from safehold.keeper.containing import domain_of, write_order
from safehold.signing import SigningKey

WIDE = ("privacy", "employee_representative", "legal", "hr", "ml_lead")
KEY = SigningKey(b"s" * 32)  # of somebody whose data it is
SHE = CROWD[0]
SEGMENT = "us-ca.pointer"
OTHER = "us-wa.pointer"  # nothing lies in it


def found_held(path: Path) -> Bench:
    """Make a home with agents, a crowd's rows and what was derived of them; somebody has a key of their own."""
    bench = found_bench(path, people=CROWD, charter=with_agents()).start()
    bench.call("source.add", person=SHE, device=KEY.public.text())
    bench.clock.advance(4 * DAY_US)
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    bench.stop()
    return bench


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


def refuses(bench: Bench, rule: str, verb: str, /, **arguments: Any) -> SafeholdError:
    """Pass if a verb is refuses by a rule and neither contains nor lifts anything."""
    before = bench.call("containment.list")
    error = raised(lambda: bench.call(verb, **arguments))
    assert error.rule == rule, error.message
    assert bench.call("containment.list") == before
    return error


def narrow(what: str = "segment", target: str = OTHER) -> dict[str, str]:
    return {"what": what, "target": target, "reason": "a test"}
