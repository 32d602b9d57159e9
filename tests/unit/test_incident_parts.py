"""The parts of an incident that are pure: the scale, the clocks, sentences, the picture, the page, what is said."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.seated import founding
from tests.world import raised

from safehold.access.emergency import SEVERITY
from safehold.charter.oversight import Promise
from safehold.charter.value import MICRO, Threshold
from safehold.charter.vocabulary import MEASURES
from safehold.incident.clocks import CONTAIN, DUTIES, HOUR_US, read_clocks, undecided
from safehold.incident.count import in_words
from safehold.incident.notices import draft
from safehold.incident.picture import LOOKS, draw_timeline
from safehold.incident.report import claimed, to_html
from safehold.incident.scope import Scope
from safehold.incident.severity import SCALE, Facts, of_alert, propose
from safehold.incident.statement import Statement
from safehold.incident.timeline import LANES, Event, sentence_of, write_text
from safehold.keeper.door import OF_INCIDENTS, ON_INCIDENTS, SIGNED
from safehold.keeper.incident import GATE, NEXT, NOTICES, STEPS, Incident
from safehold.ledger.kind import KINDS

NOTHING = {"people": {"people": 0}, "could": {"people": 0}, "erased": {"people": 0}}
COUNTS = {
    **NOTHING,
    **dict.fromkeys(("uses", "uses_finished", "uses_untold", "refused", "made"), 0),
    "segments": [],
    "days": [],
}


def incident(**changes: object) -> Incident:
    one = Incident(index=7, opened_ms=1_000, aware_ms=1_000, severity=2)
    for name, value in changes.items():
        setattr(one, name, value)
    return one


# -- the scale


def test_the_scale_runs_from_the_gravest_to_the_least_and_emergencies_are_on_it() -> None:
    assert [one.severity for one in SCALE] == list(range(6))
    assert all(one.means and one.first for one in SCALE)
    assert "emergency" in SCALE[SEVERITY].means
    assert SEVERITY <= GATE  # one that waits for its reviews keeps everything stopped


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        (Facts(record=True), 0),
        (Facts(read=True, people=1000), 0),
        (Facts(read=True), 0),  # of how many, nobody knows
        (Facts(read=True, people=999), 1),
        (Facts(read=True, people=1000, contained=True), 1),
        (Facts(read=True, people=3, contained=True), 2),
        (Facts(), 1),
        (Facts(people=10), 2),
        (Facts(contained=True), 2),
        (Facts(read=False, could=True, people=50), 2),
        (Facts(read=False, could=True, people=49), 3),
        (Facts(read=False, could=False, tried=True), 4),
        (Facts(read=False, could=False), 4),  # that nobody tried, nobody has said
        (Facts(read=False, could=False, tried=False), 5),
        (Facts(read=True, people=3, contained=True, special=True), 1),
        (Facts(read=False, could=False, tried=False, special=True), 5),
        (Facts(read=True, special=True), 0),
    ],
)
def test_what_the_facts_propose(facts: Facts, severity: int) -> None:
    assert propose(facts)[0] == severity
    assert propose(facts)[1]


def test_knowing_less_never_makes_it_less_grave() -> None:
    known = Facts(read=True, could=True, tried=True, people=60, contained=True)
    for change in ({"people": None}, {"contained": False}):
        assert propose(replace(known, **change))[0] <= propose(known)[0]


def test_alerts_count_the_other_way() -> None:
    assert [of_alert(one) for one in range(5)] == [5, 4, 3, 2, 1]
    assert of_alert(99) == 1
    assert of_alert(-1) == 5


# -- clocks


def test_each_regime_brings_its_clocks_with_law_and_a_caution() -> None:
    found = read_clocks(incident(), founding(), now_us=2_000_000)
    hours = {
        one["clock"]: one["due_us"] and (one["due_us"] - 1_000_000) // HOUR_US for one in found
    }
    assert hours["gdpr-authority"] == 72
    assert hours["gdpr-people"] is None
    assert (hours["ai-widespread"], hours["ai-death"], hours["ai-serious"]) == (48, 240, 360)
    assert (hours["california-people"], hours["california-attorney"]) == (720, 1080)
    assert all(one["law"] for one in found)
    assert all("counsel" in one["checked"] for one in found if one["regime"] != "charter")
    dues = [one["due_us"] or 2**62 for one in found]
    assert dues == sorted(dues)
    fewer = replace(founding(), regimes=("ccpa",))
    assert {one["regime"] for one in read_clocks(incident(), fewer, now_us=0)} == {
        "ccpa",
        "charter",
    }
    assert {duty.notice for duty in DUTIES} | {"board"} == set(NOTICES)


def test_a_clock_is_met_or_late_by_the_moment_of_the_leaf() -> None:
    due_ms = 1_000 + 72 * HOUR_US // 1000
    for at, decision, state in (
        (due_ms, "sent", "met"),
        (due_ms + 1, "sent", "met late"),
        (due_ms, "not_needed", "not needed"),
        (due_ms + 1, "not_needed", "decided late"),
    ):
        one = incident(notices={"authority": (9, decision, at)}, decided={"authority": 9})
        told = {each["clock"]: each for each in read_clocks(one, founding(), now_us=10**15)}
        assert (told["gdpr-authority"]["state"], told["gdpr-authority"]["entry"]) == (state, 9)
        assert "authority" not in undecided(one, founding())
    told = {each["clock"]: each for each in read_clocks(incident(), founding(), now_us=10**15)}
    assert told["gdpr-authority"]["state"] == "late"
    assert told["gdpr-people"]["state"] == "running"


def test_a_promise_to_contain_is_a_clock_of_the_charter() -> None:
    promise = Promise(
        id="contained",
        says="We contain within four hours",
        measure=CONTAIN,
        must_be=Threshold(op="<=", micro=4 * MICRO),
    )
    charter = replace(founding(), promises=(promise,))
    for contained, state in ((0, "late"), (2_000, "met"), (10**9, "met late")):
        found = read_clocks(incident(contained_ms=contained), charter, now_us=10**14)
        told = {one["clock"]: one for one in found}
        assert told["contain"]["state"] == state


# -- what is told


def test_every_kind_of_leaf_and_every_step_has_a_sentence_without_a_name() -> None:
    for kind in KINDS:
        assert sentence_of(kind, {}, people=None)
    for step in STEPS:
        said = sentence_of("incident", {"step": step, "since": 0, "severity": 1}, people=None)
        assert "a step of the incident" not in said
    assert set(LANES.values()) <= set(LOOKS)
    assert set(NEXT) == {state for ways in NEXT.values() for state in ways} | {"open"}
    told = sentence_of("access.intent", {"purpose": "p"}, people={"people": None, "fewer_than": 50})
    assert told.endswith("about fewer than 50 people")
    assert in_words({"people": 60}) == "60"


def event(index: int, at_ms: int, lane: str = "use", sentence: str = "a < b & c") -> Event:
    return Event(
        index=index, at_ms=at_ms, kind="access.intent", lane=lane, sentence=sentence, people=None
    )


def test_the_picture_is_well_formed_needs_nothing_and_draws_what_is_near_as_one() -> None:
    events = [event(n, 1_000 + n) for n in range(5)]
    events += [event(9 + n, 10**9, lane) for n, lane in enumerate(LOOKS)]
    clocks = [
        {"clock": "soon", "due_us": 5 * 10**11, "state": "running"},
        {"clock": "later", "due_us": 10**15, "state": "running"},
        {"clock": "never", "due_us": None, "state": "running"},
    ]
    drawn = draw_timeline(events, clocks)
    tree = ET.fromstring(drawn)  # noqa: S314 - drawn here
    assert tree.tag.endswith("svg")
    assert "5 entries, 0 to 4" in drawn
    assert (
        len(re.findall("stroke-dasharray", drawn)) == 1
    )  # what is due weeks later is named, not drawn
    assert "later running" in drawn
    assert not re.search(r"<script|href|url\(", drawn)
    blank = ET.fromstring(draw_timeline([]))  # noqa: S314 - drawn here
    assert blank.tag.endswith("svg")
    assert write_text(events[:1]).count("\n") == 1


def test_a_report_as_a_page_escapes_what_people_wrote() -> None:
    text = "# A <b>\n\n| a | b |\n| --- | --- |\n| 1 \\| 2 | <i> |\n\n- one <x>\n- two\n\nsaid & done\n"
    page = to_html(text, title="a & b", picture="<svg/>")
    assert "<h1>A &lt;b&gt;</h1>" in page
    assert "<td>1 | 2</td><td>&lt;i&gt;</td>" in page
    assert page.index("</table>") < page.index("<svg/>")
    assert "<li>one &lt;x&gt;</li>" in page
    assert "<script" not in page
    assert claimed("(entry 3) and (entries 4, 5) and entry 6") == (3, 4, 5)


@pytest.mark.parametrize("name", NOTICES)
def test_a_draft_says_what_is_not_known_and_what_speaks_for_unintelligible(name: str) -> None:
    def drawn(*, scoped: bool, **changes: object) -> str:
        one, charter = incident(), founding()
        return draft(
            name,
            one,
            charter,
            reach=COUNTS | changes,
            scoped=scoped,
            clocks=read_clocks(one, charter, now_us=10**15),
            events=[],
            now_us=10**15,
        )

    blank = drawn(scoped=False)
    assert "not known yet" in blank
    assert "[to be completed: " in blank
    shut = drawn(scoped=True, refused=12)
    assert "no key was released" in shut
    assert "34(3)(a)" in shut
    assert "12 attempts" in shut
    opened = drawn(scoped=True, uses=2)
    assert "no key was released" not in opened
    stolen = drawn(scoped=True, could={"people": 60})
    assert "must be taken as intelligible" in stolen
    if name in ("authority", "board", "regulator"):
        assert "reasons for the delay" in blank
    assert raised(lambda: drawn_of("nobody")).rule == "incident.notice"


def drawn_of(name: str) -> str:
    one, charter = incident(), founding()
    return draft(name, one, charter, reach=COUNTS, scoped=True, clocks=[], events=[], now_us=0)


@pytest.mark.parametrize(
    "tree",
    [
        None,
        [],
        {"people": []},
        {"grants": ["1"]},
        {"grants": [True]},
        {"grants": [-1]},
        {"principals": [""]},
        {"segments": ["x" * 257]},
        {"artifacts": "a"},
        {"first_ms": -1},
        {"last_ms": "1"},
        {"grants": list(range(1001))},
    ],
)
def test_what_is_no_scope_is_refused(tree: object) -> None:
    assert raised(lambda: Scope.from_json(tree)).rule == "incident.scope"


def test_a_scope_only_grows() -> None:
    one = Scope(grants=frozenset({1}), first_ms=50, last_ms=60)
    two = Scope(principals=frozenset({"a"}), keys=frozenset({"@mint"}), first_ms=40, last_ms=55)
    both = one | two
    assert (both.grants, both.principals, both.keys) == (one.grants, two.principals, two.keys)
    assert (both.first_ms, both.last_ms) == (40, 60)
    assert Scope.from_json(both.to_json()) == both
    assert (one | Scope()) == one
    assert Scope().empty


def test_a_time_that_is_named_later_takes_nothing_away() -> None:
    always = Scope(principals=frozenset({"ana"}))
    later = Scope(segments=frozenset({"us-ca.key"}), first_ms=40, last_ms=55)
    for both in (always | later, later | always):
        assert (both.first_ms, both.last_ms) == (0, 0), "ana was in it at any time"
    begun = Scope(grants=frozenset({1}), first_ms=50)  # and it goes on
    assert ((begun | later).first_ms, (begun | later).last_ms) == (40, 0)
    # a time alone names nothing, and so says nothing about what was named
    assert (always | Scope(first_ms=40, last_ms=55)) == always
    assert (Scope() | later) == later


@pytest.mark.parametrize("change", [{"what": "open"}, {"v": "x"}, {"basis": "1"}, {"more": 1}])
def test_what_is_no_statement_is_refused(change: dict[str, object]) -> None:
    made = Statement(home="h", incident=1, what="close", facts={}, basis=1, seat="hr", at_us=1)
    assert Statement.from_json(made.to_json()) == made
    assert raised(lambda: Statement.from_json(made.to_json() | change)).rule == "incident.statement"


# -- the page


def test_the_page_names_every_step_clock_state_verb_and_rule() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs/reference/incidents.md").read_text("utf-8")
    code = "".join(
        file.read_text("utf-8")
        for file in sorted((root / "src/safehold/incident").glob("*.py"))
        if file.stem not in ("blast", "responder", "target", "holdings", "index", "tracks")
    )
    rules = set(re.findall(r'rule="(incident\.[a-z.]+)"', code))
    assert {name for name in rules if f"`{name}`" not in page} == set()
    told = set(re.findall(r"`(incident\.[a-z.]+)`", page))
    verbs = {*OF_INCIDENTS, *ON_INCIDENTS, *(one for one in SIGNED if one.startswith("incident."))}
    measures = {one for one in MEASURES if one.startswith("incident.")}
    assert told - rules - measures <= verbs | {"incident.blast", "incident.reached"}
    assert {f"`{name}`" for name in verbs} - {f"`{name}`" for name in told} <= {
        "`incident.blast`",
        "`incident.reached`",
    }
    for name in (*STEPS, *NEXT, *(duty.id for duty in DUTIES), *NOTICES):
        assert f"`{name}`" in page, name
    rows = re.findall(r"^\| ([0-5]) \| ([a-z ]+) \|", page, re.MULTILINE)
    assert [(int(number), name) for number, name in rows] == [
        (one.severity, one.name) for one in SCALE
    ]
    ways = dict(re.findall(r"^\| `([a-z]+)` \| ((?:`[a-z]+`(?:, )?)+) \|$", page, re.MULTILINE))
    assert {one: tuple(re.findall(r"`([a-z]+)`", to)) for one, to in ways.items()} == dict(NEXT)
