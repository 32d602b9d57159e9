"""What a hostile recipe might try to send through the gate."""

import hashlib
import json
import pickle
import struct

import numpy as np
import orjson
import pyarrow as pa
import pytest
from safetensors.numpy import load, save

from safehold.enclave import egress
from safehold.enclave.action import SCHEMA, Actions
from safehold.enclave.artifact import Model, read_model
from safehold.enclave.egress import Allowance, Derived, Gate, Limits
from safehold.enclave.feature import write_actions
from safehold.enclave.model import ARCHITECTURE, Shape
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import DeniedError, SafeholdError, TamperedError

WORDS = Vocabulary.from_spec({"vocabulary": ["A", "B"], "apps": ["x"]})
SHAPE = Shape(tokens=3, apps=3)
PEOPLE = frozenset(f"r{i}" for i in range(100))
REFUSED = (TamperedError, DeniedError)


def gate(recipe="train", **more):
    given = {
        "recipe": recipe, "vocabulary": WORDS, "people": PEOPLE, "epsilon_micro": 4_000_000,
        "delta_e12": 1_000_000, "min_people": 20, "synthetic": True,
    }  # fmt: skip
    return Gate(Allowance(**{**given, **more}))


def metrics(**more):
    scores = {"top1": 0.5, "macro_f1": 0.4, "macro_over": 3}
    return {
        "type": "metrics", "unit": "person", "adjacency": "zero-out", "epsilon_micro": 4_000_000,
        "delta_e12": 1_000_000, "epsilon_rdp": 4.2, "epsilon_pld": 3.9, "noise_multiplier": 7.5,
        "clip": 0.1, "rounds": 40, "sampling_ppm": 1_000_000, "people": 100, "trained": 80,
        "held_out": 20, "actions_per_person": 64, "tokens": 3, "parameters": SHAPE.parameters, **scores,
        "top1_error": 0.04, "audit": "passed",
        "plain": dict.fromkeys(("private", "non_private", "majority", "bigram"), scores),
        **more,
    }  # fmt: skip


TENSORS = {name: np.zeros(shape, np.float32) for name, shape in SHAPE.tensors.items()}
META = {"architecture": ARCHITECTURE, "vocabulary": WORDS.digest()}


def model(body=None, **more):
    body = save(TENSORS, metadata=META) if body is None else body
    header = {
        "type": "model", "format": "safetensors", "architecture": ARCHITECTURE,
        "vocabulary": WORDS.digest(), "sha256": hashlib.sha256(body).hexdigest(),
        "size": len(body), **more,
    }  # fmt: skip
    return header, body


def features(rows=3):
    actions = Actions(np.arange(rows) % 3, np.arange(rows) % 3, np.arange(rows) == 0)
    return {"type": "derived", "person": "r1", "rows": rows}, write_actions(actions, WORDS)


def test_what_is_allowed_passes():
    checked = gate()
    checked.admit({"type": "progress", "done": 1, "of": 2})
    checked.admit(metrics())
    passed = checked.admit(*model())
    checked.close()
    assert isinstance(passed, Model)
    assert checked.bytes == len(model()[1])
    derived = gate("feature").admit(*features())
    assert isinstance(derived, Derived)
    assert derived.table["token"].to_pylist() == ["<other>", "A", "B"]


def test_progress_carries_no_rows():
    """A recipe that writes rows into its progress: the caller sees a handful of coarse steps."""
    checked = gate()
    rng = np.random.default_rng(1)
    seen = set()
    refused = 0
    for value in rng.integers(0, 10_000, 5_000):
        try:
            passed = checked.admit({"type": "progress", "done": int(value), "of": 10_000})
        except TamperedError:
            refused += 1
        else:
            seen.add((passed.done, passed.of))
    assert refused > 4_900
    assert len(seen) <= egress.STEPS + 1
    for frame in (
        {"type": "progress", "done": 1, "of": 10_000},
        {"type": "progress", "done": 9_999, "of": 9_999},
    ):
        with pytest.raises(TamperedError):
            checked.admit(frame)


