"""What a portal says of its own journal: how many lines it has, and the hash of the newest, as a leaf.

The keeper cannot tell whether a journal is true. It keeps a journal from being written anew: what a portal once said
stands in the ledger, a journal only grows, and whoever has its files can compare (safehold portal journal).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.clock import SECOND_US
from safehold.errors import ConflictError, InvalidError
from safehold.keeper.caller import caller
from safehold.keeper.server import Report, Verb
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

KIND: Final = "portal"
LEAST_APART_MS: Final = (
    60 * SECOND_US // 1000
)  # whoever may say this cannot fill the ledger with it
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_NAME: Final = re.compile(r"[0-9a-f]{16}")


class Windows:
    """The verb.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def verbs(self) -> dict[str, Verb]:
        """Return it by name."""
        return {"portal.head": self.head}

    def head(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Append how far a portal's journal goes.

        Raises:
            InvalidError: Not the head of a journal.
            ConflictError: The journal is shorter than it was, or another one.
        """
        match arguments:
            case {"portal": str(portal), "size": int(size), "head": str(head)} if (
                _NAME.fullmatch(portal) and _DIGEST.fullmatch(head) and 0 <= size < 2**53
            ):
                pass
            case _:
                raise InvalidError("not the head of a journal", rule="portal.head")
        last, at_ms = None, 0
        for index, leaf in self._desk.ledger.leaves():
            if leaf["k"] == KIND and leaf["pub"]["portal"] == portal:
                last, at_ms = (index, leaf["pub"]), int(leaf["t"])
        if last is not None:
            index, said = last
            if size < said["size"] or (size == said["size"] and head != said["head"]):
                raise ConflictError(
                    "this journal is shorter than it was, or another one",
                    rule="portal.head",
                    fix="safehold portal journal; whoever runs the portal explains it",
                )
            if size == said["size"] or self._desk.now_us() // 1000 - at_ms < LEAST_APART_MS:
                return {"entry": index, "already": True}
        (receipt,) = self._desk.log(
            Entry(
                kind=KIND,
                actor=caller().id,
                object=portal,
                detail={},
                charter=self._desk.trust.digest(),
                public={"portal": portal, "size": size, "head": head},
            )
        )
        return {"entry": receipt.index, "already": False}
