"""From what somebody names to what doors ask about; what is not there cannot be contained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from safehold.access import operator_of
from safehold.catalog.register import TELEMETRY
from safehold.charter.difference.watch import WATCH
from safehold.errors import DeniedError, MissingError, ShreddedError, TamperedError
from safehold.keeper import contained
from safehold.keeper.contained import block_hash
from safehold.keeper.containing import Wish
from safehold.keeper.grants import Grants
from safehold.keeper.models import Models
from safehold.keeper.principals import Principals
from safehold.keeper.terms import streams_of
from safehold.telemetry.stream import segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

DERIVED: Final = (
    "feature",
    "embedding",
)  # what is derived of a place lies in segments of these names
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be contained.

    Args:
        what: One of ``contained.KINDS``.
        key: The key by which doors know it.
        name: How people know it.
        grant: Leaf of the grant of a token; -1 of anything else.
    """

    what: str
    key: str
    name: str
    grant: int = -1


class Targets:
    """Finds them.

    Args:
        desk: What the keeper works with.
        principals: Who is enrolled.
        grants: What is known of grants.
        models: What is known of artifacts.
    """

    def __init__(self, desk: Desk, principals: Principals, grants: Grants, models: Models) -> None:
        self._desk = desk
        self._principals = principals
        self._grants = grants
        self._models = models

    def find(self, wish: Wish) -> Target:
        """Return what a wish names.

        Raises:
            MissingError: There is no such thing.
            DeniedError: It is what those who watch work by.
        """
        name = wish.target
        match wish.what:
            case contained.GRANT:
                return self._grant(name)
            case contained.CAPABILITY:
                return self._capability(name)
            case contained.PRINCIPAL:
                there = self.knows_principal(name)
            case contained.SEGMENT:
                there = self.knows_segment(name)
            case contained.PURPOSE:
                if name == WATCH:
                    raise DeniedError(
                        "nobody blinds those who watch: this purpose is not contained by itself",
                        rule="containment.watch",
                        fix="contain what you worry about, or stop everything: safehold stop",
                    )
                there = name in self._desk.trust.charter().purposes
            case contained.ARTIFACT:
                there = self._models.knows(name)
            case contained.DATASET:
                there = self._is_dataset(name)
            case contained.RUN:
                there = name.isdecimal() and int(name) in self._desk.trust.unanswered()
            case _:
                there = self._is_collected(name)
        if not there:
            raise _missing(wish.what)
        return Target(what=wish.what, key=name, name=name)

    def _grant(self, name: str) -> Target:
        entry = int(name) if name.isdecimal() else self._grants.records.find(name)
        if entry is None or entry not in self._desk.trust.grants():
            raise _missing(contained.GRANT)
        grant = self._stated(entry)
        return Target(what=contained.GRANT, key=str(entry), name=name if grant is None else grant)

    def _stated(self, entry: int) -> str | None:
        try:
            grant = self._grants.records.stated(entry)
        except (ShreddedError, MissingError):
            return None
        return None if grant is None else grant.id

    def _capability(self, name: str) -> Target:
        """Return a token by itself, by its revocation id, or by the hash of that; any of the last two was used once."""
        if len(name) > 512 or not name:
            raise _missing(contained.CAPABILITY)
        with_hash = name if _HASH.fullmatch(name) else block_hash(name)
        for entry in reversed(self._desk.trust.grants()):
            for intent in reversed(self._desk.trust.record(entry).intents):
                if with_hash in map(block_hash, self._tokens(intent)):
                    return Target(
                        what=contained.CAPABILITY, key=with_hash, name=with_hash, grant=entry
                    )
        raise _missing(contained.CAPABILITY)

    def _tokens(self, intent: int) -> list[str]:
        try:
            return list(self._desk.ledger.detail(intent)["detail"].get("tokens", ()))
        except (ShreddedError, MissingError):
            return []

    def knows_principal(self, name: str) -> bool:
        """Return whether somebody is enrolled, or has a grant: of who has one not everybody is."""
        if self._principals.find(name) is not None:
            return True
        for entry in self._desk.trust.grants():
            try:
                grant = self._grants.records.stated(entry)
            except (ShreddedError, MissingError):
                continue
            if grant is not None and name in (grant.requester.id, operator_of(grant.requester)):
                return True
        return False

    def knows_segment(self, name: str) -> bool:
        """Return whether the charter has a segment, which may be empty still, or blocks lie in it."""
        charter = self._desk.trust.charter()
        streams = (*streams_of(charter), *DERIVED)
        if any(
            name == segment_name(place, one) for place in charter.jurisdictions for one in streams
        ):
            return True
        stream = name.rpartition(".")[2]
        return any(
            block.segment == name
            for kind in (TELEMETRY, "derived")
            for block in self._desk.catalog.blocks(
                kind=kind, streams=frozenset({stream}), after_day=self._desk.today()
            )
        )

    def _is_dataset(self, name: str) -> bool:
        try:
            node = self._desk.lineage.node(name)
        except MissingError:
            return False
        except TamperedError:
            return True  # its row was changed: all the more reason
        if node.kind == "model":
            raise MissingError(
                "this is an artifact", rule="containment.missing", fix="contain it as an artifact"
            )
        return True

    def _is_collected(self, name: str) -> bool:
        charter = self._desk.trust.charter()
        streams = streams_of(charter)
        return name in (contained.ALL, *streams) or any(
            name == segment_name(place, one) for place in charter.jurisdictions for one in streams
        )


def _missing(what: str) -> MissingError:
    return MissingError(
        f"there is no such {what}; what is not there is not contained",
        rule="containment.missing",
        fix=_FIXES[what],
    )


_FIXES: Final = {
    contained.GRANT: "safehold grant list",
    contained.CAPABILITY: "the id of its block, or the SHA-256 of that: safehold grant show",
    contained.PRINCIPAL: "safehold principal list",
    contained.SEGMENT: "a place and a stream of the charter, as us-ca.key",
    contained.PURPOSE: "a purpose of the charter in force: safehold charter show",
    contained.ARTIFACT: "safehold artifact list",
    contained.DATASET: "safehold dataset list",
    contained.RUN: "the entry of an intent that has no result yet: safehold containment preview",
    contained.COLLECTION: "all, a stream, or a segment",
}
