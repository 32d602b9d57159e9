"""Passkeys: what is taken, what is refused and by which rule, here and in the offline verifier alike."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.passkey import ORIGIN, RP, SoftPasskey, der_of, other_spelling
from webauthn import verify_authentication_response
from webauthn.helpers import encode_cbor
from webauthn.helpers.exceptions import WebAuthnException

from safehold.canonical import b64
from safehold.errors import InvalidError, TamperedError
from safehold.passkey import Assertion, Passkey, challenge_of
from safehold.signing import SigningKey, VerifyKey, speaking_key
from safehold_verify.errors import VerificationError
from safehold_verify.passkey import verify_spoken

DOMAIN, MESSAGE = "safehold.test.v1", b"what is signed"
HERE = SoftPasskey(key=ec.derive_private_key(7, ec.SECP256R1()))
EDWARDS = SoftPasskey(key=Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHALLENGE = challenge_of(DOMAIN, MESSAGE)
PADDED = base64.urlsafe_b64encode(CHALLENGE).decode()


def _both(value: bytes, *, key: SoftPasskey = HERE, message: bytes = MESSAGE) -> str:
    """Return by which rule a value is refused, or nothing; the two implementations never differ."""
    try:
        speaking_key(key.public.text()).verify(DOMAIN, message, value)
    except TamperedError as error:
        rule = str(error.rule)
    else:
        rule = ""
    try:
        verify_spoken(key.public.text(), DOMAIN, message, value, where="here")
    except VerificationError:
        assert rule
    else:
        assert not rule
    return rule


def _oracle(made: Assertion, challenge: bytes, *, key: SoftPasskey = HERE) -> bool:
    """Whether py_webauthn takes an assertion; it knows nothing of ours."""
    raw = key.public.raw
    cose = (
        {1: 2, 3: -7, -1: 1, -2: raw[1:33], -3: raw[33:]}
        if len(raw) == 65
        else {1: 1, 3: -8, -1: 6, -2: raw}
    )
    text = lambda data: base64.urlsafe_b64encode(data).rstrip(b"=").decode()  # noqa: E731
    try:
        verify_authentication_response(
            credential={
                "id": "AA",
                "rawId": "AA",
                "type": "public-key",
                "response": {
                    "authenticatorData": text(made.data),
                    "clientDataJSON": text(made.client),
                    "signature": text(der_of(made) if len(raw) == 65 else made.signature),
                },
            },
            expected_challenge=challenge,
            expected_rp_id=key.rp_id,
            expected_origin=ORIGIN,
            credential_public_key=encode_cbor(cose),
            credential_current_sign_count=0,
            require_user_verification=True,
        )
    except WebAuthnException:
        return False
    return True


@pytest.mark.parametrize("key", [HERE, EDWARDS])
def test_what_a_passkey_signed_holds_here_offline_and_for_others(key: SoftPasskey) -> None:
    made = key.answer(CHALLENGE)
    assert _both(made.pack(), key=key) == ""
    assert _both(made.pack(), key=key, message=b"another") == "passkey.challenge"
    assert _oracle(made, CHALLENGE, key=key)
    assert Assertion.read(made.pack()) == made
    assert speaking_key(key.public.text()) == key.public
    assert VerifyKey.from_text(b64(bytes(32))) != key.public


SPOILT: dict[str, tuple[dict[str, Any], str]] = {
    "made for a registration": ({"type": "webauthn.create"}, "type"),
    "no type": ({"type": None}, "type"),
    "another challenge": ({"challenge": "AAAA"}, "challenge"),
    "the challenge with padding": ({"challenge": PADDED}, "challenge"),
    "another page": ({"origin": "https://elsewhere.example"}, "origin"),
    "a page that ends alike": ({"origin": f"https://not{RP}"}, "origin"),
    "the name as a user": ({"origin": f"https://{RP}@elsewhere.example"}, "origin"),
    "a page with a path": ({"origin": f"{ORIGIN}/"}, "origin"),
    "an open line": ({"origin": f"http://{RP}"}, "origin"),
    "an app": ({"origin": "android:apk-key-hash:AAAA"}, "origin"),
    "no origin": ({"origin": None}, "origin"),
    "inside another page": ({"crossOrigin": True}, "cross_origin"),
    "inside another page, said otherwise": ({"crossOrigin": 1}, "cross_origin"),
    "under another page": ({"topOrigin": "https://elsewhere.example"}, "cross_origin"),
    "for another name": ({"rp_id": "elsewhere.example"}, "rp"),
    "nobody present": ({"flags": 0x04}, "present"),
    "nobody verified": ({"flags": 0x01}, "verified"),
    "backed up and not eligible": ({"flags": 0x15}, "flags"),
    "with a new credential": ({"flags": 0x45}, "flags"),
    "extensions without a flag": ({"more": b"\xa0"}, "flags"),
    "a flag without extensions": ({"flags": 0x85}, "flags"),
    "the other spelling": ({"high": True}, "value"),
    "no JSON": ({"client": b"{"}, "client"),
    "no object": ({"client": b"[]"}, "client"),
    "no text": ({"client": b"\xff"}, "client"),
    "deeply nested": ({"client": b"[" * 1000}, "client"),
}  # fmt: skip


@pytest.mark.parametrize("case", sorted(SPOILT))
def test_each_spoilt_part_is_refused_by_its_own_rule(case: str) -> None:
    spoilt, rule = SPOILT[case]
    assert _both(HERE.sign(DOMAIN, MESSAGE, **spoilt)) == f"passkey.{rule}"


def test_a_name_that_stands_twice_is_refused() -> None:
    written = json.loads(HERE.answer(CHALLENGE).client)
    twice = json.dumps(written)[:-1] + ',"type":"webauthn.get"}'
    assert _both(HERE.sign(DOMAIN, MESSAGE, client=twice.encode())) == "passkey.client"


@pytest.mark.parametrize(
    ("rp_id", "origin"),
    [
        (RP, ORIGIN),
        (RP, f"https://portal.{RP}"),
        (RP, f"{ORIGIN}:8443"),
        ("localhost", "http://localhost:8000"),
        ("localhost", "https://localhost"),
    ],
)
def test_pages_of_ours_are_taken(rp_id: str, origin: str) -> None:
    key = SoftPasskey(rp_id=rp_id, origin=origin)
    assert _both(key.sign(DOMAIN, MESSAGE), key=key) == ""


def test_what_browsers_and_authenticators_may_add_is_taken() -> None:
    assert _both(HERE.sign(DOMAIN, MESSAGE, crossOrigin=None)) == ""
    assert _both(HERE.sign(DOMAIN, MESSAGE, extraData="added in the future")) == ""
    assert _both(HERE.sign(DOMAIN, MESSAGE, flags=0x9D, more=b"\xa0")) == ""


@pytest.mark.parametrize("key", [HERE, EDWARDS])
def test_another_key_or_a_changed_byte_does_not_hold(key: SoftPasskey) -> None:
    value = key.sign(DOMAIN, MESSAGE)
    other = SoftPasskey(rp_id=RP)
    assert _both(value, key=other) == "passkey.signature"
    assert _both(value[:-1] + bytes([value[-1] ^ 1]), key=key) == "passkey.signature"


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_other_bytes_stand_for_a_value(data: st.DataObject) -> None:
    value = bytearray(_VALUE)
    how = data.draw(st.sampled_from(("flip", "cut", "add")))
    at = data.draw(st.integers(0, len(value) - 1))
    if how == "flip":
        value[at] ^= data.draw(st.integers(1, 255))
    elif how == "cut":
        del value[at]
    else:
        value.insert(at, data.draw(st.integers(0, 255)))
    assert bytes(value) == _VALUE or _both(bytes(value))


_VALUE = HERE.sign(DOMAIN, MESSAGE)


def test_sizes_are_bounded() -> None:
    assert _both(b"") == "passkey.value"
    assert _both(bytes(64)) == "passkey.value"
    assert _both(HERE.sign(DOMAIN, MESSAGE) + b"\0") == "passkey.value"
    with pytest.raises(InvalidError):
        HERE.answer(CHALLENGE, extra="x" * 1024)
    with pytest.raises(InvalidError):
        HERE.answer(CHALLENGE, more=bytes(257), flags=0x85)
    for signature in (b"", b"\x30\x00", bytes(63)):
        with pytest.raises(InvalidError):
            Assertion.of_browser(data=bytes(37), client=b"{}", signature=signature)


@pytest.mark.parametrize(
    "text",
    [
        "passkey:",
        f"passkey:{RP}",
        f"passkey:{RP.upper()}:{b64(HERE.public.raw)}",
        f"passkey:{RP}.:{b64(HERE.public.raw)}",
        f"passkey:127.0.0.1:{b64(HERE.public.raw)}",
        f"passkey:{'a.' * 50}example:{b64(HERE.public.raw)}",
        f"passkey:{RP}:{b64(HERE.public.raw)} ",
        f"passkey:{RP}:{b64(HERE.public.raw).rstrip('=')}",
        f"passkey:{RP}:{b64(HERE.public.raw)}:",
        f"passkey:{RP}:{b64(HERE.public.raw[:33])}",
        f"passkey:{RP}:{b64(bytes([6]) + HERE.public.raw[1:])}",
        f"passkey:{RP}:{b64(bytes([4]) + bytes(64))}",
        f" passkey:{RP}:{b64(HERE.public.raw)}",
    ],
)
def test_a_passkey_has_one_spelling(text: str) -> None:
    with pytest.raises(InvalidError):
        speaking_key(text)
    with pytest.raises(VerificationError):
        verify_spoken(text, DOMAIN, MESSAGE, HERE.sign(DOMAIN, MESSAGE), where="here")


def test_where_no_person_is_a_passkey_is_refused_by_name() -> None:
    with pytest.raises(InvalidError, match="people and seats") as refused:
        VerifyKey.from_text(HERE.public.text())
    assert refused.value.rule == "signing.passkey"


def test_a_key_of_ours_still_signs_64_bytes() -> None:
    key = SigningKey.generate()
    value = key.sign(DOMAIN, MESSAGE)
    verify_spoken(key.public.text(), DOMAIN, MESSAGE, value, where="here")
    with pytest.raises(VerificationError):
        verify_spoken(key.public.text(), DOMAIN, b"another", value, where="here")
    with pytest.raises(TamperedError):
        key.public.verify(DOMAIN, MESSAGE, HERE.sign(DOMAIN, MESSAGE))
    assert _both(value) == "passkey.value"


@settings(max_examples=150, deadline=None)
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(("webauthn.get", "webauthn.create")),
            "origin": st.sampled_from((ORIGIN, f"https://not{RP}", f"http://{RP}")),
            "crossOrigin": st.sampled_from((None, False)),
            "challenge": st.sampled_from((PADDED, PADDED.rstrip("="), "AAAA")),
            "extraData": st.text(max_size=20),
            "flags": st.integers(0, 127),
            "rp_id": st.sampled_from((RP, "elsewhere.example")),
        },
    )
)
def test_whatever_is_taken_here_another_library_takes_too(knobs: dict[str, Any]) -> None:
    made = HERE.answer(CHALLENGE, **knobs)
    assert _both(made.pack()) or _oracle(made, CHALLENGE)


# Web Authentication Level 3, section 16: assertions of test keys for example.org
_DATA = "bfabc37432958b063360d3ad6461c9c4735ae7f8edd46592a5e0f01452b2e4b5"
VECTORS: dict[str, tuple[str, str, str, str, str, str]] = {
    "16.2": (
        "04afefa16f97ca9b2d23eb86ccb64098d20db90856062eb249c33a9b672f26df61"
        "930a56b87a2fca66334b03458abf879717c12cc68ed73290af2e2664796b9220",
        "39c0e7521417ba54d43e8dc95174f423dee9bf3cd804ff6d65c857c9abf4d408",
        _DATA + "1900000000",
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a224f63446e55685158756c5455506f334a5558543049393770767a7a59425039745a63685879617630314167222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
        "3046022100f50a4e2e4409249c4a853ba361282f09841df4dd4547a13a87780218deffcd380221008480ac0f0b93538174f575bf11a1dd5d78c6e486013f937295ea13653e331e87",
        "verified",
    ),
    "16.3": (
        "04eb151c8176b225cc651559fecf07af450fd85802046656b34c18f6cf193843c5"
        "927b8aa427a2be1b8834d233a2d34f61f13bfd44119c325d5896e183fee484f2",
        "4478a10b1352348dd160c1353b0d469b5db19eb91c27f7dfa6fed39fe26af20b",
        _DATA + "0900000000",
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a225248696843784e534e493352594d45314f7731476d3132786e726b634a5f6666707637546e2d4a71386773222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a206754623533727a36456853576f6d58477a696d433151227d",
        "304402203310b9431903c401f1be2bdc8d23a4007682dbbddcf846994947b7f465daf84002204e94dd00047b316061b3b99772b7efd95994a83ef584b3b6b825ea3550251b66",
        "verified",
    ),
    "16.7": (
        "041cf27f25da591208a4239c2e324f104f585525479a29edeedd830f48e77aeae5"
        "59e4b7da6c0106e206ce390c93ab98a15a5ec3887e57f0cc2bece803b920c423",
        "b1106fa46a57bef1781511c0557dc898a03413d5f0f17d244630c194c7e1adb5",
        _DATA + "0d00000000",
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2273524276704770587676463446524841565833496d4b4130453958773858306b526a44426c4d6668726255222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73652c22657874726144617461223a22636c69656e74446174614a534f4e206d617920626520657874656e6465642077697468206164646974696f6e616c206669656c647320696e20746865206675747572652c207375636820617320746869733a20415a4d77794d78496244382d756775464e7036723851227d",
        "30450220694969d3ee928de6f02ef23a9c644d7d779916451734a94b432542f498a1ebe90221008b0819c824218a97152cd099c55bfb1477b29d900a49a64018314f9bfccda163",
        "",
    ),
    "16.11": (
        "44e06ddd331c36a8dc667bab52bcae63486c916aa5e339e6acebaa84934bf832",
        "895957e01c633a698348a2d8a31a54b7db27e8c1c43b2080d79ae2190267bfd2",
        _DATA + "0100000000",
        "7b2274797065223a22776562617574686e2e676574222c226368616c6c656e6765223a2269566c583442786a4f6d6d44534b4c596f7870557439736e364d48454f7943413135726947514a6e763949222c226f726967696e223a2268747470733a2f2f6578616d706c652e6f7267222c2263726f73734f726967696e223a66616c73657d",
        "f5c59c7e46c34f6f8cc197101ddf9934fa2595f68eb1913a637e8419eb9ba4cfdfc48f85393bc0d40b011f0d6fecb097d6607525713223a0dc0d453993dae00b",
        "verified",
    ),
}  # fmt: skip


@pytest.mark.parametrize("number", sorted(VECTORS))
def test_published_vectors(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those without user verification are refused for that alone; their signatures hold."""
    raw, challenge, data, client, signature, refused = VECTORS[number]
    key = Passkey("example.org", bytes.fromhex(raw))
    made = Assertion.of_browser(
        data=bytes.fromhex(data), client=bytes.fromhex(client), signature=bytes.fromhex(signature)
    )
    if refused:
        with pytest.raises(TamperedError) as found:
            key.check(made, bytes.fromhex(challenge))
        assert found.value.rule == f"passkey.{refused}"
        monkeypatch.setattr("safehold.passkey.VERIFIED", 0x01)
    key.check(made, bytes.fromhex(challenge))
    if len(key.raw) == 65:
        with pytest.raises(TamperedError) as found:
            key.check(other_spelling(made), bytes.fromhex(challenge))
        assert found.value.rule == "passkey.value"
