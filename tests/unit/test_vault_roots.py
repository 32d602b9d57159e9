"""What every backend of a root key must do, over each of them."""

from __future__ import annotations

import pickle
from base64 import b64encode
from collections.abc import Iterator

import pytest
from tests.key_services import AWS_SECRET, PIN, TOKEN, SoftHsm, Transit, find_softhsm, start_aws
from tests.roots import WORDS, Amazon, Backend, Sealed, Shared, Token, Vaulted
from tests.vaults import make_home, plain, read

from safehold import canonical
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    QuorumError,
    SafeholdError,
    SignInError,
    TamperedError,
    UnavailableError,
)
from safehold.vault.kms import Item, Root, where_of

KINDS = ("passphrase", "shares", "pkcs11", "aws-kms", "hcvault")
KEY = b"k-canary-11f0a7c2-segment-key-40" + b"\x07" * 8


@pytest.fixture(scope="module")
def softhsm() -> SoftHsm:
    return find_softhsm()


@pytest.fixture(scope="module")
def aws():
    found = start_aws()
    yield found
    found.server.stop()


@pytest.fixture
def transit() -> Iterator[Transit]:
    found = Transit()
    yield found
    found.close()
    assert found.wrong == []


@pytest.fixture(params=KINDS)
def backend(request: pytest.FixtureRequest, tmp_path) -> Backend:
    match request.param:
        case "passphrase":
            return Sealed(tmp_path)
        case "shares":
            return Shared(tmp_path)
        case "pkcs11":
            return Token(tmp_path, request.getfixturevalue("softhsm"))
        case "aws-kms":
            return Amazon(tmp_path, request.getfixturevalue("aws"))
        case _:
            return Vaulted(tmp_path, request.getfixturevalue("transit"))


@pytest.fixture
def root(backend: Backend) -> Iterator[Root]:
    found = backend.make()
    yield found
    found.close()


def forms(secret: bytes) -> list[bytes]:
    return [secret, secret.hex().encode(), b64encode(secret)]


def test_what_is_wrapped_opens_after_the_root_was_opened_again(backend, root) -> None:
    wrapped = root.wrap(KEY, context=b"segment de")
    again = backend.open()
    assert again.kind == root.kind == backend.kind
    assert again.unwrap(wrapped, context=b"segment de") == KEY
    assert again.derive("lookup") == root.derive("lookup")
    again.close()
    assert KEY not in wrapped


