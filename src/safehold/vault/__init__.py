"""Sealed blocks and the keys that open them, until they are destroyed."""

from safehold.vault.artifact import SealedArtifact
from safehold.vault.bucket import Bucket, Place
from safehold.vault.erase import Shredded
from safehold.vault.label import Label, PlainBlock, SealedBlock, SealedObject
from safehold.vault.objects import Objects
from safehold.vault.record import Records
from safehold.vault.sidecar import Sidecar
from safehold.vault.vault import Vault

__all__ = [
    "Bucket",
    "Label",
    "Objects",
    "Place",
    "PlainBlock",
    "Records",
    "SealedArtifact",
    "SealedBlock",
    "SealedObject",
    "Shredded",
    "Sidecar",
    "Vault",
]
