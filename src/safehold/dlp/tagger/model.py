"""The weights of a tagger at rest: whole numbers under one scale, compressed; the same bytes every time."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import zstandard

from safehold.dlp.tagger.feature import BITS
from safehold.dlp.tagger.gazetteer import Gazetteer
from safehold.dlp.tagger.labelled import KINDS
from safehold.errors import InvalidError

Floats = npt.NDArray[np.float32]
LABELS: Final = 1 + 2 * len(KINDS)  # outside, then begin and inside of each class
FORMAT: Final = "safehold.tagger/v1"
_MAGIC: Final = b"SHTAGGER\n"
_LARGEST: Final = 64 << 20  # bytes of a model that is read


@dataclass(frozen=True, slots=True)
class Model:
    """A tagger.

    Args:
        weights: Features x labels.
        moves: Labels x labels, score of one label after another.
        gazetteer: Lists of names.
        about: How it was trained: seed, texts by source, rounds.
    """

    weights: Floats
    moves: Floats
    gazetteer: Gazetteer
    about: dict[str, Any]


def pack_model(model: Model) -> bytes:
    """Return a model as bytes; weights are rounded to 8 bits."""
    peak = float(np.abs(model.weights).max()) or 1.0
    small = np.round(model.weights / peak * 127).astype(np.int8)
    keys = model.gazetteer.keys
    steps = np.diff(keys.astype(np.int64), prepend=0).astype("<u4")
    parts = [
        np.ascontiguousarray(small.T).tobytes(),  # by label: zeros lie together
        model.moves.astype("<f4").tobytes(),
        steps.tobytes(),
        model.gazetteer.marks.astype("<u2").tobytes(),
    ]
    head = {
        "format": FORMAT, "bits": BITS, "labels": LABELS, "kinds": list(KINDS), "peak": peak.hex(),
        "lists": len(keys), "about": model.about,
    }  # fmt: skip
    line = json.dumps(head, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    body = zstandard.ZstdCompressor(level=19).compress(b"".join(parts))
    return _MAGIC + line + body


def read_model(data: bytes) -> Model:
    """Return the model in some bytes.

    Raises:
        InvalidError: It is no model, or one of another version.
    """
    wrong = InvalidError("not a tagger of this version", rule="dlp.model")
    line, _, body = data[len(_MAGIC) :].partition(b"\n")
    try:
        head = json.loads(line)
        said = (head["format"], head["bits"], head["labels"], head["kinds"])
        lists, peak = int(head["lists"]), float.fromhex(head["peak"])
        about = dict(head["about"])
        plain = zstandard.ZstdDecompressor().decompress(body, max_output_size=_LARGEST)
    except (KeyError, TypeError, ValueError, zstandard.ZstdError) as error:
        raise wrong from error
    count = 1 << BITS
    sizes = [count * LABELS, LABELS * LABELS * 4, lists * 4, lists * 2]
    fits = data.startswith(_MAGIC) and said == (FORMAT, BITS, LABELS, list(KINDS))
    if not fits or lists < 0 or len(plain) != sum(sizes):
        raise wrong
    edges = itertools.accumulate(sizes, initial=0)
    part = [plain[low:high] for low, high in itertools.pairwise(edges)]
    small = np.frombuffer(part[0], np.int8).reshape(LABELS, count).T
    return Model(
        weights=np.ascontiguousarray(small, np.float32) * np.float32(peak / 127),
        moves=np.frombuffer(part[1], "<f4").reshape(LABELS, LABELS).astype(np.float32),
        gazetteer=Gazetteer(
            np.cumsum(np.frombuffer(part[2], "<u4").astype(np.int64)).astype(np.uint32),
            np.frombuffer(part[3], "<u2").astype(np.uint16),
        ),
        about=about,
    )


def packed_model() -> bytes:
    """Return the bytes of the model that comes with the program."""
    return files("safehold.dlp.tagger").joinpath("model.bin").read_bytes()


@cache
def load_model() -> Model:
    """Return the model that comes with the program."""
    return read_model(packed_model())


@cache
def model_version() -> str:
    """Return the SHA-256 of the model that comes with the program, for the ledger."""
    return hashlib.sha256(packed_model()).hexdigest()
