"""Notes, keys, checkpoints, policies: both readers refuse the same things."""

from __future__ import annotations

import base64
import hashlib

import pytest

import safehold_verify as verifier
from safehold.canonical import unb64
from safehold.errors import InvalidError, TamperedError
from safehold.ledger import LogSigner, policy_text
from safehold.ledger.note import Checkpoint, Cosigner, VKey, open_note, parse_decimal
from safehold.ledger.tree import EMPTY

ONE = LogSigner(b"1" * 32, name="one.example")
TWO = LogSigner(b"2" * 32, name="two.example")
EYE = Cosigner(b"3" * 32, name="eye.example")
EAR = Cosigner(b"4" * 32, name="ear.example")
TEXT = Checkpoint("one.example", 5, b"r" * 32).text()

_P = 2**255 - 19
WEAK = [
    (0).to_bytes(32, "little"),
    (1).to_bytes(32, "little"),
    (1 | 1 << 255).to_bytes(32, "little"),
    (_P - 1).to_bytes(32, "little"),
    _P.to_bytes(32, "little"),  # 0 in a second spelling
    (_P + 1).to_bytes(32, "little"),
    (_P + 3).to_bytes(32, "little"),  # not canonical
    (2).to_bytes(32, "little"),  # not on the curve
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
]


def vkey(name: str, algorithm: int, key: bytes, *, stem: bytes | None = None) -> str:
    data = bytes([algorithm]) + key
    mark = hashlib.sha256(name.encode() + b"\n" + (stem or data)).digest()[:4]
    return f"{name}+{mark.hex()}+{base64.b64encode(data).decode()}"


def both_refuse_key(text: str) -> None:
    with pytest.raises(InvalidError):
        VKey.parse(text)
    with pytest.raises(verifier.VerificationError):
        verifier.parse_vkey(text)


@pytest.mark.parametrize("key", WEAK, ids=range(len(WEAK)))
@pytest.mark.parametrize("algorithm", [1, 4])
def test_weak_keys_are_refused_in_vkeys_and_policies(key: bytes, algorithm: int) -> None:
    text = vkey("weak", algorithm, key)
    both_refuse_key(text)
    line = f"log {text}" if algorithm == 1 else f"witness w {text}"
    with pytest.raises(verifier.VerificationError):
        verifier.parse_policy(f"{line}\nquorum none\n".encode())


def test_key_ids_are_computed_again() -> None:
    good = ONE.vkey.text()
    assert VKey.parse(good) == ONE.vkey
    assert verifier.parse_vkey(good).key == ONE.vkey.key
    name, mark, data = good.split("+", 2)
    for bad in (
        f"{name}+{mark[::-1]}+{data}",
        f"other+{mark}+{data}",
        f"{name}+{mark.upper()}+{data}",
        f"{name}+{data}",
        f"{name}+{mark}+{data}A",
        f"{name}+{mark}+{data[:-1]}",
        f" {name}+{mark}+{data}",
        vkey(name, 5, ONE.vkey.key),  # RFC 6962 keys follow another rule and are not accepted
        vkey(name, 5, ONE.vkey.key, stem=b"\5" + hashlib.sha256(ONE.vkey.key).digest()),
        vkey(name, 2, ONE.vkey.key),
        vkey("", 1, ONE.vkey.key),
        vkey("a b", 1, ONE.vkey.key),
    ):
        both_refuse_key(bad)


def test_the_last_blank_line_splits_and_a_known_failure_rejects_all() -> None:
    text = b"a\n\nb\n\nc\n"
    note = ONE.sign(text)
    assert open_note(note, [ONE.vkey])[0] == text
    assert verifier.open_note(note, [ONE.vkey.text()]).text == text
    mixed = note + LogSigner(b"9" * 32, name="two.example").line(text)
    assert verifier.open_note(mixed, [ONE.vkey.text(), TWO.vkey.text()]).unknown == 1
    forged = note + TWO.line(b"something else\n")
    assert open_note(forged, [ONE.vkey])[1] == {ONE.vkey: 0}  # unknown keys are ignored
    with pytest.raises(TamperedError):
        open_note(forged, [ONE.vkey, TWO.vkey])
    with pytest.raises(verifier.VerificationError):
        verifier.open_note(forged, [ONE.vkey.text(), TWO.vkey.text()])


