"""The offline verifier: a whole ledger against its bare hashes, one proof against its bare signatures."""

from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.bench.board import Board, cpu
from tests.ledger_desk import Desk, entry, intent

import safehold_verify as verifier
from safehold.clock import SystemClock
from safehold.ledger.tile import unpack_entries
from safehold_verify.merkle import node_hash
from safehold_verify.notes import Checkpoint, cosigned_message

LEAVES = 60_000
LEVELS = 30
PROOFS = 50  # checked in one measurement


def alike(desk: Desk) -> None:
    """A log of intents over one purpose, in large commits."""
    with desk.open() as ledger:
        for _ in range(LEAVES // 4_000):
            ledger.append([intent(at, segment="eu.keys") for at in range(4_000)])
        ledger.publish()


def mixed(desk: Desk) -> None:
    """A log of intents and results by turns, with numbers of all lengths and two segments."""
    with desk.open() as ledger:
        for _ in range(LEAVES // 1_000):
            charge = {"purpose": "train", "delta_e12": 1, "unit": "person"}
            receipts = ledger.append(
                [
                    entry(
                        at,
                        kind="access.intent",
                        segment="eu.keys" if at % 3 else "us.west/2",
                        public=charge | {"epsilon_micro": 1_000 + at * 7},
                    )
                    for at in range(500)
                ]
            )
            results = [
                entry(
                    kind="access.result", public={"outcome": "done", "rows": at * 37}, ref=one.index
                )
                for at, one in enumerate(receipts)
            ]
            ledger.append(results)
        ledger.publish()


def hash_only(leaves: list[bytes]) -> None:
    """What no verifier can leave out: the hash of every leaf and of every node."""
    row = [hashlib.sha256(b"\0" + leaf).digest() for leaf in leaves]
    while len(row) > 1:
        row = [
            hashlib.sha256(b"\1" + one + two).digest()
            for one, two in zip(row[::2], row[1::2], strict=False)
        ]


@pytest.mark.bench
@pytest.mark.parametrize("write", [alike, mixed], ids=["alike", "mixed"])
def test_audit(board: Board, tmp_path: Path, write) -> None:
    desk = Desk(tmp_path, clock=SystemClock())
    write(desk)
    bundles = sorted(one for one in (desk.directory / "tile/entries").rglob("*") if one.is_file())
    leaves = [leaf for one in bundles for leaf in unpack_entries(one.read_bytes())]
    assert len(leaves) == LEAVES
    audits, limits = [], []
    for _ in range(6):  # interleaved, so that a busy machine slows both
        audits.append(
            cpu(
                lambda: verifier.verify_log(desk.directory, desk.policy, heads=[desk.head]),
                rounds=1,
            )
        )
        limits.append(cpu(lambda: hash_only(leaves), rounds=1))
    audit, limit = min(audits), min(limits)
    board.add(
        f"offline audit of a ledger, leaves {write.__name__}",
        ours=f"{LEAVES / audit:,.0f} leaves/CPU-s",
        peer=f"its SHA-256 hashes alone: {LEAVES / limit:,.0f}",
        ratio=limit / audit,
        goal=">= 500,000 leaves/CPU-s",
        met=LEAVES / audit >= 500_000,
        floor=0.3 if write is alike else 0.2,
    )


def line(name: str, algorithm: int, key: bytes, blob: bytes) -> tuple[str, str]:
    """Return a verifier key and a signature line."""
    data = bytes((algorithm,)) + key
    mark = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
    text = f"{name}+{mark.hex()}+{base64.b64encode(data).decode()}"
    return text, f"— {name} {base64.b64encode(mark + blob).decode()}\n"


@pytest.mark.bench
def test_one_proof(board: Board, tmp_path: Path) -> None:
    """Thirty levels, the log's signature and two ML-DSA-44 witnesses: in memory, and from files."""
    leaf, size, index = b"l" * 450, 2**LEVELS, 2**LEVELS // 3
    path = [os.urandom(32) for _ in range(LEVELS)]
    root = verifier.leaf_hash(leaf)
    for level, one in enumerate(path):
        root = node_hash(one, root) if index >> level & 1 else node_hash(root, one)
    head = Checkpoint("log.example", size, root, 0)
    text = f"log.example\n{size}\n{base64.b64encode(root).decode()}\n"
    log = Ed25519PrivateKey.generate()
    key, note = line("log.example", 1, log.public_key().public_bytes_raw(), log.sign(text.encode()))
    rules, checks = [f"log {key}"], [(log.public_key(), log.sign(text.encode()), text.encode())]
    for name in ("dpo", "auditor"):
        witness = MLDSA44PrivateKey.generate()
        message = cosigned_message(name, 1, head)
        signature = witness.sign(message)
        public = witness.public_key()
        key, more = line(name, 6, public.public_bytes_raw(), (1).to_bytes(8, "big") + signature)
        note += more
        rules.append(f"witness {name} {key}")
        checks.append((public, signature, message))
    proof, policy = tmp_path / "use.tlog-proof", tmp_path / "policy"
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}"]
    lines += [base64.b64encode(one).decode() for one in path]
    proof.write_text("\n".join(lines) + f"\n\n{text}\n{note}", "utf-8")
    (tmp_path / "use.leaf").write_bytes(leaf)
    policy.write_text("\n".join([*rules, "group g all dpo auditor", "quorum g", ""]), "utf-8")
    trusted, said = verifier.parse_policy(policy.read_bytes()), proof.read_bytes()

    def times(work) -> float:
        return cpu(lambda: [work() for _ in range(PROOFS)], rounds=7) / PROOFS

    bare = times(lambda: [one.verify(signed, message) for one, signed, message in checks])
    for what, work in (
        ("one proof, in memory", lambda: verifier.check_proof(said, leaf, trusted)),
        ("one proof, from its files", lambda: verifier.verify_proof(proof, policy)),
    ):
        ours = times(work)
        board.add(
            what,
            ours=f"{ours * 1e3:.2f} CPU-ms",
            peer=f"its three signatures alone: {bare * 1e3:.2f} ms",
            ratio=ours / bare,
            goal="< 1 ms",
            met=ours < 1e-3,
            most=8,
        )
