"""A witness of logs, kept outside the home that it watches (C2SP tlog-witness, tlog-cosignature).

It remembers one checkpoint a log and cosigns only what extends it. Reading the memory, checking and
writing the new memory are one step under a lock of threads and of processes; the answer leaves
after the fsync. A request that contradicts the memory is kept as evidence of a fork.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US, Clock, SystemClock
from safehold.errors import ConflictError, InvalidError, TamperedError, UnavailableError
from safehold.ledger.files import replace_file
from safehold.ledger.note import Checkpoint, Cosigner, VKey, open_note, parse_decimal, split_note
from safehold.ledger.proof import verify_consistency
from safehold.ledger.tree import EMPTY
from safehold.signing import SigningKey

MOST_PROOF_LINES = 63
MOST_EVIDENCE = 10_000  # files


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness says: an HTTP status of tlog-witness and the body that goes with it."""

    status: int
    body: bytes


class Witness:
    """A witness whose key and memory lie in one directory.

    Args:
        directory: Made by ``create``.
        clock: Time of the cosignatures.
    """

    def __init__(self, directory: Path, *, clock: Clock | None = None) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._guard = threading.Lock()
        try:
            name, *logs = (directory / "trust").read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UnavailableError(
                "the witness cannot be read", rule="ledger.witness", fix="mount its directory"
            ) from error
        self._logs = [VKey.parse(text) for text in logs]
        self._key = Cosigner(SigningKey.read(directory / "key").seed(), name=name)

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        name: str,
        logs: Sequence[str],
        clock: Clock | None = None,
    ) -> Witness:
        """Make a witness with a key of its own.

        Args:
            directory: Empty or absent; must lie outside the homes it watches.
            name: Its name in cosignatures, for example ``example.com/works-council``.
            logs: Verifier keys of the logs it watches.
            clock: Time of the cosignatures.

        Raises:
            ConflictError: The directory holds a witness already.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (directory / "key").exists():
            raise ConflictError("a witness lives here already", rule="ledger.witness")
        keys = [VKey.parse(text).text() for text in logs]
        replace_file(directory / "trust", "\n".join([name, *keys, ""]).encode())
        SigningKey.generate().write(directory / "key")
        return cls(directory, clock=clock)

    @property
    def name(self) -> str:
        """Its name."""
        return self._key.name

    @property
    def vkey(self) -> str:
        """Its verifier key, for the policy."""
        return self._key.vkey.text()

    def head(self, origin: str) -> bytes | None:
        """Return the last cosigned checkpoint of a log, if it ever cosigned one.

        Raises:
            UnavailableError: The memory cannot be reached.
            TamperedError: The memory is not what this witness signed.
        """
        try:
            note = self._memory(origin).read_bytes()
        except FileNotFoundError:
            if not (self._directory / "key").is_file():
                raise UnavailableError("the witness is gone", rule="ledger.witness") from None
            return None
        except OSError as error:
            raise UnavailableError("the witness cannot be read", rule="ledger.witness") from error
        try:
            _, held = open_note(note, [self._key.vkey])
        except InvalidError as error:
            raise TamperedError("the witness memory is damaged", rule="ledger.witness") from error
        if self._key.vkey not in held:
            raise TamperedError("the witness memory is damaged", rule="ledger.witness")
        return note

    def add_checkpoint(self, old: int, proof: Sequence[bytes], note: bytes) -> Answer:
        """Cosign a checkpoint that extends what this witness has seen.

        Args:
            old: Size of the checkpoint that the caller believes is the last one here.
            proof: Consistency proof from that size, hash by hash.
            note: The signed checkpoint.

        Returns:
            200 with the cosignature lines; 400, 403, 404, 409 (body: the size known here) or 422.
        """
        try:
            head = Checkpoint.parse(note[: note.rfind(b"\n\n") + 1])
        except InvalidError:
            return Answer(400, b"malformed checkpoint\n")
        trusted = [key for key in self._logs if key.name == head.origin]
        if not trusted:
            return Answer(404, b"unknown log\n")
        try:
            text, held = open_note(note, trusted)
        except (InvalidError, TamperedError):
            return Answer(403, b"invalid signature\n")
        if old > head.size:
            return Answer(400, b"the old size is larger than the checkpoint\n")
        with self._exclusive():
            answer = self._extend(old, proof, text, head)
            if answer.status == 200:
                kept = [_line(text, note, key) for key in held]
                memory = self._memory(head.origin)
                memory.parent.mkdir(exist_ok=True, mode=0o700)
                replace_file(memory, text + b"\n" + b"".join(kept) + answer.body)
            elif answer.status in (409, 422):
                self._keep(old, proof, note, answer.status)
        return answer

    def handle(self, body: bytes) -> Answer:
        """Answer the body of an ``add-checkpoint`` request."""
        request, gap, note = body.partition(b"\n\n")
        try:
            first, *rest = request.decode("ascii").split("\n")
            if not gap or not first.startswith("old ") or len(rest) > MOST_PROOF_LINES:
                return Answer(400, b"malformed request\n")
            old, proof = parse_decimal(first[4:]), [unb64(line) for line in rest]
        except (InvalidError, UnicodeDecodeError):
            return Answer(400, b"malformed request\n")
        return self.add_checkpoint(old, proof, note)

    def _extend(self, old: int, proof: Sequence[bytes], text: bytes, head: Checkpoint) -> Answer:
        last = self.head(head.origin)
        known = Checkpoint.parse(split_note(last)[0]) if last else Checkpoint("", 0, EMPTY)
        if old != known.size:
            return Answer(409, b"%d\n" % known.size)
        if old == 0:
            if proof or (head.size == 0 and head.root != EMPTY):
                return Answer(422, b"nothing can be proved from an empty log\n")
        else:
            try:
                verify_consistency(old, head.size, proof=proof, old_root=known.root, root=head.root)
            except TamperedError:
                return Answer(422, b"not consistent with what this witness has seen\n")
        return Answer(200, self._key.cosign(text, at=self._clock.now_us() // SECOND_US))

    def _keep(self, old: int, proof: Sequence[bytes], note: bytes, status: int) -> None:
        lines = [f"old {old}", *map(b64, proof), ""]
        request = "\n".join(lines).encode() + b"\n" + note
        folder = self._directory / "evidence"
        folder.mkdir(exist_ok=True, mode=0o700)
        path = folder / f"{status}-{hashlib.sha256(request).hexdigest()}"
        if not path.exists() and sum(1 for _ in folder.iterdir()) < MOST_EVIDENCE:
            replace_file(path, request)

    def _memory(self, origin: str) -> Path:
        return self._directory / hashlib.sha256(origin.encode()).hexdigest() / "checkpoint"

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._guard:
            fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)


def _line(text: bytes, note: bytes, key: VKey) -> bytes:
    """Return the signature line of a key, as it stands in a note."""
    for line in note[len(text) + 1 :].splitlines(keepends=True):
        _, found, blob = line.decode().split(" ")
        if found == key.name and unb64(blob.strip())[:4] == key.key_id:
            return line
    return b""