def test_malformed_notes() -> None:
    good = ONE.sign(TEXT)
    line = ONE.line(TEXT)
    for bad in (
        b"",
        TEXT,
        TEXT + line,
        good[:-1],
        good + b"\n",
        good.replace(b"one", b"o\tne", 1),
        good.replace("—".encode(), b"-"),
        good.replace(b"\n\n", b"\r\n\r\n"),
        TEXT + b"\n" + line * 101,
        TEXT + b"\n\xff" + line,
        good[:-2] + b"\n",
        TEXT + b"\n" + "— one.example AAAA\n".encode(),
    ):
        with pytest.raises((InvalidError, TamperedError)):
            open_note(bad, [ONE.vkey])
        with pytest.raises(verifier.VerificationError):
            verifier.open_note(bad, [ONE.vkey.text()])


def test_one_wrong_thing_in_a_note_whose_signature_holds() -> None:
    good = ONE.sign(TEXT)
    stranger = "— two.example ".encode()
    assert verifier.open_note(good + stranger + b"AAAAAAA=\n", [ONE.vkey.text()]).unknown == 1
    for bad in (
        ONE.sign(b"a\tb\n"),  # a control character
        good + (stranger + b"AAAAAAA=\n") * 100,  # one line too many
        good + stranger + b"AAAAAA==\n",  # four bytes are the key's id and nothing more
        good + stranger + b"AAAAAAB=\n",  # not the one spelling of five bytes
    ):
        with pytest.raises(InvalidError):
            open_note(bad, [ONE.vkey])
        with pytest.raises(verifier.VerificationError):
            verifier.open_note(bad, [ONE.vkey.text()])


