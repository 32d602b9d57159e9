"""What is written down outside a home while a backup of it is carried to servers, or back from them.

While the file is there no keeper works on the home (``app.control.require_settled``); the same restore goes on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from safehold import canonical
from safehold.app.backup.manifest import MANIFEST
from safehold.app.profile import PARTS, Places
from safehold.errors import InvalidError, SafeholdError, TamperedError
from safehold.settings import Home
from safehold.vault import durable

_VERSION: Final = "safehold-restore/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One restore.

    Args:
        backup: SHA-256 of the manifest of what is put back.
        to: Where the home will be.
        places: Where its parts will lie.
        old: What the outside named before.
        not_seen: Databases that the outside named and that did not answer.
    """

    backup: str
    to: Path
    places: Places
    old: Places = field(default_factory=Places)
    not_seen: list[str] = field(default_factory=list)

    @staticmethod
    def mark(place: Path) -> str:
        """Return what tells one backup from another."""
        return hashlib.sha256((place / MANIFEST).read_bytes()).hexdigest()

    @classmethod
    def find(cls, home: Home) -> Self | None:
        """Return what is under way, or nothing.

        Raises:
            TamperedError: The file is damaged.
        """
        try:
            tree = canonical.decode(home.restoring_file.read_bytes())
        except FileNotFoundError:
            return None
        except InvalidError as error:
            raise _damaged() from error
        match tree:
            case {
                "v": "safehold-restore/1",
                "backup": str(backup),
                "to": str(to),
                "places": dict(places),
                "old": dict(old),
                "not_seen": list(not_seen),
            } if places.keys() == old.keys() == set(PARTS):
                return cls(
                    backup=backup,
                    to=Path(to),
                    places=Places(**places),
                    old=Places(**old),
                    not_seen=[str(one) for one in not_seen],
                )
            case _:
                raise _damaged()

    def is_done(self, place: Path, to: Path, places: Places) -> bool:
        """Return whether this very restore came as far as its last step: the home is where it belongs."""
        if (self.backup, self.to, self.places) != (self.mark(place), to.resolve(), places):
            return False
        try:
            home = Home.open(to)
        except SafeholdError:
            return False
        return home.id == Home.open(place).id and Places.of(home) == places

    def write(self, home: Home) -> None:
        """Write it down; durable when this returns."""
        durable.replace(home.restoring_file, canonical.encode(self.to_json()))

    def forget(self, home: Home) -> None:
        """It is over."""
        home.restoring_file.unlink(missing_ok=True)
        durable.sync(home.outside)

    def to_json(self) -> dict[str, Any]:
        """Return it as canonical JSON values."""
        return {
            "v": _VERSION,
            "backup": self.backup,
            "to": str(self.to),
            "places": self.places.to_json(),
            "old": self.old.to_json(),
            "not_seen": self.not_seen,
        }


def _damaged() -> TamperedError:
    return TamperedError("what is written down of a restore is damaged", rule="backup.record")
