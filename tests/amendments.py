"""Amendments of the example charter, each an old and a new version, for tests of what differs."""

from __future__ import annotations

from dataclasses import replace

from tests import boardroom

from safehold.charter.model import Charter, Role

BASE = boardroom.charter("example")


def without_screen() -> Charter:
    purpose = BASE.purposes["train_ui_agent"]
    sources = tuple(what for what in purpose.sources if what != "screen")
    return replace(
        BASE,
        collect=tuple(item for item in BASE.collect if item.what != "screen"),
        purposes={**BASE.purposes, "train_ui_agent": replace(purpose, sources=sources)},
    )


def role(name: str, **changes) -> Charter:
    return replace(BASE, who_may={**BASE.who_may, name: replace(BASE.who_may[name], **changes)})


def line(name: str, **changes) -> Charter:
    return replace(
        BASE,
        red_lines=tuple(
            replace(one, **changes) if one.id == name else one for one in BASE.red_lines
        ),
    )


def scientist(**changes) -> Charter:
    return role("data_scientist", grant=replace(BASE.who_may["data_scientist"].grant, **changes))


NO_AGENT = {name: one for name, one in BASE.who_may.items() if name != "agent"}
AMENDMENTS = {
    "screenshots": (without_screen(), BASE),
    "another place": (BASE, replace(BASE, places=replace(BASE.places, collect_in=("US-CA", "DE")))),
    "no gates": (BASE, replace(BASE, gates=())),
    "one gate for another": (
        BASE,
        replace(BASE, gates=(replace(BASE.gates[0], id="other"), *BASE.gates[1:])),
    ),
    "one approval": (BASE, scientist(approvers=1)),
    "fewer people": (BASE, line("no-single-person-query", min_people=20)),
    "no cross join": (BASE, line("no-cross-join", forbid_beside=("hr", "medical"))),
    "no red line": (BASE, replace(BASE, red_lines=BASE.red_lines[1:])),
    "other terms": (BASE, line("no-onward-transfer", forbid_terms=("sales", "dpv:SellProducts"))),
    "no agents": (BASE, replace(BASE, who_may=NO_AGENT)),
    "an analyst": (
        BASE,
        replace(
            BASE,
            who_may={
                **BASE.who_may,
                "analyst": Role(do=("operate", "verify"), stages=("feature", "audit")),
            },
        ),
    ),
    "rights": (BASE, role("employee", do=("see_own_trail", "verify"))),
    "other stages": (BASE, role("engineer", stages=("ingest", "training"))),
    "a query is forbidden": (BASE, line("no-raw-to-people", forbid_actions=("read_raw", "query"))),
    "blind": (BASE, role("data_scientist", sees_data=False)),
    "two charters": (BASE, boardroom.charter("demo")),
}