FRAMES = {
    "unknown type": ({"type": "rows"}, b"a,b"),
    "no type": ({}, b""),
    "type that is no text": ({"type": ["metrics"]}, b""),
    "features out of a training run": features(),
    "progress with a body": ({"type": "progress", "done": 1, "of": 2}, b"secret"),
    "progress with more keys": ({"type": "progress", "done": 1, "of": 2, "note": "x"}, b""),
    "progress past its end": ({"type": "progress", "done": 3, "of": 2}, b""),
    "progress as a channel": ({"type": "progress", "done": 2**50, "of": 2**50}, b""),
    "progress with a truth value": ({"type": "progress", "done": True, "of": 2}, b""),
    "metrics with a body": (metrics(), b"x"),
    "a vector": (metrics(top1=[0.1, 0.2]), b""),
    "a vector under a new name": (metrics(embedding=[0.1] * 64), b""),
    "text for a figure": (metrics(top1="maria"), b""),
    "text in a word": (metrics(unit="maria"), b""),
    "not a number": (metrics(top1=float("nan")), b""),
    "infinite": (metrics(clip=float("inf")), b""),
    "over one": (metrics(top1=1.5), b""),
    "digits as a channel": (metrics(top1=0.123456789012345), b""),
    "parameters as a channel": (metrics(parameters=71_243), b""),
    "words as a channel": (metrics(tokens=2), b""),
    "fewer people than went in": (metrics(people=90, trained=70), b""),
    "integer as a channel": (metrics(rounds=2**60), b""),
    "another epsilon than charged": (metrics(epsilon_micro=40_000_000), b""),
    "another delta than charged": (metrics(delta_e12=10), b""),
    "the accountant's figure over the charge": (metrics(epsilon_pld=4.5), b""),
    "more people than went in": (metrics(people=101, trained=81), b""),
    "people who do not add up": (metrics(trained=81), b""),
    "other people, trained on too few": (metrics(people=39, trained=19), b""),
    "trained on too few": (metrics(trained=19, held_out=81), b""),
    "a score about too few": (metrics(trained=81, held_out=19), b""),
    "rows in the baselines": (metrics(plain={"rows": [[1, 2]]}), b""),
    "text in the baselines": (metrics(plain="maria"), b""),
    "text deep in the baselines": (
        metrics(plain={**metrics()["plain"], "bigram": {"top1": "x", "macro_f1": 0, "macro_over": 0}}),
        b"",
    ),
    "a baseline that is a list": (metrics(plain={**metrics()["plain"], "bigram": [1]}), b""),
    "pickle": model(pickle.dumps(TENSORS, protocol=4)),
    "archive": model(b"PK\x03\x04" + b"\0" * 64),
    "numpy file": model(b"\x93NUMPY" + b"\0" * 64),
    "empty model": model(b""),
    "wrong digest": model(sha256="0" * 64),
    "wrong size": model(size=1),
    "another architecture": model(architecture="resnet"),
    "another format": model(format="pickle"),
    "another vocabulary": model(vocabulary="0" * 64),
    "a model with more keys": model(note="x"),
    "one tensor more": model(save({**TENSORS, "rows": np.zeros(4, np.float32)}, metadata=META)),
    "one tensor less": model(save({"bias": TENSORS["bias"]}, metadata=META)),
    "another shape": model(save({**TENSORS, "bias": np.zeros(4, np.float32)}, metadata=META)),
    "another dtype": model(save({**TENSORS, "bias": np.zeros(3, np.float64)}, metadata=META)),
    "weights not finite": model(
        save({**TENSORS, "bias": np.full(3, np.nan, np.float32)}, metadata=META)
    ),
    "weights absurd": model(
        save({**TENSORS, "bias": np.full(3, 1e30, np.float32)}, metadata=META)
    ),
    "a note in the metadata": model(save(TENSORS, metadata={**META, "note": "maria"})),
    "no metadata": model(save(TENSORS)),
    "bytes after the tensors": model(save(TENSORS, metadata=META) + b"maria"),
    "cut off": model(save(TENSORS, metadata=META)[:-4]),
    "a header longer than the file": model(struct.pack("<Q", 2**63) + b"{}"),
}  # fmt: skip


@pytest.mark.parametrize("name", FRAMES)
def test_the_gate_refuses(name):
    header, body = FRAMES[name]
    with pytest.raises(REFUSED) as caught:
        gate().admit(header, body)
    assert "maria" not in str(caught.value)


def doubled_key():
    head = save(TENSORS, metadata=META)
    (length,) = struct.unpack_from("<Q", head)
    text = head[8 : 8 + length].rstrip()
    text = text[:-1] + b',"bias":' + orjson.dumps(json.loads(text)["bias"]) + b"}"
    return struct.pack("<Q", len(text)) + text + head[8 + length :]


def overlapping():
    head = save(TENSORS, metadata=META)
    (length,) = struct.unpack_from("<Q", head)
    parsed = json.loads(head[8 : 8 + length])
    for entry in parsed.values():
        if "data_offsets" in entry:
            entry["data_offsets"][0] = 0
    text = orjson.dumps(parsed)
    return struct.pack("<Q", len(text)) + text + head[8 + length :]


def blanks():
    head = save(TENSORS, metadata=META)
    (length,) = struct.unpack_from("<Q", head)
    text = head[8 : 8 + length] + b" " * 64
    return struct.pack("<Q", len(text)) + text + head[8 + length :]


@pytest.mark.parametrize("make", [doubled_key, overlapping, blanks])
def test_a_crafted_header_is_refused(make):
    with pytest.raises(TamperedError):
        read_model(make(), WORDS)


