"""``safehold-verify``: the verifier as a command.

Exit codes: 0 it holds, 2 usage, 5 it does not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from safehold_verify.auditor import Auditor
from safehold_verify.choice import verify_choice, verify_effect
from safehold_verify.command_audit import CHECKS as AUDIT_CHECKS
from safehold_verify.command_audit import add_parsers as add_audit
from safehold_verify.erasure import tell_erasure, verify_erasure
from safehold_verify.errors import VerificationError
from safehold_verify.evidence import read_head, tell_evidence, verify_evidence
from safehold_verify.files import LARGEST_TEXT, read_file
from safehold_verify.head import verify_head
from safehold_verify.index import verify_index
from safehold_verify.log import verify_log
from safehold_verify.notes import parse_vkey
from safehold_verify.package import verify_package
from safehold_verify.person import LARGEST as LARGEST_COPY
from safehold_verify.person import Person, unpack
from safehold_verify.proof import verify_proof
from safehold_verify.receipt import verify_receipt
from safehold_verify.release import tell_release, verify_release
from safehold_verify.words import choice_in_words, in_words

LARGEST_BUNDLE = 4 << 30  # bytes of an audit bundle


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.what == "package" and bool(arguments.statement) != bool(arguments.auditor):
        parser.error("--statement and --auditor go together: whose word counts is yours to say")
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


def _package(arguments: argparse.Namespace) -> dict[str, object]:
    receipt = None if arguments.receipt is None else _bytes(arguments.receipt)
    policy = arguments.policy
    report = verify_package(
        arguments.package,
        policy,
        receipt=receipt,
        statements=[_bytes(path) for path in arguments.statement],
        auditors=[_vkey(text) for text in arguments.auditor],
    )
    if arguments.json:
        return report.payload()
    return {"told": "\n" + "\n".join(in_words(report))}


def _vkey(text: str) -> str:
    """Return a verifier key, given itself or by the public file whose first line it is."""
    if "+" in text:
        return text
    data = read_file(text, "auditor", limit=LARGEST_TEXT)
    return data.partition(b"\n")[0].decode("utf-8", "replace")


def _receipt(arguments: argparse.Namespace) -> dict[str, object]:
    return verify_receipt(arguments.receipt, arguments.policy).payload()


def _choice(arguments: argparse.Namespace) -> dict[str, object]:
    policy, key = arguments.policy, arguments.key
    choice = verify_choice(arguments.receipt, policy, key=key)
    effect = None
    if arguments.package is not None:
        given = None if arguments.enrolment is None else _bytes(arguments.enrolment)
        package = verify_package(arguments.package, policy, receipt=given)
        later = [verify_choice(one, policy) for one in arguments.later]
        effect = verify_effect(choice, package, later=later)
    if arguments.json:
        kept = {} if effect is None else {"effect": effect.payload()}
        return {**choice.payload(), **kept}
    return {"told": "\n" + "\n".join(choice_in_words(choice, effect))}


def _erasure(arguments: argparse.Namespace) -> dict[str, object]:
    report = verify_erasure(arguments.receipt, arguments.policy)
    if arguments.json:
        return report.payload()
    return {"told": "\n" + "\n".join(tell_erasure(report))}


def _release(arguments: argparse.Namespace) -> dict[str, object]:
    report = verify_release(arguments.folder, arguments.policy)
    if arguments.json:
        return report.payload()
    return {"told": "\n" + "\n".join(tell_release(report))}


def _evidence(arguments: argparse.Namespace) -> dict[str, object]:
    heads = tuple(read_head(path) for path in arguments.head)
    report = verify_evidence(arguments.bundle, arguments.policy, heads=heads)
    if arguments.json:
        return report.payload()
    return {"told": "\n" + "\n".join(tell_evidence(report))}


def _ask(arguments: argparse.Namespace) -> dict[str, object]:
    request = Person.read(arguments.key).ask(
        home=arguments.home, person=arguments.person, at_us=time.time_ns() // 1000
    )
    _write(arguments.out, request, "request", mode=0o600)
    return {"request": str(arguments.out)}


def _open(arguments: argparse.Namespace) -> dict[str, object]:
    sealed = read_file(arguments.copy, "copy", limit=LARGEST_COPY)
    names = unpack(Person.read(arguments.key).open(sealed), arguments.out)
    return {"files": len(names), "read": str(arguments.out / "index.html")}


def _index(arguments: argparse.Namespace) -> dict[str, object]:
    auditor = Auditor(arguments.name, _bytes(arguments.key))
    report = verify_index(
        arguments.directory,
        arguments.policy,
        auditor.open(_bytes(arguments.bundle)),
        heads=[_bytes(path) for path in arguments.head],
    )
    if report.closed or report.unaccounted:
        print(
            "note: a partial check: people of this epoch were erased since, and nobody can say any more"
            " whether their rows were theirs",
            file=sys.stderr,
        )
    if arguments.statement is not None:
        _write(arguments.statement, auditor.sign(report), "statement")
    return report.payload()


def _auditor(arguments: argparse.Namespace) -> dict[str, object]:
    auditor = Auditor(arguments.name, os.urandom(32))
    public = auditor.public
    parse_vkey(public.split("\n")[0])  # a name that no signature line can carry makes no key
    _write(arguments.key, auditor.seed, "key", mode=0o600)
    _write(arguments.public, public.encode(), "public")
    return {"name": arguments.name, "public": str(arguments.public)}


def _write(path: Path, data: bytes, where: str, *, mode: int = 0o666) -> None:
    """Write a file that is not there yet."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
    except OSError as error:
        raise VerificationError("the file exists or cannot be written", where=where) from error


