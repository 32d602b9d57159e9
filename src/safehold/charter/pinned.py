"""The witnesses by whose clocks a notice counts, as the board has named them.

Holds: they are part of the roster, so every seat signed the first of them and the board agrees to each change; a list
that lies beside a home names nobody who counts. Each witness has a key of its own, so none counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedWitness:
    """One witness.

    Args:
        name: Its short name in the policy.
        vkeys: Its verifier keys; a time counts by the first.
        seat: The seat of the board that keeps it, if one does.
    """

    name: str
    vkeys: tuple[str, ...]
    seat: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """All witnesses of a home, and how many of them say what time it is.

    Without a witness there is no time, and so no notice ever ends.

    Args:
        witnesses: Sorted by name, the home's own among them.
        quorum: How many must have cosigned.
    """

    witnesses: tuple[PinnedWitness, ...] = ()
    quorum: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """The verifier key of each witness by which its time counts."""
        return tuple(one.vkeys[0] for one in self.witnesses)

    def check(self) -> None:
        """Check names, keys and quorum.

        Raises:
            InvalidError: Out of order, two of one name or key, one without a key, or no such quorum.
        """
        names = [one.name for one in self.witnesses]
        keys = [key for one in self.witnesses for key in one.vkeys]
        if (
            names != sorted(set(names))
            or len(keys) != len(set(keys))
            or not all(one.vkeys for one in self.witnesses)
        ):
            raise InvalidError(
                "witnesses have names and keys of their own", rule="roster.witnesses"
            )
        if not min(1, len(names)) <= self.quorum <= len(names):
            raise InvalidError("no such quorum of these witnesses", rule="roster.witnesses")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "quorum": self.quorum,
            "witnesses": [
                {"name": one.name, "vkeys": list(one.vkeys), "seat": one.seat}
                for one in self.witnesses
            ],
        }

    @classmethod
    def from_json(cls, tree: Any) -> Pinned:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is something else, or cannot hold.
        """
        match tree:
            case {"quorum": int(quorum), "witnesses": list(witnesses)} if len(tree) == 2:
                found = cls(witnesses=tuple(map(_witness, witnesses)), quorum=quorum)
            case _:
                raise InvalidError("not a list of witnesses", rule="roster.witnesses")
        found.check()
        return found

    @classmethod
    def of(cls, named: Mapping[str, tuple[tuple[str, ...], str]], *, quorum: int) -> Pinned:
        """Return the witnesses of some names, each with its verifier keys and seat.

        Raises:
            InvalidError: They cannot hold; see ``check``.
        """
        found = cls(
            witnesses=tuple(
                PinnedWitness(name=name, vkeys=vkeys, seat=seat)
                for name, (vkeys, seat) in sorted(named.items())
            ),
            quorum=quorum,
        )
        found.check()
        return found


def _witness(tree: Any) -> PinnedWitness:
    match tree:
        case {"name": str(name), "vkeys": list(vkeys), "seat": str(seat)} if len(tree) == 3 and all(
            isinstance(key, str) for key in vkeys
        ):
            return PinnedWitness(name=name, vkeys=tuple(vkeys), seat=seat)
        case _:
            raise InvalidError("not a witness", rule="roster.witnesses")
