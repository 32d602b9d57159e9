"""What a mail quotes is somebody else's: it is cut off before anything else reads it.

Mail programs mark a quotation in many ways and tongues. Where in doubt the rest of the mail goes: an answer that stands
below what it answers is lost with it.
"""

from __future__ import annotations

import re
from typing import Final

MARK: Final = "[QUOTE]"
_SIGN: Final = re.compile(r"[ \t]{0,40}(?:>|»|\|[ \t]|\uff1e)")
_RULE: Final = re.compile(
    r"[ \t]{0,40}(?:_{5,}|-{5,}|={5,}|\*{5,}|-{2,}[^\n]{1,60}-{2,})[ \t]{0,40}\Z"
)
_HEADER: Final = re.compile(
    r"[ \t*]{0,40}(?:from|von|de|da|van|fra|fr\u00e5n|od|l\u00e4hett\u00e4j\u00e4|\u043e\u0442|\u5dee\u51fa\u4eba"
    r"|\u53d1\u4ef6\u4eba)[ \t*]{0,4}[:\uff1a]",
    re.IGNORECASE,
)
_SAID: Final = re.compile(
    r"(?:wrote|writes|schrieb|geschrieben|\u00e9crit|ecrit|escribi\u00f3|escribio|scritto|schreef|escreveu|skrev"
    r"|napisa\u0142|napisal|kirjoitti|\u043f\u0438\u0448\u0435\u0442|\u043d\u0430\u043f\u0438\u0441\u0430\u043b)",
    re.IGNORECASE,
)
_ADDRESS: Final = re.compile(r"[^\s<>@]{1,64}@[^\s<>@]{1,255}")
_LONGEST: Final = 400  # characters of a line that introduces a quotation
_LINES: Final = 3  # over which a mail program may break it


def without_quoted(text: str) -> str:
    """Return a mail's text up to its first quotation; lines with a sign before them go wherever they are.

    Args:
        text: The plain text of a mail.
    """
    kept: list[str] = []
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _SIGN.match(line):
            if not kept or kept[-1] != MARK:
                kept.append(MARK)
            continue
        if _RULE.match(line) or (_HEADER.match(line) and kept) or _introduces(lines, number):
            kept.append(MARK)
            break
        kept.append(line)
    return "\n".join(kept).strip()


def _introduces(lines: list[str], number: int) -> int:
    """Return whether a line, with the next two, says that somebody wrote what follows: 1 or 0."""
    joined = ""
    for line in lines[number : number + _LINES]:
        joined += " " + line.strip()
        if len(joined) > _LONGEST or not line.strip():
            return 0
        if joined.rstrip().endswith((":", "\uff1a")):
            return int(bool(_SAID.search(joined) or _ADDRESS.search(joined)))
    return 0
