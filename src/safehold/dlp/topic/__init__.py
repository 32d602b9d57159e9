"""What a whole message is about: health, money, law, performance, union, leave; taken as a unit."""

from safehold.dlp.topic.unit import Units, find_units, replace_units

__all__ = ["Units", "find_units", "replace_units"]
