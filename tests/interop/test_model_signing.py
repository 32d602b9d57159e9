"""Envelopes and signatures over files, against implementations that are not ours."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from safehold.canonical import decode, encode, unb64
from safehold.enclave import dsse
from safehold.enclave.manifest import sign_files, verify_files
from safehold.errors import InvalidError, TamperedError
from safehold.signing import PointKey, PointVerifyKey, SigningKey, pre_authenticate
from safehold_verify.errors import VerificationError
from safehold_verify.release import open_envelope

VECTORS = Path(__file__).parent / "vectors" / "model-signing"
KEY = SigningKey(bytes(32))
POINT = PointKey(bytes(range(32)))
FILES = {"a/weights": hashlib.sha256(b"a").digest(), "b": hashlib.sha256(b"b").digest()}
DIGEST = hashlib.sha256(b"weights").hexdigest()
STATEMENT = dsse.state("https://slsa.dev/provenance/v1", {"x": 1}, {"m": DIGEST})


def test_a_signature_made_by_openssf_model_signing_is_verified_here():
    """Made with model-signing 1.1.1: ``model_signing sign key``, over two files and an ignored third."""
    files = {
        "model.safetensors": hashlib.sha256(b"weights").digest(),
        "release.json": hashlib.sha256(b"{}").digest(),
    }
    bundle, key = (
        (VECTORS / "model.sig").read_bytes(),
        PointVerifyKey((VECTORS / "key.pem").read_bytes()),
    )
    assert verify_files(bundle, files, key) == "art_x"
    for changed in (
        files | {"model.safetensors": bytes(32)},
        {"release.json": files["release.json"]},
        files | {"more": bytes(32)},
    ):
        with pytest.raises(TamperedError):
            verify_files(bundle, changed, key)
    with pytest.raises(TamperedError):
        verify_files(bundle, files, POINT.public)


@pytest.mark.proof  # where somebody has installed it
def test_what_is_written_here_is_verified_by_openssf_model_signing(tmp_path: Path):
    """It brings some forty packages, so it is no dependency; whoever installs it runs this too."""
    verifying = pytest.importorskip(
        "model_signing.verifying", reason="model-signing is not installed"
    )
    folder = tmp_path / "art"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "pull.leaf").write_bytes(b"beside")
    files = {"model.safetensors": hashlib.sha256(b"weights").digest()}
    (folder / "model.sig").write_bytes(sign_files("art", files, POINT))
    (tmp_path / "key.pem").write_bytes(POINT.public.pem)
    check = verifying.Config().use_elliptic_key_verifier(public_key=tmp_path / "key.pem")
    check.verify(folder, folder / "model.sig")
    (folder / "model.safetensors").write_bytes(b"others")
    with pytest.raises(ValueError, match="mismatch"):
        check.verify(folder, folder / "model.sig")


def test_an_envelope_is_verified_by_securesystemslib():
    """The reference implementation of DSSE in Python, and its protocol by hand."""
    envelope = json.loads(dsse.seal(STATEMENT, KEY))
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    covered = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    raw = Ed25519PublicKey.from_public_bytes(KEY.public.raw)
    raw.verify(base64.b64decode(envelope["signatures"][0]["sig"]), covered)
    public = SSlibKey(KEY.public.key_id, "ed25519", "ed25519", {"public": KEY.public.raw.hex()})
    accepted = Envelope.from_dict(envelope).verify([public], 1)
    assert list(accepted) == [KEY.public.key_id]


def test_the_bytes_that_are_signed_are_those_of_the_published_example():
    """From the protocol of DSSE v1: payload type ``http://example.com/HelloWorld``, payload ``hello world``."""
    assert pre_authenticate("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_both_readers_of_the_house_read_the_same_envelope():
    envelope = dsse.seal(STATEMENT, KEY)
    opened = dsse.open_envelope(
        envelope, predicate_type="https://slsa.dev/provenance/v1", files={"m": DIGEST},
        keys=[KEY.public],
    )  # fmt: skip
    raw = Ed25519PublicKey.from_public_bytes(KEY.public.raw)
    assert open_envelope(envelope, raw, "here") == opened == STATEMENT


def ours(envelope: bytes) -> bool:
    try:
        dsse.open_envelope(
            envelope, predicate_type="https://slsa.dev/provenance/v1", files={"m": DIGEST},
            keys=[KEY.public],
        )  # fmt: skip
    except TamperedError:
        return False
    return True


def theirs(envelope: bytes) -> bool:
    try:
        open_envelope(envelope, Ed25519PublicKey.from_public_bytes(KEY.public.raw), "here")
    except VerificationError:
        return False
    return True


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_changed_envelope_is_read(data):
    envelope = bytearray(dsse.seal(STATEMENT, KEY))
    place = data.draw(st.integers(0, len(envelope) - 1))
    envelope[place] ^= data.draw(st.integers(1, 255))
    assert not ours(bytes(envelope))
    cut = dsse.seal(STATEMENT, KEY)[: data.draw(st.integers(0, len(envelope) - 1))]
    assert not ours(cut)
    assert not theirs(cut)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_hostile_bytes_are_refused_and_nothing_else_happens(noise):
    assert not ours(noise)
    assert not theirs(noise)
    with pytest.raises(TamperedError):
        verify_files(noise, FILES, POINT.public)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["payload", "payloadType", "signatures", "more"]), JSON)
