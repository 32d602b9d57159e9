"""Audits from the command line: the paper of an order on its way from seat to seat, and the papers of an auditor."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.paper import add_signature, get_order, put_order
from safehold.app.trail import write_private
from safehold.assurance.engagement.order import (
    DISMISS,
    DOMAIN,
    ENGAGE,
    read_dismissal,
    read_engagement,
    write_order,
)
from safehold.canonical import unb64
from safehold.clock import SystemClock, day_of
from safehold.errors import ConflictError, InvalidError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.signing import SigningKey

PAPER: Final = "safehold-engagement-paper/1"
RULE: Final = "audit.paper"
FIX: Final = "draw it up anew: safehold audit engage PAPER --auditor FILE"
DEFAULT_DAYS: Final = 60


def draw_engagement(
    client: KeeperClient,
    home: Path,
    file: Path,
    *,
    seat: str,
    auditor: Path,
    organisation: str,
    lead: str,
    days: int = DEFAULT_DAYS,
    controls: Sequence[str] = (),
) -> dict[str, Any]:
    """Draw up an order to engage an auditor, that nobody has signed yet; its scope is what is due.

    Raises:
        ConflictError: There is such a file.
        InvalidError: The auditor's public file is none.
    """
    lines = auditor.read_text("utf-8").splitlines()
    if len(lines) != 2:
        raise InvalidError("not an auditor's public file", rule=RULE, fix="safehold-verify auditor")
    client.call("ledger.close-epoch")  # what came since the last is audited too
    now = SystemClock().now_us()
    due = client.call("audit.due")
    return _begin(
        home,
        file,
        ENGAGE,
        seat=seat,
        organisation=organisation,
        lead=lead,
        vkey=lines[0],
        opening=lines[1],
        scope={**due["scope"], "controls": list(controls)},
        starts=day_of(now),
        ends=day_of(now) + days - 1,
    )


def draw_dismissal(
    home: Path, file: Path, *, seat: str, engagement: int, reason: str
) -> dict[str, Any]:
    """Draw up an order to end an engagement, that nobody has signed yet.

    Raises:
        ConflictError: There is such a file.
    """
    return _begin(home, file, DISMISS, seat=seat, engagement=engagement, reason=reason)


def _begin(home: Path, file: Path, what: str, **said: Any) -> dict[str, Any]:
    if file.exists():
        raise ConflictError(f"{file.name} exists", rule=RULE, fix="choose another name")
    place = Home.open(home).id
    text = write_order(what, home=place, at_us=SystemClock().now_us(), **said)
    (read_engagement if what == ENGAGE else read_dismissal)(text, home=place)
    put_order(file, PAPER, {"order": text.decode(), "signatures": []})
    return {"paper": str(file), "order": json.loads(text), "signed": []}


def sign_paper(file: Path, *, seat: str, key: Path) -> dict[str, Any]:
    """Add a seat's signature; whether the key speaks for the seat is seen when the order is handed in."""
    told = get_order(file, PAPER, rule=RULE, fix=FIX)
    told = add_signature(told, DOMAIN, seat=seat, key=SigningKey.read(key))
    return {
        "paper": str(file),
        "order": json.loads(told["order"]),
        "signed": put_order(file, PAPER, told),
    }


def hand_in(client: KeeperClient, file: Path) -> dict[str, Any]:
    """Hand an order in with all its signatures.

    Raises:
        QuorumError: Too few have signed.
        DeniedError: The auditor is not independent, or the order is too old.
    """
    told = get_order(file, PAPER, rule=RULE, fix=FIX)
    what = json.loads(told["order"]).get("what")
    return client.call("audit.engage" if what == ENGAGE else "audit.dismiss", **told)


def write_papers(client: KeeperClient, engagement: int, folder: Path) -> dict[str, Any]:
    """Write everything that an auditor gets into a new folder: the order, counters and epochs, sealed to them.

    Raises:
        ConflictError: The folder holds something.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConflictError(f"{folder.name} holds files", rule=RULE, fix="choose a new folder")
    told = client.call("audit.counters", engagement=engagement)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(folder / "engagement.json", canonical.encode(told["engagement"]))
    write_private(folder / "counters.sealed", unb64(told["counters"]))
    epochs = range(told["scope"]["first"], told["scope"]["last"] + 1)
    for epoch in epochs:
        answer = client.call("ledger.audit", epoch=epoch, auditor=told["opening"])
        write_private(folder / f"epoch-{epoch:06}.sealed", unb64(answer["bundle"]))
    return {
        "engagement": engagement,
        "papers": str(folder),
        "epochs": len(epochs),
        "counters": told["sha256"],
        "size": told["size"],
    }


def read_word(file: Path) -> dict[str, Any]:
    """Return the word of an auditor that a file holds.

    Raises:
        InvalidError: It holds none.
    """
    try:
        tree = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidError("not a word of an auditor", file=file.name, rule="audit.word") from error
    if not isinstance(tree, dict):
        raise InvalidError("not a word of an auditor", file=file.name, rule="audit.word")
    return tree
