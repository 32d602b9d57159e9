"""Every backend of a root key, made and opened the same way, so that the same tests run over each."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from pathlib import Path

from tests.key_services import PIN, TOKEN, Aws, SoftHsm, Transit

from safehold.vault.kms import (
    Cost,
    Root,
    create_remote,
    create_sealed,
    create_shared,
    open_remote,
    open_sealed,
    open_shared,
    reach,
)

CHEAP = Cost(memory_kib=8192, iterations=1, lanes=1)
WORDS = "correct horse battery"


class Backend(ABC):
    """One way to keep a root."""

    kind: str

    def __init__(self, folder: Path) -> None:
        self.file = folder / f"root-{secrets.token_hex(4)}"

    @abstractmethod
    def make(self, carried: bytes | None = None) -> Root:
        """Make the root and its file."""

    @abstractmethod
    def open(self) -> Root:
        """Open the file again."""

    @abstractmethod
    def open_wrongly(self) -> Root:
        """Try with a secret that is not the root's."""


class Sealed(Backend):
    kind = "passphrase"

    def make(self, carried=None):
        return create_sealed(self.file, WORDS, cost=CHEAP, carried=carried)

    def open(self):
        return open_sealed(self.file, WORDS)

    def open_wrongly(self):
        return open_sealed(self.file, WORDS + "!")


class Shared(Backend):
    kind = "shares"

    def make(self, carried=None):
        root, self.shares = create_shared(self.file, threshold=3, count=5, carried=carried)
        return root

    def open(self):
        return open_shared(self.file, self.shares[1:4])

    def open_wrongly(self):
        return open_shared(self.file, self.shares[1:3])


class Remote(Backend):
    where: dict[str, str]
    secret: str
    makes = True

    def make(self, carried=None):
        return create_remote(
            self.file, reach(self.kind, self.where, self.secret, make=self.makes), carried=carried
        )

    def open(self):
        return open_remote(self.file, reach(self.kind, self.where, self.secret))

    def open_wrongly(self):
        return open_remote(self.file, reach(self.kind, self.where, "0" + self.secret[1:]))


class Token(Remote):
    kind, secret = "pkcs11", PIN

    def __init__(self, folder: Path, softhsm: SoftHsm) -> None:
        super().__init__(folder)
        self.where = softhsm.where()


class Amazon(Remote):
    kind, makes = "aws-kms", False

    def __init__(self, folder: Path, aws: Aws) -> None:
        super().__init__(folder)
        self.where, self.secret = aws.where(), aws.credentials

    def open_wrongly(self):
        # moto checks no signature: what is wrong here is the form of the credentials
        return open_remote(self.file, reach(self.kind, self.where, '{"token":"x"}'))


class Vaulted(Remote):
    kind, secret = "hcvault", TOKEN

    def __init__(self, folder: Path, transit: Transit) -> None:
        super().__init__(folder)
        self.where = transit.where(f"root-{secrets.token_hex(4)}")
