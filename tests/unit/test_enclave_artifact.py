"""Provenance: in-toto in DSSE, and what tampering does to it."""

import base64
import hashlib

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from safehold.canonical import b64, encode
from safehold.enclave.artifact import Provenance, sign_provenance, verify_provenance
from safehold.enclave.dsse import PAYLOAD_TYPE
from safehold.errors import TamperedError
from safehold.signing import SigningKey, pre_authenticate

BODY = b"model"
KEY = SigningKey(b"k" * 32)
PROVENANCE = Provenance(
    name="model.safetensors", sha256=hashlib.sha256(BODY).digest(), recipe="train",
    parameters={"rounds": 40, "synthetic": True}, materials={"charter": "ab" * 32},
    run="run_1", intent=7, builder="safehold-sandbox/E3", started_us=0, finished_us=90_000_000,
)  # fmt: skip
ENVELOPE = sign_provenance(PROVENANCE, KEY)


def check(envelope=ENVELOPE, body=BODY, key=KEY):
    return verify_provenance(envelope, body=body, keys=[key.public])


def test_a_statement_comes_back():
    statement = check()
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(BODY).hexdigest()
    metadata = statement["predicate"]["runDetails"]["metadata"]
    assert metadata["finishedOn"] == "1970-01-01T00:01:30Z"


def test_pre_authentication_follows_the_dsse_example():
    # secure-systems-lab/dsse, protocol.md: the one worked example of PAE
    assert (
        pre_authenticate("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_another_implementation_can_check_the_signature():
    envelope = orjson.loads(ENVELOPE)
    payload = base64.b64decode(envelope["payload"])
    covered = b"DSSEv1 %d %s %d %s" % (
        len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload,
    )  # fmt: skip
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    Ed25519PublicKey.from_public_bytes(KEY.public.raw).verify(signature, covered)


def test_every_flipped_byte_is_found():
    for at in range(len(ENVELOPE)):
        changed = bytearray(ENVELOPE)
        changed[at] ^= 1
        with pytest.raises(TamperedError):
            check(bytes(changed))


def test_another_file_or_key_is_refused():
    with pytest.raises(TamperedError, match="another file"):
        check(body=b"other")
    with pytest.raises(TamperedError, match="nobody"):
        check(key=SigningKey(b"x" * 32))


@pytest.mark.parametrize(
    "change",
    [{"signatures": []}, {"payloadType": "text/plain"}, {"payload": "e30="}, {"extra": 1},
     {"signatures": [{"keyid": KEY.public.key_id, "sig": b64(b"0" * 64)}]}, {"signatures": [1]}],
)  # fmt: skip
def test_a_changed_envelope_is_refused(change):
    with pytest.raises(TamperedError):
        check(encode({**orjson.loads(ENVELOPE), **change}))


def test_a_signature_of_another_domain_does_not_count():
    envelope = orjson.loads(ENVELOPE)
    payload = base64.b64decode(envelope["payload"])
    signature = KEY.sign("safehold.provenance", pre_authenticate(PAYLOAD_TYPE, payload))
    envelope["signatures"][0]["sig"] = b64(signature)
    with pytest.raises(TamperedError):
        check(encode(envelope))