def test_wrapping_is_bound_to_its_context_and_to_every_byte(root) -> None:
    wrapped = root.wrap(KEY, context=b"segment de")
    assert wrapped != root.wrap(KEY, context=b"segment de")
    for other in (b"segment us", b"segment de ", b"x"):
        with pytest.raises(TamperedError):
            root.unwrap(wrapped, context=other)
    for at in {0, 1, len(wrapped) // 2, len(wrapped) - 3, len(wrapped) - 20}:
        bad = bytearray(wrapped)
        bad[at] ^= 1
        with pytest.raises(TamperedError):
            root.unwrap(bytes(bad), context=b"segment de")
    for cut in (b"", wrapped[:1], wrapped[:12], wrapped[:-1]):
        with pytest.raises(TamperedError):
            root.unwrap(cut, context=b"segment de")
    assert root.unwrap(wrapped, context=b"segment de") == KEY


def test_another_root_opens_nothing(backend, root, request, tmp_path) -> None:
    other = type(backend)(
        tmp_path,
        *(
            request.getfixturevalue(name)
            for kind, name in (("pkcs11", "softhsm"), ("aws-kms", "aws"), ("hcvault", "transit"))
            if backend.kind == kind
        ),
    )
    stranger = other.make()
    with pytest.raises(TamperedError):
        stranger.unwrap(root.wrap(KEY, context=b"c"), context=b"c")
    assert stranger.derive("lookup") != root.derive("lookup")
    stranger.close()


def test_large_secrets_are_wrapped_too(root) -> None:
    for size in (0, 1, 1024, 1025, 5000):
        wrapped = root.wrap(b"g" * size, context=b"secret of a grant")
        assert root.unwrap(wrapped, context=b"secret of a grant") == b"g" * size
        with pytest.raises(TamperedError):
            root.unwrap(wrapped, context=b"secret of another")


def test_many_at_once_are_as_one_by_one(root) -> None:
    items = [Item(bytes([n]) * 40, f"segment {n}".encode()) for n in range(7)]
    items.append(Item(b"L" * 3000, b"large"))
    wrapped = root.wrap_many(items)
    asked = [Item(one, item.context) for one, item in zip(wrapped, items, strict=True)]
    assert root.unwrap_many(asked) == [item.data for item in items]
    assert root.unwrap(wrapped[3], context=b"segment 3") == items[3].data
    with pytest.raises(TamperedError):
        root.unwrap_many([*asked[:2], Item(asked[2].data, b"segment 9"), *asked[3:]])
    assert root.wrap_many([]) == root.unwrap_many([]) == []


def test_derived_keys_differ_by_purpose(root) -> None:
    assert len({root.derive("a"), root.derive("b"), root.derive("ab")}) == 3
    assert len(root.derive("a")) == 32
    with pytest.raises(InvalidError):
        root.derive("")


def test_what_was_derived_is_carried_under_the_next_root(backend, root, tmp_path) -> None:
    secret = root.derivation()
    for carried_by in (Sealed(tmp_path), Shared(tmp_path), backend):
        if carried_by is backend:
            backend.file = tmp_path / "again"
            if hasattr(backend, "where") and backend.kind != "aws-kms":
                key = "object" if backend.kind == "pkcs11" else "key"
                backend.where[key] += "-next"
        made = carried_by.make(secret)
        assert made.derive("lookup") == root.derive("lookup")
        made.close()
        opened = carried_by.open()
        assert opened.derive("lookup") == root.derive("lookup")
        assert opened.unwrap(opened.wrap(KEY, context=b"c"), context=b"c") == KEY
        opened.close()


def test_a_wrong_secret_opens_nothing_and_is_not_quoted(backend) -> None:
    backend.make().close()  # a process that is logged in to a token is not asked again
    with pytest.raises((SignInError, QuorumError, UnavailableError, InvalidError)) as caught:
        backend.open_wrongly()
    said = repr(caught.value.payload())
    for secret in (PIN, PIN[1:], TOKEN, TOKEN[1:], AWS_SECRET, WORDS):
        assert secret not in said
    assert caught.value.__cause__ is None or caught.value.__suppress_context__


def test_the_file_holds_no_key_and_is_its_owners(backend, root) -> None:
    data = backend.file.read_bytes()
    assert backend.file.stat().st_mode & 0o777 == 0o600
    for secret in (root.derivation(), PIN.encode(), TOKEN.encode(), AWS_SECRET.encode()):
        assert not [form for form in forms(secret) if form in data]


def test_a_root_file_is_never_overwritten(backend, root) -> None:
    before = backend.file.read_bytes()
    if hasattr(backend, "where") and backend.kind == "pkcs11":
        backend.where["object"] += "-other"
    with pytest.raises(ConflictError):
        backend.make()
    assert backend.file.read_bytes() == before


def test_a_changed_or_missing_file_opens_nothing(backend, root) -> None:
    record = canonical.decode(backend.file.read_bytes())
    for change in ({"kind": "other"}, {"v": "safehold-root/9"}, {"extra": 1}):
        backend.file.write_bytes(canonical.encode(record | change))
        with pytest.raises(TamperedError):
            backend.open()
    if "derivation" in record:
        sealed = bytearray(canonical.unb64(record["derivation"]))
        sealed[-1] ^= 1
        changed = record | {"derivation": canonical.b64(bytes(sealed))}
        backend.file.write_bytes(canonical.encode(changed))
        with pytest.raises(TamperedError):
            backend.open()
    backend.file.unlink()
    with pytest.raises(MissingError):
        backend.open()


def test_nothing_is_printed_or_pickled(backend, root) -> None:
    things = [root, getattr(root, "kek", root)]
    for one in things:
        assert "hidden" in repr(one) == str(one)
        with pytest.raises(TypeError):
            pickle.dumps(one)


def test_a_closed_root_does_nothing(backend) -> None:
    root = backend.make()
    wrapped = root.wrap(KEY, context=b"c")
    root.close()
    with pytest.raises(SafeholdError):
        root.derive("lookup")
    if backend.kind in ("passphrase", "shares", "pkcs11", "hcvault"):
        with pytest.raises(SafeholdError):
            root.unwrap(wrapped, context=b"c")
    root.close()


def test_a_vault_works_over_it(backend, tmp_path) -> None:
    """Seal, read, erase, reopen: the same over each backend."""
    home = make_home(tmp_path / "v", root=(root := backend.make()))
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    assert len(read(home, *sealed.blocks)) == 2
    home.vault.seal_secret("log", b"s" * 32)
    home.vault.shred(person="psn_a")
    root.close()
    home.root = backend.open()
    again = home.open()
    assert again.open_secret("log") == b"s" * 32
    assert len(list(again.read([sealed.blocks[1]]))) == 1
    with pytest.raises(SafeholdError):
        list(again.read([sealed.blocks[0]]))
    home.root.close()


def test_where_a_key_is_can_be_read_without_a_secret(backend, root) -> None:
    assert where_of(backend.file) == getattr(backend, "where", None)
