"""What a drill's figures mean: the worst counts, a limit holds or not, and a baseline that shows nothing voids a result."""

from __future__ import annotations

from dataclasses import replace

import pytest

from safehold.assurance.drill.judge import BROKEN, HELD, UNABLE, Bound, Limit, exceeded, measured
from safehold.assurance.drill.outcome import NAMES, Exposure, Findings, join, merge
from safehold.assurance.drill.page import render
from safehold.assurance.drill.picture import draw
from safehold.assurance.drill.report import tell
from safehold.assurance.drill.result import Report, Result, Try
from safehold.assurance.drill.scenario import BY_ID, SCENARIOS

NONE = Exposure.none()
ALL = Exposure(people=9, records=900, segments=45, canaries=7, missing=2)
S01, S14, S19 = BY_ID["S01"], BY_ID["S14"], BY_ID["S19"]


def tried(one: Exposure | None) -> Try:
    return Try(reason="no") if one is None else Try(found=Findings(live=one))


def result(
    attempt: Exposure | None = NONE,
    lake: Exposure | None = ALL,
    control: Exposure | None = ALL,
    scenario=S01,
    **levels: Exposure | None,
) -> Result:
    return Result(
        scenario=scenario,
        attempt=tried(attempt),
        lake=tried(lake),
        control=tried(control),
        levels={name: tried(one) for name, one in levels.items()},
    )


def test_the_worst_of_several_looks_counts() -> None:
    one = merge([NONE, Exposure(people=3, wrong=("a",)), Exposure(detect_s=2.0, wrong=("b",))])
    assert (one.people, one.records, one.missing, one.detect_s) == (3, 0, None, 2.0)
    assert one.wrong == ("a", "b")
    assert merge([]) == Exposure()


def test_places_are_joined_at_rest_and_live_apart() -> None:
    whole = join([Findings(at_rest=NONE), Findings(live=ALL), Findings(at_rest=Exposure(people=1))])
    assert whole.at_rest is not None
    assert whole.live == ALL
    assert (whole.at_rest.people, whole.whole.people) == (1, 9)
    assert join([Findings(live=NONE)]).at_rest is None


@pytest.mark.parametrize("figure", Bound.__dataclass_fields__)
def test_each_figure_alone_breaks_a_limit_of_nothing(figure: str) -> None:
    assert exceeded(Limit(), Findings(live=NONE)) == []
    beyond = exceeded(Limit(), Findings(live=Exposure(**{figure: 1})))
    assert beyond == [f"live: {NAMES[figure]} is 1, at most 0"]
    assert exceeded(Limit(), Findings(at_rest=Exposure(**{figure: 1})))


def test_a_sentence_of_what_was_wrong_breaks_whatever_the_counts() -> None:
    found = Findings(live=Exposure(people=0, wrong=("the door was open",)))
    assert exceeded(Limit(), found) == ["live: the door was open"]


@pytest.mark.parametrize(("seconds", "broken"), [(60.0, False), (60.1, True), (None, False)])
def test_what_is_noticed_too_late_breaks(seconds: float | None, broken: bool) -> None:
    found = Findings(live=replace(NONE, detect_s=seconds))
    assert bool(exceeded(Limit(detect_s=60.0), found)) is broken


def test_one_segment_live_is_allowed_where_the_note_says_so_and_none_at_rest() -> None:
    for name in ("S14", "S15", "S25"):
        limit = BY_ID[name].limit
        assert not exceeded(limit, Findings(live=Exposure(segments=1), at_rest=NONE))
        assert exceeded(limit, Findings(live=Exposure(segments=2)))
        assert exceeded(limit, Findings(at_rest=Exposure(segments=1)))
    assert exceeded(S14.limit, Findings(live=Exposure(records=1))), "no row to a person"
    for name in ("S01", "S02", "S03", "S04", "S05", "S16", "S17", "S18"):
        for side in ("live", "at_rest"):
            assert exceeded(BY_ID[name].limit, Findings(**{side: Exposure(people=1)}))


