"""What two or three houses agree on before anything about a person is sent, and the session that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Final

from safehold import canonical
from safehold.errors import DeniedError, InvalidError, TamperedError
from safehold.federation.line import Kind, Line
from safehold.federation.noise import reach_of_shift, tail_of

VERSION: Final = "safehold-join/1"
LARGEST_HELLO: Final = 4096  # bytes
MOST_ELEMENTS: Final = 1 << 22  # one house's elements in a session
MOST_CELLS: Final = 1 << 24  # figures of a vector
GRAIN: Final = 64  # elements; a whole number of batches
CLAMP: Final = 1_000_000
_LONGEST: Final = 256  # characters of a word


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one house says of a session. All but its own half must be the same on both sides.

    Args:
        protocol: ``psi-sum`` or ``sum``.
        purpose: The one purpose, the same in every charter.
        party: Who says it.
        parties: Everybody who takes part, sorted.
        streams: What this house brings.
        beside: What the others bring, as this house understands it.
        role: ``set`` or ``values`` of psi-sum; ``vector`` of a sum.
        clamp: The most that one person adds to a figure; values lie between 0 and it.
        epsilon_count_micro: Epsilon of the count, millionths; 0 for a sum.
        epsilon_sum_micro: Epsilon of the sum, millionths.
        delta_e12: Delta, in 10^-12; 0 for a sum.
        least: Fewest people that this house lets a figure be about.
        size: Elements this house sends (psi-sum), or figures of its vector (sum).
        layout: Digest of what each figure of a vector means, hex; empty for psi-sum.
        commitment: Hiding commitment to its set, as its own ledger holds it, hex.
        nonce: 32 random bytes, hex.
    """

    protocol: str
    purpose: str
    party: str
    parties: tuple[str, ...]
    streams: tuple[str, ...]
    beside: tuple[str, ...]
    role: str
    clamp: int
    epsilon_count_micro: int
    epsilon_sum_micro: int
    delta_e12: int
    least: int
    size: int
    layout: str
    commitment: str
    nonce: str

    def __post_init__(self) -> None:
        words = (self.purpose, self.party, self.role, self.layout, *self.parties)
        if (
            self.protocol not in ("psi-sum", "sum")
            or any(type(one) is not str or len(one) > _LONGEST for one in words)
            or self.parties != tuple(sorted(set(self.parties)))
            or self.party not in self.parties
            or len(self.parties) not in ((2,) if self.protocol == "psi-sum" else (2, 3))
        ):
            raise _unlike()
        for name, low, high in (
            ("clamp", 1, CLAMP),
            ("epsilon_count_micro", 0, 50_000_000),
            ("epsilon_sum_micro", 1, 50_000_000),
            ("delta_e12", 0, 10**10),
            ("least", 1, MOST_ELEMENTS),
            ("size", 1, MOST_ELEMENTS if self.protocol == "psi-sum" else MOST_CELLS),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise InvalidError(f"{name} is out of range", field=name, rule="join.terms")
        for name in ("commitment", "nonce"):
            if not _is_hash(getattr(self, name)):
                raise _unlike()

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of them."""
        return canonical.encode({"v": VERSION, **_listed(asdict(self))})

    @classmethod
    def from_bytes(cls, data: bytes) -> Terms:
        """Return the terms these bytes are.

        Raises:
            TamperedError: They are none.
        """
        try:
            tree = canonical.decode(data)
            if not isinstance(tree, dict) or tree.pop("v", None) != VERSION:
                raise _unlike()
            for name in ("parties", "streams", "beside"):
                found = tree[name]
                if not isinstance(found, list) or not all(type(one) is str for one in found):
                    raise _unlike()
                tree[name] = tuple(found)
            return cls(**tree)
        except (InvalidError, KeyError, TypeError) as error:
            raise TamperedError("what came are no terms", rule="join.hello") from error

    def check_peer(self, peer: Terms) -> None:
        """Pass if another house means the same session.

        Raises:
            DeniedError: It does not.
        """
        same = all(
            getattr(self, name) == getattr(peer, name)
            for name in (
                "protocol", "purpose", "parties", "clamp", "epsilon_count_micro", "epsilon_sum_micro", "delta_e12",
                "layout",
            )
        )  # fmt: skip
        facing = peer.party != self.party and peer.nonce != self.nonce
        if self.protocol == "psi-sum":
            facing = (
                facing
                and {self.role, peer.role} == {"set", "values"}
                and set(self.beside) == set(peer.streams)
                and set(self.streams) == set(peer.beside)
            )
        else:
            facing = facing and peer.role == self.role == "vector" and peer.size == self.size
        if not same or not facing:
            raise DeniedError(
                "the other house asks for other terms",
                rule="join.terms",
                fix="state the same purpose, streams, epsilon and clamp on both sides",
            )

    @property
    def reach(self) -> int:
        """Half the number of dummies of psi-sum."""
        return reach_of_shift(self.epsilon_count_micro, self.delta_e12)

    @property
    def tail(self) -> int:
        """How far the noise of a sum reaches."""
        return tail_of(self.epsilon_sum_micro, self.clamp)


def padded(count: int) -> int:
    """Return how many elements a house sends for a set: rounded up, so that its size shows within 1.6 % (or 64)."""
    grain = max(GRAIN, 1 << max(0, count.bit_length() - 7))
    return -(-count // grain) * grain


def agree(line: Line, mine: Terms, *, first: bool) -> Terms:
    """Return the terms of the house at the other end, if it means the same session.

    Raises:
        DeniedError: It means another one; it was told so.
        TamperedError: It sent no terms.
    """
    if first:
        line.send(Kind.HELLO, mine.to_bytes())
    peer = Terms.from_bytes(line.receive(Kind.HELLO, most=LARGEST_HELLO))
    if not first:
        line.send(Kind.HELLO, mine.to_bytes())
    try:
        mine.check_peer(peer)
    except DeniedError:
        line.refuse("terms")
        raise
    return peer


def session_of(terms: Sequence[Terms]) -> bytes:
    """Return the id of a session, 32 bytes: it holds what every house said, and a nonce of each."""
    told = sha256(b"safehold.join.session.v1\0")
    for one in sorted(terms, key=lambda each: each.party):
        told.update(sha256(one.to_bytes()).digest())
    return told.digest()


def confirm(line: Line, session: bytes, *, first: bool) -> None:
    """Pass if the other house computed the same session.

    Raises:
        TamperedError: It did not: somebody told two houses two things.
    """
    if first:
        line.send(Kind.SESSION, session)
    if line.receive(Kind.SESSION, size=len(session)) != session:
        raise TamperedError("the houses mean two sessions", rule="join.session")
    if not first:
        line.send(Kind.SESSION, session)


def _listed(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if type(value) is tuple else value for name, value in tree.items()}


def _is_hash(text: Any) -> bool:
    return (
        type(text) is str
        and len(text) == 64
        and all(letter in "0123456789abcdef" for letter in text)
    )


def _unlike() -> InvalidError:
    return InvalidError("these are no terms of a session", rule="join.terms")
