"""The people: who they are to us, what they chose, on what they are recorded, and whether data about them may exist."""

from safehold.subjects.devices import Device, Devices
from safehold.subjects.register import Batch, People, Sealer
from safehold.subjects.standing import Pause, Standing

__all__ = ["Batch", "Device", "Devices", "Pause", "People", "Sealer", "Standing"]
