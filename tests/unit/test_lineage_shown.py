"""The lineage as somebody sees it: a tree, a picture, and events of OpenLineage; nobody's name and no small numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.generated.base import InputDataset, OutputDataset
from tests.keeper_desk import Bench
from tests.lineage_desk import PEOPLE, ask, begin, erase, found, opened, pool

from safehold.catalog.openlineage import FACETS, SPEC, to_openlineage
from safehold.catalog.picture import INK, KINDS, draw_lineage
from safehold.cli.tree import draw_tree
from safehold.clock import DAY_US
from safehold.errors import MissingError
from safehold.keeper.graph import count_people

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = found(tmp_path_factory.mktemp("shown"))
    bench = begin(made, tmp_path_factory.mktemp("copy"))
    first = pool(bench, "first").dataset
    pool(bench, "second", ask("table", first))
    wanted = ask(price=(500_000, 1_000))
    with opened(bench, wanted) as opening:
        bench.desk.lineage.add(
            f"aggregate/mean:{opening.intent.index}",
            kind="aggregate",
            label=opening.label,
            parents=opening.datasets,
            created_us=bench.desk.now_us(),
            facts={"intent": opening.intent.index, "purpose": wanted.purpose},
            release={"epsilon_micro": 500_000, "delta_e12": 1_000},
        )
    bench.call("people.choose", person=PEOPLE[5], choice="withdraw")
    yield bench
    bench.stop()


def shown(bench: Bench, dataset: str | None = None) -> list[dict[str, Any]]:
    answer = bench.call("dataset.lineage", dataset=dataset)
    return [*answer["lineage"], *answer["below"]]


def everything(count: int = 3) -> list[dict[str, Any]]:
    """Return one of each kind, in each state."""
    label = {
        "people": 120, "streams": ["key"], "purposes": ["train_ui_agent"], "categories": ["user.behavior"],
        "jurisdictions": ["US-CA"], "expires": 20_900, "first_day": 20_800, "last_day": 20_801, "sensitivity": 4,
    }  # fmt: skip
    base = {
        "label": label,
        "created_us": 1_800_000_000_000_000,
        "mode": "",
        "run": 3,
        "release": None,
        "status": "live",
    }
    nodes: list[dict[str, Any]] = [
        {**base, "id": f"source{at}<&>", "kind": "source", "parents": [], "purpose": "", "run": -1}
        for at in range(count)
    ]
    sources = [node["id"] for node in nodes]
    for at, (kind, status) in enumerate(
        [
            ("feature", "replaced"),
            ("table", "ended"),
            ("vectors", "expired"),
            ("model", "live"),
            ("aggregate", "live"),
        ],
        1,
    ):
        nodes.append(
            {**base, "id": f"{kind}/x:{at}", "kind": kind, "parents": sources if at == 1 else ["feature/x:1"], "run": at,
             "purpose": "train_ui_agent", "status": status,
             "release": {"epsilon_micro": 1_500_000, "delta_e12": 1_000} if at > 3 else None}
        )  # fmt: skip
    nodes[-2]["label"] = {**label, "people": None, "fewer_than": 50}
    nodes.append(
        {"id": "table/bad:9", "kind": "table", "parents": ["feature/x:1"], "status": "broken"}
    )
    return nodes


def test_a_dataset_is_shown_with_all_above_and_below(bench: Bench) -> None:
    names = {one["id"].partition(":")[0]: one["id"] for one in shown(bench)}
    answer = bench.call("dataset.lineage", dataset=names["table/first"])
    assert [one["id"] for one in answer["below"]] == [names["table/second"]]
    assert [one["kind"] for one in answer["lineage"]] == ["table", "source"]
    assert bench.call("dataset.lineage", dataset="table/f")["lineage"] == answer["lineage"]
    for name in ("", "table/", "nothing"):
        with pytest.raises(MissingError):
            bench.call("dataset.lineage", dataset=name)


def test_small_numbers_of_people_and_nobodys_name_are_shown(bench: Bench) -> None:
    nodes = shown(bench)
    assert {one["label"]["people"] for one in nodes} == {None}
    assert {one["label"]["fewer_than"] for one in nodes} == {50}
    texts = [
        json.dumps(nodes),
        draw_lineage(nodes),
        "\n".join(draw_tree(nodes)),
        json.dumps(to_openlineage(nodes, home="hom_x")),
    ]
    names = {*PEOPLE, *map(str, bench.desk.people.everybody())}
    assert not [name for text in texts for name in names if name in text]
    assert not [text for text in texts if "digest" in text or re.search(r"\b6 people", text)]
    assert count_people(bench.desk, 50) == {"people": 50}
    assert count_people(bench.desk, 129) == {"people": 120}


def test_what_was_ended_is_shown_so(tmp_path: Path, bench: Bench) -> None:
    del tmp_path
    erase(bench)
    status = {one["id"].partition(":")[0]: one["status"] for one in shown(bench)}
    assert (status["table/first"], status["table/second"]) == ("ended", "ended")
    assert status["aggregate/mean"] == "live"
    bench.clock.advance(60 * DAY_US)
    assert {one["status"] for one in shown(bench) if one["kind"] in {"source", "table"}} == {
        "expired"
    }


def test_the_picture_is_well_formed_and_complete() -> None:
    nodes = everything()
    root = ET.fromstring(draw_lineage(nodes, start="table/x:2"))  # noqa: S314 - drawn here
    texts = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    for node in nodes:
        name = node["id"]
        assert name in texts
    struck = {
        "".join(one.itertext()) for one in root.iter(f"{SVG}text") if one.get("text-decoration")
    }
    assert {"feature/x:1", "table/x:2", "vectors/x:3"} <= struck
    assert not {"model/x:4", "aggregate/x:5"} & struck
    assert texts.count("ε = 1.5, δ = 1e-09 per person") == 2
    assert any("fewer than 50 people" in text for text in texts)
    assert "changed: nobody can say" in texts
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    assert root.find(f"{SVG}desc") is not None


def test_the_picture_needs_nothing_from_elsewhere_and_hides_nothing() -> None:
    text = draw_lineage(everything())
    assert not re.search(r"<script|<style|style=|href|url\(|@import|<image|on\w+=", text)
    root = ET.fromstring(text)  # noqa: S314 - drawn here
    width, height = int(root.get("width", 0)), int(root.get("height", 0))
    for one in root.iter(f"{SVG}text"):
        x, y = int(one.get("x", 0)), int(one.get("y", 0))
        assert 0 < x < width
        assert 0 < y < height
    seats = [(one[1].get("d") or "").split(" H")[0] for one in root.iter(f"{SVG}g")]
    assert len(set(seats)) == len(seats), "no two lie on each other"


def test_each_kind_has_a_shape_and_a_colour_of_its_own_that_can_be_read() -> None:
    alike = 1  # embeddings of either form
    assert len({fill for fill, _, _ in KINDS.values()}) == len(KINDS) - alike
    outlines = set()
    for kind in KINDS:
        root = ET.fromstring(draw_lineage([{**everything(1)[0], "kind": kind}]))  # noqa: S314 - drawn here
        outlines.add(root.findall(f"{SVG}g")[0][1].get("d"))
    assert len(outlines) == len(KINDS) - alike
    for fill, _, _ in KINDS.values():
        assert contrast(INK, fill) >= 7  # WCAG 2.2, 1.4.6


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_many_sources_are_one_in_picture_and_tree() -> None:
    nodes = everything(200)
    text = draw_lineage(nodes)
    assert "200 sources" in text
    assert "source7" not in text
    lines = list(draw_tree(nodes))
    assert lines[0] == "● 200 sources"
    assert len(lines) < 20


def test_the_tree_says_each_thing_once() -> None:
    lines = list(draw_tree(everything(2), start="table/x:2"))
    assert lines[0].startswith("● source0<&>  source; 120 people; train_ui_agent; until 2027-")
    assert sum(line.lstrip("│├└─ ").startswith("◆ feature/x:1  feature") for line in lines) == 1
    (table,) = [line for line in lines if "▤ table/x:2" in line]
    assert table.endswith("ENDED by an erasure  <-- this one")
    (model,) = [line for line in lines if "▲" in line]
    assert "fewer than 50 people; ε = 1.5, δ = 1e-09 per person" in model
    assert any("CHANGED" in line for line in lines)


def test_what_is_below_two_things_is_written_once() -> None:
    one, two, three = everything(3)[:3]
    below = {**two, "id": "b", "kind": "feature", "parents": [one["id"]]}
    both = {**three, "id": "c", "kind": "model", "parents": [one["id"], "b"]}
    lines = list(draw_tree([one, below, both]))
    assert [line.count("▲ c") for line in lines] == [0, 0, 1, 1]
    assert lines[3].endswith("(written above)")


def test_a_ring_that_only_a_changed_lineage_holds_is_drawn_all_the_same() -> None:
    one, two = everything(2)[:2]
    ring = [{**one, "parents": [two["id"]]}, {**two, "parents": [one["id"]]}]
    assert draw_lineage(ring).count("<g>") == 2


def test_events_are_those_of_openlineage_2_0_2() -> None:
    """Each event goes through the client's own classes, which check what the specification demands."""
    nodes = everything()
    events = to_openlineage(nodes, home="hom_x")
    assert [one["outputs"][0]["name"] for one in events] == [
        one["id"] for one in nodes if one["kind"] != "source" and "label" in one
    ]
    facets = json.loads(files("safehold.catalog").joinpath("facets.json").read_bytes())
    for event in events:
        assert event["schemaURL"] == SPEC == RunEvent._get_schema()
        read = RunEvent(
            eventType=RunState[event["eventType"]],
            eventTime=event["eventTime"],
            run=Run(runId=event["run"]["runId"]),
            job=Job(**event["job"]),
            inputs=[InputDataset(**one) for one in event["inputs"]],
            outputs=[OutputDataset(**one) for one in event["outputs"]],
            producer=event["producer"],
        )
        assert read.schemaURL == event["schemaURL"]
        told = [one["facets"] for one in (*event["inputs"], *event["outputs"])] + [
            event["run"]["facets"]
        ]
        for name, facet in [item for one in told for item in one.items()]:
            assert facet["_schemaURL"].startswith("https://")
            assert facet["_producer"].startswith("https://")
            if name.startswith("safehold_"):
                url, _, place = facet["_schemaURL"].partition("#/")
                assert url == FACETS == facets["$id"]
                check = {**facets, "$ref": f"#/{place}"}
                Draft202012Validator(
                    check, format_checker=Draft202012Validator.FORMAT_CHECKER
                ).validate(facet)
    Draft202012Validator.check_schema(facets)
    assert len({one["run"]["runId"] for one in events}) == len(events)
    assert to_openlineage(nodes, home="hom_x") == events, "the same run has the same id"
    assert to_openlineage(nodes, home="other")[0]["run"] != events[0]["run"]


def test_a_release_carries_its_bound_in_its_event() -> None:
    (event,) = [
        one for one in to_openlineage(everything(), home="x") if "aggregate" in one["job"]["name"]
    ]
    (out,) = event["outputs"]
    assert out["facets"]["safehold_release"]["epsilon"] == 1.5
    assert out["facets"]["safehold_release"]["delta"] == 1e-9
    assert out["facets"]["safehold_label"]["purposes"] == ["train_ui_agent"]
