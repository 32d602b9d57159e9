"""Secure aggregation with one trip: masks that cancel in the sum of all members, and in nothing less.

Each pair of silos has a secret: X25519 between keys that are made for one run and signed by keys that both houses
named beforehand. For one step with one set of members each pair derives one pad from it; the first of the two adds it,
the other subtracts it, modulo 2^64 (Bonawitz et al. 2017, section 4, without its recovery phase).

What follows from it, for a coordinator that may do anything and any number of silos that help it:
- The vector of a silo with at least one honest other member is uniform, until all honest members of the same
  context have answered; then their sum is known and nothing else. The context names run, step, members and model, so
  who is told something else answers under other pads.
- A silo answers each step once. So there is no second vector to subtract, and since nobody ever reveals a pad or a
  seed, there is nothing to ask for that would unmask one silo. Bonawitz's recovery must refuse to hand out both
  kinds of shares; here there are none.
- What is paid: when a member is lost, the step is lost, and the next one, with fresh noise and without it, takes its
  place. Every step, lost or not, is counted by the accountant.
- Integrity is not promised: a silo that lies changes the sum, and nothing here bounds by how much.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, SafeholdError, TamperedError
from safehold.keeper.agreement import Agreement
from safehold.signing import SigningKey

DOMAIN: Final = "safehold.federation.key.v1"
Words = NDArray[np.uint64]


def context(agreement: str, run: str, step: int, members: Sequence[str], model: str) -> bytes:
    """Return the hash that names one step with one set of members and one model."""
    return hashlib.sha256(
        canonical.encode(
            {
                "v": "safehold.federation.step/1",
                "agreement": agreement,
                "run": run,
                "step": step,
                "members": sorted(members),
                "model": model,
            }
        )
    ).digest()


class Masker:
    """One silo's masks in one run.

    Args:
        agreement: What the houses agreed on.
        name: Which of them this is.
        run: The run.
        identity: The key that the agreement names for it.
        seed: 32 bytes that nobody else knows, fresh for this run.
    """

    def __init__(
        self, agreement: Agreement, *, name: str, run: str, identity: SigningKey, seed: bytes
    ) -> None:
        if agreement.silo(name).identity.raw != identity.public.raw:
            raise InvalidError(
                "the agreement names another key for this silo", rule="federation.identity"
            )
        self._agreement, self._name, self._run, self._identity = agreement, name, run, identity
        self._key = X25519PrivateKey.from_private_bytes(seed)

    def hello(self) -> dict[str, str]:
        """Return this silo's key of the run, signed."""
        public = b64(self._key.public_key().public_bytes_raw())
        said = _said(self._agreement.digest(), self._run, self._name, public)
        return {"key": public, "signature": b64(self._identity.sign(DOMAIN, said))}

    def mask(self, vector: Words, *, members: Mapping[str, Mapping[str, Any]], ctx: bytes) -> Words:
        """Return a vector plus this silo's pads, modulo 2^64.

        Args:
            vector: What is to be hidden.
            members: What each member said in ``hello``, this silo among them.
            ctx: From ``context``.

        Raises:
            InvalidError: This silo is not a member, or it is alone.
            TamperedError: A key was not signed by the silo that it is said to be of.
        """
        if self._name not in members or len(members) < 2:
            raise InvalidError("a mask takes two members", rule="federation.members")
        masked = vector.copy()
        for other in sorted(members):
            if other == self._name:
                if dict(members[other]) != self.hello():
                    raise TamperedError("another key stands for this silo", rule="federation.key")
                continue
            pad = _expand(self._pair(other, members[other], ctx), len(vector))
            masked = masked + pad if self._name < other else masked - pad
        return masked

    def _pair(self, other: str, hello: Mapping[str, Any], ctx: bytes) -> bytes:
        shared = _exchange(self._key, self._agreement, self._run, other, hello)
        low, high = sorted((self._name, other))
        return HKDF(
            algorithm=hashes.SHA256(),
            length=32,
            salt=ctx,
            info=b"safehold.federation.pad.v1\0" + low.encode() + b"\0" + high.encode(),
        ).derive(shared)


def verify_hello(
    agreement: Agreement, run: str, name: str, hello: Mapping[str, Any]
) -> dict[str, str]:
    """Return what a silo said in ``hello``, if every other silo can make pads with it.

    A coordinator asks before it orders a step: with one bad key among its members every honest silo would refuse it.

    Raises:
        TamperedError: It was not signed by the silo that it is said to be of, or is no key.
    """
    told = {part: str(hello.get(part)) for part in ("key", "signature")}
    try:
        _exchange(X25519PrivateKey.generate(), agreement, run, name, told)
    except (SafeholdError, ValueError):
        raise TamperedError("a silo's key of the run is none", rule="federation.key") from None
    return told


def add_up(vectors: Sequence[Words]) -> NDArray[np.int64]:
    """Return the sum of the vectors of all members, as signed numbers: with one missing it is noise."""
    total = np.zeros(len(vectors[0]), dtype=np.uint64)
    for one in vectors:
        total = total + one
    return total.view(np.int64)


def _exchange(
    key: X25519PrivateKey, agreement: Agreement, run: str, other: str, hello: Mapping[str, Any]
) -> bytes:
    public = str(hello["key"])
    said = _said(agreement.digest(), run, other, public)
    agreement.silo(other).identity.verify(DOMAIN, said, unb64(str(hello["signature"])))
    return key.exchange(X25519PublicKey.from_public_bytes(unb64(public)))


def _said(agreement: str, run: str, name: str, public: str) -> bytes:
    return canonical.encode({"agreement": agreement, "run": run, "silo": name, "key": public})


def _expand(key: bytes, words: int) -> Words:
    # a key is used for one pad of one context, so the nonce is nothing
    stream = Cipher(ChaCha20(key, bytes(16)), mode=None).encryptor()
    return np.frombuffer(stream.update(bytes(8 * words)), dtype="<u8").astype(np.uint64)


class Masking:
    """Makes masks; a keeper is given it by the composition root."""

    def masks(
        self, agreement: Agreement, *, name: str, run: str, identity: SigningKey, seed: bytes
    ) -> Masker:
        """Return the masks of one silo in one run."""
        return Masker(agreement, name=name, run=run, identity=identity, seed=seed)

    def context(
        self, agreement: str, run: str, step: int, members: Sequence[str], model: str
    ) -> bytes:
        """Return the hash that names one step."""
        return context(agreement, run, step, members, model)
