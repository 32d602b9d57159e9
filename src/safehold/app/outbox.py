"""What waits to be sent: one folder a target, one file a finding, in order, until the receiver has it.

Holds: a finding is on disk before anything counts it as taken; it is removed after the receiver has taken it. So a
process that is killed at any point loses none and may send one twice, under the same delivery id. Of one target one
finding goes after the other; what is behind one that cannot be sent waits. There is a bound; what does not fit stays
where it came from, in the ledger, and is taken later.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from safehold.errors import ConflictError, InvalidError, UnavailableError
from safehold.incident.export.finding import Finding
from safehold.locks import hold_file
from safehold.vault.durable import replace, sync, write_new

MOST: Final = 10_000  # findings that wait for one target
_STATES: Final = 4_096  # things whose state was told last, so that a change of it is told too
_LONGEST: Final = 65_536  # bytes of one


class Outbox:
    """What waits for one target.

    Args:
        folder: Of this target; made if it is not there.
        most: Findings that may wait.
    """

    def __init__(self, folder: Path, *, most: int = MOST) -> None:
        self._folder, self._most = folder, most
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the only one who fills or empties it.

        Raises:
            ConflictError: Somebody else is at it.
            UnavailableError: The file system keeps no locks.
        """
        another = ConflictError(
            "findings are being sent to this target already", rule="export.busy"
        )
        handle = hold_file(self._folder / "lock", another)
        try:
            yield
        finally:
            os.close(handle)

    def state(self) -> dict[str, Any]:
        """Return how far it has got: ``taken`` (the newest index), what failed last, and when it is tried again."""
        try:
            said = json.loads((self._folder / "state.json").read_bytes())
        except FileNotFoundError:
            said = {}
        except (OSError, ValueError) as error:
            raise InvalidError("the state of an outbox is damaged", rule="export.outbox") from error
        empty = {"taken": -1, "next": 0, "states": {}, "failed": 0, "rule": "", "again_us": 0}
        return {**empty, **said}

    def note(self, **what: Any) -> None:
        """Write down some of the state."""
        said = self.state() | what
        replace(self._folder / "state.json", json.dumps(said).encode())

    def waiting(self) -> list[Path]:
        """Return the files of what waits, in order."""
        return sorted(self._folder.glob("*.finding"))

    @property
    def full(self) -> bool:
        """Whether nothing more is taken before something was sent."""
        return len(self.waiting()) >= self._most

    def put(self, findings: Iterable[Finding], *, again: bool = False) -> int:
        """Take findings in, in order of their index; what was taken before, in the same state, is passed over.

        Args:
            findings: What leaves.
            again: Take also what was taken before.

        Returns:
            How many were taken.

        Raises:
            UnavailableError: It is full; what was taken so far stays.
        """
        files, state = self.waiting(), self.state()
        room, number = self._most - len(files), int(files[-1].stem) + 1 if files else 0
        number, newest, count = max(number, state["next"]), state["taken"], 0
        states: dict[str, str] = state["states"]
        full = False
        for finding in sorted(findings, key=lambda one: one.index):
            known = states.get(finding.uid, finding.state)
            if finding.index <= newest and known == finding.state and not again:
                continue
            if full := room <= count:
                break
            data = json.dumps(finding.to_json(), sort_keys=True).encode()
            write_new(self._folder / f"{number:012d}.finding", data)
            number, count, newest = number + 1, count + 1, max(newest, finding.index)
            states.pop(finding.uid, None)
            states[finding.uid] = finding.state
        if count:
            kept = dict(list(states.items())[-_STATES:])
            self.note(taken=newest, next=number, states=kept)
        if full:
            raise UnavailableError(
                "too many findings wait for this target",
                rule="export.full",
                fix="safehold alert targets says what stops it",
            )
        return count

    def drain(self, send: Callable[[Finding], None], *, patience_s: float | None = None) -> int:
        """Send what waits, oldest first, until something cannot be sent.

        Args:
            send: Sends one; returns when the receiver has it.
            patience_s: After so many seconds no other is begun; what is left waits.

        Returns:
            How many were sent.

        Raises:
            SafeholdError: What the first one that could not be sent ran into; it waits on, and all behind it.
        """
        sent, began = 0, time.monotonic()
        for file in self.waiting():
            if patience_s is not None and time.monotonic() - began > patience_s:
                break
            try:
                finding = Finding.from_json(json.loads(file.read_bytes()[:_LONGEST]))
            except (ValueError, TypeError, AttributeError) as error:
                raise InvalidError(
                    "a finding that waits is damaged", rule="export.outbox"
                ) from error
            send(finding)
            file.unlink()
            sync(self._folder)
            sent += 1
        return sent
