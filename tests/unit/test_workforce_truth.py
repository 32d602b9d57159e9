"""The truth is true: typed again, the keys hold what it says, and erased values are gone."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from safehold.telemetry.stream import KeyKind, PointerKind
from safehold.workforce import Spec, person_day, roster, truth
from safehold.workforce.plants import list_plants
from safehold.workforce.secret import luhn_digit

SPEC = Spec(people=30, days=1, start_day=20_780, seed=1)
CLASSES = {
    "EMAIL", "PHONE", "SSN", "CARD", "IBAN", "BANK", "IP", "MAC", "USERNAME", "EMPID", "SECRET",
    "PASSWORD", "OTP", "MRN", "HEALTH", "FINANCE", "LEGAL", "PERFORMANCE", "PRIVATE",
}  # fmt: skip


@pytest.fixture(scope="module")
def days():
    return {person.id: person_day(SPEC, i, 0) for i, person in enumerate(roster(SPEC))}


@pytest.fixture(scope="module")
def rows():
    return truth(SPEC).to_pylist()


class Field:
    """A text field with a caret, a selection of everything, and nothing else."""

    def __init__(self):
        self.left, self.right, self.all = [], [], False

    def text(self):
        return "".join(self.left + self.right[::-1])

    def press(self, key, mods):
        if mods & 2:
            if key == "a":
                self.left, self.right, self.all = self.left + self.right[::-1], [], True
            elif key == "Backspace":
                while self.left and not self.left[-1].isalnum():
                    self.left.pop()
                while self.left and self.left[-1].isalnum():
                    self.left.pop()
            return
        if self.all:
            self.left, self.right, self.all = [], [], False
            if key == "Backspace":
                return
        if len(key) == 1:
            self.left.append(key)
        elif key == "Backspace" and self.left:
            self.left.pop()
        elif key == "Delete" and self.right:
            self.right.pop()
        elif key == "ArrowLeft" and self.left:
            self.right.append(self.left.pop())
        elif key == "End":
            self.left, self.right = self.left + self.right[::-1], []


def _replay(tables, row):
    """Return the text before the caret when the value has just been typed, and the field's last text."""
    keys = (
        tables["key"]
        .filter(
            pa.compute.and_(
                pa.compute.equal(tables["key"]["session"], row["session"]),
                pa.compute.equal(tables["key"]["kind"], int(KeyKind.DOWN)),
            )
        )
        .to_pydict()
    )
    pointer = tables["pointer"]
    clicks = pointer.filter(pa.compute.equal(pointer["kind"], int(PointerKind.CLICK)))
    click_times = clicks["t"].cast(pa.int64()).to_numpy()
    times = np.array([moment.timestamp() * 1e6 for moment in keys["t"]]).astype(np.int64)
    segment = np.searchsorted(click_times, times)
    field, typed = Field(), None
    for at, seq in enumerate(keys["seq"]):
        if at and (segment[at] != segment[at - 1] or keys["key"][at - 1] in ("Enter", "Tab")):
            if typed is not None:
                break
            field = Field()
        field.press(keys["key"][at], keys["mods"][at])
        if seq == row["last_seq"]:
            typed = "".join(field.left)
    return typed, field.text()


def test_typed_values_are_in_the_keys(days, rows):
    erased = 0
    for row in rows:
        if row["stream"] != "key":
            continue
        typed, final = _replay(days[row["person"]], row)
        assert typed.endswith(row["value"]), row["span_id"]
        assert (row["value"] in final) == (not row["erased"]), row["span_id"]
        assert not row["erased"] or row["value"][:3] not in final, row["span_id"]
        erased += row["erased"]
    assert erased >= 15


def test_a_span_begins_with_its_first_key(days, rows):
    for row in rows:
        if row["stream"] == "key":
            keys = days[row["person"]]["key"].to_pylist()
            span = [
                key
                for key in keys
                if key["session"] == row["session"]
                and row["first_seq"] <= key["seq"] <= row["last_seq"]
            ]
            assert span[0]["kind"] == span[-1]["kind"] == KeyKind.DOWN
            assert len({key["ctx"] for key in span}) == 1
            assert {key["field_kind"] for key in span} == {row["field_kind"]}
            presses = sum(key["kind"] == KeyKind.DOWN for key in span)
            assert presses >= len(row["value"])


