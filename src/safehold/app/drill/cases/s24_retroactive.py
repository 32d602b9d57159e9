"""S24: a purpose for yesterday. The whole board agrees today to a purpose, and last month's data is to serve it.

The purpose is in force, by a quorum that holds. Then features are asked for under it: before anybody agreed to it, and
after some did. With the root in hand each block is opened with the new purpose written into its label.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace as changed
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from safehold.app.drill.cases.opened import STREAMS
from safehold.app.drill.company import PURPOSE, Company, altered
from safehold.app.drill.company import STREAMS as CONSENTED
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient

NEW: Final = "rank_teams_by_pace"
AGREE: Final = 3  # people who opt in to it; features are built of one already


def attempt(place: Place) -> Findings:
    """Use old data for a new purpose."""
    company = place.company("s24")
    live = _attack(company, ())
    return Findings(live=live, at_rest=_relabelled(company))


def control(place: Place) -> Findings:
    """The same where nobody asks what something was sealed for."""
    off = (f"{__name__}:without_labels",)
    return Findings(live=_attack(place.company("s24-control"), off))


def without_labels() -> None:
    """Let whatever is there be opened for whatever is asked."""
    replace("safehold.keeper.decision:why_withheld", lambda *_, **__: None)
    replace("safehold.keeper.decision:authorise", lambda *_, **__: None)


def lake(place: Place) -> Findings:
    """A tag beside a table, changed by whoever may."""
    folder = place.bin("s24-lake")
    file = folder / "pointer.parquet"
    people = [f"emp-{number:05d}" for number in range(60)]
    pq.write_table(pa.table({"person": people}), file)
    (folder / "tags.txt").write_text(PURPOSE, "utf-8")
    (folder / "tags.txt").write_text(f"{PURPOSE}\n{NEW}", "utf-8")
    allowed = NEW in (folder / "tags.txt").read_text("utf-8").split()
    table = pq.ParquetFile(file).read() if allowed else pa.table({"person": []})
    return Findings(
        live=Exposure(
            people=pc.count_distinct(table["person"]).as_py(), records=table.num_rows, segments=1
        )
    )


def _attack(company: Company, off: tuple[str, ...]) -> Exposure:
    told: dict[str, Any] = {}
    wrong: list[str] = []
    records = people = 0
    with company.keeper(off=off) as client:
        old = client.call("feature", purpose=PURPOSE)
        told["people of the old purpose"] = old["people"]
        charter = altered(
            company.charter,
            purposes=lambda known: (
                known | {NEW: known[PURPOSE] | {"plain": "Find out which team types most."}}
            ),
        )
        made = company.propose(client, charter)
        company.vote(client, made, *company.board)
        client.call("charter.enact", proposal=made["proposal"])
        told["in force"] = company.charter.version
        for when in ("nobody agreed", f"{AGREE} agreed"):
            found = _use(client, when, told)
            records, people = records + found.get("rows", 0), max(people, found.get("people", 0))
            if when == "nobody agreed":
                for name in list(company.people)[:AGREE]:
                    company.choose(client, name, "consent", streams=list(CONSENTED))
        # with what they agreed to, the old purpose goes on: so it is not that nothing opens any more
        if not client.call("feature", purpose=PURPOSE)["people"]:
            wrong.append("nothing opens for the old purpose either")
    return Exposure(
        people=people,
        records=records,
        segments=int(records > 0),
        canaries=0,
        wrong=tuple(wrong),
        told=told,
    )


def _use(client: KeeperClient, when: str, told: dict[str, Any]) -> dict[str, int]:
    try:
        answer = client.call("feature", purpose=NEW)
    except SafeholdError as error:
        told[when] = error.rule
        return {}
    told[when] = {"people": answer["people"], "rows": answer["rows"]}
    return {"people": answer["people"], "rows": answer["rows"]}


def _relabelled(company: Company) -> Exposure:
    """Write the purpose into every label, and open it with the root and every key there is."""
    rows, blocks = 0, 0
    with company.desk() as desk:
        for block in desk.catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0):
            blocks += 1
            label = changed(block.label, purposes=tuple(sorted({*block.label.purposes, NEW})))
            with suppress(SafeholdError):
                rows += sum(
                    table.num_rows for _, table in desk.vault.read([changed(block, label=label)])
                )
    return Exposure(
        people=int(rows > 0),
        records=rows,
        segments=int(rows > 0),
        canaries=0,
        told={"blocks tried": blocks},
    )


__all__ = ["attempt", "control", "lake", "without_labels"]
