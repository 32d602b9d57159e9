"""A model that was pulled: its files, what was signed about them, and the leaf of the pull, all offline.

What holds when ``verify_release`` returns: the log that the policy accepts has a leaf that says this model was pulled
with this release record; the record names the model's file by its hash, and the keys that signed; the statements about
it are signed by that key and are about that file. So whoever trusts the log needs no other key.

What it cannot show: that the figures on the record are right, and who pulled it.

Formats: tlog-proof (C2SP), DSSE v1 envelopes one a line (in-toto attestation bundle), canonical JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_ENTRY, LARGEST_TEXT, read_file
from safehold_verify.index import read_json
from safehold_verify.leaf import parse_leaf
from safehold_verify.notes import parse_base64
from safehold_verify.policy import Policy, load_policy
from safehold_verify.proof import check_proof
from safehold_verify.words import plain

VERSION = "safehold.release/1"
FILES = (
    "model.safetensors", "release.json", "provenance.intoto.jsonl", "model.sig", "pull.leaf", "pull.tlog-proof",
)  # fmt: skip
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TESTED = "https://in-toto.io/attestation/test-result/v0.1"
LARGEST = 1 << 30  # bytes of a model
_LARGEST_RECORD = 4 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReport:
    """What was found to hold.

    Args:
        artifact: Id of the model.
        origin: Name of the log.
        size: Entries in it.
        witnesses: Who cosigned the head, with the latest time of each in seconds.
        entry: Leaf of the pull.
        sha256: Of the model file, hex.
        state: How it stood when it was pulled.
        purpose: What it was made for.
        epsilon: The most that it tells of any one person; None where nothing is said.
        delta: As above.
        gates: State of each gate of the charter, by its name.
        sandbox: What it was made in.
    """

    artifact: str
    origin: str
    size: int
    witnesses: Mapping[str, int]
    entry: int
    sha256: str
    state: str
    purpose: str
    epsilon: float | None
    delta: float | None
    gates: Mapping[str, str]
    sandbox: str

    def payload(self) -> dict[str, object]:
        """Return the report as JSON values."""
        return asdict(self)


def verify_release(folder: Path | str, policy: Policy | Path | str) -> ReleaseReport:
    """Check a folder that was pulled.

    Args:
        folder: With the six files that a pull writes, and no other.
        policy: Whose word counts; from outside.

    Raises:
        VerificationError: Something does not hold; ``where`` says what.
    """
    place = Path(folder)
    there = sorted(one.name for one in place.iterdir()) if place.is_dir() else []
    if there != sorted(FILES):
        raise VerificationError("not the files of a pull, or more than those", where="folder")
    written = read_file(place / "release.json", "release.json", limit=_LARGEST_RECORD)
    card = read_json(written, "release.json")
    if card.get("v") != VERSION:
        raise VerificationError("not a release record", where="release.json")
    leaf = read_file(place / "pull.leaf", "pull.leaf", limit=LARGEST_ENTRY)
    proof = read_file(place / "pull.tlog-proof", "pull.tlog-proof", limit=LARGEST_TEXT)
    found = check_proof(proof, leaf, load_policy(policy))
    _check_leaf(leaf, card, written)
    digest = _digest(place / "model.safetensors")
    if card.get("files") != {"model.safetensors": digest}:
        raise VerificationError("the model is not the one on the record", where="model.safetensors")
    lines = read_file(
        place / "provenance.intoto.jsonl", "provenance.intoto.jsonl", limit=2 * _LARGEST_RECORD
    )
    _check_statements(lines, card, digest)
    privacy = card.get("privacy") if isinstance(card.get("privacy"), dict) else {}
    return ReleaseReport(
        artifact=_word(card, "artifact"),
        origin=found.head.origin,
        size=found.head.size,
        witnesses=found.head.witnesses,
        entry=found.index,
        sha256=digest,
        state=_word(card, "state"),
        purpose=_word(card, "purpose"),
        epsilon=_share(privacy, "epsilon_micro", 1e6),
        delta=_share(privacy, "delta_e12", 1e12),
        gates={one["gate"]: one["state"] for one in _gates(card)},
        sandbox=str(card.get("sandbox", "")),
    )


def tell_release(report: ReleaseReport) -> Iterator[str]:
    """Yield the lines of a report in plain words, with what it does not show."""
    yield f"Checked: {report.origin}, {report.size} entries; the pull is entry {report.entry}."
    yield f"Model {plain(report.artifact)} for {plain(report.purpose)}, made in {plain(report.sandbox)}."
    if report.epsilon is not None:
        yield f"What it tells of any one person is bounded by epsilon {report.epsilon:g}, delta {report.delta:g}."
    for gate, state in sorted(report.gates.items()):
        yield f"  gate {plain(gate)}: {plain(state)}"
    yield "What this does not show:"
    yield "  that the figures on the record are right: they are the keeper's word, in the log before the model left."
    yield "  who pulled it: the log commits to that, and tells it to nobody outside."


def _check_leaf(leaf: bytes, card: Mapping[str, Any], written: bytes) -> None:
    kind, _, _ = parse_leaf(leaf)
    said = json.loads(leaf).get("pub", {})
    if kind != "access.intent" or said.get("action") != "pull_artifact":
        raise VerificationError("not the leaf of a pull", where="pull.leaf")
    if said.get("artifact") != card.get("artifact"):
        raise VerificationError("the pull of another model", where="pull.leaf")
    if said.get("record") != hashlib.sha256(written).hexdigest():
        raise VerificationError("the record is not the one that was pulled", where="release.json")


def _check_statements(lines: bytes, card: Mapping[str, Any], digest: str) -> None:
    where = "provenance.intoto.jsonl"
    key = parse_base64(_word(card, "signed_by"), where=where)
    if len(key) != 32:
        raise VerificationError("not a key", where="release.json")
    envelopes = lines.split(b"\n")
    if envelopes.pop() != b"" or len(envelopes) != 2:
        raise VerificationError("not the two statements of a pull", where=where)
    kinds = []
    for line in envelopes:
        statement = open_envelope(line, Ed25519PublicKey.from_public_bytes(key), where)
        subject = statement.get("subject")
        if not isinstance(subject, list) or [
            one.get("digest") if isinstance(one, dict) else None for one in subject
        ] != [{"sha256": digest}]:
            raise VerificationError("a statement about another file", where=where)
        kinds.append(statement.get("predicateType"))
    if kinds != [PROVENANCE, TESTED]:
        raise VerificationError("a statement that says something else", where=where)


def open_envelope(line: bytes, key: Ed25519PublicKey, where: str) -> dict[str, Any]:
    """Return the statement in a DSSE envelope; the signature is checked before the statement is read.

    Args:
        line: The envelope.
        key: Who must have signed.
        where: Named in errors.

    Raises:
        VerificationError: It is no envelope, of another type, or not signed by the key.
    """
    match read_json(line, where):
        case {
            "payload": str(text), "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": str(made), "keyid": str()}],
        }:  # fmt: skip
            payload, signature = parse_base64(text, where=where), parse_base64(made, where=where)
        case _:
            raise VerificationError("not an envelope", where=where)
    kind = PAYLOAD_TYPE.encode()
    signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    try:
        key.verify(signature, signed)
    except InvalidSignature:
        raise VerificationError("an envelope's signature does not hold", where=where) from None
    statement = read_json(payload, where)
    if statement.get("_type") != STATEMENT:
        raise VerificationError("not a statement", where=where)
    return statement


def _digest(path: Path) -> str:
    whole, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                size += len(piece)
                if size > LARGEST:
                    raise VerificationError("too large", where=path.name)
                whole.update(piece)
    except OSError as error:
        raise VerificationError("cannot be read", where=path.name) from error
    return whole.hexdigest()


def _gates(card: Mapping[str, Any]) -> list[dict[str, str]]:
    found = card.get("gates")
    if not isinstance(found, list) or not all(
        isinstance(one, dict)
        and isinstance(one.get("gate"), str)
        and isinstance(one.get("state"), str)
        for one in found
    ):
        raise VerificationError("it does not say how the model stands", where="release.json")
    return found


def _word(card: Mapping[str, Any], name: str) -> str:
    found = card.get(name)
    if not isinstance(found, str):
        raise VerificationError(f"it does not say {name}", where="release.json")
    return found


def _share(said: Any, name: str, unit: float) -> float | None:
    value = said.get(name) if isinstance(said, dict) else None
    if value is not None and (type(value) is not int or value < 0):
        raise VerificationError(f"{name} is no figure", where="release.json")
    return None if value is None else value / unit
