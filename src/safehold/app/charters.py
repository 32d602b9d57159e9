"""What the command line does with charters and orders of the board; seat keys stay on this side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.app.paper import write_paper
from safehold.app.proposals import enact_proposal, paper_file, sign_by_paper, sign_votes
from safehold.charter import (
    Charter,
    Roster,
    Rosters,
    Signature,
    check,
    load,
    sign,
    verify,
)
from safehold.charter import compile as compile_charter
from safehold.charter.admission import admit
from safehold.charter.gaps import gaps, machine_forms
from safehold.charter.model import DOMAIN
from safehold.charter.prove import prove
from safehold.charter.signed import first_message
from safehold.clock import SystemClock
from safehold.errors import DeniedError, InvalidError, MissingError
from safehold.keeper.client import KeeperClient
from safehold.keeper.order import domain_of, write_order
from safehold.settings import Home
from safehold.signing import SigningKey

SIGNATURES_VERSION = "safehold-signatures/1"


def check_charter(path: Path) -> dict[str, Any]:
    """Load a charter, compile it, and try to cross each red line, by enumeration and by proof.

    Raises:
        RedLineError: One can be crossed.
    """
    charter = load(path)
    findings = check(charter)
    proof = prove(compile_charter(charter))
    return {
        "charter": charter.id,
        "version": charter.version,
        "digest": charter.digest().hex(),
        **findings.to_json(),
        "proved": len(proof.held),
        "red_lines": machine_forms(charter),
        "gaps": gaps(charter),
    }


def show_charter(home: Path, path: Path | None, *, policy: bool) -> Any:
    """Return a charter's canonical form, or the policy it compiles to."""
    charter = load(path) if path is not None else charter_in_force(Home.open(home))
    if policy:
        compiled = compile_charter(charter)
        return {"schema": compiled.schema, "policy": compiled.cedar}
    return charter.to_json()


def write_document(home: Path, name: str, path: Path | None) -> str:
    """Return a text that the law asks for, made from a charter file or from the charter in force."""
    from safehold.charter.legal import write

    charter = load(path) if path is not None else charter_in_force(Home.open(home))
    return write(name, charter)


def explain_charter(home: Path, path: Path | None, *, language: str) -> dict[str, Any]:
    """Return a charter file, or the charter in force, in plain words of a language."""
    from safehold.charter.explain import explain, reading_ease

    charter = load(path) if path is not None else charter_in_force(Home.open(home))
    told = explain(charter, language)
    return {
        "charter": charter.id,
        "version": charter.version,
        "digest": charter.digest().hex(),
        "language": language,
        "reading_ease": round(reading_ease(told.sentences(), language), 1),
        "text": told.text(),
    }


def charter_in_force(home: Home) -> Charter:
    """Return the charter that lies in a home; the keeper checks it against board and ledger.

    Raises:
        MissingError: There is none.
    """
    if not home.charter_file.exists():
        raise MissingError(
            "no charter is in force",
            rule="charter.unsigned",
            fix="name a charter file, or let the board sign one: safehold charter sign",
        )
    tree = canonical.decode(home.charter_file.read_bytes())
    return Charter.from_json(tree["charter"])


def sign_charter(
    home: Path, path: Path, *, seat: str | None, key: Path | None, seats: Path | None
) -> dict[str, Any]:
    """Add signatures to the file beside a charter, and say whether the quorum is reached.

    The first charter of a home is signed itself; of a later one, its proposal (see ``app.proposals``).

    Raises:
        RedLineError: One of its promises can be broken; nothing is signed.
        InvalidError: It is not proved, or this key does not speak for the seat.
    """
    charter = load(path)
    admit(charter)
    keys = _chosen(seat, key, seats)
    if not (home / "home.json").exists() and paper_file(path).exists():
        return sign_by_paper(path, charter, keys)
    place = Home.open(home)
    roster = roster_of(place)
    if replaces_another(place, charter):
        return sign_votes(place, path, charter, roster, keys)
    file = signatures_file(path)
    signatures = {one.seat: one for one in read_signatures(file, charter)}
    for name, one in keys.items():
        if roster.seat(name).key != one.public:
            raise InvalidError(
                f"this key does not speak for {name}",
                rule="charter.seat",
                fix="sign with the key that the roster names: safehold board show",
            )
        signatures[name] = sign(charter, name, one, home=roster.home)
    write_signatures(file, charter, list(signatures.values()))
    good, bad = roster.count(DOMAIN, first_message(charter, roster.home), list(signatures.values()))
    needed = roster.needed("widen", charter)
    return {
        "charter": charter.id,
        "version": charter.version,
        "signed": sorted(one.name for one in good),
        "invalid": sorted(bad),
        "needed": needed.approve,
        "missing": sorted(set(needed.must_include) - {one.name for one in good}),
        "file": file.name,
    }


