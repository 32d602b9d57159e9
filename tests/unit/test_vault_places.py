"""Addresses of roots elsewhere, and how long the keys under them are held."""

from __future__ import annotations

import pytest
from tests.vaults import make_home, plain, read

from safehold.clock import SECOND_US
from safehold.errors import InvalidError, UnavailableError
from safehold.vault import keyring
from safehold.vault.kms import LocalRoot, check_where, parse_place, reach
from safehold.vault.kms.current import CurrentRoot

ARN = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.mark.parametrize(
    ("address", "kind", "where"),
    [
        (
            "pkcs11:token=a%20b;object=root?module-path=/usr/lib/x.so",
            "pkcs11",
            {"module": "/usr/lib/x.so", "token": "a b", "object": "root"},
        ),
        (f"aws-kms://{ARN}", "aws-kms", {"key": ARN, "region": "eu-central-1", "endpoint": ""}),
        (
            f"aws-kms://{ARN}?endpoint=https://kms.example",
            "aws-kms",
            {"key": ARN, "region": "eu-central-1", "endpoint": "https://kms.example"},
        ),
        (
            "hcvault://vault.example:8200/transit/keys/safehold",
            "hcvault",
            {"url": "https://vault.example:8200", "mount": "transit", "key": "safehold", "ca": ""},
        ),
        (
            "hcvault://127.0.0.1:8200/t/keys/k?plain=yes&ca=/etc/x.pem",
            "hcvault",
            {"url": "http://127.0.0.1:8200", "mount": "t", "key": "k", "ca": "/etc/x.pem"},
        ),
    ],
)
def test_an_address_says_where(address, kind, where) -> None:
    assert parse_place(address) == (kind, where)
    assert check_where(kind, where) == where


@pytest.mark.parametrize(
    "address",
    [
        "",
        "passphrase",
        "http://x",
        "pkcs11:token=a;object=b",
        "pkcs11:token=a;object=b?module-path=relative.so",
        "pkcs11:token=a;token=b;object=c?module-path=/x.so",
        "pkcs11:token=a;object=b;pin-value=1234?module-path=/x.so",
        "pkcs11:token=a;object=b?module-path=/x.so&pin-source=/pin",
        "pkcs11:token=a;object=b;serial=1?module-path=/x.so",
        "pkcs11:token=%ff;object=b?module-path=/x.so",
        f"aws-kms://{ARN}?endpoint=http://kms.example",
        f"aws-kms://{ARN}?endpoint=https://user:secret@kms.example",
        f"aws-kms://{ARN}?profile=x",
        "aws-kms://alias/root",
        f"aws-kms://{ARN.replace('key/', 'alias/')}",
        "hcvault://vault.example/transit/keys/a/b",
        "hcvault://vault.example:8200/transit/keys/a?plain=yes",
        "hcvault://user:token@vault.example:8200/transit/keys/a",
        "hcvault://vault.example:8200/transit/keys/a?token=x",
        "hcvault://vault.example:8200/transit/keys/a?ca=x.pem",
        "hcvault:///transit/keys/a",
        "hcvault://[::1/transit/keys/a",
        "hcvault://h:99999999/transit/keys/../../sys",
        "pkcs11:token=a;object=b?module-path=/x.so" + "x" * 2000,
        "pkcs11:token=a\n;object=b?module-path=/x.so",
    ],
)
def test_an_address_that_is_none_or_holds_a_secret_is_refused(address) -> None:
    with pytest.raises(InvalidError) as caught:
        parse_place(address)
    assert caught.value.rule == "root.place"
    for secret in ("1234", "secret", "user:token"):
        assert secret not in str(caught.value.payload())


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("pkcs11", {"module": "x.so", "token": "t", "object": "o"}),
        ("pkcs11", {"module": "/x.so", "token": "t"}),
        ("hcvault", {"url": "http://far.example", "mount": "m", "key": "k", "ca": ""}),
        ("hcvault", {"url": "ftp://127.0.0.1", "mount": "m", "key": "k", "ca": ""}),
        ("aws-kms", {"key": ARN, "region": "r", "endpoint": "http://far.example"}),
        ("other", {}),
    ],
)
def test_a_place_in_a_file_is_checked_as_an_address_is(kind, where) -> None:
    with pytest.raises(InvalidError):
        reach(kind, where, "secret")


def test_what_is_not_installed_is_said(monkeypatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(UnavailableError) as caught:
        reach(*parse_place("pkcs11:token=a;object=b?module-path=/x.so"), "1")
    assert "safehold[kms]" in str(caught.value.fix)


class Counting(LocalRoot):
    """A root that counts its calls, as a service would charge for them."""

    __slots__ = ("calls",)

    def unwrap(self, wrapped, *, context):
        self.calls = getattr(self, "calls", 0) + 1
        return super().unwrap(wrapped, context=context)


def test_one_call_opens_a_segment_and_no_more_for_minutes(tmp_path) -> None:
    root = Counting(b"r" * 32)
    home = make_home(tmp_path, root=root)
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    root.calls = 0
    home.vault._keyring.forget()
    for _ in range(3):
        read(home, *sealed.blocks)
    assert root.calls == 1
    home.clock.advance((keyring.KEK_SECONDS + 1) * SECOND_US)
    (_, kek, _) = home.vault._keyring._keks["de"]
    area = kek._map
    del kek
    home.vault.forget_old()
    assert home.vault._keyring._keks == {}
    assert area[:] == bytes(len(area)), "wiped as it goes"
    read(home, *sealed.blocks)
    assert root.calls == 2


def test_no_more_segments_are_held_than_the_bound(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(keyring, "KEKS_HELD", 3)
    home = make_home(tmp_path)
    sealed = [home.vault.seal([plain("psn_a")], segment=f"s{at}") for at in range(6)]
    for one in sealed * 2:
        read(home, *one.blocks)
        assert len(home.vault._keyring._keks) <= 3
    assert list(home.vault._keyring._keks) == ["s3", "s4", "s5"]


def test_a_secret_read_while_the_root_changes_is_read_again(tmp_path) -> None:
    """Between the look at the row and its opening another root came and the old one went."""
    current = CurrentRoot(LocalRoot.generate())
    home = make_home(tmp_path, root=current)
    home.vault.seal_secret("name", b"kept")
    secrets, real = home.vault._secrets, home.vault._secrets._sealed
    turned: list[bool] = []

    def slow(name):
        found = real(name)
        if not turned:
            turned.append(True)
            home.vault.reroot(LocalRoot.generate(carried=current.derivation()))
        return found

    secrets._sealed = slow
    assert home.vault.open_secret("name") == b"kept"
    assert turned
