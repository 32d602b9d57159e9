"""How well a keeper is kept from those who could misuse it, said as a level and in words.

The levels build on one another: a root in an HSM does not help against somebody who shares the keeper's user id and
can exchange its program, so that is K1 still, and the report says what is there and what lacks.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

REMOTE: Final = frozenset({"pkcs11", "aws-kms", "hcvault"})
MEANS: Final = {
    "K1": "the keeper shares its callers' user id: whoever runs as it, and root, is trusted",
    "K2": "the keeper has a user id of its own: root on its machine is trusted, its callers are not",
    "K3": "as K2, and the root key is in a device or service that never shows it: a copy of this machine"
    " opens nothing; root on it is trusted while the keeper runs and is unlocked",
    "K4": "as K2, the root opens only with shares of the board, and a witness on another host must cosign:"
    " root on this machine cannot start a keeper alone nor hide what it did",
}


class Level(NamedTuple):
    """A level, and what is there and what lacks for the next.

    Args:
        name: ``K1`` to ``K4``.
        root: How the root is kept.
        own_user: Whether the keeper has a user id that none of its callers has.
        witnessed: Whether no head counts without a witness on another host.
    """

    name: str
    root: str
    own_user: bool
    witnessed: bool

    def payload(self) -> dict[str, Any]:
        """Return it as reports show it."""
        return {
            "level": self.name,
            "means": MEANS[self.name],
            "root": self.root,
            "own_user": self.own_user,
            "witnessed_elsewhere": self.witnessed,
            "lacks": self._lacks(),
        }

    def _lacks(self) -> list[str]:
        lacks = []
        if not self.own_user:
            lacks.append("a user id of its own: start `safehold serve --as USER` as root")
        if self.root not in REMOTE | {"shares"}:
            lacks.append("a root outside its own files: safehold key rotate --root")
        if not self.witnessed:
            lacks.append("a witness elsewhere that must cosign: safehold ledger witness add")
        return lacks


def level_of(*, root: str, own_user: bool, witnessed: bool) -> Level:
    """Return the level that holds.

    Args:
        root: Kind of the root.
        own_user: Whether the keeper has a user id that none of its callers has.
        witnessed: Whether no head counts without a witness on another host.
    """
    name = "K1"
    if own_user:
        name = "K2"
        if root == "shares" and witnessed:
            name = "K4"
        elif root in REMOTE:
            name = "K3"
    return Level(name, root, own_user, witnessed)
