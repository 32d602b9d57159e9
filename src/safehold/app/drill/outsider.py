"""Another account of this machine: what it reads of a home, what it is told at the socket; and a home set open."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from safehold.app.drill import abroad, trespass
from safehold.app.drill.scan import Scanner
from safehold.app.drill.twin import Twin
from safehold.assurance.drill.outcome import Exposure
from safehold.assurance.reach import reachable
from safehold.errors import SafeholdError
from safehold.settings import Home


def look_in(home: Home, scanner: Scanner, *, closed: bool = True) -> Exposure:
    """Try every file and the socket of a home as another user, and look through what could be read.

    Args:
        home: The home.
        scanner: Knows what must not be there.
        closed: It is wrong if a file can be read at all, whatever is in it.
    """
    try:
        who = abroad.somebody_else()
        words = [str(Path(trespass.__file__)), str(home.socket), str(home.path), str(home.outside)]
        found = json.loads(abroad.run_as(who, words))
        how = f"a process under user id {who.pw_uid}"
    except SafeholdError:
        # only root can be somebody else: then the modes are read
        files = [str(one) for one in reachable([home.path, home.outside]) if not one.is_socket()]
        found = {"opened": files, "seen": len(files), "let_in": False}
        how = "the modes of all files, for lack of another user"
    opened = [Path(one) for one in found["opened"]]
    wrong = []
    if found["let_in"]:
        wrong.append("another user of this machine is answered at the socket")
    if closed and (shown := [one for one in opened if not _meant(one, home)]):
        wrong.append(f"{len(shown)} files of the home can be read by another user")
    seen = scanner.look(opened).exposure(another_user=how, read_by_others=len(opened))
    return replace(seen, wrong=tuple(wrong))


def _meant(file: Path, home: Home) -> bool:
    """Whether a file is shown on purpose to the callers of a keeper with a user id of its own."""
    return file == home.path / "home.json" or file.parent.name == "pins"


def open_everything(twin: Twin) -> None:
    """Give everybody every right to every file of a twin, and the way to it."""
    for place, folders, files in os.walk(twin.folder):
        for name in (*folders, *files):
            one = Path(place) / name
            if not one.is_symlink():
                one.chmod(0o777)
    twin.folder.chmod(0o777)


def close_everything(twin: Twin) -> None:
    """Take all of that back."""
    for place, folders, files in os.walk(twin.folder):
        for name in folders:
            (Path(place) / name).chmod(0o700)
        for name in files:
            (Path(place) / name).chmod(0o600)
    twin.folder.chmod(0o700)


__all__ = ["close_everything", "look_in", "open_everything"]
