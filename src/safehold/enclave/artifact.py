"""Model artifacts: what is in the file, and where it came from.

A model is a safetensors file (format as published by Hugging Face: u64 little-endian header
length, JSON header, raw tensors). The header is parsed here, strictly and without the library:
only the tensors of the declared architecture, back to back, with known metadata. Pickle and
archives are refused by their first bytes.

Provenance is an in-toto Statement v1 with the SLSA provenance v1 predicate in a DSSE v1 envelope.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from safehold.enclave import dsse
from safehold.enclave.model import ARCHITECTURE, Shape
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import TamperedError
from safehold.signing import SigningKey, VerifyKey

MOST_HEADER: Final = 16 * 1024  # bytes; the declared architecture needs a few hundred
LARGEST_WEIGHT: Final = 1e6
PREDICATE: Final = "https://slsa.dev/provenance/v1"
BUILD_TYPE: Final = "https://safehold.dev/recipe/v1"

# first bytes of what a model file must never be
_FOREIGN: Final = {
    b"\x80\x02": "pickle", b"\x80\x03": "pickle", b"\x80\x04": "pickle", b"\x80\x05": "pickle",
    b"PK\x03\x04": "archive", b"\x1f\x8b": "archive", b"\x93NUMPY": "numpy file",
    b"\x89HDF": "HDF5 file", b"ustar": "archive",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """A checked model.

    Args:
        architecture: One of ours.
        tensors: By name.
        body: The file.
        sha256: Of the file, 32 bytes.
    """

    architecture: str
    tensors: Mapping[str, NDArray[np.float32]] = field(repr=False)
    body: bytes = field(repr=False)
    sha256: bytes


def read_model(body: bytes, vocabulary: Vocabulary) -> Model:
    """Return the model a safetensors file holds.

    Args:
        body: The file.
        vocabulary: The public vocabulary it must be a model of.

    Raises:
        TamperedError: It is anything but the declared architecture in its only form.
    """
    for magic, name in _FOREIGN.items():
        if body.startswith(magic):
            raise _broken(f"the model is a {name}", "magic")
    if len(body) < 8:
        raise _broken("the model is cut off", "length")
    (length,) = struct.unpack_from("<Q", body)
    if length > MOST_HEADER or 8 + length > len(body):
        raise _broken("the model's header is too long", "length")
    header = _read_header(body[8 : 8 + length])
    metadata = header.pop("__metadata__", None)
    if metadata != {"architecture": ARCHITECTURE, "vocabulary": vocabulary.digest()}:
        raise _broken("the model's metadata is not the closed one", "metadata")
    shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
    return Model(
        ARCHITECTURE,
        _read_tensors(header, memoryview(body)[8 + length :], shape.tensors),
        body,
        hashlib.sha256(body).digest(),
    )


def _read_header(raw: bytes) -> dict[str, Any]:
    text = raw.rstrip(b" ")  # writers pad with blanks to a multiple of eight
    try:
        header = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _broken("the model's header is no JSON", "header") from None
    # Demanding the writer's form refuses doubled keys and hidden white space.
    if not isinstance(header, dict) or orjson.dumps(header) != text or len(raw) - len(text) > 7:
        raise _broken("the model's header is not in its only form", "header")
    return header


def _read_tensors(
    header: dict[str, Any], data: memoryview, expected: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[np.float32]]:
    if set(header) != set(expected):
        raise _broken("the model has other tensors than its architecture", "tensors")
    tensors, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: str(_offset(item[1])).zfill(20)):
        size = 4 * math.prod(expected[name])
        want = {"dtype": "F32", "shape": list(expected[name]), "data_offsets": [end, end + size]}
        if entry != want or end + size > len(data):
            raise _broken("a tensor is not as its architecture has it", "tensors")
        values = np.frombuffer(data[end : end + size], dtype="<f4").reshape(expected[name])
        if not np.isfinite(values).all() or np.abs(values).max() > LARGEST_WEIGHT:
            raise _broken("a weight is not finite, or absurd", "weights")
        tensors[name] = values
        end += size
    if end != len(data):
        raise _broken("the model has bytes outside its tensors", "tail")
    return tensors


def _offset(entry: Any) -> int:
    try:
        return int(entry["data_offsets"][0])
    except (KeyError, TypeError, IndexError, ValueError):
        raise _broken("a tensor has no place", "tensors") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a model came from; small facts, none about a person.

    Args:
        name: Name of the artifact.
        sha256: Of the file, 32 bytes.
        recipe: Name of the recipe.
        parameters: Settings of the run that are public (integers and words).
        materials: Digests (hex SHA-256) by name: charter, segment, ledger head, code.
        run: Id of the run.
        intent: Index of the ledger entry that came before the use.
        builder: What ran it, with its assurance level.
        started_us: When it began, microseconds.
        finished_us: When it ended, microseconds.
    """

    name: str
    sha256: bytes
    recipe: str
    parameters: Mapping[str, int | str | bool]
    materials: Mapping[str, str]
    run: str
    intent: int
    builder: str
    started_us: int
    finished_us: int

    def statement(self) -> dict[str, Any]:
        """Return the in-toto statement."""
        return {
            "_type": dsse.STATEMENT,
            "subject": [{"name": self.name, "digest": {"sha256": self.sha256.hex()}}],
            "predicateType": PREDICATE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {"recipe": self.recipe, **self.parameters},
                    "internalParameters": {"ledgerIntent": self.intent},
                    "resolvedDependencies": [
                        {"name": name, "digest": {"sha256": value}}
                        for name, value in sorted(self.materials.items())
                    ],
                },
                "runDetails": {
                    "builder": {"id": self.builder},
                    "metadata": {
                        "invocationId": self.run,
                        "startedOn": _moment(self.started_us),
                        "finishedOn": _moment(self.finished_us),
                    },
                },
            },
        }


def sign_provenance(provenance: Provenance, key: SigningKey) -> bytes:
    """Return a DSSE envelope around the statement, as canonical JSON."""
    return dsse.seal(provenance.statement(), key)


def verify_provenance(envelope: bytes, *, body: bytes, keys: Sequence[VerifyKey]) -> dict[str, Any]:
    """Return the statement of an envelope that covers a file.

    Args:
        envelope: What ``sign_provenance`` returned.
        body: The model file.
        keys: Keys that may have signed.

    Raises:
        TamperedError: No key signed it, or it is about another file.
    """
    return dsse.open_envelope(
        envelope,
        predicate_type=PREDICATE,
        files={"": hashlib.sha256(body).hexdigest()},
        keys=keys,
    )


def _moment(at_us: int) -> str:
    return f"{np.datetime_as_string(np.datetime64(at_us, 'us'), unit='s')}Z"


def _broken(message: str, what: str) -> TamperedError:
    return TamperedError(message, rule=f"artifact.{what}")
