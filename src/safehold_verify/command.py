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
from safehold_verify.files import LARGEST_TEXT, read_file
from safehold_verify.head import verify_head
from safehold_verify.log import verify_log
from safehold_verify.proof import verify_proof


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    try:
        found = {"log": _log, "proof": _proof, "head": _head}[arguments.what](arguments)
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
    heads = [read_file(path, path.name, limit=LARGEST_TEXT) for path in arguments.head]
    if not heads:
        print("note: without --head a rollback of the whole log cannot be seen", file=sys.stderr)
    if arguments.foreign:
        print("note: a foreign log: nobody looks at what its entries say", file=sys.stderr)
    return verify_log(
        arguments.directory, arguments.policy, heads=heads, foreign=arguments.foreign
    ).payload()


def _proof(arguments: argparse.Namespace) -> dict[str, object]:
    return verify_proof(arguments.proof, arguments.policy, leaf=arguments.leaf).payload()


def _head(arguments: argparse.Namespace) -> dict[str, object]:
    return verify_head(arguments.note, arguments.policy).payload()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="safehold-verify", description="Check a ledger offline, trusting only a policy file."
    )
    nouns = parser.add_subparsers(dest="what", required=True)
    log = nouns.add_parser("log", help="check a whole ledger directory")
    log.add_argument("directory", type=Path)
    log.add_argument("--head", type=Path, action="append", default=[], help="a head kept outside")
    log.add_argument(
        "--foreign",
        action="store_true",
        help="a log that is not Safehold's: check its heads and tree, not what its entries say",
    )
    proof = nouns.add_parser("proof", help="check that one entry is in a log")
    proof.add_argument("proof", type=Path, help="NAME.tlog-proof")
    proof.add_argument(
        "--leaf", type=Path, help="the bytes of the entry; NAME.leaf beside the proof if absent"
    )
    head = nouns.add_parser("head", help="check one signed head, of any log")
    head.add_argument("note", type=Path)
    for noun in (log, proof, head):
        noun.add_argument("--policy", type=Path, required=True, help="tlog-policy, kept outside")
        noun.add_argument("--json", action="store_true")
    return parser
