"""Where the root key comes from: a passphrase file or board-held shares."""

from safehold.vault.kms.interface import Root
from safehold.vault.kms.local import LocalRoot
from safehold.vault.kms.sealed import Cost, change_passphrase, create_sealed, open_sealed
from safehold.vault.kms.shares import create_shared, open_shared

__all__ = [
    "Cost",
    "LocalRoot",
    "Root",
    "change_passphrase",
    "create_sealed",
    "create_shared",
    "open_sealed",
    "open_shared",
]
