"""Claim and warrant: how one attempt gets its key, and nobody else does.

1. An opener that is asked to run an attempt makes a key for it and signs a *claim*: which attempt, which worker it
   is, what it can enforce, which program it runs, which earlier attempts of the same run have ended there.
2. The keeper checks the claim against the workers that an operator enrolled, once for each attempt, and answers with
   a *warrant*: the secret of the attempt, sealed to that key (HPKE), and signed by the keeper over the claim.

Both pass through Ray. Without the opener's key a warrant is noise, and without the keeper's signature an opener
starts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.cluster.seal import SECRET, Keys, TaskKey, seal_to
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.sandbox.job import LEVELS
from safehold.signing import SigningKey, VerifyKey

CLAIM: Final = "safehold.cluster.claim.v1"
WARRANT: Final = "safehold.cluster.warrant.v1"
LARGEST: Final = 64 << 10
_SIGNATURE: Final = 64
_FIELDS: Final = {
    "v": int, "home": str, "run": str, "attempt": int, "worker": str, "key": str, "level": str,
    "kernel": str, "mechanisms": list, "program": str, "gone": list,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """One worker as it was enrolled.

    Args:
        key: Its identity.
        level: The least assurance level that it must reach.
    """

    key: VerifyKey
    level: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an opener says of one attempt.

    Args:
        home: For which home.
        run: Which run.
        attempt: Which attempt at it, from 1.
        worker: Name of the worker.
        key: Made for this attempt, 32 bytes.
        level: Assurance level that the worker reaches.
        kernel: Release of its kernel.
        mechanisms: What confines a job there.
        program: Version and hash of the program it runs.
        gone: Earlier attempts of this run that have ended there, with their memory.
    """

    home: str
    run: str
    attempt: int
    worker: str
    key: bytes
    level: str
    kernel: str
    mechanisms: tuple[str, ...]
    program: str
    gone: tuple[int, ...] = ()

    def sign(self, identity: SigningKey) -> bytes:
        """Return the claim as it travels, signed by the worker."""
        data = canonical.encode(
            {
                "v": 1,
                "home": self.home,
                "run": self.run,
                "attempt": self.attempt,
                "worker": self.worker,
                "key": b64(self.key),
                "level": self.level,
                "kernel": self.kernel,
                "mechanisms": list(self.mechanisms),
                "program": self.program,
                "gone": list(self.gone),
            }
        )
        return data + identity.sign(CLAIM, data)


def read_claim(data: bytes, crew: Mapping[str, Worker]) -> Claim:
    """Return what a claim says, if an enrolled worker signed it and reaches what it was enrolled with.

    Raises:
        DeniedError: Nobody enrolled such a worker, or it reaches less than it was enrolled with.
        TamperedError: It is no claim, or another key signed it.
    """
    text, signature = data[:-_SIGNATURE], data[-_SIGNATURE:]
    try:
        told: Any = canonical.decode(text) if len(data) <= LARGEST else None
        if not isinstance(told, dict) or {name: type(one) for name, one in told.items()} != _FIELDS:
            raise InvalidError("not a claim")  # noqa: TRY301 - one answer for whatever is no claim
        claim = Claim(
            **{name: told[name] for name in ("home", "run", "attempt", "worker")},
            **{name: told[name] for name in ("level", "kernel", "program")},
            key=unb64(told["key"]),
            mechanisms=tuple(str(one) for one in told["mechanisms"]),
            gone=tuple(int(one) for one in told["gone"]),
        )
    except (InvalidError, ValueError, TypeError):
        raise TamperedError("not a claim of a worker", rule="cluster.claim") from None
    if told["v"] != 1 or claim.level not in LEVELS:
        raise TamperedError("not a claim of a worker", rule="cluster.claim")
    enrolled = crew.get(claim.worker)
    if enrolled is None:
        raise DeniedError(
            "nobody enrolled this worker", rule="cluster.worker", fix="safehold worker add"
        )
    enrolled.key.verify(CLAIM, text, signature)
    if LEVELS.index(claim.level) < LEVELS.index(enrolled.level):
        raise DeniedError(
            f"a worker reaches {claim.level} and was enrolled with {enrolled.level}",
            rule="cluster.level",
            fix="safehold enclave probe on that machine shows what it lacks",
        )
    return claim


def write_warrant(claim: bytes, key: bytes, secret: bytes, keeper: SigningKey) -> bytes:
    """Return the answer to a claim that ``read_claim`` has passed: the secret, for that attempt alone.

    Args:
        claim: The claim as it travelled.
        key: The key in it.
        secret: The secret of the attempt.
        keeper: Signs it.
    """
    about = sha256(claim).digest()
    sealed = seal_to(key, secret, about)
    return keeper.sign(WARRANT, about + sealed) + sealed


def read_warrant(data: bytes, claim: bytes, key: TaskKey, keeper: VerifyKey) -> bytes:
    """Return the secret in a warrant for a claim that this side made.

    Raises:
        TamperedError: The keeper did not write it, or it answers another claim.
    """
    signature, sealed = data[:_SIGNATURE], data[_SIGNATURE:]
    about = sha256(claim).digest()
    keeper.verify(WARRANT, about + sealed, signature)
    secret = key.open(sealed, about)
    if len(secret) != SECRET:
        raise TamperedError("a warrant holds no secret", rule="cluster.warrant")
    return secret


def keys_of(secret: bytes, *, home: str, run: str, attempt: int) -> Keys:
    """Return the keys of one attempt."""
    return Keys(secret, canonical.encode({"home": home, "run": run, "attempt": attempt}))
