"""Runs pymerkle for a bench, in an environment of its own; see ``peers.Peer``.

It hashes and stores the same leaves in SQLite; nothing is encrypted, signed or published. Orders: ``open`` (leaves,
database, wal), ``append`` (count, batch), ``include`` and ``consist`` (numbers), ``verify`` (of the last ones).
"""

import json
import struct
import sys
import time
from pathlib import Path


def read(path):
    data, at, leaves = Path(path).read_bytes(), 0, []
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        leaves.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return leaves


class Tree:
    def __init__(self, order):
        from pymerkle import SqliteTree

        self.leaves, self.done = read(order["leaves"]), 0
        self.tree = SqliteTree(order["database"])
        if order["wal"]:
            for setting in (
                "page_size=8192",
                "journal_mode=WAL",
                "synchronous=FULL",
                "wal_autocheckpoint=20000",
            ):
                self.tree.con.execute(f"PRAGMA {setting}").fetchall()

    def append(self, order):
        for _ in range(order["count"] // order["batch"]):
            some = self.leaves[self.done : self.done + order["batch"]]
            if order["batch"] == 1:
                self.tree.append_entry(some[0])
            else:
                self.tree.append_entries(some)
            self.root = self.tree.get_root()
            self.done += len(some)
        return {"root": self.root.hex()}

    def include(self, order):
        size = self.tree.get_size()
        self.proofs = [(at, self.tree.prove_inclusion(at + 1, size)) for at in order["numbers"]]
        return {"hashes": [len(proof.path) for _, proof in self.proofs[:3]]}

    def consist(self, order):
        size = self.tree.get_size()
        self.steps = [(at, self.tree.prove_consistency(at, size)) for at in order["numbers"]]
        return {}

    def prepare(self):
        """What a verifier has before it begins: hashes of leaves, and roots."""
        self.bases = [(self.tree.get_leaf(at + 1), proof) for at, proof in self.proofs]
        self.roots = [(self.tree.get_root(at), proof) for at, proof in self.steps]

    def verify_inclusion(self, order):
        for base, proof in self.bases:
            proof.verify(base, self.root)
        return {}

    def verify_consistency(self, order):
        for old, proof in self.roots:
            proof.verify(old, self.root)
        return {}


def main():
    tree = None
    for text in sys.stdin:
        order = json.loads(text)
        try:
            if order["do"] == "open":
                tree, answer = Tree(order), {"leaves": 0}
            else:
                if order["do"].startswith("verify"):
                    tree.prepare()
                start, spent = time.perf_counter(), time.process_time()
                answer = getattr(tree, order["do"])(order)
                answer |= {"wall": time.perf_counter() - start, "cpu": time.process_time() - spent}
        except ImportError as error:
            answer = {"missing": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
