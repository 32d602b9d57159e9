"""No template moves by more than it claims, whatever one person's rows hold; the noise is what it claims to be."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.errors import InvalidError
from safehold.privacy.aggregate import deviation, half_width, release_aggregate, split_epsilon
from safehold.privacy.bound import Share, bound_share
from safehold.privacy.mechanism import OpenDP
from safehold.privacy.query import read_query, write_query
from safehold.privacy.template import Template

KEYS = ("a", "b", "c")
TEMPLATES = [
    {"release": "people", "epsilon": 1.0},
    {"release": "people", "epsilon": 1.0, "keys": list(KEYS), "groups": 2},
    {"release": "people", "epsilon": 1.0, "delta": 1e-6, "keys": "thresholded", "groups": 2},
    {"release": "events", "epsilon": 1.0, "rows": 7},
    {"release": "events", "epsilon": 1.0, "keys": list(KEYS), "groups": 3, "rows": 2},
    {"release": "sum", "epsilon": 1.0, "rows": 3, "low": -5, "high": 2, "step": 0.5},
    {"release": "sum", "epsilon": 1.0, "keys": ["a", "b"], "rows": 2, "low": 0, "high": 1e6, "step": 1},
    {"release": "sum", "epsilon": 1.0, "delta": 1e-6, "keys": "thresholded", "rows": 2, "low": 0, "high": 9, "step": 1},
    {"release": "mean", "epsilon": 1.0, "keys": list(KEYS), "groups": 2, "rows": 4, "low": -1, "high": 10, "step": 0.1},
    {"release": "histogram", "epsilon": 1.0, "rows": 5, "edges": [-1, 0, 2.5, 100]},
    {"release": "histogram", "epsilon": 1.0, "keys": list(KEYS), "groups": 2, "rows": 2, "edges": [0, 1, 2]},
    {"release": "quantile", "epsilon": 1.0, "rows": 3, "low": 0, "high": 20, "step": 1, "at": 0.9},
    {"release": "quantile", "epsilon": 1.0, "keys": list(KEYS), "groups": 2, "rows": 2, "low": -3, "high": 3, "step": 1, "at": 0.5},
]  # fmt: skip


class Exact:
    """Adds nothing, and remembers what it was given."""

    def __init__(self, keys: Sequence[str] = KEYS) -> None:
        self.keys = keys
        self.lists: list[tuple[str, tuple[int, ...], int, int]] = []
        self.counts: list[Mapping[str, int]] = []

    def add(self, numbers, *, sensitivity, epsilon_micro):
        self.lists.append(("sum of moves", tuple(numbers), sensitivity, epsilon_micro))
        return list(numbers), 1.0

    def choose(self, scores, *, sensitivity, epsilon_micro):
        self.lists.append(("largest move", tuple(scores), sensitivity, epsilon_micro))
        return min(range(len(scores)), key=scores.__getitem__)

    def find(self, counts, *, groups, least, epsilon_micro, delta_e12):
        self.counts.append(dict(counts))
        return {key: counts.get(key, 0) for key in self.keys}  # the same keys on both sides


def run(template: Template, people: Sequence[Share]) -> Exact:
    exact = Exact()
    release_aggregate(template, people, least=1, mechanism=exact)
    return exact


value = st.one_of(
    st.none(),
    st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308, 5e-324, -0.0, 2**63, 10**400, True, "x", b"y"]),
    st.integers(-30, 30),
    st.floats(-30, 30),
)  # fmt: skip
key = st.one_of(st.sampled_from([*KEYS, "d", "", None, 7, "x" * 65, "\n"]))
rows = st.lists(st.tuples(key, value), max_size=30)


@pytest.mark.parametrize("given_", TEMPLATES, ids=lambda one: "-".join(map(str, one.values()))[:60])
@settings(max_examples=20, deadline=None)
@given(people=st.lists(rows, max_size=5), one=rows, other=rows)
def test_one_person_moves_nothing_by_more_than_is_claimed(given_, people, one, other):
    template = Template.of(given_)

    def share(found):
        return bound_share(template, [key for key, _ in found], [value for _, value in found])

    everybody = [share(found) for found in people]
    without = run(template, everybody)
    for theirs in (one, other, [*one, *one * 400]):
        with_them = run(template, [*everybody, share(theirs)])
        assert len(with_them.lists) == len(without.lists)
        moved_lists = []
        for (norm, before, claimed, _), (_, after, _, _) in zip(
            without.lists, with_them.lists, strict=True
        ):
            moves = [abs(x - y) for x, y in zip(before, after, strict=True)]
            moved = sum(moves) if norm == "sum of moves" else max(moves)
            assert moved <= claimed
            moved_lists.append(moved > 0)
        if template.release == "quantile":  # each key is released by itself; so many can move
            assert sum(moved_lists[1:]) <= template.groups
        for before, after in zip(without.counts, with_them.counts, strict=True):
            changed = {key for key in {*before, *after} if before.get(key) != after.get(key)}
            assert len(changed) <= template.groups
            assert all(abs(after.get(one, 0) - before.get(one, 0)) == 1 for one in changed)


@pytest.mark.parametrize("given_", TEMPLATES, ids=lambda one: str(one["release"]))
def test_parts_add_up_to_what_is_charged(given_):
    template = Template.of(given_)
    exact = run(template, [Share({"a": (0,) if template.low <= 0 <= template.high else (1,)})])
    parts = split_epsilon(template)
    assert sum(parts.values()) == template.epsilon_micro
    spent = parts.get("keys", 0)
    alone = [micro for norm, _, _, micro in exact.lists if norm == "largest move"]
    spent += sum(micro for norm, _, _, micro in exact.lists if norm == "sum of moves")
    spent += max(alone, default=0) * template.groups
    assert template.epsilon_micro - template.groups < spent <= template.epsilon_micro


def test_a_row_with_no_finite_value_counts_as_nothing_and_an_extreme_one_as_the_bound():
    template = Template.of(
        {"release": "sum", "epsilon": 1, "rows": 9, "low": -2, "high": 5, "step": 1}
    )
    odd = [math.nan, math.inf, -math.inf, None, "7", True, 1e300, -1e300, 2**80]
    assert bound_share(template, [""] * len(odd), odd).values == {"": (5, -2, 5)}


def test_a_key_that_was_not_declared_counts_as_nothing():
    template = Template.of({"release": "people", "epsilon": 1, "keys": ["a", "b"], "groups": 2})
    assert bound_share(template, ["z", None, "a", "A", "a"], [0] * 5).values == {"a": (0,)}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 1}, "seed"),
        ({"scale": 0.1}, "scale"),
        ({"sensitivity": 1}, "sensitivity"),
        ({"epsilon": 0}, "epsilon"),
        ({"epsilon": math.inf}, "epsilon"),
        ({"epsilon": True}, "epsilon"),
        ({"delta": 1e-6}, "delta"),
        ({"keys": "thresholded"}, "delta"),
        ({"keys": ["a", "a"]}, "keys"),
        ({"keys": ["a", "b"], "groups": 3}, "groups"),
        ({"rows": 0}, "rows"),
        ({"low": 3, "high": 3}, "low"),
        ({"low": math.nan}, "low"),
        ({"step": 0}, "step"),
        ({"step": 0.7}, "step"),
        ({"release": "row"}, "release"),
        ({"release": None}, "release"),
    ],
)
def test_a_template_is_refused_that_says_more_or_less_than_it_may(changes, field):
    whole = {"release": "sum", "epsilon": 1.0, "low": 0, "high": 10, "step": 1}
    with pytest.raises(InvalidError) as refused:
        Template.of(whole | changes)
    assert f"(field {field})" in str(refused.value)


def chance(off: int, scale: float) -> float:
    """Return the chance of one value of discrete Laplace noise."""
    return math.tanh(0.5 / scale) * math.exp(-abs(off) / scale)


@pytest.mark.parametrize(("sensitivity", "epsilon_micro"), [(1, 700_000), (6, 2_000_000)])
def test_noise_has_the_distribution_that_it_claims(sensitivity, epsilon_micro):
    draws = 20_000
    noisy, scale = OpenDP().add(
        [1_000] * draws, sensitivity=sensitivity, epsilon_micro=epsilon_micro
    )
    assert scale == pytest.approx(sensitivity * 1e6 / epsilon_micro, rel=1e-9)
    found = Counter(one - 1_000 for one in noisy)
    wide = half_width(scale)
    expected = {off: draws * chance(off, scale) for off in range(-2 * wide, 2 * wide + 1)}
    cells = [off for off, many in expected.items() if many >= 20]
    rest = draws - sum(expected[off] for off in cells)
    many = draws - sum(found[off] for off in cells)
    statistic = sum((found[off] - expected[off]) ** 2 / expected[off] for off in cells)
    statistic += (many - rest) ** 2 / rest if rest >= 5 else 0.0
    degrees = len(cells)
    # Laurent and Massart 2000: a chi-square variable exceeds this with a chance of at most e^-x
    x = math.log(1e8)
    assert statistic <= degrees + 2 * math.sqrt(degrees * x) + 2 * x
    share = sum(abs(one - 1_000) <= wide for one in noisy) / draws
    assert share >= 0.95 - math.sqrt(math.log(1e8) / (2 * draws))
    mean_square = sum((one - 1_000) ** 2 for one in noisy) / draws
    assert mean_square == pytest.approx(deviation(scale) ** 2, rel=0.15)


def test_openDP_confirms_what_is_charged_and_no_less_noise_would_do():
    noise = OpenDP()
    dp = noise._dp
    space = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.l1_distance(T=dp.i64)
    for sensitivity, micro in ((1, 1), (3, 333_333), (10**9, 4_000_000), (2**31, 7)):
        _, scale = noise.add([0], sensitivity=sensitivity, epsilon_micro=micro)
        assert dp.m.make_laplace(*space, scale=scale).map(sensitivity) <= micro / 1e6
        assert dp.m.make_laplace(*space, scale=scale * (1 - 1e-9)).map(sensitivity) > micro / 1e6


def test_a_key_of_one_person_is_not_found():
    counts = {f"name-{at}": 1 for at in range(2_000)} | {"mail": 5_000}
    found = OpenDP().find(counts, groups=1, least=50, epsilon_micro=500_000, delta_e12=1)
    assert set(found) == {"mail"}  # 2,000 keys, each with a chance of at most 10^-12


def test_the_least_score_is_chosen_and_a_worse_one_as_seldom_as_epsilon_says():
    noise, draws = OpenDP(), 1_000
    picks = Counter(
        noise.choose([0, 60, 60], sensitivity=1, epsilon_micro=1_000_000) for _ in range(draws)
    )
    # permute-and-flip picks a given worse one with a chance of at most e^(-epsilon * 60 / 2)
    assert picks[0] == draws
    even = Counter(
        noise.choose([7, 7], sensitivity=1, epsilon_micro=1_000_000) for _ in range(draws)
    )
    assert abs(even[0] - draws / 2) <= math.sqrt(draws * math.log(2e8) / 2)


def test_figures_about_few_people_are_withheld_after_the_noise():
    template = Template.of(
        {"release": "sum", "epsilon": 1, "keys": ["a", "b"], "low": 0, "high": 1, "step": 1}
    )
    shares = [Share({"a": (1,)})] * 50 + [Share({"b": (1,)})] * 49
    answer = release_aggregate(template, shares, least=50, mechanism=Exact())
    assert [(one.key, one.value, one.people) for one in answer.figures] == [
        ("a", 50.0, 50),
        ("b", None, None),
    ]


@settings(max_examples=50, deadline=None)
@given(
    keys=st.lists(st.text(min_size=1, max_size=64).filter(str.isprintable), min_size=1, max_size=5, unique=True),
    epsilon=st.integers(1, 20_000_000),
    low=st.integers(-1_000, 0),
    high=st.integers(1, 1_000),
)  # fmt: skip
def test_a_query_file_says_what_it_was_written_from(keys, epsilon, low, high):
    """Also where a key holds quotes, backslashes or what looks like the end of the head."""
    given_ = {
        "release": "sum",
        "epsilon": epsilon / 1e6,
        "keys": keys,
        "low": low / 4,
        "high": high / 4,
        "step": 0.25,
    }
    text = write_query("SELECT app AS k, x AS v FROM pointer -- ///", given_)
    query = read_query(text)
    assert query.template == Template.of(given_)
    assert (query.template.keys, query.template.epsilon_micro) == (tuple(keys), epsilon)
    assert (query.template.low, query.template.high) == (low, high)
    assert query.sql == "SELECT app AS k, x AS v FROM pointer -- ///"
    assert read_query(text + " ").name != query.name
