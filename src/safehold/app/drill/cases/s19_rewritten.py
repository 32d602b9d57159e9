"""S19: the record is rewritten. An operator has every file, every key of the log and the home's own witness.

They delete, edit, reorder and back-date entries, cut the log, empty it, fork it, put an old state back and let it grow
again, exchange what belongs to two entries, and sign with another key. Each result is handed to an auditor, who kept a
head, and to an employee, who kept a package and a receipt; both check offline, with the verifier alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from safehold.app.drill.company import PURPOSE, Company
from safehold.app.drill.forged import Stolen, steal
from safehold.app.drill.place import Place
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.canonical import unb64
from safehold.ledger import LogSigner

SHE: Final = "emp-00002"
# the verifier as a program of its own: whole, and with its guards taken out
WHOLE: Final = "import sys; from safehold_verify import main; sys.exit(main(sys.argv[1:]))"
BLIND: Final = """
import sys
from safehold_verify import log, main, package
for owner, name in ((log._Tree, "check"), (log._Tree, "check_head"), (log.Story, "take"), (log.Story, "close")):
    getattr(owner, name)
    setattr(owner, name, lambda *_: None)
sys.exit(main(sys.argv[1:]))
"""
TAMPERED: Final = 5  # exit code of the verifier


def attempt(place: Place) -> Findings:
    """Rewrite the record, and have it verified."""
    return _judge(place.company("s19"), place.bin("s19-forged"), WHOLE)


def control(place: Place) -> Findings:
    """The same with a verifier that compares neither entries with heads nor heads with each other."""
    return _judge(place.company("s19-control"), place.bin("s19-blind"), BLIND)


def lake(place: Place) -> Findings:
    """A plain log whose lines are chained by hashes, with the check that such logs come with."""
    folder = place.bin("s19-lake")
    lines = _chained([f"read table {number}" for number in range(50)])
    forgeries: dict[str, list[dict[str, str]]] = {
        "deleted": [*lines[:20], *lines[21:]],
        "edited": [*lines[:20], {**lines[20], "what": "nothing"}, *lines[21:]],
        "cut": lines[:20],
        "emptied": [],
        "rewritten": _chained([f"read table {number}" for number in range(49)]),
    }
    missed = []
    for name, forged in forgeries.items():
        file = folder / f"{name}.jsonl"
        file.write_bytes(b"".join(orjson.dumps(one) + b"\n" for one in forged))
        if _chain_holds(file):
            missed.append(name)
    found = Exposure(
        people=0, records=0, segments=0, missing=len(missed),
        told={"tried": len(forgeries), "not noticed": missed},
    )  # fmt: skip
    return Findings(at_rest=found)


def _chained(whats: Sequence[str]) -> list[dict[str, str]]:
    last, lines = "", []
    for what in whats:
        last = hashlib.sha256(f"{last}{what}".encode()).hexdigest()
        lines.append({"what": what, "hash": last})
    return lines


def _chain_holds(file: Path) -> bool:
    last = ""
    for line in file.read_bytes().splitlines():
        one = orjson.loads(line)
        last = hashlib.sha256(f"{last}{one['what']}".encode()).hexdigest()
        if one["hash"] != last:
            return False
    return True


def _judge(company: Company, folder: Path, verifier: str) -> Findings:
    kept = _live(company, folder)
    stolen = steal(company)
    tried: dict[str, list[str]] = {}
    wrong = []
    for name, forge in _FORGERIES.items():
        tried[name] = []
        for who, words in forge(kept, stolen, folder / name).items():
            code = _verify(verifier, words)
            tried[name].append(f"{who}: {'noticed' if code == TAMPERED else 'not noticed'}")
            if code not in (0, TAMPERED):
                wrong.append(f"the verifier failed by itself: {name}")
    for who, words in kept.true().items():
        if _verify(verifier, words):
            wrong.append(f"what nobody touched does not verify for the {who}")
    checks = [one for some in tried.values() for one in some]
    missed = sum(one.endswith("not noticed") for one in checks)
    return Findings(
        at_rest=Exposure(
            people=0, records=0, segments=0, canaries=0, missing=missed, wrong=tuple(wrong),
            told={"checks": len(checks), "noticed": f"{(len(checks) - missed) / len(checks):.1%}", "forgeries": tried},
        )
    )  # fmt: skip


class _Kept:
    """What lies outside an operator's reach, and copies of what lay within it.

    Args:
        folder: Where all that is.
    """

    def __init__(self, folder: Path) -> None:
        self.policy = folder / "policy"
        self.log, self.old, self.grown = folder / "log", folder / "old", folder / "grown"
        self.head, self.her_head = folder / "auditor.head", folder / "employee.head"
        self.package, self.receipt = folder / "package.json", folder / "receipt"

    def true(self, log: Path | None = None) -> dict[str, list[str | Path]]:
        """Return how an auditor and an employee check a log, each with what they kept."""
        checked = log or self.log
        return {
            who: ["log", checked, "--policy", self.policy, "--head", head]
            for who, head in (("auditor", self.head), ("employee", self.her_head))
        }

    def packaged(self, file: Path) -> dict[str, list[str | Path]]:
        """Return how an employee checks a package."""
        words: list[str | Path] = ["package", file, "--policy", self.policy]
        words += ["--receipt", self.receipt]
        return {"employee": words}


def _live(company: Company, folder: Path) -> _Kept:
    """Let things happen, and let an auditor and an employee keep what each gets of it."""
    kept, home = _Kept(folder), company.home
    shutil.copytree(home.ledger / "tile", kept.old / "tile")
    shutil.copy(home.ledger / "checkpoint", kept.old / "checkpoint")
    earlier = company.copy(folder / "earlier")
    with company.keeper() as client:
        receipt = company.ask(client, SHE, "people.receipt")["receipt"]
        client.call("feature", purpose=PURPOSE)
        package = company.ask(client, SHE, "people.trail")["package"]
        client.call("people.choose", person=SHE, choice="pause")
        client.call("ledger.publish")
    shutil.copytree(home.ledger / "tile", kept.log / "tile")
    shutil.copy(home.ledger / "checkpoint", kept.log / "checkpoint")
    shutil.copy(kept.log / "checkpoint", kept.head)
    shutil.copy(home.policy_file, kept.policy)
    kept.package.write_text(package, "utf-8")
    kept.receipt.write_text(receipt, "utf-8")
    kept.her_head.write_bytes(unb64(json.loads(package)["checkpoint"]))
    with (
        earlier.keeper() as client
    ):  # all of it put back, with what lay outside, and other things happen
        for _ in range(8):
            client.call("people.choose", person=SHE, choice="pause")
            earlier.choose(client, SHE, "resume")
        client.call("ledger.publish")
    shutil.copytree(earlier.home.ledger / "tile", kept.grown / "tile")
    shutil.copy(earlier.home.ledger / "checkpoint", kept.grown / "checkpoint")
    return kept


def _verify(verifier: str, words: Sequence[str | Path]) -> int:
    done = subprocess.run(
        [sys.executable, "-P", "-c", verifier, *map(str, words), "--json"],
        capture_output=True,
        check=False,
        timeout=600,
    )
    return done.returncode


# -- what is tried: each writes files and returns how they are checked -------------------------------

Forge = Callable[[_Kept, Stolen, Path], dict[str, list[str | Path]]]


def _again(change: Callable[[list[bytes]], list[bytes]], *, cosign: bool = True) -> Forge:
    """Return a forgery that writes the log anew, with everything signed that can be signed."""

    def forge(kept: _Kept, stolen: Stolen, place: Path) -> dict[str, list[str | Path]]:
        stolen.write(place, change(list(stolen.leaves)), cosign=cosign)
        return kept.true(place)

    return forge


def _in_files(change: Callable[[Path], object]) -> Forge:
    """Return a forgery that changes the files of the log and signs nothing."""

    def forge(kept: _Kept, _stolen: Stolen, place: Path) -> dict[str, list[str | Path]]:
        shutil.copytree(kept.log, place)
        change(place)
        return kept.true(place)

    return forge


def _packaged(change: Callable[[Any], object]) -> Forge:
    """Return a forgery of what an employee is given."""

    def forge(kept: _Kept, _stolen: Stolen, place: Path) -> dict[str, list[str | Path]]:
        said = json.loads(kept.package.read_bytes())
        change(said)
        place.write_bytes(json.dumps(said, sort_keys=True, separators=(",", ":")).encode())
        return kept.packaged(place)

    return forge


def _used(leaves: Sequence[bytes]) -> int:
    """Return which leaf is the use that somebody wants to be gone."""
    return next(at for at, leaf in enumerate(leaves) if b'"k":"access.intent"' in leaf)


def _edited(leaves: list[bytes]) -> list[bytes]:
    at = _used(leaves)
    said = json.loads(leaves[at])
    said["pub"]["purpose"] = "secure_the_pipeline"
    leaves[at] = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return leaves


def _dated_back(leaves: list[bytes]) -> list[bytes]:
    """Let the use have been before everything else of that day."""
    at = _used(leaves)
    said = json.loads(leaves[at])
    said["t"] = json.loads(leaves[at - 1])["t"]
    leaves[at] = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    return leaves if said["t"] != json.loads(leaves[at])["t"] else _moved(leaves)


def _moved(leaves: list[bytes]) -> list[bytes]:
    at = _used(leaves)
    leaves[at - 1], leaves[at] = leaves[at], leaves[at - 1]
    return leaves


def _flip(place: Path) -> None:
    file = next((place / "tile" / "entries").rglob("*.p/*"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def _cut_bytes(place: Path) -> None:
    file = next((place / "tile" / "entries").rglob("*.p/*"))
    file.write_bytes(file.read_bytes()[:-200])


def _empty(place: Path) -> None:
    shutil.rmtree(place / "tile")
    (place / "tile").mkdir()
    (place / "checkpoint").write_bytes(b"")


def _swap_told(said: Any) -> None:
    """Exchange what is told of two entries: the side-cars, as the person gets them."""
    entries = [one for epoch in said["epochs"] for one in epoch.get("entries", ())]
    entries[0]["told"], entries[-1]["told"] = entries[-1]["told"], entries[0]["told"]


def _drop_last(said: Any) -> None:
    epoch = next(one for one in reversed(said["epochs"]) if one.get("entries"))
    del epoch["entries"][-1]


def _other_key(kept: _Kept, stolen: Stolen, place: Path) -> dict[str, list[str | Path]]:
    """Sign everything with a new key, as if the log had always had it."""
    fresh = LogSigner(hashlib.sha256(b"another").digest(), name=stolen.origin)
    other = Stolen(stolen.origin, (fresh,), stolen.witness, stolen.leaves)
    other.write(place, list(stolen.leaves))
    return kept.true(place)


def _split(kept: _Kept, stolen: Stolen, place: Path) -> dict[str, list[str | Path]]:
    """Show one log to the auditor, and to the employee another that parts from it after the head she kept.

    Alone she cannot tell; with the head that the auditor publishes she can.
    """
    leaves = list(stolen.leaves)
    leaves[-1] = leaves[-1].replace(b'"k":"choice"', b'"k":"refusal"')
    stolen.write(place, leaves)
    checks = kept.true(place)
    checks["employee"] = [*checks["employee"], "--head", kept.head]
    return checks


_FORGERIES: Final[dict[str, Forge]] = {
    "an entry deleted": _again(
        lambda leaves: [*leaves[: _used(leaves)], *leaves[_used(leaves) + 1 :]]
    ),
    "an entry edited": _again(_edited),
    "an entry edited in the file": _in_files(_flip),
    "cut": _again(lambda leaves: leaves[: _used(leaves)]),
    "cut in the file": _in_files(_cut_bytes),
    "emptied": _in_files(_empty),
    "forked": _again(lambda leaves: [*leaves[: _used(leaves)], *[leaves[-1]] * 20]),
    "a split view": _split,
    "forked without a witness": _again(_moved, cosign=False),
    "dated back": _again(_dated_back),
    "an old state put back": lambda kept, _stolen, _place: kept.true(kept.old),
    "an old database put back, and grown again": lambda kept, _stolen, _place: kept.true(
        kept.grown
    ),
    "side-cars exchanged": _packaged(_swap_told),
    "a use left out of a package": _packaged(_drop_last),
    "another key": _other_key,
}

__all__ = ["attempt", "control", "lake"]
