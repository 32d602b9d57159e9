"""One head of a log: who has signed it, and whether that is enough for a policy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_TEXT, read_file
from safehold_verify.notes import ML_DSA, Checkpoint, Note, open_note, parse_checkpoint
from safehold_verify.policy import Policy, load_policy

# The one log whose key is not named after its origin (C2SP tlog-checkpoint).
NAMED_OTHERWISE = {"sum.golang.org": "go.sum database tree"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A head that a policy accepts.

    Args:
        origin: Name of the log.
        size: Number of entries.
        root: Root hash, hex.
        logs: Trusted log keys that signed it, each as name and id.
        witnesses: Names of the policy's witnesses that cosigned it, with the latest time of each
            in seconds.
        unknown: Signature lines of keys that the policy does not name; they count for nothing.
        extensions: Extension lines of the checkpoint; nothing is decided by them.
    """

    origin: str
    size: int
    root: str
    logs: tuple[str, ...]
    witnesses: dict[str, int]
    unknown: int
    extensions: int

    def payload(self) -> dict[str, object]:
        """Return it as JSON values."""
        return asdict(self)


def verify_head(path: Path | str, policy: Policy | Path | str) -> Head:
    """Check the signed head in a file, of any log, against a policy.

    Args:
        path: A checkpoint with its signatures.
        policy: Parsed, or the path of its file.

    Raises:
        VerificationError: No trusted log has signed it, too few witnesses have, or it is malformed.
    """
    name = Path(path).name
    note = read_file(path, name, limit=LARGEST_TEXT)
    return open_head(note, load_policy(policy), name)[1]


def open_head(
    note: bytes, policy: Policy, where: str, *, whole: bool = False
) -> tuple[Checkpoint, Head]:
    """Verify a head: a trusted log's signature, and the quorum of witnesses.

    Args:
        note: All bytes of it.
        policy: Whose word counts.
        where: What to call it.
        whole: Whoever signs must do so with a key of each type that the policy names for that
            signer, so that no line can be taken away.

    Raises:
        VerificationError: It does not hold.
    """
    try:
        signed = open_note(note, policy.keys())
        head = parse_checkpoint(signed.text)
    except VerificationError as error:
        raise VerificationError(error.message, where=f"{where} ({error.where})") from error
    found = _count(signed, head, policy, where)
    if whole:
        held = {(one.key.name, one.key.algorithm) for one in signed.signatures}
        signers = {name for name, _ in held}
        for key in (*policy.logs, *policy.witnesses.values()):
            if key.name in signers and (key.name, key.algorithm) not in held:
                raise VerificationError(f"a signature of {key.name} is missing", where=where)
    return head, found


def _count(signed: Note, head: Checkpoint, policy: Policy, where: str) -> Head:
    held = {one.key: one.time for one in signed.signatures}
    logs = [
        key
        for key in policy.logs
        if key in held and head.origin == NAMED_OTHERWISE.get(key.name, key.name)
    ]
    if not logs:
        raise VerificationError("no trusted log has signed it", where=where)
    seats = [key for key in policy.witnesses.values() if key in held]
    for key in seats:
        if key.algorithm == ML_DSA and not held[key]:  # it does not say that this was the largest
            raise VerificationError(f"the cosignature of {key.name} has no time", where=where)
    policy.check_quorum(seats, where=where)
    times: dict[str, int] = {}
    for key in seats:
        times[key.name] = max(held[key], times.get(key.name, 0))
    return Head(
        origin=head.origin,
        size=head.size,
        root=head.root.hex(),
        logs=tuple(f"{key.name}+{key.key_id.hex()}" for key in logs),
        witnesses=times,
        unknown=signed.unknown,
        extensions=head.extensions,
    )
