"""Heads with ML-DSA-44 signatures, several log keys, and proofs in files, by the offline verifier."""

from __future__ import annotations

import base64
import hashlib
import itertools
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.ledger_desk import Desk, entry

import safehold_verify as verifier
from safehold.ledger import LogSigner
from safehold.ledger.note import Checkpoint, Cosigner
from safehold_verify.notes import cosigned_message

ORIGIN = "log.example/audit"
ROOT = b"r" * 32
TEXT = Checkpoint(ORIGIN, 7, ROOT).text()
LOG = LogSigner(b"1" * 32, name=ORIGIN)
NEW = LogSigner(b"2" * 32, name=ORIGIN)
EYE = Cosigner(b"3" * 32, name="eye.example")


def vkey(name: str, algorithm: int, key: bytes) -> str:
    data = bytes([algorithm]) + key
    mark = hashlib.sha256(name.encode() + b"\n" + data).hexdigest()[:8]
    return f"{name}+{mark}+{base64.b64encode(data).decode()}"


class Lattice:
    """An ML-DSA-44 cosigner, made here of the specification's words alone."""

    def __init__(self, seed: bytes, name: str) -> None:
        self._key = MLDSA44PrivateKey.from_seed_bytes(seed)
        self.name = name
        self.vkey = vkey(name, 6, self._key.public_key().public_bytes_raw())

    def message(self, at: int, origin: str, size: int, root: bytes) -> bytes:
        name, log = self.name.encode(), origin.encode()
        return (
            b"subtree/v1\n\0" + bytes([len(name)]) + name + at.to_bytes(8, "big")
            + bytes([len(log)]) + log + bytes(8) + size.to_bytes(8, "big") + root
        )  # fmt: skip

    def line(self, at: int = 1_790_000_000, *, origin: str = ORIGIN, size: int = 7) -> bytes:
        blob = at.to_bytes(8, "big") + self._key.sign(self.message(at, origin, size, ROOT))
        return self.raw(blob)

    def raw(self, blob: bytes) -> bytes:
        mark = bytes.fromhex(self.vkey.split("+", 2)[1])
        return f"— {self.name} {base64.b64encode(mark + blob).decode()}\n".encode()


DPO = Lattice(b"4" * 32, "dpo.example")
AUDITOR = Lattice(b"5" * 32, "auditor.example")
LOG_TOO = Lattice(b"6" * 32, ORIGIN)


def policy(*logs: str, quorum: str = "group g all dpo auditor\nquorum g") -> verifier.Policy:
    lines = [f"log {one}" for one in logs or (LOG.vkey.text(),)]
    lines += [f"witness dpo {DPO.vkey}", f"witness auditor {AUDITOR.vkey}"]
    lines += [f"witness eye {EYE.vkey.text()}", quorum, ""]
    return verifier.parse_policy("\n".join(lines).encode())


@pytest.fixture
def head(tmp_path: Path) -> Callable[..., verifier.Head]:
    def check(note: bytes, trusted: verifier.Policy | None = None) -> verifier.Head:
        (tmp_path / "head").write_bytes(note)
        return verifier.verify_head(tmp_path / "head", trusted or policy())

    return check


Check = Callable[..., verifier.Head]


def refused(head: Check, note: bytes, match: str, trusted: verifier.Policy | None = None) -> None:
    with pytest.raises(verifier.VerificationError, match=match):
        head(note, trusted)


def test_the_message_is_that_of_the_specification() -> None:
    said = verifier.parse_checkpoint(TEXT)
    assert cosigned_message("dpo.example", 9, said) == DPO.message(9, ORIGIN, 7, ROOT)


def test_two_ml_dsa_witnesses(head: Check) -> None:
    note = LOG.sign(TEXT) + DPO.line(1_790_000_001) + AUDITOR.line(1_790_000_002)
    found = head(note)
    assert found.witnesses == {"dpo.example": 1_790_000_001, "auditor.example": 1_790_000_002}
    assert (found.origin, found.size, found.root) == (ORIGIN, 7, ROOT.hex())
    assert (found.unknown, found.extensions) == (0, 0)
    opened = verifier.open_note(note, [DPO.vkey, AUDITOR.vkey])
    assert [one.time for one in opened.signatures] == [1_790_000_001, 1_790_000_002]
    assert opened.unknown == 1


