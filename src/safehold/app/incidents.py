"""Incidents from the command line: what a seat signs, and the files that a draft, a list or a report comes as."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.app.paper import write_paper
from safehold.app.trail import write_private
from safehold.canonical import unb64
from safehold.charter import Signature
from safehold.clock import SystemClock
from safehold.errors import ConflictError, InvalidError
from safehold.incident.statement import LISTED_FOR, Statement
from safehold.keeper.client import KeeperClient
from safehold.keeper.containing import CONTAIN, domain_of, write_order
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold_verify.person import Person

PAPER: Final = "safehold-letters/1"
PROOFS: Final = "proofs"  # the folder beside a report
SCOPE: Final = ("grants", "principals", "segments", "artifacts", "keys")


def scope_of(
    *,
    grant: Sequence[int],
    principal: Sequence[str],
    segment: Sequence[str],
    artifact: Sequence[str],
    stolen: Sequence[str],
) -> dict[str, Any]:
    """Return what an incident is about, as the keeper takes it; nothing that was not named."""
    named = dict(zip(SCOPE, (grant, principal, segment, artifact, stolen), strict=True))
    return {name: list(values) for name, values in named.items() if values}


def said(
    client: KeeperClient,
    home: Path,
    incident: int,
    what: str,
    facts: Mapping[str, Any],
    *,
    seat: str,
    key: Path,
) -> dict[str, Any]:
    """Return what a seat says of an incident as it stands now, signed.

    Args:
        client: A line to the keeper.
        home: The home.
        incident: Entry that opened it.
        what: ``close``, ``lower``, ``notice`` or ``letters``.
        facts: What else the statement says.
        seat: The seat.
        key: Its key file.
    """
    shown = client.call("incident.show", incident=incident)
    made = Statement(
        home=Home.open(home).id,
        incident=incident,
        what=what,
        facts=facts,
        basis=int(shown["basis"]),
        seat=seat,
        at_us=SystemClock().now_us(),
    )
    return made.sign(SigningKey.read(key)).to_json()


def sign(
    client: KeeperClient,
    home: Path,
    incident: int,
    what: str,
    facts: Mapping[str, Any],
    *,
    seat: str,
    key: Path,
) -> dict[str, Any]:
    """Sign what a seat says of an incident, and hand it in."""
    statement = said(client, home, incident, what, facts, seat=seat, key=key)
    return client.call(f"incident.{what}", incident=incident, statement=statement)


def contain(
    client: KeeperClient,
    home: Path,
    incident: int,
    *,
    what: str,
    target: str,
    reason: str,
    seat: str | None,
    key: Path | None,
) -> dict[str, Any]:
    """Contain something for an incident: by the signed order of a seat, or on behalf of whoever asks."""
    if seat is None or key is None:
        return client.call("contain", what=what, target=target, reason=reason, of=incident)
    text = write_order(
        CONTAIN,
        home=Home.open(home).id,
        at_us=SystemClock().now_us(),
        what=what,
        target=target,
        reason=reason,
        of=incident,
    )
    value = SigningKey.read(key).sign(domain_of(CONTAIN), text)
    signatures = [Signature(seat=seat, value=value).to_json()]
    return client.call("contain", order=text.decode(), signatures=signatures)


def sign_letters(
    client: KeeperClient, home: Path, incident: int, paper: Path, *, seat: str, key: Path
) -> dict[str, Any]:
    """Sign for the list of the people on a paper: the privacy seat first, whose key opens it, then another person.

    Raises:
        InvalidError: The paper is not there and the seat is not that of privacy, or the file is no paper.
    """
    signed: list[dict[str, Any]] = []
    if paper.exists():
        signed = _read_paper(paper)
        facts = signed[0]["facts"]
    elif seat == LISTED_FOR:
        asked = Person.read(key).ask(home=Home.open(home).id, person=seat, at_us=0)
        facts = {"open_to": json.loads(json.loads(asked)["request"])["open_to"]}
    else:
        raise InvalidError(
            "the privacy seat signs first: the list is sealed to its key",
            rule="incident.list.seats",
            fix="let it begin the paper: --seat privacy",
        )
    made = said(client, home, incident, "letters", facts, seat=seat, key=key)
    signed = [*(one for one in signed if one["seat"] != seat), made]
    write_paper(paper, canonical.encode({"v": PAPER, "statements": signed}) + b"\n")
    return {"incident": incident, "paper": str(paper), "signed": [one["seat"] for one in signed]}


def draw_letters(client: KeeperClient, incident: int, paper: Path, out: Path) -> dict[str, Any]:
    """Hand a signed paper in, and write the sealed list and letters to a new file; counts in the clear.

    Raises:
        ConflictError: There is a file already.
    """
    if out.exists():
        raise ConflictError(f"{out.name} exists", rule="incident.file", fix="choose a new file")
    answer = client.call("incident.letters", incident=incident, statements=_read_paper(paper))
    write_private(out, unb64(answer.pop("sealed")))
    return {
        **answer,
        "list": str(out),
        "open": "safehold-verify open, with the key file of the privacy seat",
    }


def _read_paper(file: Path) -> list[dict[str, Any]]:
    match canonical.decode(file.read_bytes().strip()):
        case {"v": "safehold-letters/1", "statements": [dict(), *_] as signed}:
            return [dict(one) for one in signed]
        case _:
            raise InvalidError(
                "not a paper for a list", file=file.name, rule="incident.paper", fix="begin anew"
            )


def hash_of(file: Path) -> str:
    """Return the SHA-256 of a file, hex."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_report(answer: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Write a report, its picture and the proofs of its claims into a new folder.

    Raises:
        ConflictError: The folder exists.
    """
    if folder.exists():
        raise ConflictError(
            f"{folder.name} exists", rule="incident.file", fix="choose a new folder"
        )
    proofs = folder / PROOFS
    proofs.mkdir(parents=True, mode=0o700)
    (folder / "report.md").write_text(answer["text"], encoding="utf-8")
    (folder / "report.html").write_text(answer["html"], encoding="utf-8")
    (folder / "timeline.svg").write_text(answer["picture"], encoding="utf-8")
    written = 0
    for one in answer["proofs"]:
        (proofs / f"{one['entry']:08}.leaf").write_bytes(unb64(one["leaf"]))
        if one["proof"] is not None:
            (proofs / f"{one['entry']:08}.tlog-proof").write_text(one["proof"], encoding="utf-8")
            written += 1
    return {
        "incident": answer["incident"],
        "report": str(folder / "report.md"),
        "claims": len(answer["proofs"]),
        "proofs": written,
        "check": "safehold-verify proof proofs/N.tlog-proof --leaf proofs/N.leaf --policy POLICY",
    }
