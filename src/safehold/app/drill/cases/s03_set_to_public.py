"""S03 everything set to public (F3): an operator opens storage and policy as far as they go, and S01 is repeated.

A lake shows all. Safehold must show 0: a key needs a grant and an entry, red lines forbid; the change is noticed.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from safehold import canonical
from safehold.app.drill.cases.s01_any_employee import ask_as_employees
from safehold.app.drill.outsider import look_in, open_everything
from safehold.app.drill.place import Place
from safehold.app.drill.twin import Twin, take_in
from safehold.assurance.drill.outcome import Exposure, Findings, merge
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient

OFF = (
    "safehold.app.drill.guards:without_sealing",
    "safehold.app.drill.guards:without_minimising",
)
PROMISE = "company-wide"  # of the charter: any employee can read zero records


def attempt(place: Place) -> Findings:
    """Look at the deployment as it stands; on a twin open all files, sign nothing and permit everything."""
    looks = [_look_at_deployment(place)]
    twin = place.twin("public")
    open_everything(twin)
    at_rest = look_in(twin.home, place.scanner, closed=False)
    looks.append(_permit_everything(twin))
    started = time.monotonic()
    with twin.keeper() as client:
        open_everything(twin)  # the socket as well, now that it is there
        looks += [look_in(twin.home, place.scanner, closed=False)]
        looks.append(_noticed(client, started))
        looks += ask_as_employees(twin, client, place)
    return Findings(at_rest=at_rest, live=merge(looks))


def lake(place: Place) -> Findings:
    """Make the mistake, and read every table as somebody else."""
    place.plain_lake.open_to_all()
    return place.plain_lake.lost()


def control(place: Place) -> Findings:
    """The same open files of a twin that sealed and minimised nothing."""
    with place.served("public-unsealed", bare=True, off=OFF) as (twin, client):
        take_in(client, twin.spec)
    open_everything(twin)
    return Findings(at_rest=look_in(twin.home, place.scanner, closed=False))


def _look_at_deployment(place: Place) -> Exposure:
    drift = place.client.call("drift")
    differing = len(drift.get("drift", drift.get("found", [])))
    wrong = (f"{differing} clauses of the charter are not what runs",) if differing else ()
    looked = look_in(place.home, place.home_scanner)
    return replace(looked, wrong=(*looked.wrong, *wrong))


def _permit_everything(twin: Twin) -> Exposure:
    """Write the widest charter there is into the file, and start a keeper: it must not start, or not serve it."""
    file = twin.home.charter_file
    kept = file.read_bytes()
    tree = canonical.decode(kept)
    widen(tree["charter"])
    file.write_bytes(canonical.encode(tree))
    try:
        with twin.keeper() as client:
            return Exposure(wrong=_served(client))
    except SafeholdError as error:
        return Exposure(told={"widened_charter": error.rule or error.code})
    finally:
        file.write_bytes(kept)


def _served(client: KeeperClient) -> tuple[str, ...]:
    drift = client.call("drift")
    found = drift.get("drift", drift.get("found", []))
    return () if found else ("a keeper served a charter that nobody signed, and noticed nothing",)


def widen(charter: dict[str, Any]) -> None:
    """Let every role of a charter do everything, for every purpose, without a red line."""
    roles = charter["who_may"]
    everything = sorted({action for role in roles.values() for action in role["do"]})
    stages = sorted({stage for role in roles.values() for stage in role["stages"]})
    for role in roles.values():
        role["do"], role["stages"] = everything, stages
    charter["red_lines"] = charter["red_lines"][:1]


def _noticed(client: KeeperClient, started: float) -> Exposure:
    """Let the keeper measure its promises, as it does each day: the open files must show."""
    found = client.call("milestones", measure=True)["milestones"]
    open_files = [one for one in found if one["promise"] == PROMISE]
    red = any(one["state"] == "broken" for one in open_files)
    wrong = () if red else ("files that everybody can read were not noticed",)
    return Exposure(detect_s=time.monotonic() - started if red else None, wrong=wrong)


__all__ = ["attempt", "control", "lake", "widen"]
