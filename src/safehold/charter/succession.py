"""From one roster to the next: what may change, who must sign it, and the chain of all versions.

1. A version follows the one before it: number plus one, and its digest. None is skipped, none comes back.
2. One version changes one thing: a seat's key (``rotate``), a seat's holder (``replace``), or the expiry (``renew``).
   Thresholds, and who may hold several seats, stay as every seat signed them in the first version.
3. Every key that comes in signs for itself; no key that ever spoke for a seat comes back.
4. ``rotate`` is signed by the old key and the new one. ``renew`` takes the roster's threshold.
5. ``replace`` takes its threshold without the seat that is replaced, with notice: the holder, if there is still
   one, can refuse. Without notice it takes as many as widen, and only for a seat that widening can do without.

Why replacing is that hard: whoever can fill seats can sign with them. Two or three people can replace nobody. Four
can, but only a seat whose holder stays silent for the whole notice; five who could widen anyway need no notice for
a seat that has no veto, and gain nothing by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from safehold.charter.board import Seat, Threshold, check_quorum
from safehold.charter.model import Charter
from safehold.charter.roster import ROSTER_DOMAIN, Roster
from safehold.errors import InvalidError, QuorumError, TamperedError
from safehold.signing import VerifyKey

CHAIN_VERSION: Final = "safehold-rosters/1"
SIGN_MORE: Final = "collect the missing signatures: safehold board sign"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a version changes.

    Args:
        kind: ``rotate``, ``replace`` or ``renew``.
        seat: The seat, empty for ``renew``.
    """

    kind: str
    seat: str = ""


def next_roster(
    old: Roster,
    *,
    seat: str = "",
    person: str = "",
    key: VerifyKey | None = None,
    expires_s: int | None = None,
) -> Roster:
    """Return the version that follows, not yet signed.

    Args:
        old: The present version.
        seat: The seat that changes.
        person: Who holds it from now on; whoever holds it now if empty.
        key: Its new key.
        expires_s: New expiry, instead of a seat.

    Raises:
        InvalidError: It changes nothing, or more than one thing.
    """
    seats = list(old.seats)
    if seat:
        held = old.seat(seat)
        fresh = Seat(name=seat, person=person or held.person, key=key or held.key)
        seats[seats.index(held)] = fresh
    made = replace(
        old,
        version=old.version + 1,
        previous=old.digest().hex(),
        expires_s=old.expires_s if expires_s is None else expires_s,
        seats=tuple(seats),
        signatures=(),
    )
    made.check()
    change_of(old, made)
    return made


def change_of(old: Roster, new: Roster) -> Change:
    """Return the one thing that a version changes.

    Raises:
        InvalidError: It does not follow, or changes nothing, something else, or more than one thing.
    """
    if new.version != old.version + 1 or new.previous != old.digest().hex() or new.home != old.home:
        raise InvalidError(
            "this roster does not follow the present one",
            rule="roster.version",
            fix="draw it up again from the present roster: safehold board",
        )
    if new.thresholds != old.thresholds or new.several != old.several:
        raise InvalidError("thresholds of a roster never change", rule="roster.thresholds")
    changed = [(was, now) for was, now in zip(old.seats, new.seats, strict=True) if was != now]
    if not changed and new.expires_s > old.expires_s:
        return Change(kind="renew")
    if len(changed) == 1 and new.expires_s == old.expires_s:
        was, now = changed[0]
        if was.key == now.key:
            raise InvalidError("a new holder brings a key of their own", rule="roster.old_key")
        return Change(kind="rotate" if was.person == now.person else "replace", seat=was.name)
    raise InvalidError("a roster changes one thing at a time", rule="roster.change")


