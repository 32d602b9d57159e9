"""The text task on real chat: the next word out of a public list, against epsilon.

A person is a nick of the Ubuntu channels (CC-BY 4.0), read where it lies and never copied. Everybody there spoke in
public; in a home only the text of people who opted in is ever handed to a recipe.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import f1_score

from safehold.privacy.account import calibrate
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.descent import train_private
from safehold.privacy.training.text import next_word_learner, next_words

CHAT: Final = Path("/work/shared/data/telemetry/irc_ubuntu.parquet")
# the commonest words of English, as any list has them; none was taken from the chat
_COMMON: Final = """
the to a i you and is it of in that for on have be not with this do can if but my what are so me just or no
your how from at was as there an will get like we they it's don't i'm know use all up out about one would . , ! ?
"""
WORDS: Final = tuple(_COMMON.split())
MOST: Final = 64
PEOPLE: Final = 2_400


def read_chat() -> tuple[list[list[str]], list[list[str]]]:
    """Return the messages of those who train and of those who score, by nick."""
    table = pq.read_table(CHAT, columns=["nick", "text"])
    said: dict[str, list[str]] = {}
    for nick, text in zip(table["nick"].to_pylist(), table["text"].to_pylist(), strict=True):
        if nick and text:
            said.setdefault(nick, []).append(text)
    people = [said[nick] for nick in sorted(said) if len(said[nick]) >= 5]
    order = np.random.default_rng(0).permutation(len(people))[:PEOPLE]
    edge = len(order) * 3 // 4
    return [people[at] for at in order[:edge]], [people[at] for at in order[edge:]]


def main(place: Path) -> None:
    """Add one line of JSON for each epsilon, and one for always saying the commonest word."""
    train, test = (next_words(one, WORDS, most=MOST) for one in read_chat())
    learner = next_word_learner(WORDS)
    there = test["weight"] > 0
    target = test["target"][there]

    def told(what: str, guess: np.ndarray) -> None:
        line = {
            "what": what, "people": len(train["target"]),
            "top1": round(float((guess == target).mean()), 4),
            "macro_f1": round(f1_score(target, guess, average="macro", zero_division=0), 4),
        }  # fmt: skip
        with place.open("a") as file:
            file.write(json.dumps(line) + "\n")

    seen = train["target"][train["weight"] > 0]
    told("commonest", np.full_like(target, np.bincount(seen).argmax()))
    seen = seen[seen > 0]
    told("commonest of the list", np.full_like(target, np.bincount(seen).argmax()))
    for epsilon in (1.0, 2.0, 4.0, 8.0):
        plan = calibrate(epsilon_micro=round(epsilon * 1e6), delta_e12=10_000_000, rounds=40)
        found = train_private(
            learner, train, plan=plan, clip=Clip(bound=0.3), steps=Steps(rate=min(8.0, 3 * epsilon))
        )
        told(f"epsilon {epsilon:g}", learner.scores(found.params, test).argmax(axis=-1)[there])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