def test_messages_and_titles_hold_their_values(days, rows):
    seen = Counter()
    for row in rows:
        if row["stream"] == "key":
            continue
        table = days[row["person"]][row["stream"]].to_pylist()
        (event,) = [
            event
            for event in table
            if event["session"] == row["session"] and event["seq"] == row["first_seq"]
        ]
        assert row["value"] in event["title" if row["stream"] == "focus" else "text"]
        assert row["first_seq"] == row["last_seq"]
        assert event["device"] == row["device"]
        seen[row["stream"]] += 1
    assert min(seen["chat"], seen["ai"], seen["focus"]) >= 5


def test_a_small_run_has_every_class_a_few_times(rows):
    real = [row for row in rows if not row["decoy"]]
    count = Counter(row["class"] for row in real)
    assert set(count) == CLASSES
    assert min(count.values()) >= 2
    assert sum(row["decoy"] for row in rows) >= 6
    assert sum(row["retyped"] for row in rows) >= 3
    assert sum(row["field_kind"] == "password" for row in rows) >= 30
    assert len({row["span_id"] for row in rows}) == len(rows)


def test_denied_contexts_are_visited_and_typed_in(days):
    apps, hosts = set(), set()
    for tables in days.values():
        focus = {row["ctx"]: row for row in tables["focus"].to_pylist()}
        for ctx in set(tables["key"]["ctx"].to_pylist()):
            apps.add(focus[ctx]["app"])
            hosts.add(focus[ctx]["url_host"])
    assert "keepassxc" in apps
    assert {"online-banking.example", "patient-portal.example"} <= hosts


def test_values_do_not_occur_by_chance(days, rows):
    """Nobody else's text holds a value, and every value is long enough to be searched for."""
    texts = {
        person: " ".join(
            text or ""
            for stream, column in (("chat", "text"), ("ai", "text"), ("focus", "title"))
            for text in tables[stream][column].to_pylist()
        )
        for person, tables in days.items()
    }
    for row in rows:
        assert len(row["value"].encode()) >= 8
        assert not any(
            row["value"] in text for person, text in texts.items() if person != row["person"]
        )
    owners = {}
    for row in rows:
        assert owners.setdefault(row["value"], row["person"]) == row["person"]


def test_numbers_carry_the_checksums_of_their_kind(rows):
    for row in rows:
        if row["class"] == "CARD":
            digits = "".join(mark for mark in row["value"] if mark.isdigit())
            assert (luhn_digit(digits[:-1]) == digits[-1]) == (not row["decoy"])
        if row["class"] == "IBAN":
            plain = row["value"].replace(" ", "")
            moved = plain[4:] + plain[:4]
            assert int("".join(str(int(mark, 36)) for mark in moved)) % 97 == 1


def test_truth_of_a_person_does_not_depend_on_the_size(rows):
    wide = truth(Spec(people=40, days=2, start_day=20_780, seed=1)).to_pylist()
    kept = [row for row in wide if row["day"] == 0 and row["person"] <= "emp-00029"]
    assert kept == rows


def test_densities_of_a_large_company():
    spec = Spec(people=4_000, days=2, start_day=20_780, seed=3)
    plants = [plant for index in range(30, 4_000) for plant in list_plants(spec, index, 1)]
    decoys = sum(plant.secret.decoy for plant in plants)
    private = sum(plant.secret.kind == "PRIVATE" for plant in plants)
    days = 3_970 / 1_000
    assert len(plants) / days == pytest.approx(115, rel=0.15)
    assert decoys / days == pytest.approx(20, rel=0.35)
    assert private / days == pytest.approx(10, rel=0.5)


def test_values_are_deleted_in_every_way_people_do(days, rows):
    """One backspace at a time, held down, everything selected, word by word, late, and from far."""
    ways = set()
    for row in rows:
        if row["stream"] != "key" or not row["erased"]:
            continue
        after = [
            key
            for key in days[row["person"]]["key"].to_pylist()
            if key["session"] == row["session"]
            and row["last_seq"] < key["seq"] <= row["last_seq"] + 1_500
            and key["kind"] == KeyKind.DOWN
            and key["key"] not in ("Shift", "Control")
        ]
        first, second = after[0], after[1]
        if first["mods"] & 2:
            ways.add("select" if first["key"] == "a" else "word")
        elif first["key"] == "Backspace":
            ways.add("held" if second["repeat"] else "single")
        else:
            ways.add("late")
    assert ways == {"select", "word", "held", "single", "late"}