def test_an_envelope_with_another_part_is_refused(name, value):
    envelope = decode(dsse.seal(STATEMENT, KEY))
    if envelope.get(name) == value:
        return
    assert not ours(
        json.dumps(envelope | {name: value}, sort_keys=True, separators=(",", ":")).encode()
    )


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(["mediaType", "verificationMaterial", "dsseEnvelope"]), JSON)
def test_a_signature_with_another_part_is_refused(name, value):
    bundle = json.loads(sign_files("art", FILES, POINT))
    with pytest.raises(TamperedError):
        verify_files(json.dumps(bundle | {name: value}).encode(), FILES, POINT.public)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["_type", "subject", "predicateType", "predicate"]), JSON)
def test_a_signed_statement_that_says_something_else_is_refused(name, value):
    """Also of whoever holds the key: what is read is checked, not only who signed it."""
    statement = dict(STATEMENT)
    if statement[name] == value or (name == "predicate" and isinstance(value, dict)):
        return
    try:
        sealed = dsse.seal(statement | {name: value}, KEY)
    except InvalidError:  # it has no canonical form
        return
    assert not ours(sealed)


def test_another_key_another_file_and_another_predicate_are_refused():
    envelope = dsse.seal(STATEMENT, KEY)
    cases = (
        ({"keys": [SigningKey(bytes([1] * 32)).public]}, "artifact.signer"),
        ({"files": {"m": "00" * 32}}, "artifact.subject"),
        ({"files": {"n": DIGEST}}, "artifact.subject"),
        ({"predicate_type": "other"}, "artifact.statement"),
    )
    for changes, rule in cases:
        told = {
            "predicate_type": "https://slsa.dev/provenance/v1", "files": {"m": DIGEST},
            "keys": [KEY.public],
        } | changes  # fmt: skip
        with pytest.raises(TamperedError) as caught:
            dsse.open_envelope(envelope, **told)
        assert caught.value.rule == rule


def test_a_root_that_contradicts_its_files_is_refused_even_if_signed():
    bundle = json.loads(sign_files("art", FILES, POINT))
    said = json.loads(unb64(bundle["dsseEnvelope"]["payload"]))
    said["subject"][0]["digest"]["sha256"] = "00" * 32
    payload = encode(said)
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    signed = POINT.sign(pre_authenticate(dsse.PAYLOAD_TYPE, payload))
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signed).decode()
    with pytest.raises(TamperedError):
        verify_files(json.dumps(bundle).encode(), FILES, POINT.public)
