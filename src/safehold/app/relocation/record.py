"""What is written down of a move outside the home: what is under way, and what it left behind.

While the first file is there no keeper works on the home (``app.control.require_settled``). Its step says whether the
old places still count (``copying``: it can be taken back) or the new ones do (``switching``: it can only be finished).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from safehold import canonical, ids
from safehold.app.profile import PARTS, Places
from safehold.errors import InvalidError, TamperedError
from safehold.settings import Home
from safehold.vault import durable

COPYING, SWITCHING = "copying", "switching"
_VERSION: Final = "safehold-move/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One move.

    Args:
        id: Its random name.
        old: Where the parts lay.
        new: Where they will.
        step: ``copying`` or ``switching``.
    """

    id: str
    old: Places
    new: Places
    step: str

    @classmethod
    def begin(cls, home: Home, new: Places) -> Self:
        """Write down that a home is being moved; durable when this returns."""
        record = cls(id=ids.opaque_id("move"), old=Places.of(home), new=new, step=COPYING)
        _write(home.moving_file, record.as_json())
        return record

    @classmethod
    def find(cls, home: Home) -> Self | None:
        """Return what is under way, or nothing.

        Raises:
            TamperedError: The file is damaged.
        """
        return cls._read(home.moving_file)

    @classmethod
    def left_by(cls, home: Home) -> Self | None:
        """Return the move whose old places are still kept, or nothing; raises as ``find``."""
        return cls._read(home.left_file)

    @property
    def parts(self) -> list[str]:
        """The parts that move."""
        old, new = self.old.to_json(), self.new.to_json()
        return [part for part in PARTS if old[part] != new[part]]

    def switch(self, home: Home) -> Self:
        """Write down that from now on the new places count."""
        record = replace(self, step=SWITCHING)
        _write(home.moving_file, record.as_json())
        return record

    def leave(self, home: Home) -> None:
        """Write down what was left behind, and that nothing is under way any more; in this order."""
        _write(home.left_file, self.as_json())
        self.forget(home.moving_file)

    @staticmethod
    def forget(file: Path) -> None:
        """Remove one of the two files."""
        file.unlink(missing_ok=True)
        durable.sync(file.parent)

    def as_json(self) -> dict[str, Any]:
        """Return the move as canonical JSON values."""
        return {
            "v": _VERSION,
            "id": self.id,
            "old": self.old.to_json(),
            "new": self.new.to_json(),
            "step": self.step,
        }

    @classmethod
    def _read(cls, file: Path) -> Self | None:
        try:
            tree = canonical.decode(file.read_bytes())
        except FileNotFoundError:
            return None
        except InvalidError as error:
            raise _damaged() from error
        match tree:
            case {
                "v": "safehold-move/1",
                "id": str(name),
                "old": dict(old),
                "new": dict(new),
                "step": "copying" | "switching" as step,
            } if old.keys() == new.keys() == set(PARTS):
                return cls(id=name, old=Places(**old), new=Places(**new), step=step)
            case _:
                raise _damaged()


def _write(file: Path, tree: dict[str, Any]) -> None:
    durable.replace(file, canonical.encode(tree))


def _damaged() -> TamperedError:
    return TamperedError("what is written down of a move is damaged", rule="migrate.record")