def test_a_cosignature_covers_its_time() -> None:
    note = ONE.sign(TEXT) + EYE.cosign(TEXT, at=1_790_000_000)
    assert open_note(note, [EYE.vkey])[1] == {EYE.vkey: 1_790_000_000}
    blob = bytearray(base64.b64decode(note.split(b" ")[-1]))
    blob[11] ^= 1
    moved = ONE.sign(TEXT) + b"\xe2\x80\x94 eye.example " + base64.b64encode(blob) + b"\n"
    with pytest.raises(TamperedError):
        open_note(moved, [EYE.vkey])
    with pytest.raises(verifier.VerificationError):
        verifier.open_note(moved, [EYE.vkey.text()])


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "01", "1.0", " 1", "1_0", "٣", str(2**63), "9" * 30]
)
def test_numbers_are_plain_decimals(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_decimal(text)
    with pytest.raises(InvalidError):
        Checkpoint.parse(f"o\n{text}\n{base64.b64encode(EMPTY).decode()}\n".encode())
    with pytest.raises(verifier.VerificationError):
        verifier.parse_checkpoint(f"o\n{text}\n{base64.b64encode(EMPTY).decode()}\n".encode())


def test_proofs_of_odd_lengths_are_refused() -> None:
    for leaf, root, proof in ((b"", b"", []), (EMPTY, EMPTY, [b""]), (b"", EMPTY, [])):
        with pytest.raises(verifier.VerificationError):
            verifier.verify_inclusion(0, 1, leaf, proof, root)
    for size1, size2 in ((0, 0), (0, 1), (2, 1), (-1, 1)):
        with pytest.raises(verifier.VerificationError):
            verifier.verify_consistency(size1, size2, [], EMPTY, EMPTY)
    with pytest.raises(verifier.VerificationError):
        verifier.verify_consistency(1, 1, [], b"short", b"short")


LINES = f"log {ONE.vkey.text()}\nwitness a {EYE.vkey.text()}\nwitness b {EAR.vkey.text()}\n"


@pytest.mark.parametrize(
    ("rest", "signers", "enough"),
    [
        ("quorum none\n", [], True),
        ("quorum a\n", [EYE], True),
        ("quorum a\n", [EAR], False),
        ("group g any a b\nquorum g\n", [EAR], True),
        ("group g any a b\nquorum g\n", [], False),
        ("group g all a b\nquorum g\n", [EAR], False),
        ("group g 2 a b\nquorum g\n", [EAR, EYE], True),
        ("group g 1 a\ngroup h all g b\nquorum h\n", [EYE], False),
        ("# words\n\t group  g 1 a\n\ngroup h all g b\nquorum h", [EYE, EAR], True),
    ],
)
def test_quorums(rest: str, signers: list[Cosigner], enough: bool) -> None:
    policy = verifier.parse_policy((LINES + rest).encode())
    keys = [verifier.parse_vkey(one.vkey.text()) for one in signers]
    if enough:
        policy.check_quorum(keys, where="here")
    else:
        with pytest.raises(verifier.VerificationError, match="too few"):
            policy.check_quorum(keys, where="here")


@pytest.mark.parametrize(
    "rest",
    [
        "",
        "quorum none\nquorum none\n",
        "quorum c\n",
        "quorum g\ngroup g 1 a\n",
        "group g 1 c\nquorum g\n",
        "group g 0 a\nquorum g\n",
        "group g 3 a b\nquorum g\n",
        "group g 01 a b\nquorum g\n",
        "group g -1 a b\nquorum g\n",
        "group g some a\nquorum g\n",
        "group g any\nquorum g\n",
        "group g any none\nquorum g\n",
        "group none any a\nquorum none\n",
        "group a any b\nquorum a\n",
        "group g any a a\nquorum g\n",
        "group g any a\ngroup h any a b\nquorum h\n",
        f"witness c {EYE.vkey.text()}\nquorum a\n",
        f"witness c {vkey('other', 4, EYE.vkey.key)}\nquorum a\n",
        f"log {ONE.vkey.text()}\nquorum a\n",
        f"witness c {TWO.vkey.text()}\nquorum a\n",
        f"log {vkey('l', 4, TWO.vkey.key)}\nquorum a\n",
        "trust a\nquorum a\n",
        "quorum a\r\n",
        "quorum a\0\n",
    ],
)
def test_policies_that_are_refused(rest: str) -> None:
    with pytest.raises(verifier.VerificationError):
        verifier.parse_policy((LINES + rest).encode())


def test_the_policy_writer_writes_what_the_reader_reads() -> None:
    text = policy_text(ONE.vkey.text(), {"a": EYE.vkey.text(), "b": EAR.vkey.text()}, quorum=1)
    policy = verifier.parse_policy(text.encode())
    assert policy.groups["oversight"].need == 1
    assert [one.name for one in policy.keys()]  # noqa: SIM118 == ["one.example", "eye.example", "ear.example"]
    assert verifier.parse_policy(policy_text(ONE.vkey.text(), {}).encode()).quorum == "none"
    with pytest.raises(InvalidError):
        policy_text(ONE.vkey.text(), {"a": EYE.vkey.text()}, quorum=2)


def test_ml_dsa_keys_and_signatures_agree_with_the_verifier() -> None:
    head = Checkpoint("one.example", 7, b"r" * 32).text()
    note = ONE.sign(head) + ONE.publish_lines(head) + EYE.cosign(head, at=1_790_000_000)
    keys = [ONE.lattice, EYE.lattice, EYE.vkey]
    for key in keys:
        assert VKey.parse(key.text()) == key
        assert verifier.parse_vkey(key.text()).key_id == key.key_id
    _, held = open_note(note, keys)
    assert held == {ONE.lattice: 0, EYE.lattice: 1_790_000_000, EYE.vkey: 1_790_000_000}
    seen = verifier.open_note(note, [key.text() for key in keys])
    assert {one.time for one in seen.signatures} == {0, 1_790_000_000}
    with pytest.raises(InvalidError):
        EYE.cosign(head, at=0)


def test_ml_dsa_signs_name_time_origin_size_and_root() -> None:
    head = Checkpoint("one.example", 7, b"r" * 32)
    line = EYE.lattice_line(head.text(), at=5)
    text = head.text() + b"\n" + line
    assert open_note(text, [EYE.lattice])[1] == {EYE.lattice: 5}
    others = (
        Checkpoint("two.example", 7, b"r" * 32),
        Checkpoint("one.example", 8, b"r" * 32),
        Checkpoint("one.example", 7, b"s" * 32),
    )
    for other in others:
        with pytest.raises(TamperedError):
            open_note(other.text() + b"\n" + line, [EYE.lattice])
    blob = bytearray(unb64(line.split(b" ")[2].strip().decode())[4:])
    for at in (7, 8, 100, len(blob) - 1):  # its time, and bytes of the signature
        turned = bytes(one ^ (number == at) for number, one in enumerate(blob))
        with pytest.raises(TamperedError):
            EYE.lattice.verify(head.text(), turned)
    with pytest.raises(TamperedError):
        VKey("ear.example", EYE.lattice.algorithm, EYE.lattice.key).verify(head.text(), bytes(blob))
    with pytest.raises(TamperedError):
        EYE.lattice.verify(b"no checkpoint\n", bytes(blob))


def test_ml_dsa_keys_that_are_none() -> None:
    good = ONE.lattice
    for wrong in (good.key[:-1], good.key + b"\0", b""):
        with pytest.raises(InvalidError):
            VKey.parse(VKey(good.name, good.algorithm, wrong).text())
    with pytest.raises(InvalidError):
        LogSigner(b"1" * 32, name="one.example", second=b"short")
    assert LogSigner(b"1" * 32, name="one.example", second=b"2" * 32).lattice != good
