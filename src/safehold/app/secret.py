"""Where what opens the root is found: environment, files, or beside a demo home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from safehold.errors import InvalidError, MissingError
from safehold.settings import Home


def find_secret(home: Home) -> dict[str, Any] | None:
    """Return what opens the root of a home, or nothing.

    It is ``{"passphrase": ...}``, ``{"shares": [...]}``, or for a root elsewhere ``{"unlock": ...}``.

    Raises:
        MissingError: A file that the environment names cannot be read.
        InvalidError: Others can read the file that unlocks a root elsewhere, or it is empty.
    """
    if named := os.environ.get("SAFEHOLD_UNLOCK_FILE"):
        return {"unlock": read_unlocking(Path(named))}
    if given := os.environ.get("SAFEHOLD_PASSPHRASE"):
        return {"passphrase": given}
    if named := os.environ.get("SAFEHOLD_PASSPHRASE_FILE"):
        return {"passphrase": _read(Path(named))}
    if named := os.environ.get("SAFEHOLD_SHARE_FILES"):
        return {"shares": [_read(Path(one)) for one in named.split(os.pathsep) if one]}
    demo = home.outside / "demo" / "passphrase"
    if home.synthetic and demo.exists():
        return {"passphrase": _read(demo)}
    return None


def read_unlocking(path: Path) -> str:
    """Return the PIN, token, credentials or passphrase in a file that its owner alone can read.

    Raises:
        MissingError: It cannot be read.
        InvalidError: Others can read it, or it holds nothing.
    """
    text = _read(path)
    if path.stat().st_mode & 0o077:
        raise InvalidError(
            "others can read the file that unlocks the root",
            file=path.name,
            rule="cli.secret.mode",
            fix=f"chmod 600 {path.name}",
        )
    return check_unlocking(text)


def check_unlocking(text: str) -> str:
    """Return what unlocks a root, if there is anything.

    Raises:
        InvalidError: There is nothing.
    """
    if not text:
        raise InvalidError("there is nothing in it to unlock with", rule="cli.secret")
    return text


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise MissingError(f"{path.name} cannot be read", rule="cli.secret") from error
