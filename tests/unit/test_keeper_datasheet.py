"""Model cards: what they tell, how coarsely, and that they hold no floating point."""

import pytest

from safehold import canonical
from safehold.catalog import DatasetLabel
from safehold.charter import load, shipped
from safehold.keeper.datasheet import at_least, complete, describe, write_markdown

CHARTER = load(shipped("example"))
PURPOSE = "train_ui_agent"
LABEL = DatasetLabel(
    people=237, streams=frozenset({"pointer", "key"}), purposes=frozenset({PURPOSE}),
    jurisdictions=frozenset({"EU"}), expires=20_500, first_day=20_000, last_day=20_010,
)  # fmt: skip
METRICS = {
    "trained": 237, "epsilon_micro": 2_000_000, "delta_e12": 1_000_000, "epsilon_pld": 1.9991, "rounds": 40,
    "unit": "person", "top1": 0.7123, "macro_f1": None, "plain": {"private": {"top1": 0.1}}, "people": 300,
}  # fmt: skip


def card():
    return describe(
        charter=CHARTER, purpose=PURPOSE, label=LABEL, metrics=METRICS, least=30, expires=20_400
    )


def test_a_card_is_canonical_and_tells_what_it_was_made_from():
    made = card()
    assert canonical.decode(canonical.encode(made)) == made
    assert made["data"]["people"] == "at least 200"
    assert made["data"]["streams"] == ["key", "pointer"]
    assert (made["data"]["from"], made["data"]["to"]) == ("2024-10-04", "2024-10-14")
    assert made["training"]["epsilon_pld"] == "1.9991"
    assert made["scores"]["macro_f1"] is None
    assert made["purpose"]["plain"] == CHARTER.purpose(PURPOSE).plain
    assert len(made["not_for"]) == len(CHARTER.red_lines)
    # exact numbers of people, and exact figures about made-up ones, are not in it
    assert b"237" not in canonical.encode(made)
    assert b"300" not in canonical.encode(made)
    assert "plain" not in made["training"]


def test_attacks_are_told_or_their_absence_is():
    bare = complete(card(), artifact="art_1", sha256="00")
    assert any("No attack" in line for line in bare["limits"])
    told = complete(
        card(), artifact="art_1", sha256="00",
        attacks=[{"attack": "membership", "state": "passed", "advantage": "0.01"}],
    )  # fmt: skip
    assert not any("No attack" in line for line in told["limits"])
    text = write_markdown(told)
    assert "- attack membership, state passed, advantage 0.01" in text
    assert "| macro_f1 | not told |" in text
    for line in told["limits"]:
        assert f"- {line}" in text


@pytest.mark.parametrize(
    ("people", "told"),
    [(0, "fewer than 30"), (29, "fewer than 30"), (30, "at least 20"), (99, "at least 50"),
     (100, "at least 100"), (1_236, "at least 1000"), (80_000, "at least 50000")],
)  # fmt: skip
def test_people_are_told_coarsely(people, told):
    assert at_least(people, least=30) == told