def test_all_25_are_there_in_order_and_eleven_are_in_the_headline() -> None:
    assert [one.id for one in SCENARIOS] == [f"S{number:02}" for number in range(1, 26)]
    assert len({one.module for one in SCENARIOS}) == 25
    counted = {one.id for one in SCENARIOS if one.counted}
    assert counted == {f"S{n:02}" for n in (1, 2, 3, 4, 5, 14, 15, 16, 17, 18, 25)}
    assert {one.id for one in SCENARIOS if one.levels} == {"S02", "S14", "S15", "S25"}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, HELD),
        ({"attempt": ALL}, BROKEN),
        ({"attempt": None}, UNABLE),
        ({"attempt": Exposure()}, UNABLE),
        ({"lake": NONE}, UNABLE),
        ({"lake": None}, UNABLE),
        ({"attempt": ALL, "lake": NONE}, BROKEN),
        ({"control": None}, HELD),
        ({"control": NONE}, HELD),
        ({"K2": ALL}, BROKEN),
        ({"K2": NONE, "K4": None}, HELD),
    ],
)
def test_a_status(given: dict[str, Exposure | None], status: str) -> None:
    assert result(**given).status == status
    assert bool(result(**given).reason) is (status != HELD)


def test_what_held_with_its_guards_off_does_not_discriminate() -> None:
    assert result().discriminates is True
    assert result(control=NONE).discriminates is False
    assert result(control=None).discriminates is None
    report = Report(run="drill_x", results=[result(control=NONE)])
    assert report.headline()["does_not_discriminate"] == ["S01"]
    assert "does not discriminate" in tell(report)


def test_nothing_measured_is_not_held() -> None:
    assert not measured(Findings())
    assert not measured(Findings(live=Exposure(detect_s=1.0)))
    assert measured(Findings(live=Exposure(missing=0)))
    assert measured(Findings(live=Exposure(wrong=("x",))))


def whole_report() -> Report:
    results = [
        result(
            scenario=one,
            attempt=NONE if one.id != "S14" else Exposure(segments=1, people=5, records=0),
        )
        for one in SCENARIOS
    ]
    results[6] = result(scenario=SCENARIOS[6], attempt=None)
    results[1] = result(scenario=SCENARIOS[1], K1=NONE, K3=None)
    return Report(run="drill_x", results=results, size={"people": 120}, seconds=3.0)


def test_a_report_has_every_scenario_with_the_lake_and_the_control() -> None:
    tree = whole_report().to_json()
    assert [one["id"] for one in tree["scenarios"]] == [one.id for one in SCENARIOS]
    for one in tree["scenarios"]:
        assert set(NAMES.values()) <= set(one)
        assert set(NAMES.values()) <= set(one["lake"])
        assert set(NAMES.values()) <= set(one["control"])
    assert tree["scenarios"][6]["status"] == UNABLE
    assert tree["scenarios"][6]["reason"]
    head = tree["headline"]
    assert (head["held"], head["broken"], head["could_not_run"]) == (24, 0, 1)
    assert (head["people_exposed_at_rest"], head["people_exposed_live"]) == (0, 5)
    assert head["people_exposed_in_the_lake"] == 11 * 9
    assert not whole_report().complete


def test_the_page_stands_alone_and_says_what_could_not_run() -> None:
    page = render(whole_report().to_json(), made="today")
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "prefers-color-scheme:dark" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    for one in SCENARIOS:
        assert one.id in page
    assert "could not run" in page
    assert page.count("<svg") == 1


def test_the_picture_draws_what_was_measured() -> None:
    scenarios = whole_report().to_json()["scenarios"]
    picture = draw(scenarios)
    assert "S14: lake 9, Safehold 5" in picture
    assert "S07: lake 9, Safehold not tried" in picture
    assert picture.count('class="ours"') == 26


def test_the_text_names_reasons_and_levels() -> None:
    text = tell(whole_report())
    assert "24 of 25 held, 0 broken, 1 could not run" in text
    assert "S02 at K3: could not run: no" in text
    assert "S07: no" in text
    assert S19.title in text
