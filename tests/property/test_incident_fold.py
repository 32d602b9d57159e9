"""Whatever leaves there are, in whatever order: an incident never ends alone, never grows milder alone, never forgets."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.keeper.incident import AGREE, CLOSED, NEXT, STEPS
from safehold.keeper.incidents import Incidents, blocking

SEATS = ("security", "privacy", "legal")
FACTS = st.fixed_dictionaries(
    {"step": st.sampled_from((*STEPS, "unheard"))},
    optional={
        "state": st.sampled_from((*NEXT, "unheard")),
        "severity": st.integers(-1, 7),
        "about": st.sampled_from(("close", "lower", "commander")),
        "seat": st.sampled_from(SEATS),
        "since": st.integers(0, 10_000),
        "notice": st.sampled_from(("authority", "people", "nobody")),
        "decision": st.sampled_from(("sent", "not_needed", "lost")),
    },
)
LEAVES = st.lists(
    st.one_of(
        st.tuples(st.just("incident"), FACTS, st.integers(0, 12)),
        st.tuples(
            st.just("containment"),
            st.fixed_dictionaries(
                {
                    "what": st.just("segment"),
                    "target": st.sampled_from(("a", "b")),
                    "state": st.sampled_from(("begun", "lifted")),
                }
            ),
            st.integers(0, 12),
        ),
    ),
    max_size=40,
)


# half of the stories begin where only two words are missing
READY = [
    ("incident", {"step": "move", "state": state}, 0)
    for state in ("contained", "eradicated", "recovering")
]
LEAVES = st.one_of(LEAVES, LEAVES.map(lambda leaves: READY + leaves))


def story(leaves: list[tuple[str, dict[str, Any], int]]) -> list[dict[str, Any]]:
    first = {"k": "incident", "t": 5_000, "pub": {"state": "open", "severity": 2}}
    return [first] + [
        {"k": kind, "t": 5_001 + at, "pub": facts, "ref": min(ref, at)}
        for at, (kind, facts, ref) in enumerate(leaves)
    ]


@settings(max_examples=150, deadline=None)
@given(LEAVES)
def test_the_fold_keeps_its_promises(leaves: list[tuple[str, dict[str, Any], int]]) -> None:
    fold = Incidents()
    aware, severity, state = 5_000, 2, "open"
    words: dict[str, set[str]] = {}  # what seats have agreed to since anything else happened
    for index, leaf in enumerate(story(leaves)):
        fold.note(index, leaf)
        (one,) = fold.all()
        facts = leaf["pub"]
        taken = bool(one.steps) and one.steps[-1].index == index
        assert one.aware_ms <= aware
        if one.grave > severity:  # milder: two different seats said just that
            assert len(words[f"lower/{one.grave}"]) >= AGREE
        if one.state != state:
            assert one.state in NEXT[state]
        if one.state == CLOSED and state != CLOSED:
            assert len(words["close"]) >= AGREE
        if taken and facts.get("step") == "agree":
            what = facts["about"]
            words.setdefault(
                what if what == "close" else f"lower/{facts.get('severity')}", set()
            ).add(facts["seat"])
        elif one.basis == index:
            words.clear()
        aware, severity, state = one.aware_ms, one.grave, one.state
        assert bool(blocking([one])) == (one.open and (one.grave <= 2 or any(one.held.values())))


@settings(max_examples=50, deadline=None)
@given(LEAVES, st.integers(0, 41))
def test_reading_in_two_goes_is_reading_in_one(
    leaves: list[tuple[str, dict[str, Any], int]], cut: int
) -> None:
    whole, parts = Incidents(), Incidents()
    told = list(enumerate(story(leaves)))
    for index, leaf in told:
        whole.note(index, leaf)
    for index, leaf in told[:cut]:
        parts.note(index, leaf)
    parts.all()
    for index, leaf in told[cut:]:
        parts.note(index, leaf)
    assert whole.all() == parts.all()
