"""What differs between two charters: each change with its clause, its side and its words.

A change is either *wider* (it allows more, or protects less) or *narrower*. What cannot be compared is
wider. There is no third side, so nothing can change and count for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from safehold.charter.difference.words import ENGLISH, Catalogue, Said

WIDER: Final = "wider"
NARROWER: Final = "narrower"
SAME, NARROW, WIDEN = "same", "narrow", "widen"


class Cell(NamedTuple):
    """One smallest thing that a policy allows or denies.

    Args:
        role: Who.
        action: Does what.
        stage: In which stage.
        purpose: For which purpose; empty for actions that state none.
        what: On which kind of data; empty for actions that name none.
        limit: Which condition is at its edge; empty for the thing as such.
        value: How far that condition is stretched.
    """

    role: str
    action: str
    stage: str
    purpose: str = ""
    what: str = ""
    limit: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is newly allowed or newly denied.

    Args:
        clause: Dotted key of the charter, for example ``collect.keys.keep``.
        side: ``wider`` or ``narrower``.
        message: Name of the sentence in a catalogue.
        said: What fills its placeholders.
        cells: What of the compiled policy this sentence speaks about; none if of no policy.
    """

    clause: str
    side: str
    message: str
    said: tuple[tuple[str, Said], ...] = ()
    cells: frozenset[Cell] = field(default=frozenset(), repr=False)

    @property
    def sentence(self) -> str:
        """The change as a plain English sentence."""
        return self.words(ENGLISH)

    def words(self, catalogue: Catalogue) -> str:
        """Return the change as a sentence of a language."""
        return catalogue.sentence(self.message, dict(self.said), clause=self.clause)

    def about(self, cells: frozenset[Cell]) -> Change:
        """Return the change with more of the policy that it speaks about."""
        return replace(self, cells=self.cells | cells)

    def to_json(self, catalogue: Catalogue = ENGLISH) -> dict[str, Any]:
        """Return the change as JSON, told in a language."""
        return {
            "clause": self.clause,
            "sentence": self.words(catalogue),
            "requests": len(self.cells),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All that differs between two charters.

    Args:
        old: Version and digest of the charter before, or nothing if there was none.
        new: Version and digest of the charter after.
        allowed: What becomes possible, or is protected less.
        denied: What ends, or is protected more.
    """

    old: tuple[int, bytes] | None
    new: tuple[int, bytes]
    allowed: tuple[Change, ...]
    denied: tuple[Change, ...]

    @property
    def direction(self) -> str:
        """``widen`` if anything is wider, ``narrow`` if something is narrower and nothing wider."""
        if self.allowed:
            return WIDEN
        return NARROW if self.denied else SAME

    def to_json(self, catalogue: Catalogue = ENGLISH) -> dict[str, Any]:
        """Return the difference as JSON, told in a language."""
        return {
            "direction": self.direction,
            "old": None if self.old is None else _named(self.old),
            "new": _named(self.new),
            "allowed": [change.to_json(catalogue) for change in self.allowed],
            "denied": [change.to_json(catalogue) for change in self.denied],
        }


def _named(charter: tuple[int, bytes]) -> dict[str, Any]:
    version, digest = charter
    return {"version": version, "digest": digest.hex()}
