"""What an incident is about: a stolen grant or capability, a principal, a leaked key, a segment, an artifact, a time.

Several at once are their intersection.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import InvalidError

ROOT, MINT, PERSON, SEGMENT = "root", "mint", "person", "segment"
_KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}(/[1-9][0-9]{0,8})?")
_TEXTS: Final = ("grant", "capability", "principal", "key", "segment", "artifact")
_LARGEST: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is asked about; what is empty says nothing.

    Args:
        grant: Id of a grant; all that descends from it belongs to it.
        capability: Revocation id of one block of a token.
        principal: Id of a person, a workload or an agent.
        key: ``@root``, ``@mint``, ``@person/NAME``, or a segment, with ``/EPOCH`` for one epoch of its key.
        segment: A segment.
        artifact: Id of a model or dataset.
        since_us: From when, microseconds; None from the beginning.
        until_us: Until when; None up to now.
    """

    grant: str = ""
    capability: str = ""
    principal: str = ""
    key: str = ""
    segment: str = ""
    artifact: str = ""
    since_us: int | None = None
    until_us: int | None = None

    @classmethod
    def from_json(cls, tree: Any) -> Target:
        """Read a target.

        Raises:
            InvalidError: It is none, or says nothing.
        """
        if not isinstance(tree, Mapping) or not set(tree) <= {*_TEXTS, "since_us", "until_us"}:
            raise InvalidError("not the target of an incident", rule="blast.target")
        texts = {name: tree.get(name, "") for name in _TEXTS}
        times = {name: tree.get(name) for name in ("since_us", "until_us")}
        if not all(isinstance(one, str) and len(one) <= 512 for one in texts.values()) or not all(
            one is None or (type(one) is int and 0 <= one < _LARGEST) for one in times.values()
        ):
            raise InvalidError("not the target of an incident", rule="blast.target")
        if not any(texts.values()) and times["since_us"] is None and times["until_us"] is None:
            raise InvalidError(
                "an incident is about something",
                rule="blast.target",
                fix="name a grant, a capability, a principal, a key, a segment, an artifact or a time",
            )
        found = cls(**texts, since_us=times["since_us"], until_us=times["until_us"])
        if found.key and found.kind is None:
            raise InvalidError(
                "no such key",
                rule="blast.key",
                field="key",
                fix="@root, @mint, @person/NAME, SEGMENT or SEGMENT/EPOCH",
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the canonical tree: what is said, and nothing else."""
        texts = {name: getattr(self, name) for name in _TEXTS if getattr(self, name)}
        times = {
            name: value
            for name in ("since_us", "until_us")
            if (value := getattr(self, name)) is not None
        }
        return texts | times

    @property
    def kind(self) -> tuple[str, str, int] | None:
        """What kind of key is meant: (kind, whose or of which segment, epoch or 0); nothing if there is no such key."""
        if self.key in ("@root", "@mint"):
            return self.key[1:], "", 0
        if self.key.startswith("@person/") and len(self.key) > len("@person/"):
            return PERSON, self.key.removeprefix("@person/"), 0
        if not _KEY.fullmatch(self.key):
            return None
        segment, _, epoch = self.key.partition("/")
        return SEGMENT, segment, int(epoch or 0)

    @property
    def by_grant(self) -> bool:
        """Whether it is about what somebody was permitted, so that grants bound what could have been opened."""
        key = self.kind[0] if self.kind else ""
        timed = self.since_us is not None or self.until_us is not None
        return bool(self.grant or self.capability or self.principal or key == MINT or timed)

    def words(self) -> str:
        """Return what it is about, in words; no name of a person."""
        said = [f"{name} {getattr(self, name)}" for name in _TEXTS if getattr(self, name)]
        if self.key.startswith("@person/"):
            said = ["key of one person" if one.startswith("key ") else one for one in said]
        if self.since_us is not None or self.until_us is not None:
            said.append("a stretch of time")
        return " and ".join(said)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """What a target means in this home. None does not narrow.

    Args:
        grants: Leaves of the grants that are meant, with what descends from them.
        actors: Tags of who is meant; their uses count, and those under the grants.
        tokens: Marks of the capabilities.
        segments: Segments.
        place: Place of the one person, -2 if no entry is about them.
        person: Their id.
        made: The artifact.
        since: From when, milliseconds.
        until: Until when.
        mint: Whether a token of any grant could have been minted.
    """

    grants: frozenset[int] | None = None
    actors: frozenset[str] | None = None
    tokens: frozenset[str] | None = None
    segments: frozenset[str] | None = None
    place: int | None = None
    person: str | None = None
    made: str | None = None
    since: int | None = None
    until: int | None = None
    mint: bool = False
