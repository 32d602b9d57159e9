"""Encoders: a list of words, and one row of numbers for each.

The encoder that is shipped knows a public list of about a thousand plain words of work and no other word, no name and
no number: whatever else somebody writes leaves no trace in a vector. Its rows are drawn from a public digest, so
nobody's data shaped them and nothing has to be rebuilt when somebody leaves. A company may bring its own as a
safetensors file; that file passes the artifact gate, and what comes out of it the attacks.

Sources: random projections that keep distances (Johnson and Lindenstrauss 1984; signs after Achlioptas 2003).
"""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from safehold.dlp.artifact import Use, admit, inspect
from safehold.enclave.embedding.text import Codes
from safehold.errors import InvalidError
from safehold.privacy.release import draw_gaussian

Vectors = NDArray[np.float32]

SHIPPED: Final = "safehold.words.v1"
BROUGHT: Final = "safehold.word-table.v1"
DIMS: Final = 64
LEAST_DIMS, MOST_DIMS = 8, 2_048
MOST_WORDS: Final = 200_000
MOST_BYTES: Final = 256 << 20
_LARGEST: Final = 1e4
_MOST_HEADER: Final = 8 << 20
_FIX: Final = "a float32 table with one row a word, and the words in the metadata"


@dataclass(frozen=True, slots=True)
class Encoder:
    """An encoder.

    Args:
        name: Its architecture.
        digest: SHA-256 over all that it is, hex.
        words: The words it knows, each with the row of its place.
        table: One row a word, float32, and after them one for each bucket of unknown words.
    """

    name: str
    digest: str
    words: pa.Array = field(repr=False)
    table: Vectors = field(repr=False)

    @property
    def dims(self) -> int:
        """Numbers of a vector."""
        return int(self.table.shape[1])

    @property
    def buckets(self) -> int:
        """Rows that words which are not in the list share by their digest; none for a closed list."""
        return int(self.table.shape[0]) - len(self.words)

    def code(self, words: Any) -> Codes:
        """Return the place of each word, -1 for one that leaves no trace."""
        places = pc.fill_null(pc.index_in(words, value_set=self.words), -1).to_numpy()
        codes = np.array(
            places, dtype=np.int32
        )  # one of its own: Arrow lends what may not be written
        if self.buckets and (codes < 0).any():
            strange = np.flatnonzero(codes < 0)
            for at, word in zip(strange, words.take(pa.array(strange)).to_pylist(), strict=True):
                digest = hashlib.sha256(word.encode()).digest()
                codes[at] = len(self.words) + int.from_bytes(digest[:8], "big") % self.buckets
        return codes

    def embed(self, windows: Codes) -> Vectors:
        """Return one vector a window, of length one; before the noise.

        Args:
            windows: Places of words, one row a window.
        """
        total = np.zeros((len(windows), self.dims), dtype=np.float32)
        for column in windows.T:
            total += self.table[column]
        norms = np.linalg.norm(total, axis=1, keepdims=True)
        return np.asarray(total / np.maximum(norms, np.float32(1e-12)), dtype=np.float32)


def blur(vectors: Vectors, *, noise: float) -> Vectors:
    """Return vectors with Gaussian noise from the operating system, as they are sealed.

    Args:
        vectors: Of length one.
        noise: Standard deviation of each number.
    """
    if noise <= 0:
        return vectors
    return np.asarray(vectors + draw_gaussian(vectors.shape, noise), dtype=np.float32)


@cache
def shipped() -> Encoder:
    """Return the encoder that is shipped: public words, and signs drawn from their digests."""
    raw = files("safehold.enclave.embedding").joinpath("words.txt").read_bytes()
    words = raw.decode("ascii").split()
    scale = np.float32(1 / math.sqrt(DIMS))
    rows = np.empty((len(words), DIMS), dtype=np.float32)
    for place, word in enumerate(words):
        drawn = hashlib.shake_256(f"{SHIPPED}/{word}".encode()).digest(DIMS // 8)
        rows[place] = np.unpackbits(np.frombuffer(drawn, np.uint8)).astype(np.float32) * 2 - 1
    digest = hashlib.sha256(f"{SHIPPED}/{DIMS}/".encode() + raw).hexdigest()
    return Encoder(SHIPPED, digest, pa.array(words, pa.large_string()), rows * scale)


def read_encoder(body: bytes) -> Encoder:
    """Return the encoder that a safetensors file holds; the file passes the artifact gate first.

    Raises:
        DeniedError: The artifact gate found something in it.
        InvalidError: It is no such file.
    """
    encoder = parse_encoder(body)
    admit(inspect(body), Use.STORE)
    return encoder


def parse_encoder(body: bytes) -> Encoder:
    """Return the encoder that a safetensors file holds, by its form alone.

    The format is safetensors (u64 length, JSON header, tensors): metadata ``architecture`` = ``BROUGHT`` and
    ``words``, with blanks between; one tensor ``table``, F32, with a row a word and then one for each bucket.

    Raises:
        InvalidError: It is no such file.
    """
    if len(body) > MOST_BYTES:
        raise InvalidError("the encoder is too large", rule="embedding.encoder.size")
    if len(body) < 8 or (length := struct.unpack_from("<Q", body)[0]) > min(
        _MOST_HEADER, len(body) - 8
    ):
        raise _broken()
    try:
        header = orjson.loads(body[8 : 8 + length])
        metadata, entry = header["__metadata__"], header["table"]
        words = str(metadata["words"]).split(" ")
        rows, dims = entry["shape"]
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise _broken() from None
    data = body[8 + length :]
    if (
        set(header) != {"__metadata__", "table"}
        or metadata != {"architecture": BROUGHT, "words": " ".join(words)}
        or entry["dtype"] != "F32"
        or entry["data_offsets"] != [0, len(data)]
        or type(rows) is not int
        or type(dims) is not int
        or not LEAST_DIMS <= dims <= MOST_DIMS
        or not len(words) <= rows <= MOST_WORDS
        or len(set(words)) != len(words)
        or not all(words)
        or len(data) != 4 * rows * dims
    ):
        raise _broken()
    table = np.frombuffer(data, dtype="<f4").reshape(rows, dims)
    if not np.isfinite(table).all() or np.abs(table).max() > _LARGEST:
        raise _broken()
    return Encoder(
        BROUGHT, hashlib.sha256(body).hexdigest(), pa.array(words, pa.large_string()), table
    )


def _broken() -> InvalidError:
    return InvalidError("the file is no encoder", rule="embedding.encoder", fix=_FIX)


__all__ = [
    "BROUGHT",
    "DIMS",
    "SHIPPED",
    "Encoder",
    "blur",
    "parse_encoder",
    "read_encoder",
    "shipped",
]
