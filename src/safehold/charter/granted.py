"""What takes a grant: some acts always, and to operate where it would open what was set aside for repair."""

from __future__ import annotations

from typing import Final

from safehold.charter.model import Charter
from safehold.charter.vocabulary import GRANTED

OPERATE: Final = ("operate",)


def repairs(charter: Charter) -> tuple[str, ...]:
    """Return the purposes that nobody operates for without a grant."""
    return () if charter.set_aside is None else (charter.set_aside.purpose,)


def takes_grant(charter: Charter, action: str, purpose: str) -> bool:
    """Return whether an act for a purpose takes a grant."""
    return action in GRANTED or (action in OPERATE and purpose in repairs(charter))
