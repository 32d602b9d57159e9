"""What the charter asks of one stream, with the version of the rules that carry it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold import canonical
from safehold.dlp.classes import GROUPS
from safehold.dlp.engine.tier import admit_tier, current_tier
from safehold.dlp.named import GROUP, ROSTER, TAGGER, admit_names, names_version
from safehold.dlp.pattern import data_version
from safehold.errors import InvalidError
from safehold.telemetry.stream import STREAMS, Level

LONGEST_AFTER_S: Final = 3600
_KNOWN: Final = frozenset(
    [
        "stream",
        "level",
        "apps",
        "channels",
        "drop",
        "groups",
        "titles",
        "after_s",
        "denied_apps",
        "denied_hosts",
        "tier",
        "names",
        "version",
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How one stream is minimised.

    Args:
        stream: Name of the stream.
        level: Minimisation level.
        apps: The only applications recorded, lower case; None sets no limit.
        channels: Kinds of channel recorded; None means public ones only.
        drop: Parts never recorded. Password fields are always dropped, named or not.
        groups: Groups of classes that are masked; all of them when none is named.
        titles: What is left of a window title: ``class_only`` or ``dropped``.
        after_s: Seconds for which a denied context goes on after it has ended.
        denied_apps: Applications denied besides the built-in ones.
        denied_hosts: Hosts denied besides the built-in ones.
        tier: Which machine finds sensitive text, see ``engine.tier``.
        names: Which names are masked: those on the staff roster, or also what the tagger finds.
    """

    stream: str
    level: Level = Level.L3
    apps: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    drop: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset(GROUPS)
    titles: str = "class_only"
    after_s: int = 5
    denied_apps: frozenset[str] = frozenset()
    denied_hosts: frozenset[str] = frozenset()
    tier: str = field(default_factory=current_tier)
    names: str = ROSTER

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Rules:
        """Read rules from JSON values.

        Raises:
            InvalidError: A value does not fit, a key is unknown, or the version is another.
            UnavailableError: The rules ask for the tagger, which is not installed.
        """
        if unknown := set(spec) - _KNOWN:
            raise InvalidError(
                f"{len(unknown)} keys of the minimisation rules are unknown", rule="dlp.rules"
            )
        try:
            level = spec.get("level", 3)
            level = Level[level] if isinstance(level, str) else Level(level)
            groups = frozenset(spec.get("groups") or GROUPS)
            rules = cls(
                stream=spec["stream"],
                level=level,
                apps=_names(spec.get("apps")),
                channels=_names(spec.get("channels")),
                drop=frozenset(spec.get("drop") or ()),
                groups=groups,
                titles=spec.get("titles") or "class_only",
                after_s=int(spec.get("after_s", 5)),
                denied_apps=_names(spec.get("denied_apps")) or frozenset(),
                denied_hosts=_names(spec.get("denied_hosts")) or frozenset(),
                tier=admit_tier(spec["tier"]) if "tier" in spec else current_tier(),
                names=admit_names(spec.get("names", ROSTER)),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise InvalidError("the minimisation rules do not fit", rule="dlp.rules") from error
        if (
            rules.stream not in STREAMS
            or not groups <= set(GROUPS)
            or not 0 <= rules.after_s <= LONGEST_AFTER_S
        ):
            raise InvalidError(
                "the rules name an unknown stream or group, or a time that does not fit",
                rule="dlp.rules",
            )
        if spec.get("version", rules.version) != rules.version:
            raise InvalidError(
                "the rules were written for another version of the patterns",
                rule="dlp.version",
                fix="compile the charter again with this version",
            )
        return rules

    @property
    def tagged(self) -> bool:
        """Whether the tagger looks for names: only where names are masked at all."""
        return self.names == TAGGER and GROUP in self.groups

    def to_spec(self) -> dict[str, Any]:
        """Return the rules as JSON values, with their version."""
        return self._fields() | {"version": self.version}

    @property
    def version(self) -> str:
        """SHA-256 over these rules with their tiers and all patterns, contexts, classes, models; for the ledger."""
        found_with = {"data": data_version(), "tagger": names_version(self.names)}
        return canonical.digest(self._fields() | found_with).hex()

    def _fields(self) -> dict[str, Any]:
        return {
            "stream": self.stream,
            "level": int(self.level),
            "apps": None if self.apps is None else sorted(self.apps),
            "channels": None if self.channels is None else sorted(self.channels),
            "drop": sorted(self.drop),
            "groups": sorted(self.groups),
            "titles": self.titles,
            "after_s": self.after_s,
            "denied_apps": sorted(self.denied_apps),
            "denied_hosts": sorted(self.denied_hosts),
            "tier": self.tier,
            "names": self.names,
        }


def _names(values: Any) -> frozenset[str] | None:
    return None if values is None else frozenset(value.lower() for value in values)
