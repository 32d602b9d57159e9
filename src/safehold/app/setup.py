"""Make a home: the keys of the seats on this side, root and ledger inside the keeper's own process."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safehold import canonical, ids
from safehold.app.charters import enact_for
from safehold.app.embedded import start
from safehold.app.profile import Places, prove, take_back
from safehold.app.witnesses import local_witness
from safehold.charter import Roster
from safehold.charter.vocabulary import SEATS
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import InvalidError, SafeholdError, UnavailableError
from safehold.keeper.client import KeeperClient
from safehold.keeper.panel import pinned_of
from safehold.ledger import Panel
from safehold.settings import Home
from safehold.signing import SigningKey


def create(
    path: Path,
    *,
    seats: Path,
    charter: Path | None = None,
    shares: str | None = None,
    synthetic: bool = False,
    passphrase: str | None = None,
    ledger_url: str | None = None,
    objects_url: str | None = None,
    root: Mapping[str, Any] | None = None,
    control_url: str | None = None,
) -> dict[str, Any]:
    """Make a home and say where its parts are; every place is proved before anything is made.

    Args:
        path: The home; it must be empty or absent.
        seats: Folder of the seat keys; missing keys are made. It must lie outside the home.
        charter: Sign this charter with all seats and enact it, for trying things out.
        shares: ``k-of-n``: split the root among the seats instead of sealing it by passphrase.
        synthetic: The home is for made-up people only.
        passphrase: Seals the root; default: the environment's.
        ledger_url: PostgreSQL database for the journal; default: SQLite inside the home.
        objects_url: Bucket for the sealed objects; default: a folder of the home.
        root: Keep the root elsewhere: ``place``, ``unlock`` and ``make``, as ``custody.make_root`` takes them.
        control_url: PostgreSQL database for people, catalogue, keys and grants; default likewise.

    Raises:
        InvalidError: Seats inside the home, a malformed number of shares, or a URL that no database of ours
            and no object may lie at.
        UnavailableError: No passphrase, or the bucket does not answer.
    """
    if path.resolve() in (seats.resolve(), *seats.resolve().parents):
        raise InvalidError("seat keys do not belong into the home", rule="init.seats")
    wanted = Places(control=control_url, journal=ledger_url, objects=objects_url)
    prove(wanted, origin=f"safehold.local/{ids.opaque_id('home')}/audit")
    if root is not None and shares is not None:
        raise InvalidError("a root is elsewhere or in shares", rule="init.root")
    secret = dict(root) if root is not None else _secret(shares, passphrase)
    there = path.exists()
    had = set(seats.iterdir()) if seats.is_dir() else None
    home = Home.create(path, synthetic=synthetic)
    try:
        places = {}
        if ledger_url is not None:
            from safehold.app.journal import choose_database

            places["journal"] = f"PostgreSQL, schema {choose_database(home, ledger_url)}"
        if control_url is not None:
            from safehold.app.control import choose_control

            places["control"] = f"PostgreSQL, schema {choose_control(home, control_url)}"
        if objects_url is not None:
            from safehold.app.objects import choose_bucket

            choose_bucket(home, objects_url)
            places["objects"] = "a bucket"
        return _fill(home, seats=seats, charter=charter, secret=secret, places=places)
    except (
        BaseException
    ):  # also an interruption: nothing stays half-made, so the same call can be made again
        with contextlib.suppress(SafeholdError):  # a server that went away keeps an empty schema
            take_back(home, wanted)
        home.discard()
        if not there:
            home.path.rmdir()
        _tidy(seats, had)
        raise


def _fill(
    home: Home,
    *,
    seats: Path,
    charter: Path | None,
    secret: dict[str, Any],
    places: dict[str, str],
) -> dict[str, Any]:
    keys = seat_keys(seats)
    roster = first_roster(home, keys, now_us=SystemClock().now_us())
    order = {
        "secret": secret,
        "found": {
            "roster": canonical.encode(roster.to_json()).decode(),
            "digest": roster.digest().hex(),
        },
    }
    answer: dict[str, Any] = {
        "home": str(home.path),
        "outside": str(home.outside),
        "seats": sorted(keys),
        "synthetic": home.synthetic,
        "profile": Places.of(home).profile,
        **places,
    }
    with start(home, order) as ready:
        answer["shares"] = write_shares(seats, ready["shares"])
        answer["keeper_level"] = ready["ready"]
        if charter is not None:
            answer["charter"] = enact_for(
                KeeperClient(home.socket), home.path, charter, seats=seats
            )
    return answer


def first_roster(home: Home, keys: Mapping[str, SigningKey], *, now_us: int) -> Roster:
    """Return the first roster of a home, signed by every seat; each stands for a person of its own.

    It names the home's own witness, which is made here if it is not there; the board can name others.
    """
    roster = Roster.draft(
        {name: (name, key.public) for name, key in keys.items()},
        home=home.id,
        now_s=now_us // SECOND_US,
        pinned=pinned_of(Panel(), local_witness(home).vkeys),
    )
    for name, key in keys.items():
        roster = roster.sign(name, key)
    return roster


def seat_keys(folder: Path) -> dict[str, SigningKey]:
    """Return the keys of the six seats, making those that do not exist."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys: dict[str, SigningKey] = {}
    for name in SEATS:
        file = folder / f"{name}.key"
        if not file.exists():
            SigningKey.generate().write(file)
        keys[name] = SigningKey.read(file)
    return keys


def _secret(shares: str | None, passphrase: str | None) -> dict[str, Any]:
    if shares is not None:
        found = re.fullmatch(r"(\d{1,2})-of-(\d{1,2})", shares)
        if found is None:
            raise InvalidError(
                "shares are given as k-of-n", rule="init.shares", fix="--shares 3-of-5"
            )
        return {"split": [int(found[1]), int(found[2])]}
    given = passphrase or os.environ.get("SAFEHOLD_PASSPHRASE")
    if given is None and (named := os.environ.get("SAFEHOLD_PASSPHRASE_FILE")):
        given = _read_secret(Path(named))
    if given is None:
        raise UnavailableError(
            "no passphrase for the root key",
            rule="init.passphrase",
            fix="set SAFEHOLD_PASSPHRASE or SAFEHOLD_PASSPHRASE_FILE, or use --shares",
        )
    return {"passphrase": given}


def _read_secret(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(
            "the passphrase file cannot be read", file=path.name, rule="init.passphrase"
        ) from error


def write_shares(folder: Path, shares: Sequence[str]) -> int:
    """Write shares to files of the seats, and return how many; hand each to its seat and keep none."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, share in zip(SEATS, shares, strict=False):
        _write_secret(folder / f"{name}.share", share)
    return len(shares)


def _tidy(seats: Path, had: set[Path] | None) -> None:
    """Take away the seat files that a failed attempt made, and the folder if it made that too."""
    for file in seats.iterdir() if seats.is_dir() else ():
        if file not in (had or ()) and file.suffix in {".key", ".share"}:
            file.unlink()
    if had is None and seats.is_dir() and not any(seats.iterdir()):
        seats.rmdir()


def _write_secret(path: Path, text: str) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(text + "\n")
