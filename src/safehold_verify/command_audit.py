"""What an auditor types: count again, say a word, and check an opinion in a log."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any, Final

from safehold_verify.auditor import Auditor
from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_TEXT, read_file
from safehold_verify.index import read_json
from safehold_verify.opinion import (
    WORDS,
    Engaged,
    make_word,
    opinion_facts,
    verify_opinion,
)
from safehold_verify.recompute import recompute

ENGAGEMENT: Final = "engagement.json"
COUNTERS: Final = "counters.sealed"
EPOCHS: Final = "epoch-*.sealed"
LARGEST: Final = 4 << 30  # bytes of what was handed out

NOUNS: Final = ("recompute", "word", "opinion")


def recompute_papers(arguments: argparse.Namespace) -> dict[str, object]:
    """Count again what a folder of papers tells, and write the report."""
    auditor = _auditor(arguments)
    folder: Path = arguments.papers
    report = recompute(
        arguments.directory,
        arguments.policy,
        bundles=[auditor.open(_bytes(one)) for one in sorted(folder.glob(EPOCHS))],
        counters=auditor.open(_bytes(folder / COUNTERS)),
        scope=Engaged.read(_bytes(folder / ENGAGEMENT).strip()).scope,
        heads=[_bytes(path) for path in arguments.head],
    ).payload()
    if arguments.report is not None:
        _write(arguments.report, json.dumps(report, sort_keys=True, separators=(",", ":")).encode())
    return report


def say_word(arguments: argparse.Namespace) -> dict[str, object]:
    """Sign a word, and write it to a file that anybody may hand in."""
    auditor, at_ms = _auditor(arguments), int(time.time() * 1000)
    engaged = Engaged.read(_bytes(arguments.papers / ENGAGEMENT).strip())
    facts: dict[str, int | str] = dict(_fact(one) for one in arguments.fact)
    if arguments.state == "opinion":
        if arguments.report is None:
            raise VerificationError("an opinion rests on a report of a recount", where="--report")
        facts = opinion_facts(
            read_json(_bytes(arguments.report).strip(), "report"),
            str(facts.get("opinion", "")),
            [_bytes(one) for one in arguments.finding],
            at_ms,
        )
    else:
        facts["at"] = at_ms
    if arguments.days is not None:
        facts["due"] = at_ms // 86_400_000 + arguments.days
    if arguments.state == "finding.closed":
        facts["engagement"] = engaged.index
    text = "" if arguments.text is None else _bytes(arguments.text).decode("utf-8", "replace")
    made = make_word(auditor, engaged, arguments.state, facts, ref=arguments.about, text=text)
    _write(arguments.out, made)
    return {"state": arguments.state, "word": str(arguments.out)}


def check_opinion(arguments: argparse.Namespace) -> dict[str, object]:
    """Check the newest opinion of an auditor in a log."""
    auditor = arguments.auditor
    if "+" not in auditor:
        data = read_file(auditor, "auditor", limit=LARGEST_TEXT)
        auditor = data.partition(b"\n")[0].decode("utf-8", "replace")
    return verify_opinion(
        arguments.directory,
        arguments.policy,
        auditor,
        word=None if arguments.word is None else _bytes(arguments.word),
        heads=[_bytes(path) for path in arguments.head],
    ).payload()


CHECKS: Final = {"recompute": recompute_papers, "word": say_word, "opinion": check_opinion}


def add_parsers(nouns: Any) -> None:
    """Add the nouns of an auditor to a command line."""
    again = nouns.add_parser("recompute", help="count again what the keeper counted, as an auditor")
    again.add_argument("directory", type=Path, help="the ledger directory")
    again.add_argument("--report", type=Path, help="where the report goes, for your opinion")
    word = nouns.add_parser("word", help="sign what you say as an auditor")
    word.add_argument("state", choices=WORDS)
    word.add_argument(
        "--fact", action="append", default=[], metavar="NAME=VALUE", help="what it says"
    )
    word.add_argument("--about", type=int, help="the finding that is closed: its entry")
    word.add_argument("--days", type=int, help="a finding is due in so many days")
    word.add_argument("--text", type=Path, help="a file with your words for people")
    word.add_argument("--report", type=Path, help="for an opinion: what recompute wrote")
    word.add_argument(
        "--finding",
        type=Path,
        action="append",
        default=[],
        help="for an opinion: each finding that you signed",
    )
    word.add_argument("--out", type=Path, required=True, help="a new file")
    for noun in (again, word):
        noun.add_argument("--papers", type=Path, required=True, help="what the keeper handed out")
        noun.add_argument("--name", required=True, help="your name on signatures")
        noun.add_argument("--key", type=Path, required=True, help="your secret key")
    opinion = nouns.add_parser("opinion", help="check an auditor's opinion in a log")
    opinion.add_argument("directory", type=Path, help="the ledger directory")
    opinion.add_argument(
        "--auditor", required=True, metavar="VKEY", help="the auditor's key, or the public file"
    )
    opinion.add_argument("--word", type=Path, help="the opinion as the auditor wrote it")
    for noun in (again, opinion):
        noun.add_argument("--policy", type=Path, required=True, help="tlog-policy, kept outside")
        noun.add_argument(
            "--head", type=Path, action="append", default=[], help="a head kept outside"
        )
    for noun in (again, word, opinion):
        noun.add_argument("--json", action="store_true")


def _auditor(arguments: argparse.Namespace) -> Auditor:
    return Auditor(arguments.name, _bytes(arguments.key))


def _fact(text: str) -> tuple[str, int | str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise VerificationError("a fact is NAME=VALUE", where="--fact")
    return name, int(value) if value.isascii() and value.isdigit() else value


def _bytes(path: Path) -> bytes:
    return read_file(path, path.name, limit=LARGEST)


def _write(path: Path, data: bytes) -> None:
    """Write a file that is not there yet."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise VerificationError("the file exists or cannot be written", where=path.name) from error
