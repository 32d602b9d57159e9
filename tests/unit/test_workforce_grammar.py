"""The grammar has structure that a model of context finds and a bigram does not."""

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from safehold.telemetry.stream import KeyKind, PointerKind
from safehold.workforce import Spec, person_day

SPEC = Spec(people=100, days=2, start_day=20_780, seed=11)
NAMED = {"Enter": "ENTER", "Tab": "TAB", "Backspace": "BKSP", "Delete": "DEL"}
DENIED = ("bank", "portal", "login")


def tokens_of_day(tables):
    """Reduce a day to (token, app): what is left at L3, repeats of typing, keys and scrolls joined."""
    events = []
    focus = tables["focus"].select(["ctx", "app", "url_host"]).to_pydict()
    denied = {
        ctx
        for ctx, app, host in zip(focus["ctx"], focus["app"], focus["url_host"], strict=True)
        if app == "keepassxc" or any(name in (host or "") for name in DENIED)
    }
    key = tables["key"]
    key = key.filter(pc.equal(key["kind"], int(KeyKind.DOWN)))
    key = key.select(["seq", "t", "key", "app", "ctx", "field_kind"]).to_pydict()
    for at in range(len(key["seq"])):
        if key["field_kind"][at] == "password" or key["ctx"][at] in denied:
            continue
        name = key["key"][at]
        token = f"KEY|{NAMED[name]}" if name in NAMED else "TYPE" if len(name) == 1 else None
        if token:
            events.append((key["t"][at], token, key["app"][at]))
    pointer = tables["pointer"]
    acts = [int(PointerKind.CLICK), int(PointerKind.SCROLL)]
    pointer = pointer.filter(pc.is_in(pointer["kind"], pa.array(acts, pa.uint8())))
    pointer = pointer.select(["seq", "t", "kind", "app", "ctx", "target_role"]).to_pydict()
    for at in range(len(pointer["seq"])):
        if pointer["ctx"][at] in denied:
            continue
        if pointer["kind"][at] == PointerKind.CLICK:
            token = f"CLICK|{pointer['target_role'][at]}"
        else:
            token = "SCROLL"
        events.append((pointer["t"][at], token, pointer["app"][at]))
    chat = tables["chat"].to_pydict()
    for at in range(len(chat["seq"])):
        if chat["channel_kind"][at] == "channel":
            events.append((chat["t"][at], "SEND|chat", "chat"))
    ai = tables["ai"].to_pydict()
    for at in range(len(ai["seq"])):
        if ai["role"][at] == "user":
            events.append((ai["t"][at], "ASK|ai", "assistant"))
    events.sort(key=lambda event: event[0])
    days = []
    for _, token, app in events:
        if days and days[-1][0] == token and not token.startswith("CLICK"):
            continue
        days.append((token, app))
    return days


@pytest.fixture(scope="module")
def split():
    days = [
        [tokens_of_day(person_day(SPEC, index, day)) for day in range(SPEC.days)]
        for index in range(SPEC.people)
    ]
    train = [day for person in days[:75] for day in person]
    test = [day for person in days[75:] for day in person]
    return train, test


def _table_model(train, test, order):
    counts = defaultdict(Counter)
    for day in train:
        names = [token for token, _ in day]
        for at in range(1, len(names)):
            for size in range(order + 1):
                if at >= size:
                    counts[tuple(names[at - size : at])][names[at]] += 1
    right = total = 0
    for day in test:
        names = [token for token, _ in day]
        for at in range(1, len(names)):
            for size in range(min(order, at), -1, -1):
                seen = counts.get(tuple(names[at - size : at]))
                if seen and (size == 0 or sum(seen.values()) >= 4):
                    right += seen.most_common(1)[0][0] == names[at]
                    break
            total += 1
    return right / total


