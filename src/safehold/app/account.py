"""A user id of the keeper's own: what makes level K2 of a keeper that root started.

The home and its outside become that account's. Callers reach the socket, which tells the keeper who they are, and
may read which home it is; everything else is closed to them.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

from safehold.errors import InvalidError, UnavailableError
from safehold.settings import Home, state_directory


def become(home: Home, account: str, *, callers: Sequence[str] = ()) -> frozenset[int]:
    """Give the home to an account, and be that account from now on; there is no way back.

    Args:
        home: The home.
        account: Name of an account that nobody logs in to.
        callers: Names of accounts that may speak to the keeper, besides root.

    Returns:
        The user ids that may speak to it.

    Raises:
        InvalidError: Not started by root, no such account, or one that is root's or a caller's.
        UnavailableError: The account cannot reach the home or run this program.
    """
    if os.geteuid() != 0:
        raise InvalidError(
            "only root can give the keeper a user id of its own",
            rule="keeper.account",
            fix="start it as root, or leave out --as (level K1)",
        )
    own = _find(account)
    allowed = frozenset({0, *(_find(name).pw_uid for name in callers)})
    if own.pw_uid in allowed:
        raise InvalidError(
            "the keeper's account is root's or a caller's", rule="keeper.account", fix="make one"
        )
    for folder in (home.path, home.outside):
        _give(folder, own)
    if callers:
        _show(home)
    # so that what it has in memory can be locked although it is root no more
    with contextlib.suppress(
        ValueError, OSError
    ):  # a container may forbid it; status says what holds
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    os.setgroups([])
    os.setresgid(own.pw_gid, own.pw_gid, own.pw_gid)
    os.setresuid(own.pw_uid, own.pw_uid, own.pw_uid)
    os.environ["HOME"] = own.pw_dir
    _require_reach(home)
    return allowed


def _find(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise InvalidError("there is no such account", rule="keeper.account") from None


def _give(folder: Path, own: pwd.struct_passwd) -> None:
    os.lchown(folder, own.pw_uid, own.pw_gid)
    for place, folders, files in os.walk(folder):  # it follows no links
        for name in (*folders, *files):
            os.lchown(Path(place, name), own.pw_uid, own.pw_gid)


def _show(home: Home) -> None:
    """Let callers find the socket, and nothing more: folders are passed through but not listed."""
    pins = state_directory() / "pins"
    for folder in (home.path, home.outside, pins):
        folder.chmod(0o711)
    (home.path / "home.json").chmod(0o644)
    for pin in pins.iterdir():
        pin.chmod(0o644)


def _require_reach(home: Home) -> None:
    for place in (home.path, home.outside, Path(sys.executable)):
        try:
            found = os.access(place, os.R_OK | os.X_OK)
        except OSError:
            found = False
        if not found:
            raise UnavailableError(
                f"the keeper's account cannot reach {place.name}",
                rule="keeper.account",
                fix="keep home, outside (SAFEHOLD_OUTSIDE) and this Python where other accounts may go",
            )
