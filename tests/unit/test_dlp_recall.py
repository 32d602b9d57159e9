"""How much of what is planted comes to rest: measured, and held to what is measured."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.planted import TEXT, Measured, left_of, measure

from safehold.workforce import Spec

# not chosen for their result; what they showed was mended since
SEEDS = (31337, 271828, 5550123)
STREAMS = [stream for stream, _ in TEXT]
TYPED_LEFT, DECOYS_MASKED, KEYS_MASKED, TEXT_MASKED = 0.01, 0.25, 0.005, 0.01
OVER_A_TENTH = 0.1 + 1e-9


def company(seed: int) -> Spec:
    return Spec(people=40, days=2, start_day=20_780, seed=seed)


@pytest.fixture(scope="module")
def all_measured() -> dict[tuple[int, int], Measured]:
    return {
        (seed, level): measure(company(seed), level=level) for seed in SEEDS for level in (1, 3)
    }


def report(measured: list[Measured]) -> None:
    """Print the table of the reference page."""
    counts: Counter[tuple[str, ...]] = Counter()
    for one in measured:
        for fate in one.fates:
            row = fate.row
            place = row["stream"] + (", erased" if row["erased"] else "")
            name = ("decoy" if row["decoy"] else row["class"], place)
            counts[(*name, "planted")] += 1
            counts[(*name, "dropped")] += fate.gone
            counts[(*name, "left 90 %")] += not fate.gone and fate.left >= 0.9
            counts[(*name, "left 50 %")] += not fate.gone and fate.left >= 0.5
    for name in sorted({key[:2] for key in counts}):
        words = ("planted", "dropped", "left 90 %", "left 50 %")
        print(*name, *(f"{word} {counts[(*name, word)]}" for word in words), sep=" | ")
    for stream in ("key", *STREAMS):
        total = sum(one.ordinary[stream] for one in measured)
        lost = sum(one.masked[stream] for one in measured)
        print(f"{stream}: {lost} of {total} ordinary characters masked, {lost / total:.5f}")


def test_what_is_planted_does_not_come_to_rest(
    all_measured: dict[tuple[int, int], Measured],
) -> None:
    report([one for (_, level), one in all_measured.items() if level == 3])
    for measured in all_measured.values():
        for stream in STREAMS:
            left, planted = measured.recall(0.5, stream=stream, decoy=False)
            assert planted >= 5, stream
            assert left == 0, stream
    for level in (1, 3):
        for erased in (False, True):
            counts = [
                one.recall(0.5, stream="key", decoy=False, erased=erased)
                for (_, at), one in all_measured.items()
                if at == level
            ]
            planted = sum(count for _, count in counts)
            assert planted >= 50
            assert sum(left for left, _ in counts) <= TYPED_LEFT * planted
    # of at least 99 in 100, erased ones included, nine in ten presses are masked
    whole = [
        one.recall(OVER_A_TENTH, stream="key", decoy=False)
        for (_, level), one in all_measured.items()
        if level == 3
    ]
    open_, planted = (sum(column) for column in zip(*whole, strict=True))
    print(f"keys: {open_} of {planted} values with more than a tenth of their presses left")
    assert planted >= 150
    assert open_ <= 0.01 * planted


def test_nothing_planted_is_in_the_bytes_that_would_be_sealed(
    all_measured: dict[tuple[int, int], Measured],
) -> None:
    for measured in all_measured.values():
        for fate in measured.fates:
            if not fate.row["decoy"]:
                value = fate.row["value"]
                assert value.encode() not in measured.rest
                assert value.replace(" ", "").encode() not in measured.rest


def test_passwords_in_password_fields_and_denied_windows_are_dropped(
    all_measured: dict[tuple[int, int], Measured],
) -> None:
    for measured in all_measured.values():
        fields = [fate for fate in measured.fates if fate.row["field_kind"] == "password"]
        assert len(fields) >= 30
        assert all(fate.gone for fate in fields)


def test_what_only_looks_like_a_secret_and_ordinary_text_stay(
    all_measured: dict[tuple[int, int], Measured],
) -> None:
    one = [measured for (_, level), measured in all_measured.items() if level == 3]
    decoys = [fate for each in one for fate in each.fates if fate.row["decoy"] and not fate.gone]
    assert len(decoys) >= 30
    assert sum(fate.left < 0.5 for fate in decoys) <= DECOYS_MASKED * len(decoys)
    # a number of 16 digits that fails the check is masked all the same: it may be a card mistyped
    assert {fate.row["class"] for fate in decoys if fate.left < 0.5} <= {"CARD"}
    for stream in ("key", *STREAMS):
        total = sum(each.ordinary[stream] for each in one)
        assert total > 10_000
        bound = KEYS_MASKED if stream == "key" else TEXT_MASKED
        assert sum(each.masked[stream] for each in one) <= bound * total


def test_the_measure_sees_what_is_left() -> None:
    """The yardstick itself: at L0 without rules for a class, everything is left."""
    assert left_of("ann.lee@mail.example", "write to ANN.LEE@mail.example") == 1.0
    assert 0.5 <= left_of("4111111111111111", "4111 41111111 [CARD]") < 0.9
    assert left_of("4111111111111111", "[CARD]") == 0.0
