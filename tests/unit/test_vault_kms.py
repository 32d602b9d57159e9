"""The root key: a passphrase file, or shares of the board."""

from __future__ import annotations

import pickle

import pytest

from safehold import canonical
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    QuorumError,
    SignInError,
    TamperedError,
)
from safehold.vault.kms import (
    Cost,
    LocalRoot,
    change_passphrase,
    create_sealed,
    create_shared,
    open_sealed,
    open_shared,
    sealed,
)

CHEAP = Cost(memory_kib=8192, iterations=1, lanes=1)
WORDS = "correct horse battery"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "root.sealed"


def test_the_right_passphrase_opens_the_same_root(file):
    made = create_sealed(file, WORDS, cost=CHEAP)
    assert open_sealed(file, WORDS).secret() == made.secret()
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["root.sealed"]


def test_the_root_is_not_in_the_file_nor_in_what_python_prints(file):
    made = create_sealed(file, WORDS, cost=CHEAP)
    data = file.read_bytes()
    for form in (
        made.secret(),
        made.secret().hex().encode(),
        canonical.b64(made.secret()).encode(),
    ):
        assert form not in data
    assert repr(made) == str(made) == "LocalRoot(hidden)"
    with pytest.raises(TypeError):
        pickle.dumps(made)
    with pytest.raises(TypeError):
        vars(made)


def test_a_wrong_passphrase_says_so(file):
    create_sealed(file, WORDS, cost=CHEAP)
    with pytest.raises(SignInError, match="passphrase is wrong") as caught:
        open_sealed(file, WORDS + "!")
    assert caught.value.exit_code == 4
    assert WORDS not in str(caught.value.payload())


def test_the_keyboard_does_not_decide(file):
    create_sealed(file, "caf\u00e9 noir", cost=CHEAP)
    assert open_sealed(file, "cafe\u0301 noir")


def test_a_short_passphrase_is_refused(file):
    with pytest.raises(InvalidError):
        create_sealed(file, "1234567", cost=CHEAP)
    assert not file.exists()


def test_a_root_file_is_never_overwritten(file):
    made = create_sealed(file, WORDS, cost=CHEAP)
    with pytest.raises(ConflictError):
        create_sealed(file, WORDS, cost=CHEAP)
    assert open_sealed(file, WORDS).secret() == made.secret()


def test_the_passphrase_can_change(file):
    made = create_sealed(file, WORDS, cost=CHEAP)
    change_passphrase(file, WORDS, "another long one", cost=CHEAP)
    assert open_sealed(file, "another long one").secret() == made.secret()
    with pytest.raises(SignInError):
        open_sealed(file, WORDS)


def test_no_file_is_missing(file):
    with pytest.raises(MissingError):
        open_sealed(file, WORDS)


def _rewrite(file, **changes):
    record = canonical.decode(file.read_bytes())
    record["kdf"] = record["kdf"] | changes
    file.write_bytes(canonical.encode(record))


@pytest.mark.parametrize(
    "change",
    [
        {"memory_kib": 8191},
        {"memory_kib": 2**21},
        {"memory_kib": 2**52},
        {"iterations": 0},
        {"iterations": 17},
        {"lanes": 0},
        {"lanes": 2**20},
        {"name": "pbkdf2"},
        {"name": "scrypt", "n": 4},
        {"salt": "AAAA"},
        {"salt": "not base64"},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_doctored_cost_is_refused_before_it_is_paid(file, change, monkeypatch):
    create_sealed(file, WORDS, cost=CHEAP)
    _rewrite(file, **change)

    class Trap:
        def __init__(self, **_):
            pytest.fail("the derivation ran")

    monkeypatch.setattr(sealed, "Argon2id", Trap)
    with pytest.raises(TamperedError):
        open_sealed(file, WORDS)


@pytest.mark.parametrize("change", [{"iterations": 2}, {"memory_kib": 9000}, {"lanes": 2}])
def test_a_changed_cost_within_bounds_opens_nothing(file, change):
    create_sealed(file, WORDS, cost=CHEAP)
    _rewrite(file, **change)
    with pytest.raises(SignInError):
        open_sealed(file, WORDS)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[1]",
        b'{"v":"safehold-root/2"}',
        b'{"kind":"passphrase","v":"safehold-root/1"}',
        b" " * 5000,
        b"\xff" * 40,
    ],
)
def test_a_file_that_is_no_root_file_is_refused(file, data):
    file.write_bytes(data)
    with pytest.raises(TamperedError):
        open_sealed(file, WORDS)


