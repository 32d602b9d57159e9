"""The people: who they are to us, what they chose, on what they are recorded, and whether data about them may exist."""

from safehold.subjects.case import Case, Span
from safehold.subjects.deadline import due_us
from safehold.subjects.devices import Device, Devices
from safehold.subjects.link import Link, digest_identity
from safehold.subjects.pause import Pause
from safehold.subjects.register import Batch, People, Sealer
from safehold.subjects.standing import Standing
from safehold.subjects.voice import Voice, digest_code

__all__ = [
    "Batch",
    "Case",
    "Device",
    "Devices",
    "Link",
    "Pause",
    "People",
    "Sealer",
    "Span",
    "Standing",
    "Voice",
    "digest_code",
    "digest_identity",
    "due_us",
]
