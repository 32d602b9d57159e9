"""The index of tracks at rest, what is told to whom, and the picture."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.blast_desk import History, make_history
from tests.keeper_desk import Bench, copy_bench
from tests.world import raised

from safehold import canonical
from safehold.app import blast as orders
from safehold.app.serve import work_by_itself
from safehold.errors import InvalidError, MissingError, UnavailableError
from safehold.incident import index as index_module
from safehold.incident import responder as responder_module
from safehold.incident.blast import Part, places_of
from safehold.incident.blast_picture import draw_blast, draw_blast_tree
from safehold.incident.responder import LIFE_US
from safehold.incident.target import Target
from safehold.incident.tracks import Tracks, among, distinct
from safehold.keeper.caller import AGENT, HUMAN, LOCAL, WORKLOAD
from safehold.keeper.door import KINDS_OF
from safehold.signing import SigningKey

PEOPLE, ENTRIES = 60, 700
FILE = 256  # leaves of one file in these tests


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "EACH", FILE)
        history = make_history(
            tmp_path_factory.mktemp("made"), entries=ENTRIES, people=PEOPLE, grants=3, crowd=7
        )
        history.bench.service.keep_up()
        history.bench.stop()
        yield history


@pytest.fixture
def bench(made: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(index_module, "EACH", FILE)
    bench = copy_bench(made.bench, tmp_path)
    yield bench.start()
    bench.stop()


def grant_of(history: History) -> str:
    return next(iter(history.grants.values()))


def ask(bench: Bench, **target: Any) -> tuple[Part, Part]:
    return bench.service.responder.measure(Target(**target))


def read(bench: Bench) -> int:
    """Return how many leaves this process had to read."""
    bench.service.keep_up()
    return bench.service.responder.index.read


def files(bench: Bench) -> list[Path]:
    return sorted(bench.home.index.glob("reach-*.blk"))


def test_what_is_at_rest_is_not_read_again(bench: Bench, made: History) -> None:
    assert len(files(bench)) == ENTRIES // FILE + 1
    before = bench.desk.ledger.size
    assert read(bench) <= before - ENTRIES  # what a start itself appends, and nothing else
    for name in made.grants.values():
        was, _ = ask(bench, grant=name)
        assert was.people == made.people_of[name]
        assert was.count == made.runs_of[name]


@pytest.mark.parametrize(
    "target",
    [
        {"principal": "ana-l"},
        {"segment": "us-ca.kye"},
        {"key": "us-ca.kye/1"},
        {"key": "uz-ca.key"},
    ],
)
def test_a_misspelt_name_is_refused_and_not_told_as_nothing(
    bench: Bench, target: dict[str, str]
) -> None:
    size = bench.desk.ledger.size
    with pytest.raises(MissingError):
        bench.call("incident.blast", target=target)
    assert bench.desk.ledger.size == size
    # what there is and nobody opened is nothing
    assert ask(bench, segment="us-wa.pointer")[0].people == frozenset()


def test_the_schedule_keeps_up(bench: Bench) -> None:
    close = work_by_itself(bench.service, bench.clock)
    try:
        assert "reach" in {one["task"] for one in bench.verbs.status.periodic()}
        assert gc.get_freeze_count()  # what is there at the beginning is looked through no more
    finally:
        close()
    assert not gc.get_freeze_count()


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))


def test_what_was_changed_at_rest_is_noticed_and_made_again(bench: Bench, made: History) -> None:
    bench.stop()
    flip(files(bench)[1])
    bench.start()
    assert read(bench) >= ENTRIES - FILE
    was, _ = ask(bench, grant=grant_of(made))
    assert was.people == made.people_of[grant_of(made)]
    bench.restart()
    assert read(bench) < FILE  # it was put in order


def test_what_lies_elsewhere_is_not_believed(bench: Bench, made: History) -> None:
    bench.stop()
    first, second = files(bench)[:2]
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    bench.start()
    assert read(bench) >= ENTRIES
    was, _ = ask(bench, grant=grant_of(made))
    assert was.people == made.people_of[grant_of(made)]


def test_what_claims_more_leaves_than_there_are_is_not_believed(bench: Bench) -> None:
    bench.stop()
    last = files(bench)[-1]
    data = last.read_bytes()
    last.write_bytes(data[:4] + (1 << 20).to_bytes(8, "big") + data[12:])
    bench.start()
    assert read(bench) > 0


def test_of_another_history_nothing_is_believed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.stop()
    bench.start()
    monkeypatch.setattr(bench.desk.ledger, "root_at", lambda _size: bytes(32))
    assert read(bench) >= ENTRIES


def test_an_older_copy_tells_less_and_the_rest_is_read(
    bench: Bench, made: History, tmp_path: Path
) -> None:
    bench.stop()
    kept = tmp_path / "kept"
    shutil.copytree(bench.home.index, kept)
    bench.start()
    bench.take(
        *(one.external for one in bench.desk.people.everybody().values()), name="more", first=9
    )
    newest = ask(bench, key="us-ca.pointer")[1]
    bench.stop()
    shutil.rmtree(bench.home.index)
    shutil.copytree(kept, bench.home.index)
    bench.start()
    assert ask(bench, key="us-ca.pointer")[1] == newest
    assert read(bench) > 0


def test_an_erasure_ends_what_is_at_rest_and_whose_it_was(
    bench: Bench, made: History, tmp_path: Path
) -> None:
    bench.service.keep_up()
    grant = grant_of(made)
    gone = min(made.people_of[grant])
    tag = next(
        tag
        for place, tag in enumerate(bench.service.responder.index.tracks.places)
        if bench.service.responder.index.people.get(place) == gone
    )
    older = tmp_path / "older"
    shutil.copytree(bench.home.index, older)
    bench.call(
        "people.erase", person=bench.desk.people.standing(gone).external, evidence="a letter"
    )
    left = made.people_of[grant] - {gone}
    was, could = ask(bench, grant=grant)
    assert was.people == left
    assert gone not in could.people
    assert was.erased[0] >= 1
    assert was.erased[1] == 1
    assert tag not in bench.service.responder.index.tracks.places
    bench.restart()
    assert read(bench) < ENTRIES  # what was pruned is at rest again
    assert ask(bench, grant=grant)[0].people == left
    bench.stop()
    shutil.rmtree(bench.home.index)
    shutil.copytree(older, bench.home.index)  # a backup of then opens no more
    bench.start()
    assert read(bench) >= ENTRIES
    again, _ = ask(bench, grant=grant)
    assert (again.people, again.erased) == (left, was.erased)


def test_nothing_readable_is_at_rest(bench: Bench, made: History) -> None:
    grant = grant_of(made)
    words = [grant, made.people[0], "us-ca.pointer", "user-1", "token-", "train_ui_agent"]
    for file in files(bench):
        data = file.read_bytes()
        assert not [word for word in words if word.encode() in data]
        assert (len(data) - 12) // 65_536 >= 1  # and how long it is says little


def calls_of(bench: Bench, target: Target) -> int:
    """Return how many calls an answer takes: it must not grow with the ledger."""
    bench.service.responder.measure(target)
    count = 0

    def note(_frame: Any, event: str, _more: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        bench.service.responder.measure(target)
    finally:
        sys.setprofile(None)
    return count


def test_an_answer_does_not_grow_with_the_ledger(
    bench: Bench, tmp_path_factory: pytest.TempPathFactory
) -> None:
    larger = make_history(
        tmp_path_factory.mktemp("larger"), entries=4 * ENTRIES, people=PEOPLE, grants=3, crowd=7
    )
    try:
        for target in (Target(key="us-ca.pointer"), Target(since_us=0), Target(key="@root")):
            few, many = calls_of(bench, target), calls_of(larger.bench, target)
            sets = len(larger.bench.service.responder.index.tracks.sets)
            assert many - few < sets + ENTRIES / 4, (
                "beyond one step for each different set of people"
            )
    finally:
        larger.bench.stop()


# who is told what


def test_of_real_people_numbers_are_told_in_tens(bench: Bench) -> None:
    answer = bench.call("incident.blast", target={"key": "us-ca.pointer"})
    assert answer["could"]["people"] == PEOPLE
    assert answer["could"]["blocks"] is None
    assert {one["blocks"] for one in answer["was"]["runs"]["shown"]} == {None}
    few = bench.call("incident.blast", target={"segment": "us-ca.key"})
    assert few["could"]["people"] is None
    assert few["could"]["fewer_than"] > 1


def test_of_one_real_person_nothing_is_told_in_numbers(bench: Bench) -> None:
    person = next(iter(bench.desk.people.everybody().values())).external
    error = raised(lambda: bench.call("incident.blast", target={"key": f"@person/{person}"}))
    assert error.rule == "blast.person"
    assert ask(bench, key=f"@person/{person}")[1].people != frozenset()


def test_the_question_is_an_entry_before_it_is_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = bench.desk.ledger.size
    answer = bench.call("incident.blast", target={"segment": "us-ca.pointer"})
    assert answer["entry"] >= size
    said = bench.call("ledger.show", index=answer["entry"])
    assert said["leaf"]["k"] == "blast"
    assert said["leaf"]["pub"] == {"state": "asked"}
    assert said["detail"]["target"] == {"segment": "us-ca.pointer"}

    def full(*_entries: object) -> None:
        raise UnavailableError("the ledger cannot be written", rule="ledger.append")

    monkeypatch.setattr(type(bench.desk), "log", lambda self, *entries: full(*entries))
    error = raised(lambda: bench.call("incident.blast", target={"segment": "us-ca.pointer"}))
    assert error.rule == "ledger.append"


def test_agents_and_pipelines_ask_for_neither() -> None:
    assert KINDS_OF["incident.blast"] == {LOCAL, HUMAN}
    assert AGENT not in KINDS_OF["incident.reached"]
    assert WORKLOAD not in KINDS_OF["incident.blast"]


@pytest.mark.parametrize(
    "target",
    [
        None, {}, {"who": "me"}, {"grant": 3}, {"since_us": "now"}, {"since_us": -1}, {"key": "@all"},
        {"key": "us-ca.key/0"}, {"key": "@person/"}, {"grant": "g" * 513}, {"until_us": True},
    ],
)  # fmt: skip
def test_what_is_no_target_is_refused(target: Any) -> None:
    with pytest.raises(InvalidError):
        Target.from_json(target)


def test_a_target_is_read_as_it_was_written() -> None:
    target = Target(grant="g", key="us-ca.key/3", since_us=5)
    assert Target.from_json(target.to_json()) == target
    assert target.kind == ("segment", "us-ca.key", 3)
    assert "ana" not in Target(key="@person/ana").words()


@pytest.mark.parametrize(
    ("target", "rule"),
    [
        ({"grant": "none"}, "grant.missing"),
        ({"artifact": "art_none"}, "catalog.dataset"),
        ({"capability": "f" * 128}, "capability.missing"),
    ],
)
def test_what_is_not_there_is_said(bench: Bench, target: dict[str, str], rule: str) -> None:
    assert raised(lambda: bench.call("incident.blast", target=target)).rule == rule


# names


def drawn_up(bench: Bench, path: Path, target: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    key = path / "opener.key"
    if not key.exists():
        SigningKey.generate().write(key)
    told = orders.draw_up(bench.home.id, target, reason="they are to be told", opener=key)
    order = canonical.decode(told["order"].encode())
    order["at_us"] = bench.clock.now_us()
    return {"order": canonical.encode(order).decode(), "signatures": []}, key


def signed(bench: Bench, told: dict[str, Any], *seats: str) -> dict[str, Any]:
    for seat in seats:
        told = orders.sign(told, seat=seat, key=bench.seats[seat])
    return told


def test_two_seats_are_told_who_they_are(bench: Bench, made: History, tmp_path: Path) -> None:
    grant = grant_of(made)
    told, key = drawn_up(bench, tmp_path, {"grant": grant})
    bench.call("stop", **bench.order("stop", "legal"))  # whoever was harmed is told all the same
    answer = bench.call("incident.reached", **signed(bench, told, "privacy", "legal"))
    out = tmp_path / "list"
    orders.keep_list(answer, out)
    found = orders.open_list(out, key)
    assert {one["id"] for one in found["was"]} == made.people_of[grant]
    assert all(one["person"] for one in found["was"])
    said = bench.call("ledger.show", index=answer["entry"])
    assert said["leaf"]["k"] == "access.intent"
    assert said["leaf"]["pub"] == {"purpose": "incident-response"}
    assert said["detail"]["seats"] == ["legal", "privacy"]
    assert bench.verbs.work.answers.settle() == []
    # everybody on the list finds it in their own trail
    opening = bench.desk.ledger.opening(answer["entry"])
    real = len(opening.people.items) - len(opening.people.padding())
    assert real == len({one["id"] for part in ("was", "could") for one in found[part]})
    stranger = tmp_path / "stranger.key"
    SigningKey.generate().write(stranger)
    assert raised(lambda: orders.open_list(out, stranger)).rule == "blast.list"


@pytest.mark.parametrize(
    "seats", [(), ("privacy",), ("legal", "security"), ("privacy", "privacy")], ids=str
)
def test_fewer_than_two_seats_are_told_nothing(
    bench: Bench, made: History, tmp_path: Path, seats: tuple[str, ...]
) -> None:
    told, _ = drawn_up(bench, tmp_path, {"grant": grant_of(made)})
    size = bench.desk.ledger.size
    error = raised(lambda: bench.call("incident.reached", **signed(bench, told, *seats)))
    assert error.rule == "blast.seats"
    assert "access.intent" not in bench.leaves(size)


def test_an_order_counts_once_here_and_now(bench: Bench, made: History, tmp_path: Path) -> None:
    told, _ = drawn_up(bench, tmp_path, {"grant": grant_of(made)})
    good = signed(bench, told, "privacy", "legal")
    bench.call("incident.reached", **good)
    assert raised(lambda: bench.call("incident.reached", **good)).rule == "blast.order"
    for change in (
        {"home": "home_other"},
        {"at_us": bench.clock.now_us() - LIFE_US - 1},
        {"at_us": bench.clock.now_us() + 10**9},
        {"reason": ""},
        {"v": "safehold.order/1"},
        {"more": 1},
    ):
        order = canonical.decode(told["order"].encode()) | change
        text = {"order": canonical.encode(order).decode(), "signatures": []}
        other = signed(bench, text, "privacy", "legal")
        assert (
            raised(lambda order=other: bench.call("incident.reached", **order)).rule
            == "blast.order"
        )
    spoilt = {**good, "order": good["order"].replace("they are", "they were")}
    assert raised(lambda: bench.call("incident.reached", **spoilt)).rule == "blast.seats"


# shown


def test_the_picture_and_the_tree_tell_both_answers_apart(bench: Bench, made: History) -> None:
    answer = bench.call("incident.blast", target={"grant": grant_of(made)})
    root = ET.fromstring(draw_blast(answer))  # noqa: S314 - our own
    name = "{http://www.w3.org/2000/svg}"
    assert root.get("role") == "img"
    said = {root.find(f"{name}title").text, root.find(f"{name}desc").text}  # type: ignore[union-attr]
    assert any("Was opened" in one and "Could have been opened" in one for one in said if one)
    assert "prefers-color-scheme: dark" in (root.find(f"{name}style").text or "")  # type: ignore[union-attr]
    text = "\n".join(draw_blast_tree(answer))
    for words in (
        "Was opened",
        "Could have been opened",
        "60 people",
        f"{made.runs_of[grant_of(made)]} runs",
    ):
        assert words in text
    assert not [one for one in made.people if one in text]


def test_numbers_by_one_pass() -> None:
    import numpy as np

    column = np.array([3, -1, 3, 0, 7])
    assert distinct(column) == [-1, 0, 3, 7]
    assert distinct(column[:0]) == []
    assert among(column, [3, -2, 99]).tolist() == [True, False, True, False, False]
    assert among(column[:0], [1]).tolist() == []
    assert places_of(0) == []
    assert places_of(0b1001) == [0, 3]


def test_two_erased_people_are_never_taken_for_one() -> None:
    tracks = Tracks(str)
    one, other = tracks.place("one"), tracks.place("other")
    tracks.place("there")
    numbers = [tracks.number_set(4 | 1 << place) for place in (one, other)]
    for at, number in enumerate(numbers):
        tracks["uses"].add(at, 0, -1, -1, -1, -1, -1, -1, -1, -1, number, 0, -1, -1, 0, 0)
    assert tracks.prune(["there"])
    assert tracks["uses"]["erased"].tolist() == [1, 1]
    assert len(set(tracks["uses"]["people"].tolist())) == 1
    assert not tracks.prune(["there"])


def test_nothing_is_read_anew_while_something_is_measured(
    bench: Bench, made: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    responder, name = bench.service.responder, grant_of(made)
    bench.service.keep_up()
    fresh = threading.Event()
    real = responder_module.was_opened

    def measured(*given: Any) -> Part:
        reader = threading.Thread(target=lambda: (responder.keep_up(), fresh.set()), daemon=True)
        reader.start()
        assert not fresh.wait(0.2)
        return real(*given)

    monkeypatch.setattr(responder_module, "was_opened", measured)
    told = bench.call("incident.blast", target={"grant": name})
    assert told["was"]["people"] == len(made.people_of[name])
    assert fresh.wait(10)
