"""For any text, any added red line, any request."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace

import cedarpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import boardroom

from safehold import charter as charters
from safehold.charter import RedLine, terms
from safehold.charter.check import Grid
from safehold.charter.vocabulary import ACTIONS, SILOS
from safehold.errors import InvalidError

TEXT = charters.shipped("demo").read_text("utf-8")
FAST = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
SCRAPS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ": ",
        "- ",
        ",",
        "\n",
        "  ",
        "#",
        "'",
        '"',
        "|",
        ">",
        "&a ",
        "*a",
        "!!str ",
        "?",
        "%YAML 1.1\n",
        "---\n",
        "...",
        "~",
        "on",
        "1e9",
        "\\x",
        "\t",
        "\x85",
        "\ufeff",
        "{}",
        "@",
        "`",
        "<<: ",
        "=",
        "\r",
    ]
)


def attempt(text: str) -> None:
    with contextlib.suppress(InvalidError):
        assert charters.parse(text).id


@FAST
@given(
    st.one_of(
        st.text(max_size=200),
        st.lists(st.one_of(SCRAPS, st.text(max_size=5)), max_size=40).map("".join),
    )
)
def test_any_text_is_a_charter_or_refused(text):
    attempt(text)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(TEXT) - 1), st.integers(0, 40), st.one_of(SCRAPS, st.text(max_size=8)))
def test_any_damage_is_a_charter_or_refused(place, length, scrap):
    attempt(TEXT[:place] + scrap + TEXT[place + length :])


USES = sorted(
    name
    for name, term in terms.catalogue().items()
    if term.kind == "use"
    and not any(
        terms.overlaps(name, own)
        for own in ("fides:train_ai_system", "dpv:ResearchAndDevelopment", "fides:essential.service.security", "dpv:EnforceSecurity")
    )
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sets(st.sampled_from(USES), max_size=2),
    st.sets(st.sampled_from(ACTIONS), max_size=3),
    st.sets(st.sampled_from(SILOS), max_size=2),
    st.one_of(st.none(), st.integers(2, 5000)),
    st.randoms(use_true_random=False),
)
def test_adding_a_red_line_never_allows_more(uses, actions, silos, people, chance):
    if not (uses or actions or silos or people):
        return
    old = boardroom.charter()
    line = RedLine(
        id="further", plain="A further line.", forbid_terms=tuple(sorted(uses)), forbid_actions=tuple(sorted(actions)),
        forbid_beside=tuple(sorted(silos)), min_people=people,
    )  # fmt: skip
    new = replace(old, red_lines=(*old.red_lines, line))
    grid = Grid(old, ACTIONS)
    asked = [_request(grid, chance) for _ in range(200)]
    before = _decide(boardroom.policy(), grid, asked)
    after = _decide(charters.compile(new), grid, asked)
    assert any(before), "a test without an allowed request shows nothing"
    assert not any(late and not early for early, late in zip(before, after, strict=True))


def _request(grid: Grid, chance: random.Random):
    action = chance.choice(("run_approved_recipe", "operate", "verify", "object", *ACTIONS))
    able = [who for who in grid.principals if grid._able(who[0], action)] or list(grid.principals)
    stage = {"run_approved_recipe": "training", "operate": "ingest", "verify": "audit"}.get(
        action, "self"
    )
    use = {"people": chance.choice((10, 49, 50, 1000, 9999)), "consent": chance.random() < 0.9}
    return grid.request(
        action,
        chance.choice(able),
        purpose="train_ui_agent",
        stage=stage,
        use=use,
        data={"silos": []} if chance.random() < 0.8 else {"telemetry": False},
    )


def _decide(policy, grid, asked):
    results = cedarpy.is_authorized_batch(asked, policy.policies, grid.entities, policy.types)
    assert not any(result.diagnostics.errors for result in results)
    return [result.allowed for result in results]
