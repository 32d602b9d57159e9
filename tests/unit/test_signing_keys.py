"""Signatures hold for one key, one domain and one message."""

import stat

import pytest

from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.signing import SigningKey, VerifyKey

KEY = SigningKey(b"s" * 32)


def test_a_signature_is_for_one_domain_message_and_key():
    signature = KEY.sign("safehold.test.v1", b"message")
    KEY.public.verify("safehold.test.v1", b"message", signature)
    for domain, message, key in (
        ("safehold.other.v1", b"message", KEY.public),
        ("safehold.test.v1", b"massage", KEY.public),
        ("safehold.test.v1", b"message", SigningKey.generate().public),
    ):
        with pytest.raises(TamperedError):
            key.verify(domain, message, signature)


def test_a_domain_cannot_be_shifted_into_the_message():
    signature = KEY.sign("a", b"b\0c")
    with pytest.raises(TamperedError):
        KEY.public.verify("a\0b", b"c", signature[:-1] + bytes([signature[-1] ^ 1]))


def test_a_key_file_is_for_its_owner_and_is_never_overwritten(tmp_path):
    file = tmp_path / "seat.key"
    KEY.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert SigningKey.read(file).public == KEY.public
    with pytest.raises(FileExistsError):
        SigningKey.generate().write(file)
    assert SigningKey.read(file).public == KEY.public


def test_what_is_no_key_file_is_refused(tmp_path):
    with pytest.raises(MissingError):
        SigningKey.read(tmp_path / "none")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(InvalidError):
        SigningKey.read(tmp_path / "text")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidError):
        SigningKey.read(tmp_path / "bytes")


def test_a_secret_is_not_in_its_repr():
    assert "ss" not in repr(KEY)
    assert KEY.public.key_id in repr(KEY)


def test_keys_have_one_length():
    with pytest.raises(InvalidError):
        VerifyKey(b"short")
    with pytest.raises(InvalidError):
        SigningKey(b"short")