_CHECKS = {
    "log": _log, "proof": _proof, "head": _head, "package": _package, "receipt": _receipt,
    "index": _index, "auditor": _auditor, "choice": _choice, "erasure": _erasure,
    "ask": _ask, "open": _open, "release": _release, "evidence": _evidence, **AUDIT_CHECKS,
}  # fmt: skip


def _bytes(path: Path) -> bytes:
    return read_file(path, path.name, limit=LARGEST_BUNDLE)


def _add_copies(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    ask = nouns.add_parser("ask", help="sign a request for a copy of your data")
    ask.add_argument("--home", required=True, help="id of the home, as its company names it")
    ask.add_argument("--person", required=True, help="the company's name for you")
    ask.add_argument("--out", type=Path, required=True, help="where the request goes")
    opened = nouns.add_parser("open", help="open a copy of your data")
    opened.add_argument("copy", type=Path)
    opened.add_argument("--out", type=Path, required=True, help="a new folder")
    for noun in (ask, opened):
        noun.add_argument("--key", type=Path, required=True, help="your key file")
        noun.add_argument("--json", action="store_true")


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
    package = nouns.add_parser("package", help="check an employee's package")
    package.add_argument("package", type=Path, help="the package, or the directory it lies in")
    package.add_argument("--receipt", type=Path, help="what the employee got at the enrolment")
    package.add_argument(
        "--statement",
        type=Path,
        action="append",
        default=[],
        help="an auditor's note that the index of an epoch is complete",
    )
    package.add_argument(
        "--auditor",
        metavar="VKEY",
        action="append",
        default=[],
        help="an auditor whose word counts for you: the verifier key, or the public file",
    )
    receipt = nouns.add_parser("receipt", help="check what an employee got at the enrolment")
    receipt.add_argument("receipt", type=Path)
    choice = nouns.add_parser("choice", help="check the receipt of a choice, and that it was kept")
    choice.add_argument("receipt", type=Path)
    choice.add_argument("--key", help="your public key, base64: it must be signed with it")
    choice.add_argument("--package", type=Path, help="your package: nothing since then used it")
    choice.add_argument("--enrolment", type=Path, help="what you got when you were enrolled")
    choice.add_argument(
        "--later", type=Path, action="append", default=[], help="a receipt of a later choice"
    )
    erasure = nouns.add_parser("erasure", help="check the receipt of an erasure")
    erasure.add_argument("receipt", type=Path)
    release = nouns.add_parser("release", help="check a model that was pulled")
    release.add_argument("folder", type=Path, help="what `safehold artifact pull` wrote")
    evidence = _add_evidence(nouns)
    _add_copies(nouns)
    index = nouns.add_parser("index", help="compute the index of an epoch again, as an auditor")
    index.add_argument("directory", type=Path, help="the ledger directory")
    index.add_argument("--bundle", type=Path, required=True, help="what the keeper wrote for you")
    index.add_argument("--head", type=Path, action="append", default=[], help="a head kept outside")
    index.add_argument("--statement", type=Path, help="where to write the signed statement")
    add_audit(nouns)
    auditor = nouns.add_parser("auditor", help="make an auditor's key")
    auditor.add_argument("--public", type=Path, required=True, help="where the public part goes")
    auditor.add_argument("--json", action="store_true")
    for noun in (index, auditor):
        noun.add_argument("--name", required=True, help="your name on signatures")
        noun.add_argument("--key", type=Path, required=True, help="your secret key")
    for noun in (log, proof, head, package, receipt, erasure, index, choice, release, evidence):
        noun.add_argument("--policy", type=Path, required=True, help="tlog-policy, kept outside")
        noun.add_argument("--json", action="store_true")
    return parser


def _add_evidence(
    nouns: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    evidence = nouns.add_parser("evidence", help="check a bundle of evidence")
    evidence.add_argument("bundle", type=Path, help="the folder, or its archive")
    evidence.add_argument(
        "--head", type=Path, action="append", default=[], help="a head kept outside"
    )
    return evidence
