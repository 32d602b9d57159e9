"""How far the log has acknowledged, noted beside the journal.

What this holds: a journal that has lost entries after they were acknowledged (its write-ahead log
cut, damaged or removed, an older database put in its place) does not open as if they had never
been. A witness says the same of whatever it has cosigned; the mark also covers the second before.
What it does not hold: it is written without an fsync of its own, since a commit is to cost one, so
a power cut may take its newest value. It then names an older size, which accuses nobody. Nor does
it stop somebody who sets back the whole directory; that is the witness's part.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from safehold.errors import TamperedError, UnavailableError
from safehold.ledger.proof import root_at
from safehold.ledger.tree import HASH, Node

_MAGIC = b"sh/mark/v1\n"
_LENGTH = len(_MAGIC) + 8 + HASH + 8


class Mark:
    """Size and root of the newest acknowledged commit, at the beginning of a file of one process.

    Args:
        path: The file; the journal's lock, which holds nothing else.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)

    def write(self, size: int, root: bytes) -> None:
        """Note a commit that is durable, before anybody is told of it.

        Raises:
            UnavailableError: The file cannot be written.
        """
        body = _MAGIC + size.to_bytes(8, "big") + root
        try:
            os.pwrite(self._fd, body + hashlib.sha256(body).digest()[:8], 0)
        except OSError as error:
            raise UnavailableError("the ledger cannot commit", rule="ledger.commit") from error

    def check(self, size: int, node: Node) -> None:
        """Compare the mark with the tree of the journal; a mark that is absent or torn says nothing.

        Args:
            size: Number of leaves in the journal.
            node: Reads the nodes of their tree.

        Raises:
            TamperedError: The journal holds less than was acknowledged, or something else.
        """
        data = os.pread(self._fd, _LENGTH, 0)
        body, check = data[:-8], data[-8:]
        if len(data) != _LENGTH or hashlib.sha256(body).digest()[:8] != check:
            return
        known = int.from_bytes(body[len(_MAGIC) : len(_MAGIC) + 8], "big")
        if known > size:
            raise TamperedError(
                f"{known} entries were acknowledged here, the journal holds only {size}",
                rule="ledger.lost",
                fix="the disk or somebody lost the end of the journal: find the newer journal.db"
                " and journal.db-wal",
            )
        if root_at(node, known) != body[-HASH:]:
            raise TamperedError("the journal is not what was acknowledged here", rule="ledger.lost")
