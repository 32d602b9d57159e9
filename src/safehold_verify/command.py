"""``safehold-verify``: the verifier as a command.

Exit codes: 0 it holds, 2 usage, 5 it does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.log import verify_log
from safehold_verify.policy import parse_policy
from safehold_verify.proof import verify_proof


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        found = _proof(arguments) if arguments.what == "proof" else _log(arguments)
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
    for noun in (log, proof):
        noun.add_argument("--policy", type=Path, required=True, help="tlog-policy, kept outside")
        noun.add_argument("--json", action="store_true")
    return parser
