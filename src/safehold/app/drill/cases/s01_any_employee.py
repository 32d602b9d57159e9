"""S01 any employee (F1, F3): an employee without a grant reads all segments, through every verb and file.

A lake shows all rows, all people, all tables. Safehold must show 0 records and not even names of segments; each refusal
is an entry, and there is an alert within a minute.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from safehold.app.drill.asking import OPENING, Asker, every_verb
from safehold.app.drill.notice import noticed
from safehold.app.drill.outsider import look_in
from safehold.app.drill.place import Place
from safehold.app.drill.twin import Twin
from safehold.assurance.drill.outcome import Exposure, Findings, merge
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient

OFF = ("safehold.app.drill.guards:without_door",)
# what a caller of this account may do because they operate the home, and what would be done if it were let through
OPERATING = frozenset({"feature", "people.export"})


def attempt(place: Place) -> Findings:
    """On the deployment as nobody and as another user; on the twin as employee, engineer, agent."""
    asker = Asker((), (), _found(place.client))
    haul = asker.ask(place.client, OPENING - OPERATING, nonces=place.client, looks=False)
    live = [haul.exposure(at="the deployment")]
    live.append(look_in(place.home, place.home_scanner))
    with place.served("employee", watched=True) as (twin, client):
        live += ask_as_employees(twin, client, place, alerted=True)
        live.append(look_in(twin.home, place.scanner))
        refused = sum(one.told.get("refused", 0) for one in live)
    found = merge(live)
    return Findings(
        live=Exposure(
            people=found.people,
            records=found.records,
            segments=found.segments,
            canaries=found.canaries,
            missing=found.missing,
            detect_s=found.detect_s,
            wrong=found.wrong,
            told={**found.told, "refused": refused},
        )
    )


def lake(place: Place) -> Findings:
    """Read every table as an employee whom the mistake lets in."""
    place.plain_lake.open_to_all()
    return Findings(live=place.plain_lake.read())


def control(place: Place) -> Findings:
    """The same employees at a keeper whose door is open to every kind of caller and every role."""
    with place.served("open-door", off=OFF) as (twin, client):
        return Findings(live=merge(ask_as_employees(twin, client, place)))


def ask_as_employees(
    twin: Twin, client: KeeperClient, place: Place, *, alerted: bool = False
) -> list[Exposure]:
    """Enrol three who have no grant, demand identity, and let each ask for everything."""
    since = time.time()
    lines: dict[str, KeeperClient] = {
        "employee": twin.enrol(client, "drill.employee", role="employee"),
        "data_scientist": twin.enrol(client, "drill.scientist", role="data_scientist"),
    }
    lines["agent"], _ = twin.enrol_agent(client, "drill.agent", operator="drill.scientist")
    operator = twin.enrol(client, "drill.engineer", role="engineer")
    operator.call("principal.identify")
    lines["nobody"] = client
    asker = Asker(place.names, place.values, _given(twin))
    found = []
    for name, line in lines.items():
        haul = asker.ask(line, every_verb() - {"stop"}, nonces=client)
        told = {f"as_{name}": f"{haul.asked} asked, {haul.denied} refused"}
        found.append(haul.exposure(**told, **{f"opened_as_{name}": sorted(haul.opened)}))
    return [*found, noticed(operator, since)] if alerted else found


def _found(client: KeeperClient) -> dict[str, Any]:
    """Return arguments that name what there is in the deployment, as whoever operates it sees it."""
    given: dict[str, Any] = {}
    with contextlib.suppress(SafeholdError, StopIteration):
        given["purpose"] = next(
            one["purpose"]
            for one in client.call("purpose.list")["purposes"]
            if "training" in one["stages"]
        )
    with contextlib.suppress(SafeholdError, LookupError):
        given["artifact"] = client.call("artifact.list")["artifacts"][-1]["id"]
    return given


def _given(twin: Twin) -> dict[str, Any]:
    """Return arguments that name what is really there."""
    given: dict[str, Any] = {"person": "emp-00001", "principal": "drill.employee"}
    trained = twin.done.get("train", {})
    for name in ("artifact", "dataset"):
        if name in trained:
            given[name] = trained[name]
    return given


__all__ = ["ask_as_employees", "attempt", "control", "lake"]