def test_a_witness_covers_time_name_origin_size_and_root(head: Check) -> None:
    good = LOG.sign(TEXT) + DPO.line()
    refused(head, good + AUDITOR.line(origin="log.example/other"), "fails")
    refused(head, good + AUDITOR.line(size=8), "fails")
    blob = base64.b64decode(AUDITOR.line().split(b" ")[-1])[4:]
    refused(head, good + AUDITOR.raw(bytes(7) + b"\1" + blob[8:]), "fails")  # another time
    twin = Lattice(b"5" * 32, "twin.example")  # the same key under another name
    renamed = policy().witnesses | {"auditor": verifier.parse_vkey(twin.vkey)}
    trusted = verifier.Policy(policy().logs, renamed, policy().groups, "g")
    refused(head, good + twin.raw(blob), "fails", trusted)
    for cut in (blob[:-1], blob + b"\0", blob[:8], blob[:3] + b"\0", b"\0"):
        refused(head, good + AUDITOR.raw(cut), "fails")


def test_a_witness_says_when_and_a_log_need_not(head: Check) -> None:
    refused(head, LOG.sign(TEXT) + DPO.line() + AUDITOR.line(0), "no time")
    refused(head, LOG.sign(TEXT) + DPO.line() + AUDITOR.line(2**63), "out of range")
    both = policy(LOG.vkey.text(), LOG_TOO.vkey)
    note = LOG.sign(TEXT) + LOG_TOO.line(0) + DPO.line() + AUDITOR.line()
    assert len(head(note, both).logs) == 2
    # the log's own signature is no witness's, whatever time it says
    refused(head, LOG.sign(TEXT) + LOG_TOO.line() + DPO.line(), "too few", both)


def test_a_log_may_sign_with_ml_dsa_alone(head: Check) -> None:
    note = TEXT + b"\n" + LOG_TOO.line(0) + DPO.line() + AUDITOR.line()
    assert head(note, policy(LOG_TOO.vkey)).logs == ("+".join(LOG_TOO.vkey.split("+", 2)[:2]),)
    refused(head, note, "no trusted log")


def test_extension_lines_are_told_and_decide_nothing(head: Check) -> None:
    text = TEXT + b"more words\n"
    note = text + b"\n" + LOG_TOO.line(0) + DPO.line() + AUDITOR.line()
    found = head(note, policy(LOG_TOO.vkey))
    assert (found.extensions, found.size) == (1, 7)


def test_what_is_no_checkpoint_is_never_cosigned(head: Check) -> None:
    for text in (b"words\n", b"o\n7\nnot base64\n", TEXT[:-2] + b"\n"):
        note = text + b"\n" + DPO.line()
        with pytest.raises(verifier.VerificationError):
            verifier.open_note(note, [DPO.vkey])
    long = Checkpoint("o" * 256, 7, ROOT).text()
    with pytest.raises(verifier.VerificationError, match="255"):
        verifier.open_note(long + b"\n" + DPO.line(), [DPO.vkey])


def test_while_a_log_changes_its_key_either_is_enough(head: Check) -> None:
    trusted = policy(LOG.vkey.text(), NEW.vkey.text())
    rest = DPO.line() + AUDITOR.line()
    for note in (LOG.sign(TEXT), NEW.sign(TEXT), LOG.sign(TEXT) + NEW.line(TEXT)):
        assert head(note + rest, trusted).logs
    assert head(LOG.sign(TEXT) + NEW.line(TEXT) + rest).unknown == 1
    refused(head, NEW.sign(TEXT) + rest, "no trusted log", policy(LOG.vkey.text()))
    bad = NEW.line(Checkpoint(ORIGIN, 8, ROOT).text())
    refused(head, LOG.sign(TEXT) + bad + rest, "fails", trusted)


def test_which_keys_a_policy_takes() -> None:
    eye, key = EYE.vkey.text(), base64.b64decode(DPO.vkey.split("+", 2)[2])[1:]
    refusals = [
        f"log {eye}\nquorum none\n",
        f"witness w {LOG.vkey.text()}\nquorum w\n",
        f"witness w {DPO.vkey}\nwitness v {DPO.vkey}\nquorum w\n",
        f"witness w {DPO.vkey}\nwitness v {vkey('other', 6, key)}\nquorum w\n",
        f"log {DPO.vkey}\nwitness w {DPO.vkey}\nquorum w\n",
    ]
    for text in refusals:
        with pytest.raises(verifier.VerificationError):
            verifier.parse_policy(text.encode())


@pytest.mark.parametrize("length", [0, 32, 1_311, 1_313, 2_420])
def test_an_ml_dsa_key_has_1312_bytes(length: int) -> None:
    with pytest.raises(verifier.VerificationError, match="unknown type"):
        verifier.parse_vkey(vkey("dpo", 6, b"k" * length))
    with pytest.raises(verifier.VerificationError):
        verifier.parse_vkey(vkey("n" * 256, 6, b"k" * 1_312))
    assert verifier.parse_vkey(vkey("n" * 255, 6, b"k" * 1_312)).algorithm == 6


