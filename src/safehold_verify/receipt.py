"""What a person gets when they are enrolled: it binds whoever runs the keeper to that person's keys.

A receipt carries no signature and proves nothing alone. It is worth what its keeper keeps it worth:
held outside, a package that was made with other keys does not fit it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_TEXT, read_file
from safehold_verify.index import read_json, take
from safehold_verify.policy import Policy, load_policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a receipt says.

    Args:
        origin: Name of the log.
        size: Entries in it when the receipt was given.
        commitment: What the person's keys of all epochs are committed by, hex.
    """

    origin: str
    size: int
    commitment: str

    def payload(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)


def verify_receipt(receipt: bytes | Path | str, policy: Policy | Path | str) -> Receipt:
    """Check, on the day it is given, that a receipt is one, and about a log of the policy.

    Otherwise that is noticed when it is needed, and then it is too late to ask for another.

    Args:
        receipt: Its bytes, or the path of its file.
        policy: Whose word counts; from outside.

    Raises:
        VerificationError: It is no receipt, or about a log that the policy does not know.
    """
    if not isinstance(receipt, bytes):
        receipt = read_file(receipt, Path(receipt).name, limit=LARGEST_TEXT)
    found = parse_receipt(receipt)
    if found.origin not in {key.name for key in load_policy(policy).logs}:
        raise VerificationError("it is about another log", where="receipt")
    return found


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt.

    Raises:
        VerificationError: It is none.
    """
    match said := read_json(data, "receipt"):
        case {"v": "safehold.receipt/1", "origin": str(origin), "size": int(size),
              "commitment": str(text)} if len(said) == 4 and type(size) is int and size >= 0:  # fmt: skip
            commitment = take(text, "receipt")
            return Receipt(origin=origin, size=size, commitment=commitment.hex())
        case _:
            raise VerificationError("not a receipt", where="receipt")
