"""What a bundle claims, in one canonical file that the offline verifier reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.assurance.control import Catalogue, Standing, Verdict, count
from safehold.assurance.probe.facts import Facts

VERSION: Final = "safehold.evidence/1"
COUNSEL: Final = (
    "What laws and standards demand is paraphrased by the authors of Safehold,"
    " and no counsel has checked it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the evidence is about.

    Args:
        home: Id of the home.
        origin: Name of its log.
        size: Entries that the evidence covers.
        root: Root over them, hex.
        whole: Whether all of them are in the bundle.
        build: Version of the program.
        gaps: What could not be put into the bundle, in sentences.
    """

    home: str
    origin: str
    size: int
    root: str
    whole: bool
    build: str
    gaps: tuple[str, ...] = ()


def claim(
    about: Subject,
    facts: Facts,
    verdicts: Mapping[str, Verdict],
    standings: Sequence[Standing],
    catalogue: Catalogue,
) -> dict[str, Any]:
    """Return the claims of a bundle as canonical JSON values."""
    board = facts.board
    return {
        "v": VERSION,
        "home": about.home,
        "origin": about.origin,
        "size": about.size,
        "root": about.root,
        "whole": about.whole,
        "build": about.build,
        "at_ms": facts.now_ms,
        "made_up": facts.synthetic,
        "keeper": facts.keys.level,
        "sandbox": facts.sandbox,
        "charter": None
        if board is None
        else {
            "id": board.charter.id,
            "version": board.charter.version,
            "digest": board.charter.digest().hex(),
            "title": board.charter.title,
            "seats": list(board.seats),
        },
        "frameworks": {name: one.title for name, one in catalogue.frameworks.items()},
        "controls": {name: one.says for name, one in catalogue.controls.items()},
        "probes": {name: one.to_json() for name, one in verdicts.items()},
        "rows": [one.to_json() for one in standings],
        "counts": count(standings),
        "limits": list(catalogue.limits),
        "gaps": list(about.gaps),
        "legal_text": COUNSEL,
    }


def leaves_of(verdicts: Mapping[str, Verdict]) -> list[int]:
    """Return the leaves that verdicts refer to, in order."""
    found = {leaf.leaf for one in verdicts.values() for leaf in one.shown}
    return sorted(found | {index for one in verdicts.values() for index in one.order})
