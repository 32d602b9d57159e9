"""Texts that the law asks for, made from the charter; each belongs to one version of it and to no other.

They are drafts for counsel. What needs judgement is left open and marked, and never filled by the program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from safehold.charter.legal.balance import balancing_test
from safehold.charter.legal.impact import impact_assessment, risk_assessment
from safehold.charter.legal.notice import privacy_notice
from safehold.charter.legal.page import GAP
from safehold.charter.legal.records import record_of_processing
from safehold.charter.model import Charter
from safehold.errors import MissingError

DOCUMENTS: Final[Mapping[str, Callable[[Charter], str]]] = {
    "record": record_of_processing,
    "notice": privacy_notice,
    "dpia": impact_assessment,
    "risk": risk_assessment,
    "balance": balancing_test,
}
_GAPS: Final = re.compile(rf"{re.escape(GAP)}[^\]]*\]|\[to be completed\]")


def write(name: str, charter: Charter) -> str:
    """Return a document of a charter, Markdown.

    Raises:
        MissingError: There is no such document.
    """
    if name not in DOCUMENTS:
        raise MissingError(
            "no such document", rule="document.name", fix=f"one of {', '.join(DOCUMENTS)}"
        )
    return DOCUMENTS[name](charter)


def open_questions(text: str) -> int:
    """Return how many gaps of a document nobody has filled."""
    return text.count(GAP) + text.count("[to be completed]")


def left_out(text: str, drawn: str) -> str | None:
    """Return the first line that a completed text no longer has of the text made from the charter; None if it has all.

    People fill gaps, and may add what they like between the lines; what the charter says stays, in its order. A line
    begins and ends as it did, so that nothing is put before or behind what it says: "14 days" is not in "114 days".

    Args:
        text: What people completed.
        drawn: What ``write`` made.
    """
    place = 0
    for line in drawn.splitlines():
        parts = _GAPS.split(line)
        for n, part in enumerate(parts):
            if not part.strip():
                continue
            begin, end = "^" if n == 0 else "", r"[ \t\r]*$" if n == len(parts) - 1 else ""
            found = re.compile(begin + re.escape(part) + end, re.MULTILINE).search(text, place)
            if found is None:
                return line
            place = found.end()
    return None


__all__ = ["DOCUMENTS", "left_out", "open_questions", "write"]
