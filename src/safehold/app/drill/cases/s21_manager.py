"""S21: a manager asks about one report, or subtracts two figures.

They ask for one person by name, by a place where only that person works, by a column that tells people apart, and as
somebody of a role that the charter does not know. Then they do what is allowed, twice, with one person less: that is
charged until nothing is left, and what it tells of the one is bounded by what was charged.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace as changed
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from safehold.access import Human, PeopleFilter
from safehold.app.drill.cases.s06_pause import write_clicks
from safehold.app.drill.company import FIGURES, Company, draft_figures, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.twin import sign_in
from safehold.app.drill.unguarded import replace
from safehold.app.query import use_query
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.privacy.query import write_query
from safehold.signing import SigningKey

REPORT: Final = "emp-00020"
PLACE: Final = "US-WA"  # where the report alone works
EACH: Final = 1.0  # epsilon of one question
SQL: Final = "SELECT x AS v FROM pointer"
NOBODY: Final = (
    "psn_" + "0" * 26
)  # whoever is named: a list of one is refused before it is looked up


def attempt(place: Place) -> Findings:
    """Ask about one person."""
    return Findings(live=_attack(place.company("s21"), ()))


def control(place: Place) -> Findings:
    """The same where an answer may be about anybody."""
    return Findings(live=_attack(place.company("s21-control"), (f"{__name__}:without_minimum",)))


def without_minimum() -> None:
    """Let one person be enough, and let no red line say otherwise."""
    replace("safehold.keeper.spending:Spending.least_people", lambda *_: 1)
    replace("safehold.keeper.decision:authorise", lambda *_, **__: None)
    replace("safehold.keeper.drift:Drift.require_none", lambda *_: None)


def lake(place: Place) -> Findings:
    """The same questions to a table."""
    folder = place.bin("s21-lake")
    people = [f"emp-{number:05d}" for number in range(60)]
    table = pa.table({"person": people * 10, "x": list(range(600))})
    pq.write_table(table, folder / "pointer.parquet")
    stored = pq.ParquetFile(folder / "pointer.parquet").read()
    mine = stored.filter(pc.equal(stored["person"], REPORT))
    without = stored.filter(pc.not_equal(stored["person"], REPORT))
    difference = pc.sum(stored["x"]).as_py() - pc.sum(without["x"]).as_py()
    exact = int(mine.num_rows > 0) + int(difference == pc.sum(mine["x"]).as_py())
    return Findings(live=Exposure(people=1, records=exact, segments=1))


def _attack(company: Company, off: tuple[str, ...]) -> Exposure:
    told: dict[str, Any] = {}
    wrong: list[str] = []
    answered: list[str] = []
    with company.keeper() as client:
        client.call("people.move", person=REPORT, jurisdiction=PLACE)
        now = SystemClock().now_us()
        file = company.temporary / "s21.jsonl"
        write_clicks(file, REPORT, count=50, from_us=now, to_us=now + SECOND_US, session="s21")
        take_file(client, file)
    with company.keeper(off=off) as client:

        def tries(way: str, act: Callable[[], object]) -> None:
            try:
                act()
            except SafeholdError as error:
                told[way] = error.rule
            else:
                told[way] = "answered"
                answered.append(way)

        one = PeopleFilter(people=(NOBODY,))
        there = PeopleFilter(jurisdictions=(PLACE,))
        tries("a list of one", lambda: _one(company, client, SQL, people=one))
        tries("a place of one", lambda: _one(company, client, SQL, people=there))
        tries(
            "a column that tells apart",
            lambda: _one(company, client, "SELECT subject AS v FROM pointer"),
        )
        tries("as a manager", lambda: _as_manager(company, client))
        tries("what they chose", lambda: _look(client))
        _subtract(company, client, told, wrong)
    return Exposure(
        people=int(bool(answered)),
        records=len(answered),
        segments=int(bool(answered)),
        canaries=0,
        wrong=tuple(wrong),
        told=told,
    )


def _one(
    company: Company, client: KeeperClient, sql: str, *, people: PeopleFilter | None = None
) -> dict[str, Any]:
    text = write_query(sql, {"release": "people", "epsilon": 0.1})
    key = SigningKey.generate()
    grant = draft_figures(company.charter, key, text, requester="manager", runs=1, people=people)
    holder = company.permit(client, grant, key, people)
    return use_query(client, grant, holder, text, lambda _: None)


def _as_manager(company: Company, client: KeeperClient) -> dict[str, Any]:
    """Sign in as somebody whose role is to manage, and ask for a grant."""
    key = SigningKey.generate()
    client.call(
        "principal.enrol", principal="drill-manager", kind="human", role="manager", names=[f"key:{key.public.text()}"],
    )  # fmt: skip
    line = sign_in(client, key)
    text = write_query(SQL, {"release": "people", "epsilon": 0.1})
    grant = draft_figures(company.charter, key, text, requester="drill-manager", runs=1)
    grant = changed(grant, requester=Human(id="drill-manager", role="manager"))
    return line.call("request.new", grant=grant.to_json(), people=None)


def _look(client: KeeperClient) -> None:
    """Ask what somebody chose; that they are enrolled is all that may be told."""
    shown = client.call("people.show", person=REPORT)
    if "streams" in shown:
        return
    raise SafeholdError("nothing was told", rule="subjects.voice")


def _subtract(
    company: Company, client: KeeperClient, told: dict[str, Any], wrong: list[str]
) -> None:
    """Ask about all, have the report pause, ask about all but them, and so on until it ends."""
    text = write_query(SQL, {"release": "people", "epsilon": EACH})
    key = SigningKey.generate()
    grant = draft_figures(company.charter, key, text, requester="manager", runs=20, epsilon=20.0)
    before, asked = _left(client), 0
    try:
        holder = company.permit(client, grant, key)
        for asked in range(20):
            company.choose(client, REPORT, "pause" if asked % 2 else "resume")
            use_query(client, grant, holder, text, lambda _: None)
    except SafeholdError as error:
        told["subtracting ends by"] = error.rule
        spent = before - _left(client)
        told["charged"] = round(spent, 3)
        # whether somebody is in it is guessed right at most this often, whatever is computed from the answers
        told["right at most"] = round(math.exp(spent) / (1 + math.exp(spent)), 3)
        if asked and spent < asked * EACH - 1e-6:
            wrong.append("a figure was not charged")
    else:
        wrong.append("figures are answered without end")


def _left(client: KeeperClient) -> float:
    shown = client.call("budget.show")["budgets"]
    return float(next(one["epsilon_left"] for one in shown if one["purpose"] == FIGURES))


__all__ = ["attempt", "control", "lake", "without_minimum"]
