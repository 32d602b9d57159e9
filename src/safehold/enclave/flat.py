"""A model that travelled as one row of numbers, as the file that an artifact is."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from safehold.enclave.model import ARCHITECTURE, Shape
from safehold.enclave.vocabulary import MINIWOB, WORKFORCE
from safehold.errors import InvalidError


def write_flat(raw: bytes, vocabulary: str) -> bytes:
    """Return a model as safetensors bytes with closed metadata.

    Args:
        raw: float32, little-endian, weights row by row and then the bias.
        vocabulary: Digest of the public vocabulary it is a model of.

    Raises:
        InvalidError: There is no such vocabulary, or the model has another size.
    """
    for words in (WORKFORCE, MINIWOB):
        shape = Shape(tokens=len(words.tokens), apps=len(words.apps))
        if words.digest() == vocabulary and len(raw) == 4 * shape.parameters:
            flat = np.frombuffer(raw, dtype="<f4").reshape(shape.rows + 1, shape.tokens)
            data: bytes = save(
                {
                    "bias": np.ascontiguousarray(flat[-1], dtype=np.float32),
                    "weights": np.ascontiguousarray(flat[:-1], dtype=np.float32),
                },
                metadata={"architecture": ARCHITECTURE, "vocabulary": vocabulary},
            )
            return data
    raise InvalidError("a model of no vocabulary that is known here", rule="enclave.vocabulary")
