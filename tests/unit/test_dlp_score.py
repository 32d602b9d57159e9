"""The yardstick: what counts as found, as right, and how sure the figures are."""

from __future__ import annotations

import json

import pytest

from safehold.dlp.classes import CLASSES
from safehold.dlp.misses import Misses, shape_of
from safehold.dlp.pattern import read_data
from safehold.dlp.score import Score, class_of
from safehold.dlp.settle import settle

TEXT = "x" * 40


def figures(gold, found):
    score = Score()
    score.add(TEXT, gold, found)
    return score.report()


@pytest.mark.parametrize(
    ("found", "recall", "precision"),
    [
        ([(0, 10, "CARD")], 1.0, 1.0),
        ([(0, 5, "CARD")], 1.0, 1.0),  # half of it is covered
        ([(0, 4, "CARD")], 0.0, 1.0),
        ([(0, 20, "CARD")], 1.0, 1.0),  # half of it is right
        ([(0, 21, "CARD")], 1.0, 0.0),
        ([(0, 3, "CARD"), (7, 9, "CARD")], 1.0, 1.0),  # together they cover half
        ([(0, 10, "SSN")], 0.0, None),
        ([(0, 10, "CARD"), (20, 30, "CARD")], 1.0, 0.5),
    ],
)
def test_half_of_a_span_is_what_counts(found, recall, precision):
    card = figures([(0, 10, "CREDIT_CARD")], found)["classes"]["CARD"]["span"]
    assert card["recall"]["value"] == recall
    assert card["precision"]["value"] == precision


def test_characters_are_counted_as_unions():
    card = figures([(0, 10, "CARD"), (5, 15, "CARD")], [(0, 6, "CARD"), (3, 12, "CARD")])
    rates = card["classes"]["CARD"]["characters"]
    assert rates["recall"]["value"] == 0.8
    assert rates["precision"]["value"] == 1.0


def test_f2_weighs_recall_and_totals_are_over_what_the_gold_names():
    score = Score()
    score.add(TEXT, [(0, 4, "SSN"), (6, 9, "US_SSN")], [(0, 4, "SSN"), (20, 24, "EMAIL")])
    report = score.report()
    ssn = report["classes"]["SSN"]["span"]
    assert ssn["f1"]["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert ssn["f2"]["value"] == pytest.approx(5 * 0.5 / 4.5, abs=1e-4)
    assert report["all_labelled"]["span"] == ssn
    assert report["classes"]["EMAIL"]["false_per_mb"] == pytest.approx(1e6 / 40)
    assert not report["classes"]["EMAIL"]["labelled"]


def test_labels_that_are_not_known_are_listed_and_not_counted():
    report = figures([(0, 4, "WHATEVER"), (5, 9, "product")], [])
    assert report["unknown_labels"] == {"WHATEVER": 1}
    assert report["classes"] == {}
    assert report["all_labelled"] is None


def test_every_label_leads_to_a_class_of_the_table():
    labels = json.loads(read_data("labels.json"))["labels"]
    assert set(labels.values()) - {None} <= set(CLASSES)
    assert all(label == label.lower() and "-" not in label for label in labels)
    assert class_of("Phone-Number") == class_of("PHONE") == "PHONE"


def test_intervals_are_drawn_from_one_seed_and_hold_the_value():
    score = Score()
    for at in range(60):
        score.add(TEXT, [(0, 10, "CARD")], [(0, 10, "CARD")] if at % 3 else [])
    first, again = score.report(), score.report()
    assert first == again
    recall = first["classes"]["CARD"]["span"]["recall"]
    assert recall["value"] == pytest.approx(2 / 3, abs=1e-4)
    assert recall["low"] < recall["value"] < recall["high"]
    assert recall["high"] - recall["low"] < 0.3


def test_the_higher_rank_wins_and_what_is_left_of_the_other_is_kept():
    found = [
        (0, 20, "HEALTH", 90, "health.cued"),
        (8, 12, "EMAIL", 90, "email.address"),
        (0, 20, "HEALTH", 60, "health.condition"),
    ]
    assert settle("a" * 20, found) == [
        (0, 8, "HEALTH", 90, "health.cued"),
        (8, 12, "EMAIL", 90, "email.address"),
        (12, 20, "HEALTH", 90, "health.cued"),
    ]
    # a rest of blanks and signs is nobody's
    assert settle("a@b, ------", [(0, 3, "EMAIL", 90, "e"), (0, 11, "URL", 90, "u")]) == [
        (0, 3, "EMAIL", 90, "e")
    ]


def test_a_shape_tells_no_value_and_no_exact_length():
    assert shape_of("Ann-2031") == "Xxx-9+"
    assert shape_of("Annabel-4711") == "Xx+-9+"
    assert shape_of("hunter2!") == "x+9*"
    assert shape_of("\u00e9\u00e8 1") == "?? 9"
    assert shape_of("secret" * 50).endswith("...")


def test_a_page_of_misses_holds_no_text():
    text = "call Zebulon at 4111-1111-1111-1111 or 0171-555"
    misses = Misses()
    misses.add(
        text, [(5, 12, "PERSON"), (16, 35, "CREDIT_CARD")], [(39, 47, "PHONE", 70, "phone.cued")]
    )
    page = misses.page({"tier": "default", "documents": 1, "rules": "ab"})
    for word in ("Zebulon", "4111", "0171", "call"):
        assert word not in page
    assert page.count("<tr>") == 4
    assert "phone.cued" in page
    assert "src=" not in page
    assert "href=" not in page