def enact_for(
    client: KeeperClient, home: Path, path: Path, *, seats: Path | None = None
) -> dict[str, Any]:
    """Put a signed charter in force; with a folder of seat keys, sign it with all of them first.

    Raises:
        QuorumError: It is not signed by enough seats; nothing changed.
    """
    place = Home.open(home)
    charter = load(path)
    roster = roster_of(place)
    if replaces_another(place, charter):
        raise DeniedError(
            "a charter is in force; another one is proposed first",
            rule="charter.proposal",
            fix="safehold charter propose",
        )
    signatures = read_signatures(signatures_file(path), charter)
    if seats is not None:
        signatures = [
            sign(charter, name, one, home=roster.home) for name, one in keys_in(seats).items()
        ]
    if not place.charter_file.exists():
        # the keeper checks again; this names what is missing sooner
        verify(charter, signatures, roster)
    return client.call(
        "charter.enact",
        charter=charter.to_json(),
        signatures=[one.to_json() for one in signatures],
    )


def enact_charter(client: KeeperClient, home: Path, path: Path) -> dict[str, Any]:
    """Put a charter in force: the first of a home with its signatures, a later one as it was proposed."""
    if replaces_another(Home.open(home), load(path)):
        return enact_proposal(client, home, path)
    return enact_for(client, home, path)


def roster_of(home: Home) -> Roster:
    """Return the board of a home.

    Raises:
        MissingError: The home has none: it was not made to its end.
    """
    if not home.roster_file.exists():
        raise MissingError(
            "this home has no board: it was not made to its end, or has lost it",
            rule="home.roster",
            fix="choose a new directory: safehold init",
        )
    return Rosters.open(canonical.decode(home.roster_file.read_bytes())).present


def replaces_another(home: Home, charter: Charter) -> bool:
    """Tell whether another charter lies in the home than this one."""
    if not home.charter_file.exists():
        return False
    return charter_in_force(home).digest() != charter.digest()


def sign_order(
    home: Path,
    what: str,
    *,
    reason: str,
    keys: Mapping[str, Path | SigningKey],
    cause: Path | None = None,
) -> dict[str, Any]:
    """Return an order to stop or to resume, signed by seats.

    Args:
        home: The home it is for.
        what: ``stop`` or ``resume``.
        reason: Why, in a sentence.
        keys: Keys of the seats that order it.
        cause: To resume: the text that says what had happened; it is published with the order.
    """
    told = {} if cause is None else {"cause": _read_text(cause)}
    text = write_order(
        what, home=Home.open(home).id, reason=reason, at_us=SystemClock().now_us(), **told
    )
    signatures = []
    for seat, key in keys.items():
        one = key if isinstance(key, SigningKey) else SigningKey.read(key)
        signatures.append(Signature(seat=seat, value=one.sign(domain_of(what), text)).to_json())
    return {"order": text.decode(), "signatures": signatures, **told}


def keys_in(folder: Path) -> dict[str, SigningKey]:
    """Return the seat keys in a folder, by seat."""
    found = {file.stem: SigningKey.read(file) for file in sorted(folder.glob("*.key"))}
    if not found:
        raise MissingError("no seat keys in this folder", rule="charter.seats")
    return found


def signatures_file(path: Path) -> Path:
    """Return the file beside a charter that gathers its signatures."""
    return path.with_name(path.name + ".signatures.json")


def read_signatures(file: Path, charter: Charter) -> list[Signature]:
    """Return the gathered signatures over this very charter; none if the file is for another text."""
    if not file.exists():
        return []
    match canonical.decode(file.read_bytes().strip()):
        case {"v": "safehold-signatures/1", "digest": str(digest), "signatures": list(signatures)}:
            if digest != charter.digest().hex():
                return []
            return [Signature.from_json(one) for one in signatures]
        case _:
            raise InvalidError(
                "not a file of signatures", file=file.name, rule="charter.signatures"
            )


def write_signatures(file: Path, charter: Charter, signatures: list[Signature]) -> None:
    """Write the gathered signatures."""
    record = {
        "v": SIGNATURES_VERSION,
        "digest": charter.digest().hex(),
        "signatures": [one.to_json() for one in sorted(signatures, key=lambda one: one.seat)],
    }
    write_paper(file, canonical.encode(record) + b"\n")


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(
            "the cause cannot be read", file=path.name, rule="oversight.cause"
        ) from error


def _chosen(seat: str | None, key: Path | None, seats: Path | None) -> dict[str, SigningKey]:
    if seats is not None:
        return keys_in(seats)
    if seat is None or key is None:
        raise InvalidError("give --seat and --key, or --seats", rule="cli.options")
    return {seat: SigningKey.read(key)}


__all__ = [
    "charter_in_force",
    "check_charter",
    "enact_for",
    "keys_in",
    "roster_of",
    "show_charter",
    "sign_charter",
    "sign_order",
]
