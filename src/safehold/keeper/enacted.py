"""The file of the charter in force.

Holds: a crash between the charter's leaf and its file leaves the newer charter beside the older one, and the
ledger says which of them counts; any other file is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.charter import Roster, SignedCharter
from safehold.errors import MissingError, TamperedError
from safehold.ledger.files import replace_file, sync_directories


def read_file(path: Path) -> Any:
    """Return the canonical JSON in a file of the home.

    Raises:
        MissingError: It is gone.
        InvalidError: It is not canonical JSON.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"{path.name} is missing", rule="trust.file") from error
    return canonical.decode(data)


class CharterFile:
    """The charter in force with its signatures, and for a moment the one that follows it.

    Args:
        path: Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._following = path.with_suffix(".next")

    def write_next(self, signed: SignedCharter) -> None:
        """Put a charter beside the one in force, before the ledger names it."""
        replace_file(self._following, canonical.encode(signed.to_json()))

    def turn(self) -> None:
        """Put the one beside it in its place, once the ledger names it."""
        self._following.replace(self._path)
        sync_directories([self._path.parent])

    def open(self, digest: bytes, roster: Roster) -> SignedCharter:
        """Return the charter that the ledger names, whichever file holds it.

        Raises:
            TamperedError: Neither file holds it.
            QuorumError: The board's signatures do not hold over what is there.
        """
        for path in (self._following, self._path):
            if not path.exists():
                continue
            signed = SignedCharter.from_json(read_file(path), roster)
            if signed.charter.digest() == digest:
                if path == self._following:
                    self._following.replace(self._path)
                return signed
        raise TamperedError(
            "the charter file is not the charter that the ledger names",
            rule="trust.charter",
            fix="put back the charter that the board signed last",
        )