def test_our_reader_agrees_with_the_library():
    tensors = {
        name: np.random.default_rng(1).normal(size=shape).astype(np.float32)
        for name, shape in SHAPE.tensors.items()
    }
    body = save(tensors, metadata=META)
    ours, theirs = read_model(body, WORDS).tensors, load(body)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    assert set(ours) == set(theirs)


def stream(columns, schema=None):
    table = pa.table(columns, schema=schema)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def column(codes, words):
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int16()), pa.array(words))


def one(token=None, app=None, schema=SCHEMA):
    token = column([1], WORDS.tokens) if token is None else token
    app = column([1], WORDS.apps) if app is None else app
    return stream({"token": token, "app": app, "start": pa.array([True])}, schema)


HEADER = {"type": "derived", "person": "r1", "rows": 1}
TABLES = {
    "somebody else": ({**HEADER, "person": "p-9"}, one()),
    "a person who is no text": ({**HEADER, "person": 1}, one()),
    "another row count": ({**HEADER, "rows": 2}, one()),
    "more header keys": ({**HEADER, "text": "maria"}, one()),
    "a word of its own": (HEADER, one(token=column([0], ["maria", "A", "B"]))),
    "an unused word": (HEADER, one(token=column([1], [*WORDS.tokens, "maria"]))),
    "an application of its own": (HEADER, one(app=column([0], ["maria", "b", "c"]))),
    "another schema": (HEADER, stream({"text": pa.array(["maria"])})),
    "text in the schema": (HEADER, one(schema=SCHEMA.with_metadata({"note": "maria"}))),
    "bytes after the table": (HEADER, one() + b"maria"),
    "no table": (HEADER, b"maria"),
    "cut off": (HEADER, one()[:-60]),
    "metrics out of a feature run": (metrics(), b""),
    "a model out of a feature run": model(),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_gate_refuses_features(name):
    header, body = TABLES[name]
    with pytest.raises(REFUSED) as caught:
        gate("feature").admit(header, body)
    assert "maria" not in str(caught.value)


def test_what_passes_is_built_anew():
    header, body = features()
    hidden = bytearray(body)
    passed = gate("feature").admit(header, bytes(hidden)).table
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, passed.schema) as writer:
        writer.write_table(passed)
    assert passed["token"].chunk(0).dictionary.to_pylist() == list(WORDS.tokens)
    assert not any(passed[name].chunk(0).offset for name in passed.column_names)
    original = pa.ipc.open_stream(body).read_all()["token"].chunk(0).indices.buffers()[1].address
    assert passed["token"].chunk(0).indices.buffers()[1].address != original


def test_exact_figures_of_real_people_do_not_pass():
    with pytest.raises(DeniedError) as caught:
        gate(synthetic=False).admit(metrics())
    assert caught.value.rule == "egress.exact"


@pytest.mark.parametrize("frame", [(metrics(), b""), model()])
def test_the_same_message_does_not_come_twice(frame):
    checked = gate()
    checked.admit(*frame)
    with pytest.raises(TamperedError):
        checked.admit(*frame)


def test_the_same_person_does_not_come_twice():
    checked = gate("feature")
    checked.admit(*features())
    with pytest.raises(TamperedError):
        checked.admit(*features())


@pytest.mark.parametrize(
    ("limits", "recipe", "frame"),
    [
        (Limits(total_bytes=10), "feature", features()),
        (Limits(rows=2), "feature", features()),
        (Limits(model_bytes=10), "train", model()),
        (Limits(frames=0), "train", (metrics(), b"")),
    ],
)
def test_sizes_are_limited(limits, recipe, frame):
    with pytest.raises(REFUSED):
        gate(recipe, limits=limits).admit(*frame)


def test_a_run_without_a_model_is_not_whole():
    checked = gate()
    checked.admit(metrics())
    with pytest.raises(TamperedError):
        checked.close()


def test_an_error_does_not_carry_words_out():
    frame = {
        "type": "error",
        "code": "invalid",
        "message": "maria",
        "rule": "maria",
        "fix": "maria",
    }
    with pytest.raises(SafeholdError) as caught:
        gate().admit(frame)
    assert "maria" not in str(caught.value.payload())
    known = {**frame, "code": "denied", "rule": "charter.min_people"}
    with pytest.raises(DeniedError) as caught:
        gate().admit(known)
    assert caught.value.rule == "charter.min_people"
    assert "maria" not in str(caught.value.payload())
    with pytest.raises(TamperedError):
        gate().admit(frame, b"maria")


@pytest.mark.parametrize(
    ("guard", "frame"),
    [
        ("_keys", FRAMES["a vector under a new name"]),
        ("_empty", FRAMES["metrics with a body"]),
    ],
)
def test_without_its_guard_the_gate_would_let_it_through(monkeypatch, guard, frame):
    monkeypatch.setattr(egress, guard, lambda *_: None)
    assert gate().admit(*frame)
