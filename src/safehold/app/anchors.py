"""The anchors of a home: which are used, their receipts, and the daily one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.clock import DAY_US, SECOND_US, Clock
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger.anchor import Anchor, Receipts
from safehold.ledger.files import replace_file
from safehold.ledger.published import PublishedDirectory, read_checkpoint
from safehold.settings import Home

VERSION = "safehold-anchors/1"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_CONFIG = "anchors.json"


def add_authority(home: Home, name: str, *, url: str, roots: Path) -> None:
    """Let a time-stamp authority anchor the heads of a home from now on.

    Args:
        home: The home.
        name: What it is called here.
        url: Where requests are posted.
        roots: File of trusted certificates, PEM.

    Raises:
        InvalidError: The name, the URL or the certificates are none.
        ConflictError: There is an anchor of that name.
    """
    if not _NAME.fullmatch(name):
        raise InvalidError("not a name of an anchor", rule="anchor.name", field="name")
    try:
        pem = roots.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError("no certificates in PEM form", rule="anchor.roots") from error
    known = _configured(home)
    if name in known:
        raise ConflictError("there is an anchor of that name", rule="anchor.name")
    known[name] = {"kind": "rfc3161", "url": url, "roots": pem}
    _open(known[name])  # it must be one
    home.anchors.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(home.anchors / _CONFIG, canonical.encode({"v": VERSION, "anchors": known}))


def anchor_now(home: Home, *, clock: Clock, only_due: bool = False) -> list[dict[str, Any]]:
    """Anchor the newest published head with every anchor; return what was kept.

    One that fails does not keep the others from it.

    Args:
        home: The home.
        clock: Time.
        only_due: Leave out anchors whose newest receipt is younger than a day.

    Raises:
        UnavailableError: An anchor could not be reached.
        TamperedError: What came from one, or what is kept of one, is no receipt.
    """
    made: list[dict[str, Any]] = []
    trouble: SafeholdError | None = None
    for name, config in _configured(home).items():
        try:
            anchor, receipts = _open(config), Receipts(home.anchors / name)
            note = read_checkpoint(PublishedDirectory(home.ledger))
            digest = hashlib.sha256(note).digest()
            kept = receipts.listing()
            if kept and kept[-1].digest == digest:
                continue
            if (
                only_due
                and kept
                and _young(anchor.verify(kept[-1].digest, kept[-1].receipt), clock)
            ):
                continue
            receipt = anchor.anchor(digest)
            receipts.keep(note, receipt)
            made.append({"anchor": name, "head": digest.hex()})
        except (UnavailableError, TamperedError, MissingError) as error:
            trouble = trouble or error
    if trouble is not None:
        raise trouble
    return made


def listing(home: Home) -> list[dict[str, Any]]:
    """Return every receipt of a home, each checked again, oldest first."""
    shown: list[dict[str, Any]] = []
    for name, config in _configured(home).items():
        anchor = _open(config)
        for one in Receipts(home.anchors / name).listing():
            row: dict[str, Any] = {"anchor": name, "size": one.size, "file": f"{one.name}.receipt"}
            try:
                at = anchor.verify(one.digest, one.receipt)
                row |= {"holds": True, "at_us": at * SECOND_US}
            except TamperedError as error:
                row |= {"holds": False, "rule": error.rule}
            shown.append(row)
    return shown


def summary(home: Home) -> dict[str, Any]:
    """Return the newest receipt of each anchor, for a status; nothing if there is none configured."""
    if not (home.anchors / _CONFIG).exists():
        return {}
    try:
        newest: dict[str, Any] = dict.fromkeys(_configured(home))
        for row in listing(home):
            newest[row["anchor"]] = row
    except SafeholdError as error:
        return {"anchors": [{"holds": False, "rule": error.rule}]}
    return {"anchors": [row or {"anchor": name, "holds": False} for name, row in newest.items()]}


def _young(at: int, clock: Clock) -> bool:
    return clock.now_us() - at * SECOND_US < DAY_US


def _configured(home: Home) -> dict[str, dict[str, str]]:
    try:
        config = canonical.decode((home.anchors / _CONFIG).read_bytes())
    except FileNotFoundError:
        return {}
    match config:
        case {"v": "safehold-anchors/1", "anchors": dict(anchors)}:
            return dict(anchors)
        case _:
            raise InvalidError("no list of anchors", rule="anchor.config", file=_CONFIG)


def _open(config: dict[str, str]) -> Anchor:
    try:
        from safehold.ledger.anchor_tsa import TimeStampAuthority
    except ImportError as error:
        raise UnavailableError(
            "time stamps need the extra `anchor`",
            rule="anchor.extra",
            fix="pip install 'safehold[anchor]'",
        ) from error
    return TimeStampAuthority(config["url"], config["roots"].encode())
