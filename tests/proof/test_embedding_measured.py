"""What the attacks on vectors reach, at each noise: on a made-up workforce, and on real chat where it is at hand.

The figures of docs/reference/embedding-gates.md come from here. Run: pytest -m proof tests/proof/test_embedding_measured.py -s
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from tests.conftest import SHARED
from tests.embedding_desk import texts_of

from safehold.dlp.redact import mask_text
from safehold.enclave.embedding.encoder import Encoder, Vectors, blur, shipped
from safehold.enclave.embedding.exposure import expose
from safehold.enclave.embedding.head import fit, score
from safehold.enclave.embedding.inversion import invert
from safehold.enclave.embedding.linkage import guess_members, halve, link
from safehold.enclave.embedding.text import cut_windows, words_of
from safehold.privacy.account import calibrate
from safehold.privacy.luck import most_by_luck

pytestmark = pytest.mark.proof

IRC = SHARED / "data" / "dlp" / "irc_train_unlabelled.jsonl"
NOISES = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
_LINE = re.compile(r"\[\d\d:\d\d\] <([^>]+)> (.*)")


def made_up(people: int = 400) -> list[tuple[list[str], list[str]]]:
    return [texts_of(number, chars=1_800) for number in range(people)]


def chat() -> list[tuple[list[str], list[str]]]:
    """Return what people wrote in real work chat, more than a few lines of each."""
    by_name: dict[str, list[str]] = defaultdict(list)
    for row in IRC.read_text("utf-8").splitlines():
        for line in json.loads(row)["text"].split("\n"):
            if found := _LINE.match(line):
                by_name[found[1]].append(found[2])
    return [(lines, []) for lines in by_name.values() if sum(map(len, lines)) > 1_200]


def windows_of(encoder: Encoder, said: list[tuple[list[str], list[str]]]) -> list[list[np.ndarray]]:
    found = []
    for both in said:
        kinds = [
            cut_windows(encoder.code(words_of(mask_text(pa.array(one, pa.large_string())).text)))
            for one in both
        ]
        if sum(map(len, kinds)) >= 2:
            found.append(kinds)
    return found


def attack(encoder: Encoder, kinds: list[list[np.ndarray]], noise: float) -> dict[str, object]:
    windows = [np.concatenate(one) for one in kinds]
    vectors: list[Vectors] = [blur(encoder.embed(one), noise=noise) for one in windows]
    halves = halve(vectors)
    right, tried = guess_members(halves)
    told = invert(encoder, windows, vectors)
    shown = expose(encoder, windows, partial(blur, noise=noise))
    return {
        "noise": noise,
        "people": len(halves),
        "linked": max(link(halves).values()),
        "advantage": round(2 * right / tried - 1, 3),
        "told": max(told.hits.values()),
        "victims": told.victims,
        "luck": most_by_luck(told.victims, told.chance, attackers=2),
        "words": shown.hits["word"],
        "phrases": shown.hits["phrase"],
        "planted": shown.planted,
    }


def test_made_up_people() -> None:
    said = made_up()
    kinds = windows_of(shipped(), said)
    rows = {noise: attack(shipped(), kinds, noise) for noise in NOISES}
    for row in rows.values():
        print(row)
    assert rows[0.0]["told"] > 2 * rows[0.0]["luck"]
    assert rows[0.4]["told"] <= rows[0.4]["luck"]
    assert rows[0.0]["phrases"] == rows[0.0]["planted"]
    assert all(row["words"] == 0 for row in rows.values())
    words = sorted(
        {w for both in said for one in both for w in words_of(pa.array(one)).to_pylist()}
    )
    bag = Encoder(
        "bag", "", pa.array(words, pa.large_string()), np.eye(len(words), dtype=np.float32)
    )
    worst = attack(bag, windows_of(bag, said), 0.0)
    print("bag of words", worst)
    assert worst["told"] == worst["victims"]


@pytest.mark.skipif(not IRC.exists(), reason="real chat is not at hand")
def test_real_chat() -> None:
    kinds = windows_of(shipped(), chat())
    rows = {noise: attack(shipped(), kinds, noise) for noise in NOISES}
    for row in rows.values():
        print(row)
    assert rows[0.0]["linked"] > rows[0.4]["linked"]
    assert rows[0.4]["told"] <= rows[0.4]["luck"]


def test_a_head_still_learns_from_noisy_vectors() -> None:
    """What is left for those who work with them: the share told right, against the larger of two halves."""
    kinds = windows_of(shipped(), made_up())
    for noise in NOISES:
        people = []
        for one in kinds:
            source = np.repeat(np.arange(len(one), dtype=np.uint8), [len(each) for each in one])
            people.append(
                (source, blur(shipped().embed(np.concatenate(one)), noise=noise).astype(np.float64))
            )
        trained, held = people[80:], people[:80]
        shown = {}
        for epsilon in (1, 2, 4):
            plan = calibrate(epsilon_micro=epsilon * 1_000_000, delta_e12=1_000_000, rounds=40)
            weights = fit(trained, multiplier=plan.multiplier)
            shown[epsilon] = round(score(weights, held, multiplier=1e-6), 3)
        print("noise", noise, "right by epsilon", shown)
        assert noise > 0.4 or shown[4] > 0.6
