"""Typed secrets with typos and erasures: what share of their presses is masked."""

import random

import numpy as np
import pyarrow as pa
import pytest

from safehold.dlp import Rules, minimise
from safehold.telemetry.schema import WIRE

NEAR = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz0123456789", "svxsdgjhojknmnipwqtaryezxt1234567899", strict=False
    )
)
WORDS = [
    "please",
    "send",
    "the",
    "quarterly",
    "summary",
    "before",
    "lunch",
    "and",
    "tell",
    "the",
    "team",
    "that",
    "we",
    "moved",
    "the",
    "meeting",
]


class Hand:
    """A person who types with errors and corrects them; remembers which presses made which secret."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.events = []  # (kind, key, mods)
        self.marks = []

    def press(self, key, mods=0):
        self.events.append((1, key, mods))
        self.events.append((0, key, mods))
        return len(self.events) - 2

    def char(self, char):
        if char.isupper() or char in '~!@#$%^&*()_+{}|:"<>?':
            self.events.append((1, "Shift", 1))
            at = self.press(char, 1)
            self.events.append((0, "Shift", 0))
            return at
        return self.press(char)

    def type(self, text):
        """Type a text with errors; return the presses of its characters and of its corrections."""
        made, late = [], None
        at = 0
        while at < len(text):
            if self.draw.random() < 0.045 and text[at].lower() in NEAR:
                made.append(self.char(NEAR[text[at].lower()]))
                late = self.draw.randint(0, min(5, len(text) - at - 1))
                made += [self.char(c) for c in text[at + 1 : at + 1 + late]]
                if self.draw.random() < 0.2:
                    made += [self.press("ArrowLeft") for _ in range(late)]
                    made.append(self.press("Backspace"))
                    made.append(self.char(text[at]))
                    made += [self.press("ArrowRight") for _ in range(late)]
                    at += late + 1
                else:
                    made += [self.press("Backspace") for _ in range(late + 1)]
            else:
                made.append(self.char(text[at]))
                at += 1
        return made

    def prose(self, count):
        self.type(" ".join(self.draw.choice(WORDS) for _ in range(count)))

    def table(self, session="s"):
        kind, key, mods = zip(*self.events, strict=True)
        return events(key, kind=kind, mods=mods, session=session)


def events(keys, *, kind=None, mods=None, session="s", **more):
    """Key events in wire form, 100 ms apart."""
    rows = len(keys)
    columns = {
        "person": pa.array(["p"] * rows), "device": pa.array(["d"] * rows), "session": pa.array([session] * rows),
        "seq": pa.array(range(1, rows + 1), pa.uint32()),
        "t": pa.array(np.arange(rows) * 100_000 + 1_700_000_000_000_000).cast(pa.timestamp("us", "UTC")),
        "mono": pa.array(np.arange(rows) * 100_000).cast(pa.duration("us")),
        "kind": pa.array([1] * rows if kind is None else list(kind), pa.uint8()),
        "key": pa.array(list(keys), pa.string()),
        "mods": pa.array([0] * rows if mods is None else list(mods), pa.uint8()),
    }  # fmt: skip
    schema = WIRE["key"]
    arrays = [
        pa.array(more[f.name], f.type)
        if f.name in more
        else columns.get(f.name, pa.nulls(rows, f.type))
        for f in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def digits(draw, count):
    return "".join(draw.choice("0123456789") for _ in range(count))


def secret(draw, number):
    letters = "ABCDEFGHJKMNPQRSTUVWXYZabcdefghkmnpqrstuvwxyz23456789"
    mixed = lambda n: "".join(draw.choice(letters) for _ in range(n))  # noqa: E731
    return (
        ("CARD", "card ", " ".join(["4" + digits(draw, 3)] + [digits(draw, 4) for _ in range(3)])),
        ("SSN", "ssn ", f"{draw.randint(101, 665)}-{draw.randint(11, 99)}-{digits(draw, 4)}"),
        ("EMAIL", "write to ", f"{mixed(6).lower()}.{mixed(5).lower()}@example.org"),
        ("IBAN", "iban ", f"DE{digits(draw, 20)}"),
        ("SECRET", "the api key is ", f"ghp_{mixed(36)}"),
        ("PASSWORD", "password: ", f"{mixed(5)}{draw.choice('!#%')}{digits(draw, 4)}"),
    )[number % 6]


@pytest.fixture(scope="module")
def suite():
    """300 secrets typed among prose, each in its own field, a third of them erased afterwards."""
    shares = {True: [], False: []}
    kinds = {}
    for number in range(300):
        hand = Hand(number)
        hand.prose(5)
        kind, cue, value = secret(hand.draw, number)
        hand.type(" " + cue)
        made = hand.type(value)
        hand.press(" ")
        erased = number % 3 == 0
        if erased:
            tail = hand.draw.choice([0, 0, 3, 30])
            hand.prose(tail)
            for _ in range(400 if tail == 30 else 60):
                hand.press("Backspace")
        hand.prose(4)
        result = minimise("key", hand.table(), Rules(stream="key"))
        masked = {
            s
            for s, k in zip(
                result.table["seq"].to_pylist(), result.table["key"].to_pylist(), strict=True
            )
            if k[0] == "<"
        }
        share = sum(at + 1 in masked for at in made) / len(made)
        shares[erased].append(share)
        kinds.setdefault(kind, []).append(share)
    return shares, kinds


def test_secrets_are_masked_over_nine_tenths_of_their_presses(suite):
    shares, kinds = suite
    every = shares[True] + shares[False]
    rate = sum(share >= 0.9 for share in every) / len(every)
    for kind, listed in kinds.items():
        print(f"{kind:9} {sum(x >= 0.9 for x in listed) / len(listed):.3f}")
    print(
        f"masked {rate:.4f}, erased {sum(x >= 0.9 for x in shares[True]) / len(shares[True]):.4f}, kept {sum(x >= 0.9 for x in shares[False]) / len(shares[False]):.4f}"
    )
    assert rate >= 0.97
    assert sum(x >= 0.9 for x in shares[True]) / len(shares[True]) >= 0.95


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("number", range(6))
def test_no_press_of_a_secret_tells_its_key(number, level):
    hand = Hand(1000 + number)
    hand.prose(3)
    kind, cue, value = secret(hand.draw, number)
    for char in f" {cue}":
        hand.char(char)
    made = [hand.char(char) for char in value]
    hand.press(" ")
    rules = Rules.from_spec({"stream": "key", "level": level})
    out = minimise("key", hand.table(), rules).table
    said = dict(zip(out["seq"].to_pylist(), out["key"].to_pylist(), strict=True))
    assert {said[at + 1] for at in made} == {f"<{kind}>"}
    assert (
        out["code"].null_count == out["mods"].null_count == out["commit"].null_count == out.num_rows
    )
    held = [
        m
        for s, m in zip(out["seq"].to_pylist(), out["mono"].to_pylist(), strict=True)
        if s - 1 in made
    ]
    if level == 1:
        assert len(set(held)) == 1  # no timing inside the span