def test_scrypt_stands_in_where_openssl_has_no_argon2(file, monkeypatch):
    from cryptography.exceptions import UnsupportedAlgorithm

    class Absent:
        def __init__(self, **_):
            raise UnsupportedAlgorithm("no argon2 here")

    monkeypatch.setattr(sealed, "Argon2id", Absent)
    made = create_sealed(file, WORDS, cost=CHEAP)
    assert b'"name":"scrypt"' in file.read_bytes()
    assert open_sealed(file, WORDS).secret() == made.secret()
    with pytest.raises(SignInError):
        open_sealed(file, "something else")
    record = canonical.decode(file.read_bytes())
    record["kdf"]["log2_n"] = 40
    file.write_bytes(canonical.encode(record))
    with pytest.raises(TamperedError):
        open_sealed(file, WORDS)


@pytest.mark.parametrize("cost", [{"memory_kib": 1}, {"iterations": 0}, {"lanes": 99}])
def test_a_cost_out_of_bounds_is_refused(cost):
    with pytest.raises(InvalidError):
        Cost(**cost)


def test_any_k_shares_make_the_root_in_any_order(file):
    made, shares = create_shared(file, threshold=3, count=5)
    assert len(set(shares)) == 5
    for chosen in ((0, 1, 2), (4, 2, 0), (3, 1, 4), (0, 1, 2, 3, 4)):
        again = open_shared(file, [shares[place] for place in chosen])
        assert again.secret() == made.secret()
    shouted = [share.upper().replace(" ", "  ") for share in shares[:3]]
    assert open_shared(file, shouted).secret() == made.secret()


def test_fewer_shares_are_refused(file):
    _, shares = create_shared(file, threshold=3, count=5)
    for chosen in ([], shares[:2], [shares[0]] * 3, [shares[0], shares[0].upper(), shares[1]]):
        with pytest.raises(QuorumError):
            open_shared(file, chosen)


def test_a_typo_is_refused_and_no_word_is_quoted(file):
    _, shares = create_shared(file, threshold=2, count=3)
    words = shares[0].split()
    swapped = " ".join([*words[:5], words[6], words[5], *words[7:]])
    for wrong in (swapped, " ".join([*words[:-1], "zzzz"]), " ".join(words[:-1]), "hello"):
        if wrong == shares[0]:
            continue
        with pytest.raises(SignInError) as caught:
            open_shared(file, [wrong, shares[1]])
        said = str(caught.value.payload()).split("'message': ")[1].lower()
        assert not set(said.replace(",", " ").split()) & {word for word in words if len(word) > 5}
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_shares_of_another_root_are_refused(file, tmp_path):
    create_shared(file, threshold=2, count=3)
    _, others = create_shared(tmp_path / "other", threshold=2, count=3)
    with pytest.raises(SignInError):
        open_shared(file, others[:2])


def test_with_shares_nothing_on_disk_helps(file):
    made, shares = create_shared(file, threshold=2, count=2)
    data = file.read_bytes()
    for form in (
        made.secret(),
        made.secret().hex().encode(),
        canonical.b64(made.secret()).encode(),
    ):
        assert form not in data
    for share in shares:  # a file may by chance hold one word of a share or two, never most
        words = share.encode().split()
        assert share.encode() not in data
        assert sum(word in data for word in words[4:]) < 5
    with pytest.raises(TamperedError):
        open_sealed(file, WORDS)


@pytest.mark.parametrize(("threshold", "count"), [(1, 3), (0, 0), (4, 3), (2, 17)])
def test_numbers_of_shares_that_make_no_sense_are_refused(file, threshold, count):
    with pytest.raises(InvalidError):
        create_shared(file, threshold=threshold, count=count)
    assert not file.exists()


def test_wrapping_is_bound_to_root_and_context():
    root = LocalRoot.generate()
    wrapped = root.wrap(b"k" * 32, context=b"segment de")
    assert root.unwrap(wrapped, context=b"segment de") == b"k" * 32
    assert b"k" * 32 not in wrapped
    assert wrapped != root.wrap(b"k" * 32, context=b"segment de")
    with pytest.raises(TamperedError):
        root.unwrap(wrapped, context=b"segment us")
    with pytest.raises(TamperedError):
        LocalRoot.generate().unwrap(wrapped, context=b"segment de")
    for at in range(len(wrapped)):
        bad = bytearray(wrapped)
        bad[at] ^= 1
        with pytest.raises(TamperedError):
            root.unwrap(bytes(bad), context=b"segment de")
    with pytest.raises(TamperedError):
        root.unwrap(wrapped[:20], context=b"segment de")


def test_derived_keys_differ_by_purpose_and_root():
    root = LocalRoot(b"r" * 32)
    assert root.derive("a") == LocalRoot(b"r" * 32).derive("a")
    assert len({root.derive("a"), root.derive("b"), LocalRoot.generate().derive("a")}) == 3
    with pytest.raises(InvalidError):
        root.derive("")
    with pytest.raises(InvalidError):
        LocalRoot(b"short")
