"""Lines of events: what is taken, and that a wrong one is named by its number and never quoted."""

from __future__ import annotations

import json

import pytest

from safehold.errors import InvalidError
from safehold.sentinel.lines import in_order, read_events

GOOD = {
    "t": "2026-03-02T09:00:00Z", "principal": "p", "kind": "human", "role": "analyst", "team": "red",
    "action": "dataset.read", "objects": ["t"], "segment": "s", "purpose": "train", "rows": 3, "bytes": 9,
    "grant": "g", "outcome": "ok",
}  # fmt: skip
SECRET = "hunter2"


def read(*trees):
    return list(
        read_events(
            [tree if isinstance(tree, bytes) else json.dumps(tree).encode() for tree in trees], "f"
        )
    )


def test_a_whole_line_is_read():
    (event,) = read(GOOD)
    assert (event.number, event.principal, event.objects, event.rows, event.grant) == (
        1,
        "p",
        ("t",),
        3,
        "g",
    )


def test_little_is_needed():
    (event,) = read({"t": "2026-03-02", "principal": "p", "kind": "agent", "action": "x"})
    assert (event.outcome, event.objects, event.grant, event.segment) == ("ok", (), None, "")


@pytest.mark.parametrize("moment", ["2026-03-02T09:00:00Z", "2026-03-02T09:00:00", "2026-03-02 09:00:00.000000",
                                    "2026-03-02T11:00:00+02:00", "20260302T090000Z"])  # fmt: skip
def test_moments_with_and_without_a_zone(moment):
    assert read(GOOD | {"t": moment})[0].t_us == read(GOOD)[0].t_us


def test_fields_that_nobody_knows_are_passed_over_and_nulls_are_nothing():
    (event,) = read(
        GOOD
        | {
            "more": {"a": 1},
            "grant": None,
            "role": None,
            "objects": None,
            "rows": None,
            "bytes": 2.0,
        }
    )
    assert (event.grant, event.role, event.objects, event.rows, event.bytes) == (None, "", (), 0, 2)


def test_empty_lines_are_counted():
    assert [event.number for event in read(GOOD, b"\n", GOOD)] == [1, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"t": SECRET}, {"t": 5}, {"t": None}, {"t": "1931-01-01"}, {"principal": ""}, {"principal": 4}, {"principal": None},
        {"kind": SECRET}, {"kind": ["human"]}, {"action": ""}, {"action": [SECRET]}, {"objects": SECRET}, {"objects": [4]},
        {"objects": [SECRET] * 1_001}, {"rows": -1}, {"rows": SECRET}, {"rows": 1.5}, {"rows": True}, {"bytes": 2**60},
        {"outcome": SECRET}, {"grant": 4}, {"segment": SECRET * 200}, {"team": {}},
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_line(change):
    with pytest.raises(InvalidError) as caught:
        read(GOOD, GOOD | change)
    error = caught.value
    assert f"row 2, field {next(iter(change))}" in error.message
    assert error.rule == "sentinel.line"
    assert SECRET not in error.message + str(error.fix)


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"4", b"\xff", b'"' + SECRET.encode(), b"{}" * 600_000]
)
def test_what_is_no_object_is_named_by_its_line(line):
    with pytest.raises(InvalidError) as caught:
        read(GOOD, line)
    assert "row 2" in caught.value.message
    assert SECRET not in caught.value.message


def test_lines_out_of_order_are_put_in_order():
    late, early = GOOD, GOOD | {"t": "2026-03-01T09:00:00Z"}
    assert [event.number for event in in_order(read(late, early, late))] == [2, 1, 3]
