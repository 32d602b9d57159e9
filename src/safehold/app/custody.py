"""Where the root of a home is kept: made, opened, and exchanged for another.

A root that stays elsewhere is pinned outside the home, so that an edited home cannot send the keeper, and the PIN
or token it was given, to another place.

While a root is exchanged there are two files: ``root.sealed`` and ``root.next``. Which of them counts is told by
the database alone: its marker is wrapped by one of the two. ``unlock`` finishes what a crash left, and never what
another keeper is about: whoever changes root files holds the lock of a file outside the home.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hmac import compare_digest
from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.app.control import open_control
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    SafeholdError,
    SignInError,
    TamperedError,
)
from safehold.locks import hold_file
from safehold.settings import Home
from safehold.vault import durable
from safehold.vault.guarded import scrub
from safehold.vault.kms import (
    RemoteRoot,
    Root,
    create_remote,
    create_sealed,
    create_shared,
    open_remote,
    open_sealed,
    open_shared,
    parse_place,
    reach,
    where_of,
)
from safehold.vault.kms.current import CurrentRoot
from safehold.vault.kms.sealed import read_record
from safehold.vault.reroot import check_marker

Place = tuple[str, Mapping[str, str]]
WAYS = {
    "passphrase": "it takes a passphrase",
    "shares": "it takes shares of the board",
    "pkcs11": "it is in a token and needs a PIN",
    "aws-kms": "it is in AWS KMS and needs credentials",
    "hcvault": "it is in a transit engine and needs a token",
}


def unlock(home: Home, secret: Mapping[str, Any]) -> CurrentRoot:
    """Open the root of a home; what is returned follows its changes.

    Args:
        home: The home.
        secret: ``{"passphrase": ...}``, ``{"shares": [...]}``, or for a root elsewhere ``{"unlock": ...}``: the
            PIN of its token, the keeper's token, or its credentials.

    Raises:
        SignInError: The secret does not open it.
        UnavailableError: It is elsewhere, and nothing answers there.
        TamperedError: A file is damaged, or names a place that was not pinned.
        ConflictError: Another keeper is changing the root.
    """
    if not _unsettled(home):
        return CurrentRoot(open_root(home, home.root_file, secret))
    with changing(home):  # a keeper that is alive finishes it by itself
        if home.next_root_file.exists():
            return CurrentRoot(_settle(home, secret))
        root = open_root(home, home.root_file, secret)
        _put_away(home)
        return CurrentRoot(root)


@contextmanager
def changing(home: Home) -> Iterator[None]:
    """Hold the right to change the root files of a home; it ends with the process at the latest.

    Raises:
        ConflictError: Another keeper holds it.
        UnavailableError: The file system keeps no locks.
    """
    another = ConflictError(
        "another keeper is changing the root", rule="key.rotate", fix="wait for it"
    )
    handle = hold_file(home.root_lock_file, another)
    try:
        yield
    finally:
        os.close(handle)


def open_root(home: Home, path: Path, secret: Mapping[str, Any]) -> Root:
    """Open one root file of a home; raises as ``unlock`` does."""
    where, kind = where_of(path), _kind(path)
    match secret:
        case {"passphrase": str(passphrase)} if kind == "passphrase":
            return open_sealed(path, passphrase)
        case {"shares": list(shares)} if kind == "shares":
            return open_shared(path, [str(share) for share in shares])
        case {"unlock": str(given)} if where is not None:
            if (kind, where) not in pinned(home):
                raise TamperedError(
                    "the root file names a place that is not pinned outside the home",
                    rule="root.pinned",
                    fix="put back the root file, or the outside directory that belongs to it",
                )
            kek = reach(kind, where, given)
            try:
                return open_remote(path, kek)
            except BaseException:
                kek.close()
                raise
        case {"passphrase": _} | {"shares": _} | {"unlock": _}:
            raise InvalidError(
                f"this root is not opened that way: {WAYS.get(kind, 'its file is of an unknown kind')}",
                rule="keeper.unlock",
                fix="set SAFEHOLD_PASSPHRASE_FILE, SAFEHOLD_SHARE_FILES or SAFEHOLD_UNLOCK_FILE",
            )
        case _:
            raise InvalidError("neither passphrase, shares nor PIN", rule="keeper.unlock")


def make_root(
    home: Home, path: Path, order: Mapping[str, Any], *, carried: bytes | None = None
) -> tuple[Root, list[str]]:
    """Make a root and its file; return it and any shares.

    Args:
        home: The home.
        path: The file; it must not exist.
        order: ``{"passphrase": ...}``, ``{"split": [k, n]}`` or ``{"place": address, "unlock": ...}``, with
            ``"make": true`` if the key is to be made there.
        carried: The derivation secret of the root before it.

    Raises:
        InvalidError: The order or the address is none.
        ConflictError: The file exists, or the key to be made does.
        UnavailableError: Nothing answers there.
    """
    match order:
        case {"passphrase": str(passphrase)}:
            return create_sealed(path, passphrase, carried=carried), []
        case {"split": [int(threshold), int(count)]}:
            return create_shared(path, threshold=threshold, count=count, carried=carried)
        case {"place": str(address), "unlock": str(given)}:
            kind, where = parse_place(address)
            if (kind, where) in pinned(home):
                raise ConflictError(
                    "the root is there already",
                    rule="root.place",
                    fix="name another key; versions of one key are the service's own to rotate",
                )
            kek = reach(kind, where, given, make=bool(order.get("make")))
            try:
                root = create_remote(path, kek, carried=carried)
            except BaseException:
                kek.close()
                raise
            _pin(home, [*pinned(home), (kind, where)])
            return root, []
        case _:
            raise InvalidError("neither passphrase, shares nor a place", rule="keeper.unlock")


def pinned(home: Home) -> list[Place]:
    """Return the places of keys that this home may speak to, as pinned outside it.

    Raises:
        TamperedError: The file is damaged.
    """
    try:
        found = canonical.decode(home.root_places_file.read_bytes())
    except FileNotFoundError:
        return []
    except InvalidError as error:
        raise TamperedError("the pinned places are damaged", rule="root.pinned") from error
    return [(str(kind), dict(where)) for kind, where in found]


class Custody:
    """Exchanges the root of a home that is served; the keeper says when.

    Args:
        home: The home.
    """

    def __init__(self, home: Home) -> None:
        self._home = home

    def prove(self, secret: Mapping[str, Any], root: Root) -> None:
        """Pass if somebody knows what opens the root in use.

        Raises:
            SignInError: They do not.
        """
        if isinstance(root, RemoteRoot):
            given = secret.get("unlock")
            root.kek.admit(given if isinstance(given, str) else "")
            return
        opened = open_root(self._home, self._home.root_file, secret)
        mine, theirs = opened.derivation(), root.derivation()
        try:
            if not compare_digest(mine, theirs):
                raise SignInError("this opens another root", rule="key.present")
        finally:
            scrub(mine)
            scrub(theirs)
            opened.close()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Keep every other keeper from the root files; ``draft`` and what follows come within it."""
        with changing(self._home):
            yield

    def draft(self, order: Mapping[str, Any], root: Root) -> tuple[Root, list[str]]:
        """Make the next root beside the one in use, with the same derivation secret."""
        if self._home.next_root_file.exists():
            raise ConflictError(
                "a change of the root was cut short",
                rule="key.rotate",
                fix="start the keeper again: that finishes it",
            )
        carried = root.derivation()
        try:
            return make_root(self._home, self._home.next_root_file, order, carried=carried)
        finally:
            scrub(carried)

    def adopt(self) -> None:
        """Put the next root in the place of the present one; the old file is overwritten."""
        _adopt(self._home)

    def discard(self) -> None:
        """Take the next root back: nothing is under it."""
        _discard(self._home)


