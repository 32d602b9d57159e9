"""From one roster to the next: who must agree, and the chain of all versions.

1. A version follows the one before it: number plus one, and its digest. None is skipped, none comes back.
2. ``rotate`` is signed by the old key and the new one, and is its holder's affair alone.
3. Everything else is a proposal, and what the seats say is their vote on it (``proposal``): it counts for no other
   proposal, not even of the same text, and a later refusal takes it back.
4. A key that comes in votes for itself; no key that ever spoke for a seat comes back.
5. ``replace`` takes its threshold without the seat that is replaced, and a notice. If the holder of that seat refuses,
   it takes everybody else. Without notice it takes as many as widen, and only for a seat that widening can do
   without and whose holder has not refused.
6. ``witnesses`` takes as many as widen, whatever the change: also a stricter quorum, with which one seat's witness
   could let nothing pass.

Why replacing is that hard: whoever can fill seats can sign with them. Two or three people can replace nobody. Four
can, but only a seat whose holder stays silent for the whole notice; five who could widen anyway need no notice for
a seat that has no veto, and gain nothing by it. Why a refusal by the holder is no veto: a thief of the key refuses too,
and the seat would be the thief's for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from safehold.charter.board import Threshold, check_quorum
from safehold.charter.model import Charter
from safehold.charter.proposal import Tally, Vote, tally
from safehold.charter.roster import ROSTER_DOMAIN, Roster
from safehold.charter.turnover import Change, change_of, follow_up, next_roster
from safehold.errors import InvalidError, QuorumError, TamperedError

CHAIN_VERSION: Final = "safehold-rosters/2"
SIGN_MORE: Final = "collect the missing votes: safehold board sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which conditions a change is agreed to, as the ledger has them.

    Args:
        notice: Its notice has passed; without it, replacing takes more.
        contested: The holder of the seat that is replaced has refused.
        charters: The charter in force, if there is one: it may ask for more.
    """

    notice: bool
    contested: bool = False
    charters: tuple[Charter, ...] = ()


def check_signatures(old: Roster, new: Roster, change: Change) -> None:
    """Check that the old and the new key signed a rotation.

    Raises:
        QuorumError: One of them did not.
    """
    before, _ = old.count(ROSTER_DOMAIN, new.message(), new.signatures)
    after, _ = new.count(ROSTER_DOMAIN, new.message(), new.signatures)
    if change.seat not in {seat.name for seat in after}:
        raise QuorumError(
            f"the new key of {change.seat} has not signed", rule="roster.newcomer", fix=SIGN_MORE
        )
    if change.seat not in {seat.name for seat in before}:
        raise QuorumError(
            f"the old key of {change.seat} has not signed",
            rule="roster.rotate",
            fix="if that key is lost, the board replaces the seat: safehold board replace",
        )


def counted(votes: Sequence[Vote], old: Roster, change: Change) -> Tally:
    """Count votes on a change of a roster; the seat that is replaced does not decide about itself."""
    return tally([one for one in votes if one.seat != change.seat], old)


def check_votes(
    old: Roster, change: Change, votes: Sequence[Vote], *, terms: Terms
) -> tuple[Vote, ...]:
    """Check that those agreed to a change who must, and return the votes that counted.

    Args:
        old: The version before it.
        change: What is voted on.
        votes: In any order, all on one proposal; what is signed and refused is not counted.
        terms: The conditions.

    Raises:
        TamperedError: They are on several proposals.
        QuorumError: Too few agreed.
    """
    asked = (old.home, change.digest(old.home).hex(), old.standing().hex())
    about = [
        one for one in votes if (one.question.home, one.question.digest, one.question.base) == asked
    ]
    if len({(one.question.proposal, one.question.leaf) for one in about}) > 1:
        raise TamperedError("votes on several proposals", rule="roster.proposal")
    agreed = counted(about, old, change).signed
    keys = {seat.name: seat for seat in agreed}
    if (newcomer := change.newcomer()) is not None:
        own = [one for one in about if one.decision == "sign" and one.holds(newcomer)]
        if not own:
            raise QuorumError(
                f"the new key of {change.seat} has not agreed",
                rule="roster.newcomer",
                fix=SIGN_MORE,
            )
        keys[newcomer.name] = newcomer
    check_quorum(
        agreed,
        sorted({one.seat for one in votes} - keys.keys() - {change.seat}),
        needed_for(old, change, terms=terms),
        rule=f"roster.quorum.{change.kind}",
        fix=SIGN_MORE,
    )
    return tuple(
        sorted(
            (
                one
                for one in about
                if one.decision == "sign" and one.seat in keys and one.holds(keys[one.seat])
            ),
            key=lambda one: one.seat,
        )
    )


