"""A witness of logs, kept outside the home that it watches (C2SP tlog-witness, tlog-cosignature).

It remembers one checkpoint a log and cosigns only what extends it. Reading the memory, checking and
writing the new memory are one step under a lock of threads and of processes; the answer leaves
after the fsync. A request that contradicts the memory is kept as evidence of a fork, once for each
checkpoint that the log has signed, so nobody but the log can make more of it.
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
from typing import Any, Protocol

from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US, Clock, SystemClock
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger.checkpoint import Checkpoint, parse_decimal
from safehold.ledger.files import replace_file
from safehold.ledger.note import line_of, open_note, split_note, text_of
from safehold.ledger.proof import verify_consistency
from safehold.ledger.signer import Cosigner
from safehold.ledger.tree import EMPTY
from safehold.ledger.vkey import ED25519, LATTICE, VKey, check_name
from safehold.signing import SigningKey

MOST_PROOF_LINES = 63
MOST_EVIDENCE = 10_000  # files
_KNOWN = "known"  # begins the name of the head that a piece of evidence contradicts
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness says: an HTTP status of tlog-witness and the body that goes with it."""

    status: int
    body: bytes

    @property
    def kind(self) -> str:
        """The content type of the body."""
        return SIZE_TYPE if self.status == 409 else TEXT_TYPE


