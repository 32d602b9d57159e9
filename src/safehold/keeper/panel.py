"""Are the witnesses of a home those that its board has named?

Holds: the list beside the home says where witnesses are reached, and the roster says which of them count. Whoever edits
the list chooses nobody: a home whose list differs records nothing and widens nothing, and a notice is counted by the
keys in the roster in any case.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from safehold.charter.pinned import Pinned
from safehold.errors import TamperedError
from safehold.ledger import Panel
from safehold.ledger.panel import LOCAL

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


def pinned_of(panel: Panel, local: Sequence[str]) -> Pinned:
    """Return a list of witnesses as a board names it: names, keys, seats and the quorum.

    Args:
        panel: The list.
        local: Verifier keys of the home's own witness.

    Raises:
        InvalidError: It cannot hold.
    """
    return Pinned.of(
        {
            LOCAL: (tuple(local), ""),
            **{one.name: (one.vkeys, one.seat) for one in panel.remote},
        },
        quorum=len(panel.remote) + 1 if panel.quorum is None else panel.quorum,
    )


def unlike_pinned(desk: Desk) -> str | None:
    """Say how the witnesses in the list, or those that are asked, differ from the named ones, if they do."""
    try:
        listed = Panel.read(desk.home.witnesses_file)
    except TamperedError:
        return "the list of witnesses is damaged"
    named = desk.trust.roster.pinned
    if pinned_of(listed, desk.local) != named:
        return "the witnesses in the list are not those that the board named"
    if pinned_of(desk.panel, desk.local) != named:
        return "the witnesses that the keeper asks are not those that the board named"
    return None
