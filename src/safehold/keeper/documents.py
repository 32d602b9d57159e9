"""The verbs about texts that the law asks for: made from the charter, in the ledger by hash, stale when it moves.

The file lies in the home for people to read; the leaf says which bytes were published under which charter. A text
that people completed by hand is published the same way, and must name the charter that it is about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safehold.canonical import unb64
from safehold.charter.legal import DOCUMENTS, left_out, open_questions, write
from safehold.errors import InvalidError, MissingError
from safehold.keeper.server import Report
from safehold.ledger import Entry
from safehold.ledger.files import replace_file

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LONGEST: Final = 1 << 20  # characters


class Documents:
    """The verbs.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def publish(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Publish a document: the text made from the charter in force, or one that people completed."""
        desk = self._desk
        name, given = str(arguments["name"]), arguments.get("text")
        with desk.lock:  # no other charter comes into force meanwhile
            charter = desk.trust.charter()
            text = write(name, charter)
            if given is not None:
                text = _check(given, drawn=text, digest=charter.digest().hex())
            data = text.encode()
            folder = desk.home.documents
            folder.mkdir(mode=0o700, exist_ok=True)
            replace_file(folder / f"{name}.md", data)
            sha256 = hashlib.sha256(data).hexdigest()
            known = self._newest().get(name)
            if known is not None and _says(known[1], sha256, charter.digest()):
                return _answer(name, text, sha256, known[0])
            (receipt,) = desk.log(
                Entry(
                    kind="document",
                    actor="board",
                    object=name,
                    detail={
                        "open": open_questions(text),
                        "made": "people" if given is not None else "charter",
                    },
                    charter=charter.digest(),
                    public={"name": name, "sha256": sha256, "version": charter.version},
                )
            )
        return _answer(name, text, sha256, receipt.index)

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return every document with its state: ``current``, ``stale``, ``changed`` or ``missing``."""
        newest = self._newest()
        return {
            "documents": [
                {"document": name, **self._state(name, newest.get(name))} for name in DOCUMENTS
            ]
        }

    def _newest(self) -> dict[str, tuple[int, dict[str, Any]]]:
        newest: dict[str, tuple[int, dict[str, Any]]] = {}
        for index, leaf in self._desk.ledger.leaves():
            if leaf["k"] == "document":
                newest[leaf["pub"]["name"]] = (index, leaf)
        return newest

    def _state(self, name: str, found: tuple[int, dict[str, Any]] | None) -> dict[str, Any]:
        if found is None:
            return {"state": "missing", "entry": None, "version": None, "open": None}
        index, leaf = found
        text = _read(self._desk.home.documents / f"{name}.md")
        if text is None or hashlib.sha256(text).hexdigest() != leaf["pub"]["sha256"]:
            state = "changed"
        elif unb64(leaf["chr"]) != self._desk.trust.digest():
            state = "stale"
        elif (
            left_out(text.decode(errors="replace"), write(name, self._desk.trust.charter()))
            is not None
        ):
            state = "stale"  # a newer version of the program says more, or otherwise, about the same charter
        else:
            state = "current"
        return {
            "state": state,
            "entry": index,
            "version": leaf["pub"]["version"],
            "open": None if text is None else open_questions(text.decode(errors="replace")),
        }


def _says(leaf: dict[str, Any], sha256: str, charter: bytes) -> bool:
    return leaf["pub"]["sha256"] == sha256 and unb64(leaf["chr"]) == charter


def _answer(name: str, text: str, sha256: str, entry: int) -> dict[str, Any]:
    return {
        "document": name,
        "sha256": sha256,
        "open": open_questions(text),
        "entry": entry,
        "file": f"{name}.md",
    }


def _check(text: Any, *, drawn: str, digest: str) -> str:
    if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
        raise InvalidError("a document is a text of at most a million characters", rule="document")
    if digest not in text:
        raise InvalidError(
            "the text does not name the charter in force by its digest",
            rule="document.charter",
            fix="begin from the text of: safehold charter document",
        )
    if (line := left_out(text, drawn)) is not None:
        row = drawn.splitlines().index(line) + 1
        raise InvalidError(
            "the text lacks something that the charter says, or says it elsewhere",
            row=row,
            rule="document.text",
            fix="fill the gaps of: safehold charter document (the row is of that text); add, and take nothing away",
        )
    return text


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MissingError("a document cannot be read", rule="document.file") from error