def check_signatures(
    old: Roster, new: Roster, *, notice: bool, charters: Sequence[Charter] = ()
) -> Change:
    """Check that those signed a version who must, and return what it changes.

    Args:
        old: The version before it.
        new: The version.
        notice: The notice has passed without a refusal; without it, replacing takes more.
        charters: The charter in force, if there is one: it may ask for more.

    Raises:
        InvalidError: It does not follow.
        QuorumError: Too few signed it.
    """
    change = change_of(old, new)
    before, bad = old.count(ROSTER_DOMAIN, new.message(), new.signatures)
    after, _ = new.count(ROSTER_DOMAIN, new.message(), new.signatures)
    if change.seat and change.seat not in {seat.name for seat in after}:
        raise QuorumError(
            f"the new key of {change.seat} has not signed", rule="roster.newcomer", fix=SIGN_MORE
        )
    if change.kind == "rotate":
        if change.seat not in {seat.name for seat in before}:
            raise QuorumError(
                f"the old key of {change.seat} has not signed",
                rule="roster.rotate",
                fix="if that key is lost, the board replaces the seat: safehold board replace",
            )
        return change
    others = [seat for seat in before if seat.name != change.seat]
    faulty = [name for name in bad if name != change.seat]
    check_quorum(
        others,
        faulty,
        needed_for(old, change, notice=notice, charters=charters),
        rule=f"roster.quorum.{change.kind}",
        fix=SIGN_MORE,
    )
    return change


def needed_for(
    old: Roster, change: Change, *, notice: bool, charters: Sequence[Charter] = ()
) -> Threshold:
    """Return how many people, besides the seat that is replaced, a change takes.

    Raises:
        QuorumError: No number of them suffices without notice.
    """
    widen = old.needed("widen", *charters)
    if change.kind == "replace" and not notice:
        if change.seat in widen.must_include:
            raise QuorumError(
                f"nothing is widened without {change.seat}, so it is replaced with notice only",
                rule="roster.notice",
                fix="safehold board propose; the holder of the seat can refuse until the notice is over",
            )
        return widen
    rule = old.needed(change.kind)
    vetoes = {*rule.must_include, *widen.must_include} - {change.seat}
    return replace(rule, must_include=tuple(sorted(vetoes)))


class Rosters:
    """All versions of a home's roster; every step between two of them was checked.

    Args:
        versions: From the first to the present one.
    """

    def __init__(self, versions: Sequence[Roster]) -> None:
        self._versions = tuple(versions)

    @classmethod
    def found(cls, tree: Any) -> Rosters:
        """Return the chain that begins with a first roster; raises as ``Roster.open`` does."""
        return cls([Roster.open(tree)])

    @classmethod
    def open(cls, tree: Any) -> Rosters:
        """Read a chain and check it from its first version on.

        Whether a replacement had its notice is not seen here: the ledger tells which versions were enacted.

        Raises:
            TamperedError: A version is missing, or was not signed by those who must.
            InvalidError: It is no chain of rosters.
        """
        match tree:
            case {"v": str(version), "rosters": [first, *later]} if (
                version == CHAIN_VERSION and len(tree) == 2
            ):
                chain = cls.found(first)
            case _:
                raise InvalidError("not a chain of rosters", rule="roster.chain")
        for item in later:
            try:
                chain = chain.follow(Roster.from_json(item), notice=True)[0]
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

    def follow(
        self, new: Roster, *, notice: bool, charters: Sequence[Charter] = ()
    ) -> tuple[Rosters, Change]:
        """Return the chain with one more version, and what that changes; see ``check_signatures``.

        Raises:
            InvalidError: It does not follow, or brings back a key.
            QuorumError: Too few signed it.
        """
        change = check_signatures(self.present, new, notice=notice, charters=charters)
        if change.seat:
            used = {seat.key.raw for one in self._versions for seat in one.seats}
            if new.seat(change.seat).key.raw in used:
                raise InvalidError(
                    "this key has spoken for a seat before",
                    rule="roster.old_key",
                    fix="make a new key",
                )
        return Rosters((*self._versions, new)), change

    def to_json(self) -> dict[str, Any]:
        """Return the chain as JSON."""
        return {"v": CHAIN_VERSION, "rosters": [one.to_json() for one in self._versions]}
