"""What holds of vectors for every input: luck, verdicts, windows, sensitivity, and the list of words."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.charter.oversight import Gate
from safehold.charter.value import Threshold
from safehold.dlp.scan import find_spans
from safehold.enclave.embedding.encoder import DIMS, blur, shipped
from safehold.enclave.embedding.exposure import expose
from safehold.enclave.embedding.form import from_table, to_table
from safehold.enclave.embedding.head import CLIP, ROUNDS, fit
from safehold.enclave.embedding.linkage import ATTACKERS, guess_members, halve, link
from safehold.enclave.embedding.near import BANDS, count, release
from safehold.enclave.embedding.text import WINDOW, cut_windows, words_of
from safehold.keeper.vector_gates import MEASURES, Exposure, fewest_for, judge_exposure
from safehold.privacy.luck import UNLUCKY, beyond_luck, most_by_luck


@settings(max_examples=40, deadline=None)
@given(tries=st.integers(1, 60), denominator=st.integers(2, 2_000), attackers=st.integers(1, 3))
def test_luck_does_more_once_in_a_million(tries: int, denominator: int, attackers: int) -> None:
    chance = 1 / denominator
    most = most_by_luck(tries, chance, attackers=attackers)

    def tail(least: int) -> float:
        return sum(
            math.comb(tries, one) * chance**one * (1 - chance) ** (tries - one)
            for one in range(least, tries + 1)
        )

    assert tail(most + 1) <= UNLUCKY / attackers * 1.000001
    assert most == 0 or tail(most) > UNLUCKY / attackers * 0.999999
    assert beyond_luck(most, tries, chance, attackers=attackers) == 0
    assert beyond_luck(most + 2, tries, chance, attackers=attackers) == 2


def gate(attack: str, op: str, micro: int, measure: str | None = None) -> Gate:
    return Gate(
        id="a-gate", attack=attack, measure=measure or MEASURES[attack], must_be=Threshold(op=op, micro=micro)
    )  # fmt: skip


def found(
    attack: str,
    people: int,
    hits: dict[str, int] | None,
    *,
    chance: float,
    tried: int | None = None,
) -> Exposure:
    return Exposure(
        attack=attack, people=people, tried=people if tried is None else tried, hits=hits, chance=chance
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(hits=st.integers(0, 200), people=st.integers(0, 400))
def test_a_gate_on_nobody_passes_what_luck_explains_and_nothing_else(
    hits: int, people: int
) -> None:
    hits = min(hits, people)
    said = judge_exposure(
        gate("invert", "==", 0),
        found("invert", people, {"filter": hits, "decoder": 0}, chance=1 / 256),
    )
    beyond = hits > most_by_luck(people, 1 / 256, attackers=2)
    assert said.state == ("failed" if beyond else "passed" if people >= 50 else "unmeasured")


@pytest.mark.parametrize("attack", MEASURES)
def test_what_was_not_measured_never_passes(attack: str) -> None:
    rule = gate(attack, "<=", 500_000)
    assert judge_exposure(rule, None).state == "unmeasured"
    assert judge_exposure(rule, found(attack, 10, None, chance=0.5)).state == "unmeasured"
    other = gate(attack, "<=", 500_000, measure="something.else")
    assert judge_exposure(other, found(attack, 400, {"one": 0}, chance=0.5)).state != "passed"
    more = gate(attack, ">=", 0)
    assert judge_exposure(more, found(attack, 4_000, {"one": 0}, chance=0.5)).state != "passed"


@settings(max_examples=30, deadline=None)
@given(right=st.integers(0, 2_000), tried=st.sampled_from([1, 40, 400, 2_000]))
def test_an_advantage_passes_on_its_upper_bound_alone(right: int, tried: int) -> None:
    right = min(right, tried)
    rule = gate("membership", "<=", 100_000)
    said = judge_exposure(rule, found("membership", tried, {"guesses": right}, chance=0.5))
    assert said.upper is not None
    assert said.micro is not None
    assert said.upper >= said.micro
    assert (said.state == "passed") <= (said.upper <= 100_000)
    assert said.fewest == fewest_for([rule]) == 1_577


def test_vectors_keep_their_form_and_the_encoder_its_digest() -> None:
    known = shipped()
    assert known.table.shape == (len(known.words), DIMS)
    assert np.allclose(np.linalg.norm(known.table, axis=1), 1.0, atol=1e-5)
    # a change of a word is another encoder, and every set in use stays with its own
    assert known.digest == "fa13e48659f1ae7cd752c28bdf89112cbc74ddd42186c3ee422bfeabc4edbeab"
    source = np.array([0, 3, 1], np.uint8)
    vectors = np.arange(3 * DIMS, dtype=np.float32).reshape(3, DIMS)
    back = from_table(to_table(source, vectors))
    assert (back[0] == source).all()
    assert (back[1] == vectors).all()


def test_the_list_of_words_holds_nothing_sensitive() -> None:
    known = shipped()
    assert len(find_spans(known.words)) == 0
    listed = known.words.to_pylist()
    assert listed == sorted(set(listed))
    assert all(one.isascii() and one.isalpha() and one.islower() for one in listed)
    feelings = {
        "happy",
        "sad",
        "angry",
        "afraid",
        "glad",
        "sorry",
        "love",
        "hate",
        "worry",
        "tired",
        "stress",
    }
    sensitive = {
        "health",
        "ill",
        "sick",
        "union",
        "salary",
        "doctor",
        "pregnant",
        "religion",
        "password",
        "strike",
    }
    functional = {
        "the",
        "and",
        "of",
        "to",
        "a",
        "in",
        "that",
        "it",
        "is",
        "was",
        "i",
        "you",
        "not",
        "but",
    }
    assert not (feelings | sensitive | functional) & set(listed)


@given(st.lists(st.text(max_size=40), max_size=20))
def test_no_word_outside_the_list_leaves_a_trace(said: list[str]) -> None:
    known = shipped()
    codes = known.code(words_of(pa.array(said, pa.large_string())))
    kept = [known.words[one].as_py() for one in codes[codes >= 0].tolist()]
    listed = set(known.words.to_pylist())
    assert kept == [
        word for word in words_of(pa.array(said, pa.large_string())).to_pylist() if word in listed
    ]


@given(count_=st.integers(0, 400), most=st.integers(1, 6))
def test_windows_hold_known_words_only(count_: int, most: int) -> None:
    codes = np.arange(count_, dtype=np.int32) % 50 - 3
    windows = cut_windows(codes, most=most)
    assert windows.shape == (min(most, int((codes >= 0).sum()) // WINDOW), WINDOW)
    assert (windows >= 0).all()


@settings(max_examples=25, deadline=None)
@given(
    people=st.integers(1, 12),
    how=st.sampled_from(["near", "topics", "drift"]),
    seed=st.integers(0, 2**16),
)
def test_one_person_changes_one_count_by_one(people: int, how: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    crowd = [
        rng.normal(size=(int(rng.integers(1, 5)), 8)).astype(np.float32) for _ in range(people)
    ]
    asked = rng.normal(size=(1 if how == "near" else 3, 8)).astype(np.float32)
    whole, without = count(how, crowd, asked), count(how, crowd[1:], asked)
    changed = [whole[name] - without.get(name, 0) for name in whole]
    halves = 2 if how == "drift" else 1
    assert sum(changed) == halves
    assert set(changed) <= {0, 1}
    paid: list[int] = []
    release(
        whole, {"how": how, "epsilon_micro": 1_000_000}, noise=lambda price: paid.append(price) or 0
    )
    assert set(paid) == {1_000_000 // halves}
    assert len(BANDS) + 1 == len(count("near", crowd, asked))


def test_a_head_adds_noise_to_every_round_and_bounds_each_person() -> None:
    asked: list[float] = []

    def noise(shape: tuple[int, ...], deviation: float) -> np.ndarray:
        asked.append(deviation)
        return np.zeros(shape)

    rng = np.random.default_rng(0)
    crowd = [(np.zeros(3, np.uint8), rng.normal(size=(3, 8))) for _ in range(20)]
    huge = (np.ones(3, np.uint8), np.full((3, 8), 1e6))
    calm = fit(crowd, multiplier=2.0, noise=noise)
    moved = fit([*crowd, huge], multiplier=2.0, noise=noise)
    assert len(asked) == 2 * ROUNDS
    assert all(one == pytest.approx(2.0 * CLIP, rel=0.01) for one in asked)
    assert np.isfinite(moved).all()
    # one round of one person moves the weights by at most the clipped gradient
    assert np.abs(moved - calm).max() < ROUNDS * 2.0 * CLIP


def test_attackers_find_what_is_there_and_nothing_in_noise() -> None:
    rng = np.random.default_rng(5)
    own = rng.normal(size=(200, 1, 32)).astype(np.float32)
    open_ = [one + 0.01 * rng.normal(size=(4, 32)).astype(np.float32) for one in own]
    shut = [rng.normal(size=(4, 32)).astype(np.float32) for _ in own]
    assert link(halve(open_)) == dict.fromkeys(ATTACKERS, 200)
    assert max(link(halve(shut)).values()) < 20
    right, tried = guess_members(halve(open_))
    assert (right, tried) == (200, 200) or right > 190
    right, tried = guess_members(halve(shut))
    assert right < 150
    assert halve([own[0]]).known == []


def test_a_canary_outside_the_list_ties_and_a_phrase_without_noise_shows() -> None:
    known = shipped()
    windows = [np.arange(at, at + WINDOW, dtype=np.int32)[None] for at in range(60)]
    shown = expose(known, windows, partial(blur, noise=0.0), planted=4)
    assert shown.hits == {"word": 0, "phrase": 4}
