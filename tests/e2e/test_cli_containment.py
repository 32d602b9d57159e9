"""Containment on the command line: looked at first, begun by one seat, lifted by several, each where its key lies."""

from __future__ import annotations

import pytest
from tests.command_line import CHARTERS, World

WHO = "ana"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    with World(tmp_path_factory.mktemp("made")).init(CHARTERS / "demo.yaml").kept() as world:
        yield world


def test_something_is_contained_and_lifted(world: World) -> None:
    key = world.root / "ana.key"
    world.ask("principal", "enrol", WHO, "--role", "data_scientist", "--key", key)
    reach = world.ask("containment", "preview", "principal", WHO)
    assert (reach["contained"], reach["running"]) == (None, [])
    begin = ("containment", "begin", "principal", WHO, "--reason", "odd")
    made = world.ask(*begin, "--seat", "hr", "--key", world.seats / "hr.key")
    assert world.ask(*begin) == made | {"already": True}
    (held,) = world.ask("containment", "list")["containments"]
    assert (held["entry"], held["seats"], held["reason"]) == (made["entry"], ["hr"], "odd")
    entry, paper = str(made["entry"]), world.root / "lift.json"
    drawn = world.ask("containment", "lift", entry, "--paper", paper, "--reason", "mended")
    assert (drawn["what"], drawn["target"], drawn["signed"]) == ("principal", WHO, [])
    world.extra["SAFEHOLD_HOME"] = str(world.root / "nowhere")  # whoever signs needs no home
    for name in ("privacy", "legal"):
        key = world.seats / f"{name}.key"
        world.ask("containment", "lift", "--paper", paper, "--seat", name, "--key", key)
    del world.extra["SAFEHOLD_HOME"]
    assert world.ask("containment", "lift", "--paper", paper)["lifted"] == made["entry"]
    error = world.refuse("containment", "lift", "--paper", paper, code=3)
    assert error["rule"] == "containment.order"
    assert error["entry"]


@pytest.mark.proof
def test_what_is_asked_for_wrongly(world: World) -> None:
    begin = ("containment", "begin", "segment", "us-ca.key", "--reason", "odd")
    for words, code in (
        (("containment", "begin", "segment", "no.such", "--reason", "odd"), 1),
        (("containment", "begin", "everything", "x", "--reason", "odd"), 2),
        ((*begin, "--seat", "hr"), 2),
        ((*begin, "--of", "0"), 1),
        (("containment", "begin", "collection", "all", "--reason", "odd"), 3),
        (("containment", "lift"), 2),
        (("containment", "lift", "7", "--paper", world.root / "x.json", "--reason", "y"), 1),
        (("containment", "lift", "--paper", world.root / "none.json"), 1),
    ):
        assert world.refuse(*words, code=code)["fix"], words
    made = world.ask(*begin)
    lifted = world.ask(
        "containment", "lift", str(made["entry"]), "--seats", world.seats, "--reason", "tried"
    )
    assert lifted["lifted"] == made["entry"]
