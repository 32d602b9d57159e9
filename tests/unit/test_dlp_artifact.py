"""Artifacts of every format: what is planted in them is found, and what cannot be read is refused."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import pickle
import struct
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold.dlp.artifact import Use, admit, inspect
from safehold.dlp.canary import Canaries
from safehold.errors import DeniedError, InvalidError, SafeholdError

CARD = "4111 1111 1111 1111"
MAIL = "ada.lovelace@example.com"
WORD = "zebra-otter-quartz-91"
CANARIES = Canaries([WORD])


def safetensors(tensors=None, metadata=None, *, tail=b""):
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, array in (tensors or {"weight": np.zeros((2, 2), "<f4")}).items():
        kind = {"<f4": "F32", "|u1": "U8", "<i8": "I64", "<i4": "I32"}[array.dtype.str]
        raw = array.tobytes()
        header[name] = {
            "dtype": kind,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data + tail


def notebook(source=(), outputs=()):
    cell = {"cell_type": "code", "source": list(source), "outputs": list(outputs), "metadata": {}}
    return json.dumps(
        {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    ).encode()


def tokenizer(*tokens, added=()):
    words = ["a", "b", "the", *tokens]
    return json.dumps(
        {
            "version": "1.0",
            "added_tokens": [{"id": 9, "content": item} for item in added],
            "model": {"type": "BPE", "vocab": {w: n for n, w in enumerate(words)}, "merges": []},
        }
    ).encode()


def arrays(**named):
    sink = io.BytesIO()
    np.savez(sink, **named)
    return sink.getvalue()


def array_of(values):
    sink = io.BytesIO()
    np.save(sink, values)
    return sink.getvalue()


def table(columns, metadata=None):
    sink = io.BytesIO()
    made = pa.table(columns)
    pq.write_table(made.replace_schema_metadata(metadata), sink)
    return sink.getvalue()


def gguf(text, tokens=()):
    def said(value):
        raw = value.encode()
        return struct.pack("<Q", len(raw)) + raw

    pairs = said("general.description") + struct.pack("<I", 8) + said(text)
    pairs += said("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, len(tokens))
    pairs += b"".join(said(token) for token in tokens)
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + pairs


def sentencepiece(*pieces):
    out = b""
    for piece in pieces:
        raw = piece.encode()
        inner = b"\x0a" + bytes([len(raw)]) + raw + b"\x15\x00\x00\x80\xbf"
        out += b"\x0a" + bytes([len(inner)]) + inner
    return out


def spelled(text, kind):
    return np.array([ord(char) for char in text], kind)


def bpe(text):
    return text.replace(" ", "\u0120")


PLACES = {
    "safetensors metadata": lambda s: safetensors(metadata={"note": s}),
    "safetensors metadata key": lambda s: safetensors(metadata={s: "x"}),
    "safetensors tensor name": lambda s: safetensors({f"emb {s}": np.zeros(2, "<f4")}),
    "safetensors tensor of bytes": lambda s: safetensors(
        {"w": np.frombuffer(s.encode(), "u1").copy()}
    ),
    "safetensors tensor of code points": lambda s: safetensors({"w": spelled(s, "<i8")}),
    "safetensors tensor of whole floats": lambda s: safetensors({"w": spelled(s, "<f4")}),
    "safetensors JSON in metadata": lambda s: safetensors(
        metadata={"config": json.dumps({"x": s})}
    ),
    "safetensors base64 in metadata": lambda s: safetensors(
        metadata={"blob": base64.b64encode(s.encode()).decode()}
    ),
    "tokenizer token": tokenizer,
    "tokenizer byte-level token": lambda s: tokenizer(bpe(f" {s}")),
    "tokenizer added token": lambda s: tokenizer(added=[s]),
    "tokenizer chat template": lambda s: json.dumps(
        {"model": {"vocab": {"a": 0}}, "chat_template": f"You serve {s}."}
    ).encode(),
    "vocabulary list": lambda s: "\n".join([*(f"w{n}x" for n in range(600)), s]).encode(),
    "tiktoken ranks": lambda s: b"".join(
        base64.b64encode(word.encode()) + b" %d\n" % rank
        for rank, word in enumerate([*(f"word{n}" for n in range(40)), s])
    ),
    "SentencePiece piece": lambda s: sentencepiece(
        "<unk>", "\u2581the", "\u2581" + s.replace(" ", "\u2581")
    ),
    "notebook source over lines": lambda s: notebook(source=[s[:9], s[9:] + "\n", "print(1)"]),
    "notebook output": lambda s: notebook(
        outputs=[{"output_type": "stream", "name": "stdout", "text": [f"to {s}\n"]}]
    ),
    "notebook html": lambda s: notebook(
        outputs=[
            {
                "output_type": "display_data",
                "data": {"text/html": [f"<b>{s[:4]}</b><i>{s[4:]}</i> {s}"]},
            }
        ]
    ),
    "notebook traceback": lambda s: notebook(
        outputs=[{"output_type": "error", "traceback": [f"\x1b[0;31m{s[:6]}\x1b[0m{s[6:]}"]}]
    ),
    "log": lambda s: f"2026-11-02 10:00:01 INFO start\n2026-11-02 INFO sent to {s} ok\n".encode(),
    "prompt log": lambda s: (
        b'{"role": "user", "content": "hi"}\n'
        + json.dumps({"role": "user", "content": f"write to {s} now"}).encode()
    ),
    "trainer state": lambda s: json.dumps({"log_history": [{"step": 1, "sample": s}]}).encode(),
    "NumPy text": lambda s: array_of(np.array(["a", s])),
    "NumPy archive": lambda s: arrays(words=np.array(["a", s])),
    "Parquet column": lambda s: table({"text": ["a", s]}),
    "Parquet nested": lambda s: table({"x": [[{"t": s}]]}),
    "Parquet dictionary": lambda s: table({"text": pa.array(["a", s]).dictionary_encode()}),
    "Parquet metadata": lambda s: table({"n": [1]}, {b"note": s.encode()}),
    "GGUF metadata": gguf,
    "GGUF token": lambda s: gguf("x", ["a", "\u2581" + s.replace(" ", "\u2581")]),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("text", "kind"), [(MAIL, "EMAIL"), (WORD, "CANARY"), (CARD, "CARD")])
def test_planted_text_is_found_and_never_shown(place, text, kind):
    if place == "notebook html" and kind != "CANARY":
        text = f"{text} {text}"
    found = inspect(PLACES[place](text), canaries=CANARIES)
    assert kind in {each.kind for each in found.findings}, found.kind
    with pytest.raises(DeniedError) as refused:
        admit(found, Use.STORE)
    told = json.dumps(found.to_record()) + str(refused.value.payload())
    for secret in (MAIL, WORD, CARD):
        assert secret not in told
    assert "lovelace" not in told


@pytest.mark.parametrize(
    "place",
    [
        name
        for name in PLACES
        if name not in ("safetensors metadata key", "safetensors tensor name")
    ],
)
def test_an_artifact_without_anything_planted_is_admitted(place):
    found = inspect(PLACES[place]("quarterly summary"), canaries=CANARIES)
    assert admit(found, Use.STORE) is found
    assert found.passages > 0


def test_a_canary_in_a_file_or_folder_name_is_found():
    found = inspect(
        b"hello there", name=f"models/{WORD}/card_4111_1111_1111_1111.txt", canaries=CANARIES
    )
    assert {each.kind for each in found.findings} >= {"CANARY", "CARD"}


@pytest.mark.parametrize(
    "shape",
    ["ZEBRA-otter-QUARTZ-91", "zebra otter\u00a0quartz 91", "z\u00e9bra-otter-quartz-\uff19\uff11"],
)
def test_a_canary_is_found_however_it_is_written(shape):
    assert CANARIES.find(pa.array([None, "nothing", f"see {shape}!"])) == [2]


def test_a_short_canary_is_refused():
    with pytest.raises(InvalidError):
        Canaries(["ab-c"])
    with pytest.raises(InvalidError):
        Canaries([])


class _Runs:
    def __reduce__(self):
        return print, ("a pickle was loaded",)


PICKLES = {
    **{f"protocol {n}": pickle.dumps({"w": [1.0, 2.0], "n": _Runs()}, n) for n in range(6)},
    "gzip": gzip.compress(pickle.dumps([1, 2, 3]), mtime=0),
    "zlib": zlib.compress(pickle.dumps([1, 2, 3])),
    "bz2": bz2.compress(pickle.dumps([1, 2, 3])),
    "xz": lzma.compress(pickle.dumps([1, 2, 3])),
    "objects in an array": array_of(np.array([{"a": 1}], dtype=object)),
    "objects in an archive": arrays(x=np.array([{"a": 1}], dtype=object)),
}


def _archived(name, body):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(name, body)
    return sink.getvalue()


PICKLES["PyTorch archive"] = _archived("archive/data.pkl", pickle.dumps({"w": 1}))
PICKLES["archive under another name"] = _archived("weights.bin", pickle.dumps({"w": 1}))


@pytest.mark.parametrize("kind", PICKLES)
@pytest.mark.parametrize("name", ["model.safetensors", "notes.txt", "model.npz"])
def test_a_pickle_is_refused_whatever_it_is_called(kind, name, capsys):
    with pytest.raises(DeniedError) as refused:
        inspect(PICKLES[kind], name=name)
    assert refused.value.rule == "artifact.pickle"
    assert "loaded" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "body",
    [
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"%PDF-1.7\n" + bytes(40),
        b"SQLite format 3\0" + bytes(90),
        bytes(range(256)) * 4,
        gzip.compress(b"plain text", mtime=0),
        _archived("a.txt", b"hello"),
    ],
    ids=["png", "pdf", "sqlite", "bytes", "gzip", "archive"],
)
def test_what_cannot_be_read_is_refused(body):
    with pytest.raises(InvalidError) as refused:
        inspect(body, name="x.npz")
    assert refused.value.rule in ("artifact.format", "artifact.archive")
    assert refused.value.fix


@pytest.mark.parametrize(
    "body",
    [
        safetensors(tail=MAIL.encode()),
        safetensors()[:-1],
        struct.pack("<Q", 12) + b'{"a": "none"',
        gguf("x")[:40],
        array_of(np.zeros(4))[:-3],
        table({"a": [1]})[:-9] + b"PAR1",
    ],
)
def test_a_damaged_artifact_is_refused(body):
    with pytest.raises(InvalidError):
        inspect(body, name="x")


def test_a_bomb_is_not_unpacked():
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(200 << 20))
    with pytest.raises(InvalidError):
        inspect(sink.getvalue(), name="x.npz")


def test_a_text_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr("safehold.dlp.artifact.inspection.LARGEST_TEXT", 100)
    inspect(b"x" * 100)
    with pytest.raises(InvalidError) as refused:
        inspect(b"x" * 101)
    assert refused.value.rule == "artifact.size"


def test_a_deep_document_is_refused():
    with pytest.raises(InvalidError):
        inspect(b"[" * 300 + b'"x"' + b"]" * 300)


@pytest.mark.parametrize(
    "name",
    [
        "state.0.exp_avg",
        "layer.weight.exp_avg_sq",
        "opt_state/0/mu/w",
        "momentum_buffer",
        "optimizer.w",
    ],
)
def test_the_state_of_an_optimizer_never_leaves(name):
    for body in (safetensors({name: np.zeros(3, "<f4")}), arrays(**{name: np.zeros(3)})):
        found = inspect(body)
        admit(found, Use.STORE)
        with pytest.raises(DeniedError) as refused:
            admit(found, Use.RELEASE)
        assert refused.value.rule == "artifact.optimizer_state"


def test_weights_leave():
    names = [
        "model.layers.0.mlp.up_proj.weight",
        "lm_head.weight",
        "embed.tokens",
        "norm.bias",
        "mutual.w",
    ]
    found = inspect(safetensors({name: np.zeros(3, "<f4") for name in names}))
    assert admit(found, Use.RELEASE).notes == ()


def test_pictures_and_vectors_never_leave():
    picture = notebook(
        outputs=[{"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo="}}]
    )
    vectors = table({"v": pa.array([[0.5] * 32], pa.list_(pa.float32(), 32))})
    for body, rule in ((picture, "artifact.image"), (vectors, "artifact.embedding")):
        found = inspect(body)
        admit(found, Use.STORE)
        with pytest.raises(DeniedError) as refused:
            admit(found, Use.RELEASE)
        assert refused.value.rule == rule


def test_a_key_that_stands_twice_hides_nothing():
    header = b'{"__metadata__":{"a":"' + MAIL.encode() + b'","a":"x"}}'
    found = inspect(struct.pack("<Q", len(header)) + header)
    assert {each.kind for each in found.findings} == {"EMAIL"}


def test_random_weights_raise_no_alarm():
    draw = np.random.default_rng(7)
    tensors = {
        "f32": draw.normal(0, 0.02, 400_000).astype("<f4"),
        "u8": draw.integers(0, 256, 200_000).astype("u1"),
        "positions": np.arange(4096, dtype="<i8"),
        "counts": np.full(4096, 48, "<i8"),
    }
    assert inspect(safetensors(tensors)).findings == ()


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(body):
    try:
        inspect(body, name="x.npz")
    except SafeholdError as error:
        assert error.rule is not None


@given(st.sampled_from(sorted(PLACES)), st.data())
def test_damage_is_read_or_refused(place, data):
    body = bytearray(PLACES[place]("quarterly summary"))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        body[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(body)))
    for made in (bytes(body), bytes(body[:cut])):
        try:
            inspect(made, name="x")
        except SafeholdError as error:
            assert error.rule is not None
