"""Files of the outside that name where a part of a home lies: a URL each, without a secret."""

from __future__ import annotations

import os
from pathlib import Path

from safehold.errors import InvalidError


def read_url(file: Path, *, rule: str) -> str | None:
    """Return what such a file names, or nothing if there is none.

    Args:
        file: The file.
        rule: The rule of a refusal.

    Raises:
        InvalidError: It cannot be read.
    """
    try:
        return file.read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidError(
            f"the outside's {file.name} cannot be read", file=file.name, rule=rule
        ) from error


def write_url(file: Path, url: str) -> None:
    """Write such a file for its owner alone; it must not exist."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as text:
        text.write(url + "\n")


def put_url(file: Path, url: str | None) -> None:
    """Let such a file name something else, or nothing; durable when this returns."""
    from safehold.vault import durable

    if url is None:
        file.unlink(missing_ok=True)
        durable.sync(file.parent)
    else:
        durable.replace(file, (url + "\n").encode())
