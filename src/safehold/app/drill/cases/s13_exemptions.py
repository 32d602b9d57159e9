"""S13: exempt executives. An administrator keeps a list by which some are left out, and says so to nobody.

It is tried as a charter, as an option and a field of a source, and in the register of people itself: the row of an
executive who takes part is put back to what it was before they agreed, beside a keeper that runs and while none does.
What an operator may do openly is done as well: that they entered it must be in the person's own receipts.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from safehold.app.drill.cases.s06_pause import write_clicks
from safehold.app.drill.company import EVIDENCE, FIGURES, Company, altered, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.signing import SigningKey

CHIEF: Final = "chief-0"  # who is to be left out
STAFF: Final = "emp-00007"
ROWS: Final = 200
Row = tuple[str, bytes, bytes, int]


def attempt(place: Place) -> Findings:
    """Leave an executive out in every way that an administrator has."""
    return Findings(live=_attack(place.company("s13"), ()))


def control(place: Place) -> Findings:
    """The same where nobody compares the register with what people chose."""
    return Findings(live=_attack(place.company("s13-control"), (f"{__name__}:without_register",)))


def without_register() -> None:
    """Let whatever stands in the register pass for what people chose."""
    replace("safehold.keeper.crowd:Crowd.recover", lambda *_: None)
    replace("safehold.keeper.crowd:Crowd.check", lambda *_: None)
    replace("safehold.keeper.choices:Newest.require_whole", lambda *_: None)


def lake(place: Place) -> Findings:
    """A list in the configuration of an ingestion: it works, and no table says so."""
    folder = place.bin("s13-lake")
    (folder / "exempt.json").write_bytes(orjson.dumps([CHIEF]))
    exempt = orjson.loads((folder / "exempt.json").read_bytes())
    came = [CHIEF] * ROWS + [STAFF] * ROWS
    table = pa.table({"person": [one for one in came if one not in exempt]})
    pq.write_table(table, folder / "pointer.parquet")
    stored = pq.ParquetFile(folder / "pointer.parquet").read()["person"].to_pylist()
    return Findings(
        live=Exposure(people=len(exempt), records=ROWS - stored.count(CHIEF), segments=1)
    )


def _attack(company: Company, off: tuple[str, ...]) -> Exposure:
    told: dict[str, Any] = {}
    wrong: list[str] = []
    company.people[CHIEF] = SigningKey.generate()
    with company.keeper() as client:
        _enrol(company, client)
    old = _newest(company)
    with company.keeper() as client:
        company.choose(client, CHIEF, "consent", streams=["pointer"])
        _by_charter(company, client, told, wrong)
        _by_source(company, client, told, wrong)
        _put(company, old)  # beside a keeper that runs
        left_out = _left_out(company, client, 1, told, wrong)
        _openly(company, client, told, wrong)
        company.choose(client, CHIEF, "consent", streams=["pointer"])
        figures = client.call("people.symmetry", purpose=FIGURES, epsilon_micro=100_000)["figures"]
        told["symmetry"] = [one["group"] for one in figures]
    _put(company, old)  # while none does
    try:
        with company.keeper(off=off) as client:
            told["register"] = "the keeper starts on it"
            left_out += _left_out(company, client, 2, told, wrong)
    except SafeholdError as error:
        told["register"] = error.rule
    done = company.cli("run", "--exempt", CHIEF, "--json")
    if done.code == 0:
        wrong.append("there is an option that leaves people out")
    return Exposure(
        people=int(left_out > 0),
        records=left_out,
        segments=int(left_out > 0),
        canaries=0,
        wrong=tuple(wrong),
        told=told,
    )


def _enrol(company: Company, client: KeeperClient) -> None:
    person = {
        "person": CHIEF,
        "jurisdiction": "US-CA",
        "key": company.people[CHIEF].public.text(),
        "level": "executive",
    }
    client.call("people.enrol", people=[person], evidence=EVIDENCE)


def _by_charter(
    company: Company, client: KeeperClient, told: dict[str, Any], wrong: list[str]
) -> None:
    """Have the charter itself say that executives are out, with the signature of one seat."""

    def fewer(said: dict[str, Any]) -> dict[str, Any]:
        return said | {"applies_equally_to": ["managers"]}

    def excluded(said: dict[str, Any]) -> dict[str, Any]:
        return {"include": said["include"], "exclude": [*said["exclude"], "executive"]}

    for way, changes in (
        ("charter: applies to fewer", {"participation": fewer}),
        ("charter: excludes them", {"data_subjects": excluded}),
    ):
        try:
            made = company.propose(client, altered(company.charter, **changes))
            company.vote(client, made, "hr")
            client.call("charter.enact", proposal=made["proposal"])
        except SafeholdError as error:
            told[way] = error.rule
        else:
            wrong.append("one seat's charter leaves executives out")


def _by_source(
    company: Company, client: KeeperClient, told: dict[str, Any], wrong: list[str]
) -> None:
    """Name somebody to be left out beside a source."""
    file = _clicks(company, 0)
    with file.open("rb") as handle:
        try:
            client.call(
                "ingest",
                descriptors=[handle.fileno()],
                source={"kind": "file", "name": file.name, "exempt": [CHIEF]},
            )
        except SafeholdError as error:
            told["source"] = error.rule
        else:
            wrong.append("a source may say who is left out")


def _openly(company: Company, client: KeeperClient, told: dict[str, Any], wrong: list[str]) -> None:
    """Enter a withdrawal for them as an operator; they must be told who entered it."""
    client.call("people.choose", person=CHIEF, choice="withdraw")
    receipts = company.ask(client, CHIEF, "people.receipts")["receipts"]
    mine = [one for one in receipts if one["choice"] == "withdraw"]
    told["entered by"] = [one["by"] for one in mine]
    if told["entered by"] != ["operator"]:
        wrong.append("what an operator entered is not shown to the person as theirs")


def _left_out(
    company: Company, client: KeeperClient, number: int, told: dict[str, Any], wrong: list[str]
) -> int:
    """Return how many rows of the executive are left out while the staff's are taken."""
    try:
        counted = take_file(client, _clicks(company, number))["tally"]["taken"]
    except SafeholdError as error:
        told[f"taken in, {number}"] = error.rule
        return 0
    taken = sum(int(one) for one in counted.values())
    told[f"taken in, {number}"] = taken
    if taken < ROWS:
        wrong.append("nothing is taken of the staff either")
    return 2 * ROWS - taken


def _clicks(company: Company, number: int) -> Path:
    now = SystemClock().now_us()
    file = company.temporary / "s13.jsonl"
    data = b""
    for who in (CHIEF, STAFF):
        write_clicks(
            file, who, count=ROWS, from_us=now - SECOND_US, to_us=now, session=f"s13-{number}"
        )
        data += file.read_bytes()
    file.write_bytes(data)
    return file


def _newest(company: Company) -> Row:
    """Return the newest row of the register, as somebody with the database in their hands sees it."""
    with closing(sqlite3.connect(company.home.control)) as base:
        row: Row = base.execute(
            "SELECT id, lookup, sealed, version FROM person ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        return row


def _put(company: Company, row: Row) -> None:
    with closing(sqlite3.connect(company.home.control)) as base, base:
        base.execute("PRAGMA busy_timeout = 10000")
        base.execute(
            "UPDATE person SET sealed = ?, version = ? WHERE id = ?", (row[2], row[3], row[0])
        )


__all__ = ["attempt", "control", "lake", "without_register"]