def _features(days, vocabulary, apps, window):
    """One-hot of the last ``window`` tokens and of the app of the last one."""
    size = len(vocabulary) + 1
    rows, wanted = [], []
    for day in days:
        ids = [size - 1] * window + [vocabulary.get(token, size - 1) for token, _ in day]
        for at in range(1, len(day)):
            last = ids[at : at + window]
            row = [place * size + token for place, token in enumerate(last)]
            rows.append([*row, window * size + apps.get(day[at - 1][1], len(apps))])
            wanted.append(ids[at + window])
    return np.array(rows), np.array(wanted), window * size + len(apps) + 1


def _one_hot(rows, width):
    hot = np.zeros((len(rows), width), np.float32)
    np.put_along_axis(hot, rows, 1.0, axis=1)
    return hot


def _small_model(train, test, *, window, hidden, epochs=14):
    """A small perceptron (one hidden layer, or none) trained with Adam."""
    vocabulary = {name: at for at, name in enumerate(sorted({t for day in train for t, _ in day}))}
    apps = {name: at for at, name in enumerate(sorted({app for day in train for _, app in day}))}
    rows, wanted, width = _features(train, vocabulary, apps, window)
    rng = np.random.default_rng(3)
    out = len(vocabulary) + 1
    shapes = (
        [(width, hidden), (hidden,), (hidden, out), (out,)] if hidden else [(width, out), (out,)]
    )
    weights = [
        rng.normal(0, 0.1, shape) if len(shape) == 2 else np.zeros(shape) for shape in shapes
    ]
    first, second = [np.zeros_like(w) for w in weights], [np.zeros_like(w) for w in weights]

    def forward(rows):
        inner = _one_hot(rows, width) @ weights[0] + weights[1]
        if not hidden:
            return inner, inner
        inner = np.maximum(inner, 0)
        return inner, inner @ weights[2] + weights[3]

    step = 0
    for _ in range(epochs):
        order = rng.permutation(len(rows))
        for batch in np.array_split(order, max(len(order) // 256, 1)):
            step += 1
            inner, score = forward(rows[batch])
            odds = np.exp(score - score.max(1, keepdims=True))
            odds /= odds.sum(1, keepdims=True)
            odds[np.arange(len(batch)), wanted[batch]] -= 1
            odds /= len(batch)
            if hidden:
                back = (odds @ weights[2].T) * (inner > 0)
                slopes = [None, back.sum(0), inner.T @ odds, odds.sum(0)]
            else:
                back, slopes = odds, [None, odds.sum(0)]
            slopes[0] = _one_hot(rows[batch], width).T @ back
            for at, slope in enumerate(slopes):
                first[at] += 0.1 * (slope - first[at])
                second[at] += 0.001 * (slope * slope - second[at])
                size = np.sqrt(second[at] / (1 - 0.999**step)) + 1e-8
                weights[at] -= 0.01 * (first[at] / (1 - 0.9**step)) / size
    rows, wanted, _ = _features(test, vocabulary, apps, window)
    return float((forward(rows)[1].argmax(1) == wanted).mean())


def test_context_predicts_what_a_bigram_cannot(split):
    train, test = split
    vocabulary = Counter(token for day in train for token, _ in day)
    majority = vocabulary.most_common(1)[0][1] / sum(vocabulary.values())
    bigram, fourgram = _table_model(train, test, 1), _table_model(train, test, 3)
    sevengram = _table_model(train, test, 6)
    logistic = _small_model(train, test, window=5, hidden=0)
    perceptron = _small_model(train, test, window=6, hidden=64)
    per_day = np.mean([len(day) for day in train])
    print(
        f"vocabulary {len(vocabulary)}, tokens a day {per_day:.0f}, majority {majority:.3f}, "
        f"bigram {bigram:.3f}, 4-gram {fourgram:.3f}, 7-gram {sevengram:.3f}, "
        f"logistic {logistic:.3f}, perceptron {perceptron:.3f}"
    )
    assert 30 <= len(vocabulary) <= 45
    assert majority < 0.25
    assert 0.50 <= bigram <= 0.58
    assert fourgram > bigram + 0.10
    assert logistic > bigram + 0.20
    assert 0.80 <= perceptron <= 0.87
