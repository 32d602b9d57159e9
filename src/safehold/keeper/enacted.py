"""The charter in force, and its file.

Holds: a charter counts only if the board's signatures hold over it *and* it is the newest that the ledger names, so
an older signed charter cannot be put back. A crash between the charter's leaf and its file leaves the newer charter
beside the older one, and the ledger says which of them counts; any other file is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safehold import canonical
from safehold.canonical import unb64
from safehold.charter import Charter, Policy, Roster, SignedCharter
from safehold.charter import compile as compile_charter
from safehold.charter.admission import admit_policy
from safehold.charter.proposal import Question
from safehold.charter.prove import fingerprint
from safehold.charter.signed import Course
from safehold.errors import MissingError, QuorumError, TamperedError
from safehold.ledger import Entry, Ledger, Receipt
from safehold.ledger.files import replace_file, sync_directories
from safehold.ledger.tree import leaf_hash
from safehold.settings import Home


def read_file(path: Path) -> Any:
    """Return the canonical JSON in a file of the home.

    Raises:
        MissingError: It is gone.
        InvalidError: It is not canonical JSON.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise MissingError(f"{path.name} is missing", rule="trust.file") from error
    return canonical.decode(data)


class TurningFile:
    """A file in force, and for a moment the one that follows it.

    Args:
        path: Where it lies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._following = path.with_suffix(".next")

    def write_next(self, tree: Any) -> None:
        """Put what follows beside what is in force, before the ledger names it."""
        replace_file(self._following, canonical.encode(tree))

    def turn(self) -> None:
        """Put the one beside it in its place, once the ledger names it."""
        self._following.replace(self._path)
        sync_directories([self._path.parent])

    def candidates(self) -> list[tuple[bool, Any]]:
        """Return what lies there: whether it is the one that follows, and its JSON."""
        return [
            (path == self._following, read_file(path))
            for path in (self._following, self._path)
            if path.exists()
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One charter that the ledger names.

    Args:
        digest: Its digest.
        direction: ``first``, ``widen`` or ``narrow``.
        proposal: Index of the leaf of its proposal.
        rosters: How many rosters the ledger had named before it.
    """

    digest: bytes
    direction: str
    proposal: int | None
    rosters: int


class Enacted:
    """The charter in force.

    Args:
        home: Where its file lies.
        ledger: The record.
    """

    def __init__(self, home: Home, ledger: Ledger) -> None:
        self._home = home
        self._ledger = ledger
        self._file = TurningFile(home.charter_file)
        self._named: list[Named] = []
        self._signed: SignedCharter | None = None
        self._policy: Policy | None = None
        self.digest = b""

    def note(self, leaf: Mapping[str, Any], *, rosters: int) -> None:
        """Take a leaf of a charter."""
        self._named.append(
            Named(
                digest=unb64(leaf["chr"]),
                direction=leaf["pub"].get("direction", "first"),
                proposal=leaf.get("ref"),
                rosters=rosters,
            )
        )

    def open(self, rosters: Sequence[Roster]) -> None:
        """Find the newest charter that the ledger names, and check its signatures.

        A charter that an earlier roster signed stays in force; its signatures are checked against that roster.

        Raises:
            TamperedError: No file holds it, or it was not proposed as the ledger says.
            QuorumError: The board's signatures do not hold over what is there.
        """
        if not self._named:
            return
        newest = self._named[-1]
        course = self._course(newest)
        for following, tree in self._file.candidates():
            if _digest_of(tree) == newest.digest:
                signed = SignedCharter.from_json(tree, rosters[newest.rosters - 1], course)
                if following:
                    self._file.turn()
                self._take(signed, self._proved(signed.charter))
                return
        raise TamperedError(
            "the charter file is not the charter that the ledger names",
            rule="trust.charter",
            fix="put back the charter that the board signed last",
        )

    def _proved(self, charter: Charter) -> Policy:
        """Return the policy of the charter in force, proved by this very program, now or at an earlier start.

        Whoever can forge the note of it outside the home gains nothing: the charter itself is the one that the
        ledger names, and it was proved before it was enacted.
        """
        policy = compile_charter(charter)
        note, path = fingerprint(policy).hex().encode(), self._home.proved_file
        if not path.is_file() or path.read_bytes() != note:
            admit_policy(policy)
            replace_file(path, note)
        return policy

    def _course(self, newest: Named) -> Course:
        if newest.proposal is None:
            if len(self._named) > 1:
                raise TamperedError(
                    "a charter replaced another without a proposal", rule="trust.proposal"
                )
            return Course()
        leaf = self._ledger.leaf(newest.proposal)
        ((_, said),) = self._ledger.leaves(newest.proposal, newest.proposal + 1)
        if unb64(said["chr"]) != newest.digest or len(self._named) < 2:
            raise TamperedError("this charter is not what was proposed", rule="trust.proposal")
        return Course(
            direction=newest.direction,
            question=Question(
                home=self._home.id,
                proposal=newest.proposal,
                leaf=leaf_hash(leaf).hex(),
                digest=newest.digest.hex(),
                base=self._named[-2].digest.hex(),
                roster="",
            ),
        )

    @property
    def there(self) -> bool:
        """Whether a charter is in force."""
        return self._signed is not None

    def signed(self) -> SignedCharter:
        """Return the charter in force with its signatures.

        Raises:
            QuorumError: None is in force.
        """
        if self._signed is None:
            raise QuorumError(
                "no signed charter is in force, so nothing is collected and nothing is used",
                rule="charter.unsigned",
                fix="safehold charter sign, then safehold run --charter",
            )
        return self._signed

    def policy(self) -> Policy:
        """Return the compiled policy of the charter in force; raises as ``signed`` does."""
        self.signed()
        if self._policy is None:
            raise QuorumError("no signed charter is in force", rule="charter.unsigned")
        return self._policy

    def put(
        self,
        signed: SignedCharter,
        policy: Policy,
        *,
        direction: str,
        rosters: int,
        proposal: int | None = None,
        beside: Sequence[Entry] = (),
    ) -> Receipt:
        """Put a charter in force; it is in the ledger first, in one step with what follows from it.

        Args:
            signed: The charter.
            policy: What it compiles to.
            direction: ``first``, ``widen`` or ``narrow``.
            rosters: How many rosters the ledger names.
            proposal: Index of the leaf of its proposal.
            beside: What becomes durable with it.
        """
        new = signed.charter
        self._file.write_next(signed.to_json())
        receipts = self._ledger.append(
            [
                Entry(
                    kind="charter",
                    actor="board",
                    object=new.id,
                    detail={"version": new.version, "seats": signed.seats},
                    charter=new.digest(),
                    public={"version": new.version, "direction": direction},
                    ref=proposal,
                ),
                *beside,
            ]
        )
        self._file.turn()
        self._named.append(
            Named(digest=new.digest(), direction=direction, proposal=proposal, rosters=rosters)
        )
        self._take(signed, policy)
        return receipts[0]

    def _take(self, signed: SignedCharter, policy: Policy) -> None:
        self._signed, self._policy, self.digest = signed, policy, signed.charter.digest()


def _digest_of(tree: Any) -> bytes:
    """Return the digest of the charter in a file, whatever else the file is."""
    match tree:
        case {"charter": dict(charter)}:
            return canonical.digest(charter)
        case _:
            return b""
