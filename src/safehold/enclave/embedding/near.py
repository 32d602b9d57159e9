"""Recipe: a question to vectors, answered by how many people lie where, with noise.

Parts in:  {"person": run-scoped id, "stream": "embedding", "window": UTC day}, ``form.schema_of``
Frames out: {"type": "counts", ...} once: people by band of likeness or by topic, each count with noise
Spec: how (near, topics or drift), texts (public words of whoever asks), epsilon_micro, min_people, encoder, dims

``near``: the likeness of each person's nearest window to the one text, in bands. ``topics``: the text that is nearest
to each person's windows on average. ``drift``: the same for the earlier and for the later half of each person's
windows, each at half the price. A person counts once in each release, so one person changes one count by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.enclave.embedding.encoder import Encoder, Vectors, read_encoder, shipped
from safehold.enclave.embedding.form import from_table
from safehold.enclave.embedding.text import words_of
from safehold.errors import DeniedError, InvalidError
from safehold.privacy.counting import Noise, draw_laplace, release_counts
from safehold.sandbox.channel import read_parts

Emit = Callable[..., None]

HOW: Final = ("near", "topics", "drift")
BANDS: Final = (
    0.2,
    0.4,
    0.6,
    0.8,
    1.0,
    1.2,
    1.4,
)  # likeness of the nearest window, noise and all; below the first is a band
MOST_TEXTS: Final = 16
LONGEST: Final = 2_000  # characters of a text
_KEYS: Final = frozenset({"how", "texts", "epsilon_micro", "min_people", "encoder", "dims"})


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
        DeniedError: There are too few people.
    """
    check_spec(spec)
    encoder, people = read_people(inputs, spec["encoder"])
    if len(people) < spec["min_people"]:
        raise DeniedError("too few people", rule="charter.min_people")
    asked = ask_texts(encoder, spec["texts"])
    counts = count(spec["how"], list(people.values()), asked)
    emit(
        {
            "type": "counts",
            "how": spec["how"],
            "people": len(people),
            "counts": release(counts, spec),
        }
    )


def check_spec(spec: Mapping[str, Any]) -> None:
    """Return only if a question is one.

    Raises:
        InvalidError: It is not.
    """
    texts = spec.get("texts")
    if (
        set(spec) != _KEYS
        or spec["how"] not in HOW
        or not isinstance(texts, list)
        or not all(isinstance(one, str) and 0 < len(one) <= LONGEST for one in texts)
        or not (len(texts) == 1 if spec["how"] == "near" else 2 <= len(texts) <= MOST_TEXTS)
    ):
        raise InvalidError("the spec of a question is wrong", rule="embedding.spec")


def read_people(inputs: Sequence[int], digest: str) -> tuple[Encoder, dict[str, Vectors]]:
    """Return the encoder, and each person's vectors in their order.

    Raises:
        InvalidError: A part is no table of vectors, or the encoder is another one.
    """
    encoder = shipped()
    found: dict[str, list[Vectors]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            if "encoder" in header:
                encoder = read_encoder(table["body"][0].as_py())
                continue
            found.setdefault(str(header["person"]), []).append(from_table(table)[1])
    if encoder.digest != digest:
        raise InvalidError("the encoder is not the one of the vectors", rule="embedding.spec")
    return encoder, {name: np.concatenate(found[name]) for name in sorted(found)}


def ask_texts(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Return one vector a text, without noise; a text of no known word is one of nothing."""
    rows = []
    for text in texts:
        codes = encoder.code(words_of(pa.array([text], pa.large_string())))
        rows.append(encoder.embed(codes[codes >= 0].reshape(1, -1))[0])
    return np.stack(rows)


def count(how: str, people: Sequence[Vectors], asked: Vectors) -> dict[str, int]:
    """Return how many people lie where, exactly; every person counts once, in ``drift`` once for each half."""
    if how == "near":
        names = band_names()
        found = [int(np.searchsorted(BANDS, _nearest(one, asked), side="right")) for one in people]
        return {name: found.count(at) for at, name in enumerate(names)}
    if how == "topics":
        return _topics("", people, asked)
    early = [one[: max(1, len(one) // 2)] for one in people]
    late = [one[len(one) // 2 :] for one in people]
    return {**_topics("before.", early, asked), **_topics("after.", late, asked)}


def band_names() -> tuple[str, ...]:
    """Return the names of the bands of likeness, from below."""
    edges = (0.0, *BANDS)
    return tuple(f"from.{round(100 * edge):03d}" for edge in edges)


def count_names(how: str, texts: int) -> frozenset[str]:
    """Return the names that counts have."""
    topics = [f"text.{at:02d}" for at in range(texts)]
    match how:
        case "near":
            return frozenset(band_names())
        case "topics":
            return frozenset(topics)
        case _:
            return frozenset(f"{half}.{one}" for half in ("before", "after") for one in topics)


def release(
    counts: Mapping[str, int], spec: Mapping[str, Any], noise: Noise = draw_laplace
) -> dict[str, int]:
    """Return counts with noise, for the whole price; a person counts twice where two halves are compared."""
    price = spec["epsilon_micro"] // (2 if spec["how"] == "drift" else 1)
    return release_counts(counts, epsilon_micro=price, noise=noise)


def _nearest(vectors: Vectors, asked: Vectors) -> float:
    return float((vectors @ asked[0]).max())


def _topics(prefix: str, people: Sequence[Vectors], asked: Vectors) -> dict[str, int]:
    found = [int((one.mean(axis=0) @ asked.T).argmax()) for one in people]
    return {f"{prefix}text.{at:02d}": found.count(at) for at in range(len(asked))}


__all__ = ["BANDS", "HOW", "MOST_TEXTS", "check_spec", "count", "count_names", "main", "release"]
