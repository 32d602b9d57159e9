"""S09: somebody moves to a place that is not in the charter, and what records them does not know it.

What comes after the move comes in three ways: sealed under the lease of before, with a lease asked for anew, and as a
file that an operator takes in. Somebody who stays records beside them, so that a refusal of everything is no success.
"""

from __future__ import annotations

import contextlib
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from safehold.app.drill.cases.s06_pause import Recorder, write_clicks
from safehold.app.drill.company import PURPOSE, Company, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient

SHE: Final = "emp-00003"
HE: Final = "emp-00005"
ELSEWHERE: Final = "DE"
EVENTS: Final = 2_000


def attempt(place: Place) -> Findings:
    """Go on recording somebody who moved."""
    company = place.company("s09")
    with company.keeper() as client:
        return Findings(live=_attack(company, client))


def control(place: Place) -> Findings:
    """The same where nobody asks where people work."""
    company = place.company("s09-control")
    with company.keeper(off=[f"{__name__}:without_places"]) as client:
        return Findings(live=_attack(company, client))


def without_places() -> None:
    """Let every place pass for one of the charter's, and a move for nothing."""

    def told(standing: Any, _charter: Any, **_: Any) -> dict[str, Any]:
        return {"streams": sorted(standing.streams), "pauses": []}

    replace("safehold.keeper.intake:roll_entry", told)
    replace("safehold.keeper.chunk:Chunks._stays", staticmethod(lambda *_: True))
    replace("safehold.keeper.drift:Drift.require_none", lambda *_: None)


def lake(place: Place) -> Findings:
    """The same events appended to a table; where somebody works stands in another one."""
    folder = place.bin("s09-lake")
    now = SystemClock().now_us()
    table = pa.table({"person": [SHE] * EVENTS, "t": [now + at for at in range(EVENTS)]})
    pq.write_table(table, folder / "pointer.parquet")
    pq.write_table(pa.table({"person": [SHE], "place": [ELSEWHERE]}), folder / "people.parquet")
    stored = pq.ParquetFile(folder / "pointer.parquet").read()
    after = pc.sum(pc.greater_equal(stored["t"], now)).as_py()
    return Findings(live=Exposure(people=1, records=int(after), segments=1))


def _attack(company: Company, client: KeeperClient) -> Exposure:
    told: dict[str, Any] = {"events": EVENTS}
    wrong: list[str] = []
    recorder = Recorder(client, SHE)
    recorder.feed(recorder.events(20, first_us=SystemClock().now_us() - 1000))
    if not recorder.sealed:
        wrong.append("nothing was recorded before the move either")
    held = recorder.seal(recorder.events(20, first_us=SystemClock().now_us() - 1000))
    used = client.call("feature", purpose=PURPOSE)["people"]
    answer = client.call("people.move", person=SHE, jurisdiction=ELSEWHERE)
    told["in_charter"] = answer["in_charter"]
    moved, before = SystemClock().now_us(), _rows(client)
    for envelope in held:
        with contextlib.suppress(SafeholdError):
            recorder.line.submit(envelope)
    try:
        fresh = Recorder(client, SHE)
        fresh.feed(fresh.events(100, first_us=SystemClock().now_us()))
    except SafeholdError as error:
        told["lease"] = error.rule
    taken = {who: _take(company, client, who, moved) for who in (SHE, HE)}
    told["file"] = taken
    with contextlib.suppress(SafeholdError):
        client.call("people.move", person=SHE, jurisdiction="US-CA")
        wrong.append("an operator moved somebody back who speaks for themselves")
    stored = _rows(client) - before - (taken[HE] if isinstance(taken[HE], int) else 0)
    if not isinstance(taken[HE], int) or not taken[HE]:
        wrong.append("nothing is taken of those who stayed either")
    told["used before, after"] = [used, client.call("feature", purpose=PURPOSE)["people"]]
    if told["used before, after"][1] >= used:
        wrong.append("what was recorded before the move is used on")
    return Exposure(
        people=int(stored > 0),
        records=stored,
        segments=int(stored > 0),
        canaries=0,
        wrong=tuple(wrong),
        told=told,
    )


def _take(company: Company, client: KeeperClient, who: str, moved: int) -> int | str | None:
    """Take a file of events from after the move in; return how many rows came of it, or the rule against it."""
    file = company.temporary / f"{who}.jsonl"
    end = moved + SECOND_US
    write_clicks(file, who, count=EVENTS, from_us=moved + 1, to_us=end, session="s09")
    try:
        return int(sum(take_file(client, file)["tally"]["taken"].values()))
    except SafeholdError as error:
        return error.rule


def _rows(client: KeeperClient) -> int:
    return int(client.call("status")["counts"]["rows"])


__all__ = ["attempt", "control", "lake", "without_places"]
