"""``safehold-verify``: the verifier as a command.

Exit codes: 0 it holds, 2 usage, 5 it does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.index import Auditor, verify_index
from safehold_verify.log import verify_log
from safehold_verify.package import verify_package
from safehold_verify.policy import parse_policy
from safehold_verify.proof import verify_proof
from safehold_verify.words import in_words


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        found = _CHECKS[arguments.what](arguments)
    except VerificationError as error:
        if arguments.json:
            print(json.dumps({"ok": False, "where": error.where, "message": error.message}))
        print(f"error[tampered]: {error}", file=sys.stderr)
        return 5
    if arguments.json:
        print(json.dumps({"ok": True, **found}))
    else:
        print("\n".join(f"{name}: {value}" for name, value in {"ok": "yes", **found}.items()))
    return 0


def _log(arguments: argparse.Namespace) -> dict[str, object]:
    heads = [_bytes(path) for path in arguments.head]
    if not heads:
        print("note: without --head a rollback of the whole log cannot be seen", file=sys.stderr)
    return verify_log(arguments.directory, arguments.policy, heads=heads).payload()


def _proof(arguments: argparse.Namespace) -> dict[str, object]:
    index, head = verify_proof(
        _bytes(arguments.proof), _bytes(arguments.leaf), parse_policy(_bytes(arguments.policy))
    )
    return {"origin": head.origin, "index": index, "size": head.size, "root": head.root.hex()}


def _package(arguments: argparse.Namespace) -> dict[str, object]:
    receipt = None if arguments.receipt is None else _bytes(arguments.receipt)
    policy = parse_policy(_bytes(arguments.policy))
    report = verify_package(arguments.package, policy, receipt=receipt)
    if arguments.json:
        return report.payload()
    return {"told": "\n" + "\n".join(in_words(report))}


def _index(arguments: argparse.Namespace) -> dict[str, object]:
    auditor = Auditor(arguments.name, _bytes(arguments.key))
    report = verify_index(
        arguments.directory,
        arguments.policy,
        auditor.open(_bytes(arguments.bundle)),
        heads=[_bytes(path) for path in arguments.head],
    )
    if arguments.statement is not None:
        arguments.statement.write_bytes(auditor.sign(report))
    return report.payload()


def _auditor(arguments: argparse.Namespace) -> dict[str, object]:
    try:
        handle = os.open(arguments.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise VerificationError("the file exists or cannot be made", where="key") from error
    with os.fdopen(handle, "wb") as file:
        file.write(seed := os.urandom(32))
    public = Auditor(arguments.name, seed).public
    arguments.public.write_text(public, "utf-8")
    return {"name": arguments.name, "public": str(arguments.public)}


_CHECKS = {
    "log": _log, "proof": _proof, "package": _package, "index": _index, "auditor": _auditor,
}  # fmt: skip


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise VerificationError("the file is missing or cannot be read", where=path.name) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="safehold-verify", description="Check a ledger offline, trusting only a policy file."
    )
    nouns = parser.add_subparsers(dest="what", required=True)
    log = nouns.add_parser("log", help="check a whole ledger directory")
    log.add_argument("directory", type=Path)
    log.add_argument("--head", type=Path, action="append", default=[], help="a head kept outside")
    proof = nouns.add_parser("proof", help="check that one entry is in a log")
    proof.add_argument("proof", type=Path)
    proof.add_argument("--leaf", type=Path, required=True, help="the bytes of the entry")
    package = nouns.add_parser("package", help="check an employee's package")
    package.add_argument("package", type=Path, help="the package, or the directory it lies in")
    package.add_argument("--receipt", type=Path, help="what the employee got at the enrolment")
    index = nouns.add_parser("index", help="compute the index of an epoch again, as an auditor")
    index.add_argument("directory", type=Path, help="the ledger directory")
    index.add_argument("--bundle", type=Path, required=True, help="what the keeper wrote for you")
    index.add_argument("--head", type=Path, action="append", default=[], help="a head kept outside")
    index.add_argument("--statement", type=Path, help="where to write the signed statement")
    auditor = nouns.add_parser("auditor", help="make an auditor's key")
    auditor.add_argument("--public", type=Path, required=True, help="where the public part goes")
    auditor.add_argument("--json", action="store_true")
    for noun in (index, auditor):
        noun.add_argument("--name", required=True, help="your name on signatures")
        noun.add_argument("--key", type=Path, required=True, help="your secret key")
    for noun in (log, proof, package, index):
        noun.add_argument("--policy", type=Path, required=True, help="tlog-policy, kept outside")
        noun.add_argument("--json", action="store_true")
    return parser
