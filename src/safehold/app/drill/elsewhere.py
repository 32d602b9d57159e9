"""A witness of a twin that is kept by another account, and a root that only shares of the board open: level K4.

It is as far off as one machine can have it: a process of its own, under a user id that is neither the keeper's nor its
callers', with keys in a folder that only this account may enter. Root on the machine is root over both, which on
another host it would not be; the board's word that a witness is elsewhere is then no more than a word, and the results
say so.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from safehold.app.drill import abroad
from safehold.app.drill.twin import Twin
from safehold.charter.vocabulary import SEATS
from safehold.errors import UnavailableError

ACCOUNTS: Final = ("daemon", "bin", "games", "mail", "sys")  # nobody logs in to these
NAME: Final = "drill.example/elsewhere"
OF_SIX: Final = "3-of-6"
SHARES: Final = 3
PATIENCE_S: Final = 60.0


@contextmanager
def witnessed(twin: Twin) -> Iterator[dict[str, str]]:
    """Have the board of a twin name a witness and take its root in shares; yield what unlocks it while that runs.

    Raises:
        UnavailableError: This machine has no further account, or the board's word did not count.
    """
    who = _further_account()
    place = Path(tempfile.mkdtemp(prefix="safehold-witness-"))
    try:
        folder = place / "witness"
        log = next(twin.home.outside.glob("policy")).read_text("utf-8").split()[1]
        made = _done(
            twin, "ledger", "witness", "create", folder, "--name", NAME, "--trust", log, "--json"
        )
        for path in (place, folder, *folder.rglob("*")):
            os.chown(path, who.pw_uid, who.pw_gid)
        place.chmod(0o700)
        with _listening(who, folder) as url:
            keys = [word for key in made["vkeys"] for word in ("--vkey", key)]
            _done(twin, "ledger", "witness", "add", "elsewhere", "--url", url, *keys, "--json")
            _named(twin)
            shares = _in_shares(twin)
            yield {"SAFEHOLD_SHARE_FILES": os.pathsep.join(map(str, shares))}
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _further_account() -> pwd.struct_passwd:
    """Return an account that is neither root's, nor ours, nor the one that keepers of a drill run as."""
    keeper = abroad.somebody_else()
    for name in ACCOUNTS:
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid not in (0, os.getuid(), keeper.pw_uid):
            return found
    raise UnavailableError(
        "K4 needs two accounts that nobody logs in to, one for the keeper and one for the witness",
        rule="drill.unable",
    )


@contextmanager
def _listening(who: pwd.struct_passwd, folder: Path) -> Iterator[str]:
    """Run the witness as its account, and yield where it listens."""
    program, needed = abroad.interpreter(who.pw_uid)
    words = ("ledger", "witness", "run", str(folder), "--bind", "127.0.0.1:0")
    process = subprocess.Popen(
        [program, "-P", "-m", "safehold", *words],
        env={"PATH": os.defpath, "HOME": str(folder), **dict(needed)},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        user=who.pw_uid,
        group=who.pw_gid,
        extra_groups=[],
    )
    try:
        if process.stderr is None:
            raise UnavailableError("the witness has no pipes", rule="drill.unable")
        said = process.stderr.readline()
        if " listens on http" not in said:
            raise UnavailableError(
                f"no witness starts under another account: {said.strip()[:120]}",
                rule="drill.unable",
            )
        yield said.split()[-1]
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _named(twin: Twin) -> None:
    """Let the seats of a twin name the witness that was drawn up; its charter asks for no notice."""
    paper = twin.folder / "witnesses.paper"
    _done(twin, "board", "witnesses", paper, "--json")
    first, *others = SEATS
    for verb, seat in (("propose", first), *(("sign", one) for one in others)):
        _done(
            twin,
            "board",
            verb,
            paper,
            "--seat",
            seat,
            "--key",
            twin.seats / f"{seat}.key",
            "--json",
        )
    _done(twin, "board", "enact", paper, "--json")


def _in_shares(twin: Twin) -> Sequence[Path]:
    """Split the root of a twin among its seats; return as many files of shares as open it."""
    folder = twin.folder / "shares"
    _done(twin, "key", "rotate", "--root", OF_SIX, "--seats", folder, "--json")
    found = sorted(one for one in folder.rglob("*") if one.is_file())
    if len(found) < SHARES:
        raise UnavailableError("the root did not go into shares", rule="drill.unable")
    return found[:SHARES]


def _done(twin: Twin, *words: str | Path) -> Any:
    """Run a command of the installed program on a twin, and return what it printed."""
    done = twin.cli(*words)
    if done.code != 0:
        said = done.err.strip().splitlines()
        raise UnavailableError(
            f"safehold {' '.join(map(str, words[:3]))}: {said[-1][:160] if said else 'failed'}",
            rule="drill.unable",
        )
    return done.json


__all__ = ["witnessed"]
