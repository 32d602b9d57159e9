"""Where the root key comes from: a passphrase file, board-held shares, or a key that stays elsewhere.

The modules that speak to a device or a service (``pkcs11``, ``aws``, ``transit``) are loaded when one is named.
"""

from safehold.vault.kms.interface import Item, Kek, Root
from safehold.vault.kms.local import LocalRoot
from safehold.vault.kms.place import REMOTE, check_where, parse_place
from safehold.vault.kms.reach import reach
from safehold.vault.kms.remote import RemoteRoot, create_remote, open_remote, where_of
from safehold.vault.kms.sealed import Cost, change_passphrase, create_sealed, open_sealed
from safehold.vault.kms.shares import create_shared, open_shared

__all__ = [
    "REMOTE",
    "Cost",
    "Item",
    "Kek",
    "LocalRoot",
    "RemoteRoot",
    "Root",
    "change_passphrase",
    "check_where",
    "create_remote",
    "create_sealed",
    "create_shared",
    "open_remote",
    "open_sealed",
    "open_shared",
    "parse_place",
    "reach",
    "where_of",
]
