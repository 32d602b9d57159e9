"""Recipe: one file from outside to how it was recognised and how much was found in it.

Parts in:  {"file": true}, a table of one row with the column ``body``
Frames out: one ``inspection``: kind, notes, and how many findings of each class; never a place and never a text
Spec: ``canaries``: planted words to look for

``InspectionGate`` runs on the trusted side and believes nothing: words come from closed lists, and numbers are bounded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from safehold.dlp.artifact import inspect
from safehold.dlp.artifact.content import IMAGE, OPTIMIZER, SPREAD, VECTORS
from safehold.dlp.artifact.inspection import CANARY
from safehold.dlp.canary import Canaries
from safehold.dlp.classes import NAMES
from safehold.errors import ERRORS, DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.sandbox.channel import read_parts

Emit = Callable[..., None]

KINDS: Final = frozenset(
    {"safetensors", "gguf", "array", "tokenizer", "notebook", "json", "log", "table"}
)
NOTES: Final = (SPREAD, OPTIMIZER, VECTORS, IMAGE)
_CLASSES: Final = frozenset({*NAMES, CANARY})
_KEYS: Final = frozenset({"type", "kind", "notes", "findings", "classes"})
_MOST: Final = 10**9
_REASONS: Final = {
    "artifact.pickle": "the file is a pickle, or holds one, which runs code when it is loaded",
    "artifact.damaged": "the file is damaged",
    "artifact.archive": "the file is packed",
    "artifact.format": "the format is one whose content is not read here",
    "artifact.json": "the file is no JSON, or too deep",
    "artifact.size": "the file is too large to be read at once",
    "dlp.canary": "a planted word is too short to be told from ordinary text",
}


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        DeniedError: It is a pickle.
        InvalidError: It cannot be read, so nobody could say what it holds.
    """
    words = spec.get("canaries") or []
    canaries = Canaries(words) if words else None
    ((_, table),) = [part for fd in inputs for part in read_parts(fd)]
    body = table.column("body").combine_chunks()[0].as_buffer()
    found = inspect(memoryview(body), canaries=canaries)
    classes: Counter[str] = Counter()
    for one in found.findings:
        classes[one.kind] += one.count
    emit(
        {
            "type": "inspection",
            "kind": found.kind,
            "notes": [note for note in NOTES if note in found.notes],
            "findings": len(found.findings) + found.more,
            "classes": dict(sorted(classes.items())),
        }
    )


class InspectionGate:
    """Admits the one frame of a look into a file."""

    def __init__(self) -> None:
        self._seen = False

    def admit(self, header: Mapping[str, Any], body: bytes | memoryview = b"") -> dict[str, Any]:
        """Return what a frame says, built anew.

        Raises:
            TamperedError: It is not the one message in its only form.
            SafeholdError: The recipe could not read the file.
        """
        if len(body):
            raise TamperedError("a message of this type has no body", rule="egress.body")
        if header.get("type") == "error":
            raise _reason(header)
        if header.get("type") != "inspection":
            raise DeniedError("the recipe sent a message it may not send", rule="egress.type")
        if set(header) != _KEYS or self._seen:
            raise TamperedError("a header has other keys than its type", rule="egress.header")
        self._seen = True
        notes, classes = header["notes"], header["classes"]
        if header["kind"] not in KINDS or notes != [one for one in NOTES if one in notes]:
            raise TamperedError("text outside its closed list", rule="egress.text")
        if not isinstance(classes, dict) or not set(classes) <= _CLASSES:
            raise TamperedError("text outside its closed list", rule="egress.text")
        for number in (header["findings"], *classes.values()):
            if type(number) is not int or not 0 <= number <= _MOST:
                raise TamperedError("a whole number is out of range", rule="egress.number")
        if bool(header["findings"]) != bool(classes):
            raise TamperedError("the figures do not add up", rule="egress.number")
        return {name: header[name] for name in ("kind", "notes", "findings")} | {
            "classes": {name: classes[name] for name in sorted(classes)}
        }

    def close(self) -> None:
        """Check that the message came.

        Raises:
            TamperedError: It did not.
        """
        if not self._seen:
            raise TamperedError("the run ended without a result", rule="egress.whole")


def _reason(header: Mapping[str, Any]) -> SafeholdError:
    kind, rule = ERRORS.get(str(header.get("code")), SafeholdError), header.get("rule")
    if not isinstance(rule, str) or rule not in _REASONS:
        return InvalidError("the file cannot be read here", rule="artifact.unread")
    return kind(_REASONS[rule], rule=rule, fix="hand in safetensors, or a tokenizer")