class AnyWitness(Protocol):
    """A witness as the log sees it: the one in a directory here, or one behind HTTP."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def vkey(self) -> str:
        """The verifier key that is pinned in the policy."""
        ...

    def head(self, origin: str) -> bytes | None:
        """Return the last checkpoint of a log that it cosigned."""
        ...

    def add_checkpoint(self, old: int, proof: Sequence[bytes], note: bytes) -> Answer:
        """Ask for cosignatures of a checkpoint that extends one of size ``old``."""
        ...


class Witness:
    """A witness whose keys and memory lie in one directory.

    Args:
        directory: Made by ``create``.
        clock: Time of the cosignatures.
    """

    def __init__(self, directory: Path, *, clock: Clock | None = None) -> None:
        self._directory = directory
        self._clock = clock or SystemClock()
        self._guard = threading.Lock()
        name, _ = self._trust()
        self._key = Cosigner(
            SigningKey.read(directory / "key").seed(),
            name=name,
            second=SigningKey.read(directory / "key-06").seed(),
        )

    @classmethod
    def create(
        cls,
        directory: Path,
        *,
        name: str,
        logs: Sequence[str],
        clock: Clock | None = None,
    ) -> Witness:
        """Make a witness with keys of its own.

        Args:
            directory: Empty or absent; must lie outside the homes it watches.
            name: Its name in cosignatures, for example ``example.com/works-council``.
            logs: Ed25519 verifier keys of the logs it watches.
            clock: Time of the cosignatures.

        Raises:
            ConflictError: The directory holds a witness already.
            InvalidError: No such name, or a key of another type.
        """
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        if (directory / "key").exists():
            raise ConflictError("a witness lives here already", rule="ledger.witness")
        lines = [check_name(name), *(_log_key(text).text() for text in logs)]
        replace_file(directory / "trust", "\n".join([*lines, ""]).encode())
        (directory / "key-06").unlink(missing_ok=True)  # of an attempt that was cut off
        SigningKey.generate().write(directory / "key-06")
        SigningKey.generate().write(directory / "key")
        return cls(directory, clock=clock)

    @property
    def name(self) -> str:
        """Its name."""
        return self._key.name

    @property
    def vkey(self) -> str:
        """Its ML-DSA-44 verifier key (0x06), for the policy."""
        return self._key.lattice.text()

    @property
    def vkeys(self) -> tuple[str, str]:
        """Both its verifier keys: 0x06, and 0x04 for older clients."""
        return self._key.lattice.text(), self._key.vkey.text()

    def logs(self) -> list[VKey]:
        """Return the keys of the logs it watches; read anew, so a change counts at once."""
        return self._trust()[1]

    def trust(self, vkey: str) -> None:
        """Watch one more log, or a new key of a log.

        Raises:
            InvalidError: It is no Ed25519 log key.
        """
        key = _log_key(vkey)
        with self._exclusive():
            name, keys = self._trust()
            self._write_trust(name, [*keys, *([] if key in keys else [key])])

    def distrust(self, vkey: str) -> None:
        """Believe a key no longer, for example one that was retired or stolen.

        Raises:
            MissingError: It was not trusted.
        """
        key = _log_key(vkey)
        with self._exclusive():
            name, keys = self._trust()
            if key not in keys:
                raise MissingError("this key is not trusted here", rule="ledger.witness.trust")
            self._write_trust(name, [one for one in keys if one != key])

    def head(self, origin: str) -> bytes | None:
        """Return the last cosigned checkpoint of a log, if it ever cosigned one.

        Raises:
            UnavailableError: The memory cannot be reached.
            TamperedError: The memory is not what this witness signed.
        """
        return self.recall(_mark(origin))

    def recall(self, mark: str) -> bytes | None:
        """Return the same by the SHA-256 of an origin in hex, as the read side names it."""
        try:
            note = (self._directory / mark / "checkpoint").read_bytes()
        except FileNotFoundError:
            if not (self._directory / "key").is_file():
                raise UnavailableError("the witness is gone", rule="ledger.witness") from None
            return None
        except OSError as error:
            raise UnavailableError("the witness cannot be read", rule="ledger.witness") from error
        try:
            text, held = open_note(note, [self._key.vkey, self._key.lattice])
            known = Checkpoint.parse(text)
        except InvalidError as error:
            raise TamperedError("the witness memory is damaged", rule="ledger.witness") from error
        if len(held) != 2 or _mark(known.origin) != mark:
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
            head = Checkpoint.parse(text_of(note))
        except InvalidError:
            return Answer(400, b"malformed checkpoint\n")
        trusted = [key for key in self.logs() if key.name == head.origin]
        if not trusted:
            return Answer(404, b"unknown log\n")
        try:
            text, held = open_note(note, trusted)
        except (InvalidError, TamperedError):  # what is no signature line is no valid signature
            return Answer(403, b"invalid signature\n")
        if old > head.size or len(head.origin.encode()) > 255:
            return Answer(400, b"the old size is larger than the checkpoint\n")
        with self._exclusive():
            answer = self._extend(old, proof, text, head)
            if answer.status == 200:
                kept = [line_of(text, note, key) for key in held]
                memory = self._memory(head.origin)
                memory.parent.mkdir(exist_ok=True, mode=0o700)
                replace_file(memory, text + b"\n" + b"".join(kept) + answer.body)
            elif answer.status in (409, 422):
                self._keep(old, proof, text, note, answer.status)
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
        if any(len(one) != 32 for one in proof):
            return Answer(400, b"malformed request\n")
        return self.add_checkpoint(old, proof, note)

    def evidence(self) -> list[dict[str, Any]]:
        """Return what contradicted the memory, oldest first: status, old size, checkpoint, file.

        ``known`` names the file of the head that this witness had cosigned before.
        """
        found = []
        folder = self._directory / "evidence"
        for path in folder.iterdir() if folder.is_dir() else ():
            status, dash, digest = path.name.partition("-")
            if not dash or not status.isdecimal():
                continue  # being written, or the head that one of them contradicts
            request, _, note = path.read_bytes().partition(b"\n\n")
            head = Checkpoint.parse(text_of(note))
            found.append(
                {
                    "status": int(status),
                    "old": int(request.split(b"\n")[0].removeprefix(b"old ")),
                    "origin": head.origin,
                    "size": head.size,
                    "root": b64(head.root),
                    "file": path.name,
                    "known": name if (folder / (name := f"{_KNOWN}-{digest}")).exists() else "",
                    "kept_us": path.stat().st_mtime_ns // 1000,
                }
            )
        return sorted(found, key=lambda one: (one["kept_us"], one["file"]))

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

    def _keep(
        self, old: int, proof: Sequence[bytes], text: bytes, note: bytes, status: int
    ) -> None:
        lines = [f"old {old}", *map(b64, proof), ""]
        request = "\n".join(lines).encode() + b"\n" + note
        folder = self._directory / "evidence"
        folder.mkdir(exist_ok=True, mode=0o700)
        # named by what the log signed: proofs of noise around one old head fill no disk
        digest = hashlib.sha256(text).hexdigest()
        path = folder / f"{status}-{digest}"
        # anybody can send every head that was ever published again, so refusals that contradict
        # nothing may not take the place of one that does
        most = MOST_EVIDENCE if status == 422 else MOST_EVIDENCE // 2
        if not path.exists() and sum(1 for _ in folder.iterdir()) < most:
            # the memory moves on; the head that was contradicted is half of what convinces others
            known = self.head(Checkpoint.parse(text).origin)
            if known is not None:
                replace_file(folder / f"{_KNOWN}-{digest}", known)
            replace_file(path, request)

    def _memory(self, origin: str) -> Path:
        return self._directory / _mark(origin) / "checkpoint"

    def _trust(self) -> tuple[str, list[VKey]]:
        try:
            name, *logs = (self._directory / "trust").read_text("utf-8").splitlines()
        except (OSError, ValueError) as error:
            raise UnavailableError(
                "the witness cannot be read", rule="ledger.witness", fix="mount its directory"
            ) from error
        return name, [VKey.parse(text) for text in logs]

    def _write_trust(self, name: str, keys: Sequence[VKey]) -> None:
        lines = [name, *(key.text() for key in keys), ""]
        replace_file(self._directory / "trust", "\n".join(lines).encode())

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        with self._guard:
            fd = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                yield
            finally:
                os.close(fd)


def _mark(origin: str) -> str:
    return hashlib.sha256(origin.encode()).hexdigest()


def _log_key(text: str) -> VKey:
    key = VKey.parse(text)
    if key.algorithm not in (ED25519, LATTICE):
        raise InvalidError("a witness trusts keys of logs", rule="ledger.witness.trust")
    return key
