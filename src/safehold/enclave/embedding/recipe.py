"""Recipe: what people wrote to vectors, and the attacks on them before anybody may use them.

Parts in:  {"person": run-scoped id, "stream": ai|chat|focus|speech, "window": UTC day}, columns of ``text.COLUMNS``;
before them, for a company's own encoder, {"encoder": SHA-256} with its bytes
Frames out: {"type": "vectors", "person": id, "rows": n} with ``form.schema_of``, once a person who wrote enough; then,
of the first shard, {"type": "exposure", ...} once an attack: counts, and nobody's name
Spec: encoder (digest), dims, noise_micro, attack (whether this shard is attacked), most_people (who are), min_people
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.dlp.feature import Feature
from safehold.enclave.embedding.encoder import Encoder, Vectors, blur, read_encoder, shipped
from safehold.enclave.embedding.exposure import expose
from safehold.enclave.embedding.form import to_table
from safehold.enclave.embedding.inversion import invert
from safehold.enclave.embedding.linkage import guess_members, halve, link
from safehold.enclave.embedding.text import (
    COLUMNS,
    SOURCES,
    Codes,
    cut_windows,
    own_texts,
    words_of,
)
from safehold.errors import InvalidError
from safehold.sandbox.channel import read_parts

Emit = Callable[..., None]

NOISE: Final = 400_000  # millionths: standard deviation of each number of a vector of length one
MOST_NOISE: Final = 10_000_000
_KEYS: Final = frozenset({"encoder", "dims", "noise_micro", "attack", "most_people", "min_people"})
E9: Final = 1_000_000_000


def declare(spec: Mapping[str, Any]) -> tuple[Feature, ...]:
    """Return what a vector is made from; words of the public list stand for the text, or a company's own."""
    closed = spec["encoder"] == shipped().digest
    return (
        Feature(name="source", sources=frozenset()),
        Feature(
            name="vector",
            sources=frozenset(f"{stream}.{names[-1]}" for stream, names in COLUMNS.items()),
            reductions=frozenset({"public_words"} if closed else ()),
        ),
    )


@dataclass(slots=True)
class _Person:
    source: list[int] = field(default_factory=list)
    windows: list[Codes] = field(default_factory=list)

    def all(self) -> Codes:
        return np.concatenate(self.windows)


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
        DeniedError: The artifact gate refuses the encoder.
    """
    if set(spec) != _KEYS:
        raise InvalidError("the spec of an embedding is wrong", rule="embedding.spec")
    encoder, texts = _read(inputs, spec)
    noise = partial(blur, noise=spec["noise_micro"] / 1e6)
    people = {name: _windows(encoder, texts.pop(name)) for name in sorted(texts)}
    people = {name: one for name, one in people.items() if one.windows}
    made: list[tuple[Codes, Vectors]] = []
    for name, one in people.items():
        windows = one.all()
        vectors = noise(encoder.embed(windows))
        body = _stream(to_table(np.array(one.source, np.uint8), vectors))
        emit({"type": "vectors", "person": name, "rows": len(windows)}, body)
        if len(made) < spec["most_people"]:
            made.append((windows, vectors))
    if spec["attack"]:
        for found in attack(encoder, made, noise, least=spec["min_people"]):
            emit({"type": "exposure", **found})


def attack(
    encoder: Encoder,
    made: Sequence[tuple[Codes, Vectors]],
    noise: Callable[[Vectors], Vectors],
    *,
    least: int,
) -> list[dict[str, Any]]:
    """Return what every attack came to: ``tried``, ``hits`` by attacker or kind, and the chance of a hit by luck.

    About fewer people than ``least`` nothing is said but how many they are.

    Args:
        encoder: What made the vectors.
        made: Windows and sealed vectors of each person.
        noise: Adds the noise that vectors are sealed with.
        least: Fewest people anything is said about.
    """
    halves = halve([vectors for _, vectors in made])
    windows, vectors = [one for one, _ in made], [one for _, one in made]
    found: list[dict[str, Any]] = []

    def say(name: str, people: int, hits: Mapping[str, int], tried: int, chance: float) -> None:
        enough = people >= max(least, 2)
        found.append(
            {
                "attack": name,
                "people": people,
                "tried": tried if enough else 0,
                "hits": dict(hits) if enough else None,
                "chance_e9": round(chance * E9) if enough else 0,
            }
        )

    many = len(halves) >= max(least, 2)
    say(
        "reidentify",
        len(halves),
        link(halves) if many else {},
        len(halves),
        1 / max(1, len(halves)),
    )
    right, tried = guess_members(halves) if many else (0, 0)
    say("membership", len(halves), {"guesses": right}, tried, 0.5)
    if len(made) < max(least, 2):
        say("canary", len(made), {}, 0, 0)
        say("invert", len(made), {}, 0, 0)
        return found
    exposed = expose(encoder, windows, noise)
    say("canary", len(made), exposed.hits, exposed.planted, exposed.chance)
    told = invert(encoder, windows, vectors)
    say("invert", told.victims, told.hits, told.victims, told.chance)
    return found


def _read(
    inputs: Sequence[int], spec: Mapping[str, Any]
) -> tuple[Encoder, dict[str, dict[str, list[Any]]]]:
    encoder: Encoder | None = shipped() if spec["encoder"] == shipped().digest else None
    texts: dict[str, dict[str, list[Any]]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            if "encoder" in header:
                encoder = read_encoder(table["body"][0].as_py())
                continue
            person, stream = header.get("person"), header.get("stream")
            if not isinstance(person, str) or not isinstance(stream, str):
                raise InvalidError("a part is not what the embedder reads", rule="embedding.part")
            texts.setdefault(person, {}).setdefault(stream, []).append(own_texts(stream, table))
    if encoder is None or encoder.digest != spec["encoder"]:
        raise InvalidError("the encoder is not the one that was asked for", rule="embedding.spec")
    return encoder, texts


def _windows(encoder: Encoder, streams: Mapping[str, list[Any]]) -> _Person:
    found = _Person()
    for place, stream in enumerate(SOURCES):
        if stream not in streams:
            continue
        words = words_of(pa.concat_arrays(streams[stream]))
        windows = cut_windows(encoder.code(words))
        if len(windows):
            found.windows.append(windows)
            found.source += [place] * len(windows)
    return found


def _stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table.combine_chunks())
    return bytes(sink.getvalue())


__all__ = ["E9", "MOST_NOISE", "NOISE", "attack", "declare", "main"]