def _unsettled(home: Home) -> bool:
    left = home.next_root_file.exists() or home.retired_root_file.exists()
    return left or len(pinned(home)) > 1


def _settle(home: Home, secret: Mapping[str, Any]) -> Root:
    """Open whichever of two root files the database is under, and put away the other."""
    engine = open_control(home)
    failed: list[SafeholdError] = []
    other = False
    try:
        for path in (home.root_file, home.next_root_file):
            try:
                root = open_root(home, path, secret)
            except SafeholdError as error:
                failed.append(error)
                continue
            try:
                check_marker(engine, root)
            except (TamperedError, MissingError):
                root.close()
                other = True
                continue
            if path == home.next_root_file:
                _adopt(home)
            else:
                _discard(home)
            return root
    finally:
        engine.dispose()
    if other:
        raise SignInError(
            "the root was being changed: the database is under the other one",
            rule="root.changed",
            fix="unlock with what opens the other root, new or old",
        )
    raise failed[0]


def _adopt(home: Home) -> None:
    retired = home.retired_root_file
    retired.unlink(missing_ok=True)
    retired.hardlink_to(home.root_file)
    home.next_root_file.replace(home.root_file)
    durable.sync(home.path)
    _put_away(home)


def _put_away(home: Home) -> None:
    """Overwrite the file of the root before this one, and forget where its key was."""
    retired = home.retired_root_file
    if retired.exists() and retired.samefile(home.root_file):
        retired.unlink()  # another name of the file in use: nothing may overwrite that
    durable.destroy(retired)
    _pin_only(home)


def _discard(home: Home) -> None:
    home.retired_root_file.unlink(
        missing_ok=True
    )  # another name of the file in use, if it is there
    durable.destroy(home.next_root_file)
    _pin_only(home)


def _pin_only(home: Home) -> None:
    where = where_of(home.root_file)
    _pin(home, [] if where is None else [(_kind(home.root_file), where)])


def _pin(home: Home, places: list[Place]) -> None:
    durable.replace(
        home.root_places_file,
        canonical.encode([[kind, dict(where)] for kind, where in places]),
    )


def _kind(path: Path) -> str:
    return str(read_record(path).get("kind"))
