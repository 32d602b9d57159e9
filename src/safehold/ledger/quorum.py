"""The witnesses of a log, and how many of them must have cosigned a head.

A head counts when the quorum has cosigned it. Witnesses that cannot be reached stop nothing while
enough others can; a witness that knows more, or another history, always stops the log, however many
others agree with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.ledger.checkpoint import Checkpoint, parse_decimal
from safehold.ledger.note import line_of, open_note, text_of
from safehold.ledger.proof import prove_consistency
from safehold.ledger.replay import compare_head, read_nodes
from safehold.ledger.store import Journal
from safehold.ledger.tree import Tree
from safehold.ledger.vkey import VKey
from safehold.ledger.witness import Answer, AnyWitness

SHORTEST_REST_S: Final = 1.0
LONGEST_REST_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timekeepers:
    """By whose clocks something is counted.

    Args:
        keys: A verifier key of each witness.
        need: How many of them must have cosigned.
    """

    keys: tuple[str, ...]
    need: int


class Quorum:
    """Some witnesses of one log.

    Args:
        witnesses: All of them.
        need: How many must have cosigned; all if absent.
        rest_s: Seconds for which a witness that could not be reached is left in peace while the
            others suffice; doubles up to a minute.

    Raises:
        InvalidError: More are needed than there are, or two share a name.
    """

    def __init__(
        self,
        witnesses: Sequence[AnyWitness],
        *,
        need: int | None = None,
        rest_s: float = SHORTEST_REST_S,
    ) -> None:
        self.witnesses = tuple(witnesses)
        self.need = len(self.witnesses) if need is None else need
        names = {one.name for one in self.witnesses}
        if not 0 <= self.need <= len(self.witnesses) or len(names) != len(self.witnesses):
            raise InvalidError("no such quorum of these witnesses", rule="ledger.quorum")
        if self.witnesses and not self.need:
            raise InvalidError("a quorum of none of its witnesses", rule="ledger.quorum")
        self._keys = {one.name: VKey.parse(one.vkey) for one in self.witnesses}
        self._seen = dict.fromkeys(names, 0)
        self._rest = rest_s
        self._resting: dict[str, tuple[float, float]] = {}  # until when, and for how long
        self.unreachable: dict[str, str] = {}  # why, by name

    def holds(self, note: bytes) -> bool:
        """Tell whether enough of the witnesses have cosigned a note."""
        if not self.need:
            return True
        try:
            _, held = open_note(note, list(self._keys.values()))
        except TamperedError:
            return False
        return sum(1 for at in held.values() if at) >= self.need

    def times(self, note: bytes, by: Timekeepers | None = None) -> tuple[int, int] | None:
        """Return what the cosignatures of a quorum say about time; nothing if no quorum has cosigned.

        Fewer liars among the witnesses than the quorum needs cannot move either moment to their advantage:
        at least one of as many as are needed tells the truth.

        Args:
            note: A head with its cosignatures.
            by: Whose cosignatures count, and how many it takes; those of this quorum if absent.

        Returns:
            Two times in seconds since 1970-01-01 UTC: one that has surely passed when the newest of these
            cosignatures was made, and one at which a quorum surely knew the note.
        """
        keys = list(self._keys.values()) if by is None else [VKey.parse(one) for one in by.keys]
        need = self.need if by is None else by.need
        if not need or not keys:
            return None
        try:
            _, held = open_note(note, keys)
        except TamperedError:
            return None
        times = sorted(at for at in held.values() if at)
        return (times[-need], times[need - 1]) if len(times) >= need else None

    def memories(self, origin: str) -> list[tuple[AnyWitness, bytes | None]]:
        """Return what the witnesses that can be reached remember of a log.

        Raises:
            UnavailableError: Fewer can be reached than the quorum needs.
        """
        found: list[tuple[AnyWitness, bytes | None]] = []
        for witness in self._in_turn(lambda: len(found)):
            try:
                found.append((witness, witness.head(origin)))
            except (UnavailableError, OSError) as error:
                self._miss(witness, error)
            else:
                self._reached(witness)
        if len(found) < self.need:
            raise self._too_few(len(found), "be reached")
        return found

    def compare_notes(
        self,
        journal: Journal,
        tree: Tree,
        notes: Iterable[tuple[AnyWitness, bytes | None]],
    ) -> None:
        """Pass if some heads, each cosigned by its witness, lie in the past of a tree.

        Raises:
            TamperedError: One does not.
        """
        for witness, note in notes:
            if note is not None:
                text, _ = open_note(note, [self._keys[witness.name]])
                who = f"witness {witness.name}"
                self._seen[witness.name] = compare_head(journal, tree, text, who=who)

    def knowing(self, origin: str, key: VKey) -> int:
        """Return how many witnesses show that they trust a key of the log: they keep its line.

        Raises:
            UnavailableError: Fewer can be reached than the quorum needs.
        """
        notes = [note for _, note in self.memories(origin) if note is not None]
        return sum(1 for note in notes if line_of(text_of(note), note, key))

    def check_published(
        self,
        journal: Journal,
        tree: Tree,
        *,
        log: Sequence[VKey],
        notes: Iterable[tuple[AnyWitness, bytes | None]],
    ) -> None:
        """Pass if the newest published head is of this tree and no witness has forgotten it.

        Raises:
            TamperedError: It is of another history, or a witness knows less than it cosigned.
        """
        found = journal.head()
        if found is None:
            return
        text, held = open_note(found[1], [*log, *self._keys.values()])
        compare_head(journal, tree, text, who="a published head")
        for witness, note in notes:
            known = Checkpoint.parse(text_of(note)).size if note else -1
            if self._keys[witness.name] in held and known < found[0]:
                raise TamperedError(
                    f"witness {witness.name} has forgotten what it cosigned",
                    rule="ledger.witness.memory",
                )

    def cosign(self, journal: Journal, tree: Tree, note: bytes) -> bytes:
        """Return a head with the lines of all witnesses that could be reached.

        Raises:
            UnavailableError: Too few have cosigned.
            TamperedError: One has seen another history, or knows more.
        """
        lines: list[bytes] = []
        for witness in self._in_turn(lambda: len(lines)):
            try:
                lines.append(self._ask(witness, journal, tree, note))
            except (UnavailableError, OSError) as error:
                self._miss(witness, error)
            else:
                self._reached(witness)
        if len(lines) < self.need:
            raise self._too_few(len(lines), "cosign")
        return note + b"".join(lines)

    def _ask(self, witness: AnyWitness, journal: Journal, tree: Tree, note: bytes) -> bytes:
        node, name = read_nodes(journal, tree), witness.name
        answer = Answer(409, b"")
        for _ in range(2):
            old = self._seen[name]
            answer = witness.add_checkpoint(old, prove_consistency(node, old, tree.size), note)
            if answer.status != 409:
                break
            self._seen[name] = self._known(answer, witness, tree)
        if answer.status in (409, 422):
            raise TamperedError(
                f"witness {name} refuses our head (status {answer.status})", rule="ledger.fork"
            )
        if answer.status != 200:
            raise UnavailableError(
                f"witness {name} does not take our head (status {answer.status})",
                rule="ledger.witness.refused",
                fix="whoever keeps it must trust the key of this log: safehold ledger witness trust",
            )
        _, held = open_note(note + answer.body, [self._keys[name]])
        if not all(held.values()):
            raise UnavailableError(f"witness {name} gives no time", rule="ledger.witness.answer")
        self._seen[name] = tree.size
        return answer.body

    def _known(self, answer: Answer, witness: AnyWitness, tree: Tree) -> int:
        known = parse_decimal(answer.body.decode().removesuffix("\n"))
        if known > tree.size:
            raise TamperedError(
                f"witness {witness.name} knows {known} entries, the journal only {tree.size}",
                rule="ledger.rollback",
            )
        return known

    def _in_turn(self, count: Callable[[], int]) -> Iterator[AnyWitness]:
        """Yield the witnesses to ask: those at rest last, and only while too few have answered."""
        now = time.monotonic()
        resting = [one for one in self.witnesses if self._resting.get(one.name, (0, 0))[0] > now]
        yield from (one for one in self.witnesses if one not in resting)
        for one in resting:
            if count() >= self.need:
                return
            yield one

    def _reached(self, witness: AnyWitness) -> None:
        self._resting.pop(witness.name, None)
        self.unreachable.pop(witness.name, None)

    def _miss(self, witness: AnyWitness, error: Exception) -> None:
        last = self._resting.get(witness.name, (0.0, self._rest / 2))[1]
        rest = min(last * 2, LONGEST_REST_S)
        self._resting[witness.name] = (time.monotonic() + rest, rest)
        said = error.message if isinstance(error, UnavailableError) else type(error).__name__
        self.unreachable[witness.name] = said

    def _too_few(self, count: int, what: str) -> UnavailableError:
        why = "; ".join(self.unreachable[name] for name in sorted(self.unreachable))
        return UnavailableError(
            f"only {count} of the {self.need} witnesses of the quorum could {what}: {why}",
            rule="ledger.quorum",
            fix="start the witnesses that are down, or ask whoever keeps them",
        )