def needed_for(old: Roster, change: Change, *, terms: Terms) -> Threshold:
    """Return how many people, besides the seat that is replaced, a change takes.

    Raises:
        QuorumError: No number of them suffices without notice.
    """
    widen = old.needed("widen", *terms.charters)
    if change.kind == "witnesses":
        return widen
    if change.kind == "replace" and not terms.notice:
        if terms.contested or change.seat in widen.must_include:
            why = "its holder has refused" if terms.contested else "nothing is widened without it"
            raise QuorumError(
                f"{change.seat} is replaced with notice only: {why}",
                rule="roster.notice",
                fix="wait until the notice is over: safehold board show",
            )
        return widen
    rule = old.needed(change.kind)
    vetoes = {*rule.must_include, *widen.must_include} - {change.seat}
    approve = rule.approve
    if terms.contested:
        holder = old.seat(change.seat).person
        others = {seat.person for seat in old.seats if seat.name != change.seat} - {holder}
        approve = max(approve, len(others))
    return replace(rule, approve=approve, must_include=tuple(sorted(vetoes)))


class Rosters:
    """All versions of a home's roster; every step between two of them was checked.

    Args:
        versions: From the first to the present one.
        votes: Those by which each version was agreed to; none for the first, and for a rotation.
    """

    def __init__(
        self, versions: Sequence[Roster], votes: Sequence[Sequence[Vote]] | None = None
    ) -> None:
        self._versions = tuple(versions)
        self._votes = tuple(tuple(each) for each in votes or [()] * len(self._versions))

    @classmethod
    def found(cls, tree: Any) -> Rosters:
        """Return the chain that begins with a first roster; raises as ``Roster.open`` does."""
        return cls([Roster.open(tree)])

    @classmethod
    def open(cls, tree: Any) -> Rosters:
        """Read a chain and check it from its first version on.

        Whether a replacement had its notice, and whose refusal it met, is not seen here: the ledger tells which
        proposals became versions.

        Raises:
            TamperedError: A version is missing, or was not agreed to by those who must.
            InvalidError: It is no chain of rosters.
        """
        match tree:
            case {"v": str(version), "rosters": [{"roster": first, "votes": []}, *later]} if (
                version == CHAIN_VERSION and len(tree) == 2
            ):
                chain = cls.found(first)
            case _:
                raise InvalidError("not a chain of rosters", rule="roster.chain")
        for item in later:
            try:
                chain = chain.follow(*_read(item), terms=Terms(notice=True))[0]
            except (InvalidError, QuorumError) as error:
                raise TamperedError(
                    f"the chain of rosters breaks behind version {chain.present.version}",
                    rule="roster.chain",
                    fix="put back the roster file that the keeper wrote last",
                ) from error
        return chain

    def __iter__(self) -> Iterator[Roster]:
        return iter(self._versions)

    def __len__(self) -> int:
        return len(self._versions)

    @property
    def present(self) -> Roster:
        """The version that counts."""
        return self._versions[-1]

    def digests(self) -> list[bytes]:
        """Return the digest of each version, oldest first."""
        return [one.digest() for one in self._versions]

    def proposals(self) -> list[tuple[int, str] | None]:
        """Return of each version the index and the hash (hex) of the leaf that its votes name, if it has any."""
        return [
            (each[0].question.proposal, each[0].question.leaf) if each else None
            for each in self._votes
        ]

    def follow(
        self, new: Roster, votes: Sequence[Vote] = (), *, terms: Terms
    ) -> tuple[Rosters, Change]:
        """Return the chain with one more version, and what that changes.

        Raises:
            InvalidError: It does not follow, or brings back a key.
            QuorumError: Too few agreed.
            TamperedError: Its votes are on several proposals.
        """
        change = change_of(self.present, new)
        kept: tuple[Vote, ...] = ()
        if change.kind == "rotate":
            check_signatures(self.present, new, change)
        elif new.signatures:
            raise InvalidError("a change is voted on, not signed", rule="roster.signed")
        else:
            kept = check_votes(self.present, change, votes, terms=terms)
        self.check_key(change)
        return Rosters((*self._versions, new), (*self._votes, kept)), change

    def check_key(self, change: Change) -> None:
        """Check that a key that comes in has never spoken for a seat.

        Raises:
            InvalidError: It has.
        """
        used = {seat.key.raw for one in self._versions for seat in one.seats}
        if change.key is not None and change.key.raw in used:
            raise InvalidError(
                "this key has spoken for a seat before",
                rule="roster.old_key",
                fix="make a new key: safehold board key",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the chain as JSON."""
        return {
            "v": CHAIN_VERSION,
            "rosters": [
                {"roster": one.to_json(), "votes": [vote.to_json() for vote in votes]}
                for one, votes in zip(self._versions, self._votes, strict=True)
            ],
        }


def _read(tree: Any) -> tuple[Roster, list[Vote]]:
    match tree:
        case {"roster": roster, "votes": list(votes)} if len(tree) == 2:
            return Roster.from_json(roster), [Vote.from_json(one) for one in votes]
        case _:
            raise InvalidError("not a version of the roster", rule="roster.chain")


__all__ = [
    "Change",
    "Rosters",
    "Terms",
    "change_of",
    "check_votes",
    "counted",
    "follow_up",
    "needed_for",
    "next_roster",
]