def test_two_keys_that_a_signature_line_cannot_tell_apart() -> None:
    """Ids have 32 bits, so two keys of one name and id are found in a moment."""
    seen: dict[str, bytes] = {}
    for number in itertools.count():
        key = number.to_bytes(8, "big") * 164
        mark = vkey("dpo", 6, key).split("+")[1]
        if mark in seen:
            break
        seen[mark] = key
    both = [vkey("dpo", 6, key), vkey("dpo", 6, seen[mark])]
    with pytest.raises(verifier.VerificationError, match="one name and id"):
        verifier.open_note(LOG.sign(TEXT), [LOG.vkey.text(), *both])
    assert verifier.open_note(LOG.sign(TEXT), [LOG.vkey.text(), both[0], both[0]]).text == TEXT


def test_groups_of_any_depth_are_counted() -> None:
    groups = [
        f"group g0 all dpo\n{''.join(f'group g{n + 1} any g{n}' + chr(10) for n in range(3_000))}"
    ]
    text = f"log {LOG.vkey.text()}\nwitness dpo {DPO.vkey}\n{groups[0]}quorum g3000\n"
    deep = verifier.parse_policy(text.encode())
    deep.check_quorum([verifier.parse_vkey(DPO.vkey)], where="here")
    with pytest.raises(verifier.VerificationError, match="too few"):
        deep.check_quorum([], where="here")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Desk]:
    """A proof and its entry as files, beside the desk that they come from."""
    folder = tmp_path_factory.mktemp("shelf")
    desk = Desk(folder)
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(70)])
        ledger.publish()
        (folder / "use.tlog-proof").write_text(ledger.prove(66), "utf-8")
        (folder / "use.leaf").write_bytes(ledger.leaf(66))
        (folder / "other").write_bytes(ledger.leaf(65))
    return folder, desk


def test_a_proof_from_files(shelf: tuple[Path, Desk]) -> None:
    folder, desk = shelf
    proof = folder / "use.tlog-proof"
    found = verifier.verify_proof(proof, desk.policy)
    assert (found.index, found.head.size) == (66, 70)
    trusted = verifier.parse_policy(desk.policy.read_bytes())
    leaf = folder / "use.leaf"
    assert verifier.verify_proof(str(proof), trusted, leaf=leaf.read_bytes()).index == 66
    assert verifier.verify_proof(proof, str(desk.policy), leaf=str(leaf)).index == 66
    for bad in (folder / "other", folder / "none", folder, b"", leaf.read_bytes() + b"\n"):
        with pytest.raises(verifier.VerificationError):
            verifier.verify_proof(proof, trusted, leaf=bad)
    for path in (folder / "nothing.tlog-proof", folder, leaf, "\0", "x" * 5_000):
        with pytest.raises(verifier.VerificationError):
            verifier.verify_proof(path, trusted, leaf=leaf)
        with pytest.raises(verifier.VerificationError):
            verifier.verify_proof(proof, path, leaf=leaf)
    long = folder / "long"
    long.write_bytes(bytes(65_536))
    with pytest.raises(verifier.VerificationError, match="too long"):
        verifier.verify_proof(proof, trusted, leaf=long)


def run(*words: object) -> subprocess.CompletedProcess[bytes]:
    root = Path(__file__).resolve().parents[2] / "src"
    return subprocess.run(
        [sys.executable, "-m", "safehold_verify", *map(str, words)],
        capture_output=True,
        env={"PYTHONPATH": str(root)},
        check=False,
    )


def test_the_commands(shelf: tuple[Path, Desk], tmp_path: Path) -> None:
    folder, desk = shelf
    done = run("proof", folder / "use.tlog-proof", "--policy", desk.policy)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"index: 66" in done.stdout
    wrong = run(
        "proof", folder / "use.tlog-proof", "--leaf", folder / "other", "--policy", desk.policy
    )
    assert wrong.returncode == 5
    head = run("head", desk.directory / "checkpoint", "--policy", desk.policy, "--json")
    assert (head.returncode, b'"size": 70' in head.stdout) == (0, True)
    # a Safehold log is never taken for a foreign one
    log = run("log", desk.directory, "--foreign", "--policy", desk.policy)
    assert (log.returncode, b"check this log as one of Safehold" in log.stderr) == (5, True)
    assert run("log", desk.directory, "--policy", desk.policy).returncode == 0
    assert run("log", desk.directory).returncode == 2
