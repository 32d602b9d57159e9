"""Keys that sign heads: a log's own and a witness's, each with Ed25519 and ML-DSA-44.

The second key grows from the first one's seed unless it has a seed of its own. Whoever could
compute an Ed25519 private key from the public one would find the scalar, not the seed that it was
hashed from, so the ML-DSA-44 key stays out of reach.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from safehold.canonical import b64
from safehold.errors import InvalidError, TamperedError
from safehold.ledger.vkey import (
    COSIGNATURE,
    ED25519,
    LATTICE,
    VKey,
    check_name,
    cosigned,
    lattice_message,
)

_DASH = "\N{EM DASH} "
_GROW = b"safehold/ledger/ml-dsa-44/1"


class LogSigner:
    """The keys of a log; its name is the log's origin.

    Args:
        seed: 32 secret bytes.
        name: The origin, for example ``example.com/tenant/audit``.
        second: 32 secret bytes of the ML-DSA-44 key; grown from ``seed`` if absent.
        leaving: The keys that were the log's before and sign beside these until they are retired.
    """

    algorithm = ED25519

    def __init__(
        self,
        seed: bytes,
        *,
        name: str,
        second: bytes | None = None,
        leaving: LogSigner | None = None,
    ) -> None:
        grown = hmac.digest(seed, _GROW, "sha256") if second is None else second
        if len(seed) != 32 or len(grown) != 32:
            raise InvalidError("a signing seed has 32 bytes", rule="ledger.signer")
        if leaving is not None and (leaving.name != name or leaving.leaving is not None):
            raise InvalidError("only one key of this log can be leaving", rule="ledger.signer")
        self._seed, self._grown = seed, grown
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._second = MLDSA44PrivateKey.from_seed_bytes(grown)
        raw, wide = self._key.public_key(), self._second.public_key()
        self.vkey = VKey(check_name(name), self.algorithm, raw.public_bytes_raw())
        self.lattice = VKey(name, LATTICE, wide.public_bytes_raw())
        self.leaving: LogSigner | None = leaving
        self._lead = f"{_DASH}{name} "

    @property
    def name(self) -> str:
        """The name under which it signs."""
        return self.vkey.name

    @property
    def vkeys(self) -> tuple[VKey, ...]:
        """The Ed25519 keys that sign every head now, newest first."""
        return (self.vkey,) if self.leaving is None else (self.vkey, self.leaving.vkey)

    @property
    def policy_keys(self) -> tuple[str, ...]:
        """The verifier keys whose lines stand in a published head, for the policy."""
        others = () if self.leaving is None else self.leaving.policy_keys
        return (self.vkey.text(), self.lattice.text(), *others)

    @property
    def identity(self) -> str:
        """What the journal calls the log's keys: their verifier keys with one space between."""
        return " ".join(key.text() for key in self.vkeys)

    @classmethod
    def choose(cls, signers: Sequence[LogSigner], identity: str) -> LogSigner:
        """Return the keys, of some that could be a log's, that its journal names.

        Raises:
            TamperedError: It names keys that are not among them.
        """
        by_text = {one.vkey.text(): one for one in signers}
        named = [by_text.get(text) for text in identity.split(" ")]
        match named:
            case [LogSigner() as one]:
                return one.alone()
            case [LogSigner() as one, LogSigner() as leaving]:
                return one.beside(leaving.alone())
            case _:
                raise TamperedError("this log was made with another key", rule="ledger.identity")

    def beside(self, leaving: LogSigner) -> LogSigner:
        """Return these keys with others that sign beside them until they are retired."""
        return LogSigner(self._seed, name=self.name, second=self._grown, leaving=leaving)

    def alone(self) -> LogSigner:
        """Return these keys without those that were leaving."""
        return LogSigner(self._seed, name=self.name, second=self._grown)

    def line(self, text: bytes) -> bytes:
        """Return the Ed25519 signature line over the text of a note."""
        return self._line(self.vkey, self._key.sign(text))

    def lattice_line(self, text: bytes, *, at: int = 0) -> bytes:
        """Return the ML-DSA-44 signature line over a checkpoint; a log's own may have time 0."""
        blob = self._second.sign(lattice_message(self.name, at, text))
        return self._line(self.lattice, at.to_bytes(8, "big") + blob)

    def sign(self, text: bytes) -> bytes:
        """Return the note: text, blank line, the Ed25519 line of every key of the log."""
        old = b"" if self.leaving is None else self.leaving.line(text)
        return text + b"\n" + self.line(text) + old

    def publish_lines(self, text: bytes) -> bytes:
        """Return the ML-DSA-44 lines that a head gets before it is shown to witnesses."""
        old = b"" if self.leaving is None else self.leaving.lattice_line(text)
        return self.lattice_line(text) + old

    def _line(self, key: VKey, blob: bytes) -> bytes:
        return (self._lead + b64(key.key_id + blob) + "\n").encode()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.vkey.text()})"


class Cosigner(LogSigner):
    """The keys of a witness (tlog-cosignature, types 0x04 and 0x06)."""

    algorithm = COSIGNATURE

    def cosign(self, text: bytes, *, at: int) -> bytes:
        """Return both cosignature lines over a checkpoint body, at a time in seconds.

        Raises:
            InvalidError: The time is zero, which only a log's own signature may have.
        """
        if at <= 0:
            raise InvalidError("a cosignature has a time", rule="ledger.cosign.time")
        old = self._line(self.vkey, at.to_bytes(8, "big") + self._key.sign(cosigned(text, at)))
        return old + self.lattice_line(text, at=at)
