"""Go's own sumdb/tlog and sumdb/note, asked live, about random logs and notes.

Whatever one side makes the other must accept, and what one refuses the other must refuse.
"""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import safehold_verify as verifier
from safehold.errors import SafeholdError
from safehold.ledger import LogSigner
from safehold.ledger.note import VKey, open_note
from safehold.ledger.proof import prove_consistency, prove_inclusion, root_at, verify_consistency
from safehold.ledger.tree import HASH, Node, Tree, leaf_hash, node_reader
from safehold_verify.merkle import tree_root

GOPATH = Path("/usr/share/gocode")  # where Debian puts the sources of Go packages


class Oracle:
    """The Go program: one JSON question a line, one JSON answer a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ask(self, what: str, **question: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        line = json.dumps({"Ask": what, **{name: code(one) for name, one in question.items()}})
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def holds(self, what: str, **question: Any) -> bool:
        return not self.ask(what, **question)["Error"]


def code(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return [code(one) for one in value] if isinstance(value, list) else value


def raw(answer: dict[str, Any], name: str) -> Any:
    assert not answer["Error"], answer["Error"]
    if isinstance(found := answer[name], str):
        return base64.b64decode(found)
    return [base64.b64decode(one) for one in found or []]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    go = shutil.which("go")
    if go is None or not (GOPATH / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("Go with golang.org/x/mod is not on this machine (golang-golang-x-mod-dev)")
    folder = tmp_path_factory.mktemp("oracle")
    source = Path(__file__).parent / "oracle" / "oracle.go"
    environment = {
        "PATH": os.environ["PATH"], "GOPATH": str(GOPATH), "GO111MODULE": "off",
        "GOCACHE": str(folder / "cache"), "GOFLAGS": "", "GOPROXY": "off", "HOME": str(folder),
    }  # fmt: skip
    subprocess.run([go, "build", "-o", folder / "oracle", source], env=environment, check=True)
    with subprocess.Popen(
        [folder / "oracle"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield Oracle(process)
        assert process.stdin is not None
        process.stdin.close()


def grow(leaves: list[bytes], chance: random.Random) -> Node:
    """Build our tree in random batches and return its nodes."""
    tree, tiles, at = Tree(), {}, 0
    hashes = [leaf_hash(one) for one in leaves]
    while at < len(hashes):
        step = chance.randint(1, 700)
        tree, full = tree.extend(b"".join(hashes[at : at + step]))
        at += step
        tiles |= {(level, number): data for level, number, data in full}
    for level, edge in enumerate(tree.edges):
        tiles[level, tree.size >> (8 * level + 8)] = edge
    return node_reader(lambda level, number: tiles[level, number])


def ours_holds(call: Any, *args: Any, **named: Any) -> bool:
    try:
        call(*args, **named)
    except (verifier.VerificationError, SafeholdError):
        return False
    return True


def bent(proof: list[bytes], chance: random.Random) -> list[bytes]:
    """Return a proof with something wrong in it."""
    proof = list(proof)
    match chance.randrange(5) if proof else 4:
        case 0:
            at = chance.randrange(len(proof))
            proof[at] = chance.randbytes(HASH)
        case 1:
            proof.pop(chance.randrange(len(proof)))
        case 2:
            proof.insert(chance.randrange(len(proof) + 1), chance.choice(proof))
        case 3:
            proof.reverse()
        case _:
            proof.append(chance.randbytes(HASH))
    return proof


@pytest.mark.parametrize("most", [1, 2, 9, 130, 257, 700, 3_000])
def test_random_logs(oracle: Oracle, most: int) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    leaves = [
        chance.randbytes(chance.choice((0, 1, 40, 450))) for _ in range(chance.randint(1, most))
    ]
    size = len(leaves)
    assert oracle.holds("log", Leaves=leaves)
    node = grow(leaves, chance)
    hashes = [leaf_hash(one) for one in leaves]
    for _ in range(40):
        new = chance.randint(1, size)
        old, index = chance.randint(1, new), chance.randrange(new)
        root, old_root = root_at(node, new), root_at(node, old)
        assert raw(oracle.ask("root", Size=new), "Root") == root
        assert tree_root(b"".join(hashes[:new])) == root
        path = raw(oracle.ask("include", Size=new, Index=index), "Proof")
        assert prove_inclusion(node, index, new) == path
        proof = raw(oracle.ask("extend", Size=new, Old=old), "Proof")
        assert prove_consistency(node, old, new) == proof
        # both ways, and with something wrong
        for one in (path, bent(path, chance), bent(path, chance)):
            for at in {index, chance.randrange(new)}:
                ours = ours_holds(verifier.verify_inclusion, at, new, hashes[index], one, root)
                theirs = oracle.holds(
                    "check include", Size=new, Index=at, Leaf=hashes[index], Proof=one, Root=root
                )
                assert ours is theirs
                assert ours or (one, at) != (path, index)
        for one in (proof, bent(proof, chance), bent(proof, chance)):
            for at in {old, chance.randint(0, new)}:
                ours = ours_holds(verifier.verify_consistency, at, new, one, old_root, root)
                server = ours_holds(
                    verify_consistency, at, new, proof=one, old_root=old_root, root=root
                )
                theirs = oracle.holds(
                    "check extend", Size=new, Old=at, Proof=one, Root=root, Root1=old_root
                )
                assert ours is server is theirs
                assert ours or (one, at) != (proof, old)


def skey(signer: LogSigner, seed: bytes) -> str:
    """Return a private key as sumdb/note writes it."""
    key = base64.b64encode(b"\1" + seed).decode()
    return f"PRIVATE+KEY+{signer.name}+{signer.vkey.key_id.hex()}+{key}"


def test_notes_both_ways(oracle: Oracle) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    for _ in range(25):
        seeds = [chance.randbytes(32) for _ in range(3)]
        one, two, stranger = (
            LogSigner(seed, name=name)
            for seed, name in zip(seeds, ("one.example", "zwei.例え", "x"), strict=True)
        )
        text = "".join(chance.choice("abc é\n") for _ in range(chance.randint(0, 60))) + "\n"
        keys = [one.vkey.text(), two.vkey.text()]
        ours = one.sign(text.encode()) + two.line(text.encode()) + stranger.line(text.encode())
        answer = oracle.ask("open", Note=ours.decode(), Keys=keys)
        assert (answer["Error"], answer["Text"], answer["Unknown"]) == ("", text, 1)
        assert answer["Verified"] == [one.name, two.name]
        signed = oracle.ask("sign", Text=text, Key=skey(one, seeds[0]))
        assert not signed["Error"]
        theirs = signed["Note"].encode()
        assert theirs == one.sign(text.encode())  # Ed25519 has one signature for each message
        opened = verifier.open_note(theirs, keys)
        assert (opened.text, len(opened.signatures), opened.unknown) == (text.encode(), 1, 0)
        assert open_note(theirs, [VKey.parse(keys[0])])[0] == text.encode()


def test_notes_with_something_wrong(oracle: Oracle) -> None:
    """Any one character changed: both refuse, or both take it in the same sense."""
    signer, stranger = LogSigner(b"g" * 32, name="go.example"), LogSigner(b"h" * 32, name="else")
    text = b"go.example\n12\nvt5T6GaLCXvyHFl9VUvvItR43XZxfLgftEcTyO3eJCQ=\n"
    note = (signer.sign(text) + stranger.line(text)).decode()
    keys = [signer.vkey.text()]
    for at in range(len(note)):
        for swap in {*"+ \n—Aa=\t\u00a0\u200b\x7f", chr(ord(note[at]) ^ 1)} - {note[at]}:
            for bad in (note[:at] + swap + note[at + 1 :], note[:at] + note[at + 1 :]):
                answer = oracle.ask("open", Note=bad, Keys=keys)
                if answer["Error"]:
                    assert not ours_holds(verifier.open_note, bad.encode(), keys)
                elif ours_holds(verifier.open_note, bad.encode(), keys):
                    opened = verifier.open_note(bad.encode(), keys)
                    assert opened.text == answer["Text"].encode()
                    assert opened.unknown == answer["Unknown"]
                else:  # Go reads base64 with loose last bits; here each has one spelling
                    lines = [one.split(" ")[-1] for one in bad.splitlines() if one[0:1] == "\u2014"]
                    assert any(code(base64.b64decode(one)) != one for one in lines)
