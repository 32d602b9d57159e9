"""Reading many entries at once: who did what, checked against the leaf, and nothing of whose data it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ledger_desk import DESKS, Desk, desk_over

from safehold.errors import MissingError, TamperedError
from safehold.ledger import Entry, Subject


@pytest.fixture(params=DESKS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    desk = desk_over(request.param, tmp_path, request)
    with desk.open() as ledger:
        for start in (0, 3, 4):
            ledger.append(
                [
                    Entry(
                        kind="access.intent",
                        actor=f"actor-{number}",
                        object="train",
                        detail={"number": number},
                        public={"purpose": "p"},
                        subjects=[Subject(key=b"k" * 32)] * (number % 2),
                    )
                    for number in range(start, start + 3)
                ]
            )
    return desk


def everything(_index, _leaf) -> bool:
    return True


def test_it_says_what_each_entry_says(desk):
    with desk.open() as ledger:
        for start, stop in ((0, 9), (1, 2), (2, 7), (8, 100), (9, 9), (5, 3)):
            found = list(ledger.scan(start, stop, opens=everything))
            assert [index for index, _, _ in found] == list(range(start, min(stop, 9)))
            for index, leaf, said in found:
                assert said is not None
                told = {"actor": said.actor, "object": said.object, "detail": said.detail}
                assert told == ledger.detail(index)
                assert leaf["k"] == "access.intent"


def test_only_what_may_be_is_opened(desk):
    with desk.open() as ledger:
        opened = len(desk.sealer.aads)
        found = list(ledger.scan(0, 9, opens=lambda index, _leaf: index == 4))
        assert [index for index, _, said in found if said is not None] == [4]
        assert len(desk.sealer.aads) == opened


FOREIGN = "UPDATE sidecar SET body = (SELECT body FROM sidecar WHERE first = 6) WHERE first = 0"


def test_a_side_car_that_is_gone_is_passed_over_and_a_foreign_one_is_told(desk):
    desk.edit("DELETE FROM sidecar WHERE first = 3")
    with desk.open() as ledger:
        found = {index: said for index, _, said in ledger.scan(0, 9, opens=everything)}
        assert [index for index, said in found.items() if said is None] == [3, 4, 5]
    desk.edit(FOREIGN)
    with desk.open() as ledger, pytest.raises(TamperedError) as caught:
        list(ledger.scan(0, 9, opens=everything))
    assert caught.value.rule == "ledger.sidecar"


def test_openings_say_all_that_each_side_car_says(desk):
    with desk.open() as ledger:
        for start, stop in ((0, 9), (1, 2), (2, 7), (8, 100), (9, 9), (5, 3)):
            found = list(ledger.openings(start, stop, opens=lambda _leaf: True))
            assert [index for index, *_ in found] == list(range(start, min(stop, 9)))
            for index, raw, leaf, opening in found:
                assert raw == ledger.leaf(index)
                assert opening == ledger.opening(index)
                assert bool(opening.people.items) == bool(index % 2)
                assert ledger.handles_in(raw, opening, epoch=0) == ledger.handles(index, epoch=0)[1]
                assert leaf["k"] == "access.intent"
        odd = list(ledger.openings(0, 9, opens=lambda leaf: leaf["t"] < 0))
        assert [opening for *_, opening in odd] == [None] * 9


def test_openings_miss_no_side_car_and_take_no_other(desk):
    desk.edit("DELETE FROM sidecar WHERE first = 3")
    with desk.open() as ledger:
        with pytest.raises(MissingError) as caught:
            list(ledger.openings(0, 9, opens=lambda _leaf: True))
        assert caught.value.rule == "ledger.sidecar"
        assert len(list(ledger.openings(6, 9, opens=lambda _leaf: True))) == 3
    desk.edit(FOREIGN)
    with desk.open() as ledger, pytest.raises(TamperedError) as tampered:
        list(ledger.openings(0, 3, opens=lambda _leaf: True))
    assert tampered.value.rule == "ledger.sidecar"


def test_the_side_cars_of_a_batch_are_found_by_its_first_leaf_alone(desk):
    with desk.open() as ledger:
        journal = ledger._journal
        for first, leaves in journal.batches():
            found = journal.sidecars(first)
            assert found == [journal.sidecar(first + at) for at in range(len(leaves))]
        assert journal.sidecars(1) == journal.sidecars(100) == []
    desk.edit("DELETE FROM sidecar WHERE first = 3")
    with desk.open() as ledger:
        assert ledger._journal.sidecars(3) == []
        assert len(ledger._journal.sidecars(6)) == 3


def test_a_month_whose_key_was_destroyed_is_passed_over(desk):
    with desk.open() as ledger:
        desk.sealer.gone |= set(desk.sealer.keys)
        assert [said for _, _, said in ledger.scan(0, 9, opens=everything)] == [None] * 9


def test_a_side_car_that_says_something_else_is_told(desk, monkeypatch):
    real = type(desk.sealer).open

    def lies(self, **given):
        return real(self, **given).replace(b"actor-", b"other-")

    monkeypatch.setattr(type(desk.sealer), "open", lies)
    with desk.open() as ledger, pytest.raises(TamperedError) as caught:
        list(ledger.scan(0, 9, opens=everything))
    assert caught.value.rule == "ledger.commitment"
