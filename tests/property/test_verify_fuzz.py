"""Whatever bytes the verifier is given, it says that they do not hold, and nothing else happens."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ledger_desk import Desk, entry

import safehold_verify as verifier
from safehold.ledger import LogSigner
from safehold.ledger.note import Checkpoint, Cosigner
from safehold_verify.files import cut_bundle
from safehold_verify.leaf import parse_leaf

LOG = LogSigner(b"1" * 32, name="log.example")
TEXT = Checkpoint("log.example", 1, verifier.leaf_hash(b"leaf")).text()
NOTE = LOG.sign(TEXT)
EYE = Cosigner(b"3" * 32, name="eye.example")
KEYS = [LOG.vkey.text()]
POLICY_TEXT = f"log {KEYS[0]}\nquorum none\n".encode()
POLICY = verifier.parse_policy(POLICY_TEXT)
PROOF = b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + NOTE
LEAF = (
    b'{"act":"A","chr":"","ct":"A","det":"A","k":"gap","obj":"A","seg":"","sub":"A","t":1'
    b',"v":"sh-audit/1"}'
).replace(b'"A"', b'"' + b"A" * 43 + b'="')

READERS: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "note": (lambda data: verifier.open_note(data, KEYS), NOTE),
    "checkpoint": (verifier.parse_checkpoint, TEXT),
    "policy": (verifier.parse_policy, POLICY_TEXT),
    "proof": (verifier.parse_proof, PROOF),
    "inclusion": (lambda data: verifier.check_proof(data, b"leaf", POLICY), PROOF),
    "leaf": (parse_leaf, LEAF),
    "bundle": (lambda data: cut_bundle(data, 2, "b"), b"\0\4leaf\0\5leave"),
    "vkey": (
        lambda data: verifier.parse_vkey(data.decode("utf-8", "surrogateescape")),
        KEYS[0].encode(),
    ),
}
WORDS = st.sampled_from(
    [b"\n", b"\n\n", b" ", b"+", b"=", "\N{EM DASH} ".encode(), b"9" * 5_000, b"-1", b"\xff", b"\0",
     b"quorum ", b"group g 1 a\n", "²".encode(), "\N{ARABIC-INDIC DIGIT ONE}".encode(), b"index ", b"extra ", b"A" * 5_000, b"\xed\xa0\x80"]
)  # fmt: skip


def quiet(read: Callable[[bytes], Any], data: bytes) -> None:
    try:
        read(data)
    except verifier.VerificationError as error:
        assert str(error)


@pytest.mark.parametrize("name", READERS)
def test_each_reader_takes_what_is_right(name: str) -> None:
    read, good = READERS[name]
    read(good)


@pytest.mark.parametrize("name", READERS)
@given(st.data())
def test_no_bytes_surprise_a_reader(name: str, data: st.DataObject) -> None:
    read, good = READERS[name]
    start, stop = (data.draw(st.integers(0, len(good))) for _ in range(2))
    middle = b"".join(data.draw(st.lists(WORDS | st.binary(max_size=9), max_size=4)))
    quiet(read, good[:start] + middle + good[stop:])
    quiet(read, middle)
    quiet(read, data.draw(st.binary(max_size=300)))


@pytest.mark.parametrize("name", READERS)
def test_nothing_huge_surprises_a_reader(name: str) -> None:
    read, good = READERS[name]
    noise = random.Random(7).randbytes(3_000_000)
    for piece in (b"\n", b" ", b"a", b"A", b"9", b"=", b"+", b"\0", b"\xff", noise[:1_000], good):
        quiet(read, piece * (3_000_000 // len(piece)))
        quiet(read, good + piece * (500_000 // len(piece)))
    quiet(read, noise)


def test_numbers_of_any_length_in_a_policy() -> None:
    for need in (
        "9" * 5_000,
        "1" * 10,
        "²",
        "\N{ARABIC-INDIC DIGIT ONE}",
        "+1",
        "1_0",
        "0x1",
        "1e0",
    ):
        rest = f"witness a {EYE.vkey.text()}\ngroup g {need} a\nquorum g"
        text = POLICY_TEXT.replace(b"quorum none", rest.encode())
        with pytest.raises(verifier.VerificationError):
            verifier.parse_policy(text)


DEPTH = 1_200  # directories

ANY: Any = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(st.lists(ANY, min_size=5, max_size=5))
def test_no_values_surprise_a_proof(values: list[Any]) -> None:
    one, two, three, four, five = values
    proof = [three, five] if isinstance(three, bytes) else []
    with pytest.raises(verifier.VerificationError):
        verifier.verify_inclusion(one, two, four, proof, five)
    with pytest.raises(verifier.VerificationError):
        verifier.verify_consistency(one, two, proof, four, five)


@pytest.mark.parametrize("value", [None, 7, "text", bytearray(b"x"), [], object()])
def test_what_is_not_bytes_is_refused(value: Any) -> None:
    for read in (
        lambda: verifier.open_note(value, KEYS),
        lambda: verifier.parse_checkpoint(value),
        lambda: verifier.parse_policy(value),
        lambda: verifier.parse_proof(value),
        lambda: verifier.open_note(NOTE, [value]),
    ):
        with pytest.raises(verifier.VerificationError):
            read()


@pytest.fixture
def log(tmp_path: Path) -> tuple[Path, verifier.Policy]:
    desk = Desk(tmp_path / "desk")
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(300)])
        ledger.publish()
    return desk.directory, verifier.parse_policy(desk.policy.read_bytes())


def test_random_files_never_surprise_the_audit(log: tuple[Path, verifier.Policy]) -> None:
    directory, policy = log
    chance = random.Random(11)
    files = sorted(one for one in (directory / "tile").rglob("*") if one.is_file())
    for file in [*files, directory / "checkpoint"]:
        data = file.read_bytes()
        for _ in range(6):
            at, stop = sorted(chance.choices(range(len(data) + 1), k=2))
            file.write_bytes(data[:at] + chance.randbytes(chance.randint(0, 40) + 1) + data[stop:])
            for foreign in (False, True):
                with pytest.raises(verifier.VerificationError):
                    verifier.verify_log(directory, policy, foreign=foreign)
        file.write_bytes(data)
    verifier.verify_log(directory, policy)


def test_directories_that_cannot_be_read(log: tuple[Path, verifier.Policy], tmp_path: Path) -> None:
    directory, policy = log
    for path in (tmp_path / "none", directory / "checkpoint", "\0", "x" * 5_000, tmp_path):
        with pytest.raises(verifier.VerificationError):
            verifier.verify_log(path, policy)
    here = os.open(".", os.O_RDONLY)
    try:  # deeper than Python recurses
        os.chdir(directory)
        for _ in range(DEPTH):
            os.mkdir("d")
            os.chdir("d")
        os.close(os.open("stray", os.O_CREAT | os.O_WRONLY))
        with pytest.raises(verifier.VerificationError, match=r"does not belong|cannot be read"):
            verifier.verify_log(directory, policy)
        os.unlink("stray")
        for _ in range(DEPTH):  # nor does whoever sweeps up after the tests
            os.chdir("..")
            os.rmdir("d")
    finally:
        os.fchdir(here)
        os.close(here)
    verifier.verify_log(directory, policy)


def test_a_head_that_says_it_is_endless(tmp_path: Path) -> None:
    """Two to the sixty-two entries: the first missing file is named at once."""
    (tmp_path / "checkpoint").write_bytes(
        LOG.sign(Checkpoint("log.example", 2**62, b"r" * 32).text())
    )
    with pytest.raises(verifier.VerificationError, match="missing") as found:
        verifier.verify_log(tmp_path, POLICY)
    assert found.value.where == "tile/0/000"
