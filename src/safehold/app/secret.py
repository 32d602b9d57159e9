"""Where what opens the root is found: environment, files, or beside a demo home."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from safehold.errors import MissingError
from safehold.settings import Home


def find_secret(home: Home) -> dict[str, Any] | None:
    """Return what opens the root of a home, ``{"passphrase": ...}`` or ``{"shares": [...]}``, or nothing.

    Raises:
        MissingError: A file that the environment names cannot be read.
    """
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


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except OSError as error:
        raise MissingError(f"{path.name} cannot be read", rule="cli.secret") from error
