"""The sum of one vector of each of two or three houses, with noise of every house in it (secure aggregation).

Each house adds its own noise to its own vector, splits it into random shares modulo 2^64, and gives each of the others
one. Everybody adds up the shares they hold and tells that; what is told adds up to the sum. A share is random, and all
but one of the shares of a vector say nothing about it: two of three houses that put everything together learn the
third one's vector with its noise, and no more. Each house adds as much noise as the promise takes, so the promise
holds if only one house is honest; the sum carries the noise of all.

The houses keep to the protocol (semi-honest). They exchange chunk by chunk, pair by pair in the order of their names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.errors import InvalidError, TamperedError
from safehold.federation.line import Kind, Line
from safehold.federation.noise import VectorNoise
from safehold.federation.terms import Terms, agree, confirm, session_of
from safehold.ids import random_bytes

CHUNK: Final = 1 << 16  # figures in one frame: 512 KiB
LARGEST: Final = 2**53  # a figure of one house
_WORD: Final = 8  # bytes
Vector = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summed:
    """What a session releases, the same to every house.

    Args:
        session: Id of the session.
        vector: The sum, with the noise of every house.
        peers: What the others said of themselves, by name.
        sent: Bytes sent.
        received: Bytes received.
    """

    session: bytes
    vector: Vector
    peers: Mapping[str, Terms]
    sent: int
    received: int


def join_sum(lines: Mapping[str, Line], mine: Terms, vector: Vector) -> Summed:
    """Take part with a vector.

    Args:
        lines: To each of the others, by name.
        mine: Terms, with the length of the vector.
        vector: int64; one person moves all its figures together by the clamp at most.

    Raises:
        DeniedError: Another house means another session.
        TamperedError: Another house did not keep to the protocol.
        UnavailableError: One went away.
    """
    if vector.dtype != np.int64 or vector.shape != (mine.size,):
        raise InvalidError("the vector is not what the terms say", rule="join.size")
    if set(lines) != set(mine.parties) - {mine.party}:
        raise InvalidError("there is not one line to each of the others", rule="join.parties")
    if bool((np.abs(vector) >= LARGEST).any()):
        raise InvalidError("a figure is too large", rule="join.clamp")
    peers = {name: agree(line, mine, first=first) for name, first, line in _turns(lines, mine)}
    if any(peer.party != name for name, peer in peers.items()):
        raise TamperedError("a house goes by another name", rule="join.party")
    session = session_of((mine, *peers.values()))
    for _, first, line in _turns(lines, mine):
        confirm(line, session, first=first)
    noise = VectorNoise(mine.epsilon_sum_micro, mine.clamp)
    total = np.empty(mine.size, np.int64)
    for start in range(0, mine.size, CHUNK):
        stop = min(mine.size, start + CHUNK)
        noisy = vector[start:stop] + noise.draw(stop - start)
        total[start:stop] = _add_chunk(lines, mine, noisy.view(np.uint64)).view(np.int64)
    return Summed(
        session=session,
        vector=total,
        peers=peers,
        sent=sum(line.sent for line in lines.values()),
        received=sum(line.received for line in lines.values()),
    )


def _add_chunk(
    lines: Mapping[str, Line], mine: Terms, noisy: npt.NDArray[np.uint64]
) -> npt.NDArray[np.uint64]:
    size = noisy.nbytes
    held = noisy.copy()  # what is left of it when every other house has its share
    shares = {}
    for name in lines:
        share = np.frombuffer(random_bytes(size), np.uint64)
        held -= share  # modulo 2^64
        shares[name] = share.tobytes()
    for name, came in _exchange(lines, mine, Kind.SHARE, shares).items():
        del shares[name]
        held += np.frombuffer(came, np.uint64)
    total = held.copy()
    told = dict.fromkeys(lines, held.tobytes())
    for came in _exchange(lines, mine, Kind.PARTIAL, told).values():
        total += np.frombuffer(came, np.uint64)
    return total


def _exchange(
    lines: Mapping[str, Line], mine: Terms, kind: Kind, bodies: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Send each of the others a body and return theirs.

    Of two, the first by name speaks first, so nobody waits in a ring.
    """
    came = {}
    for name, first, line in _turns(lines, mine):
        if first:
            line.send(kind, bodies[name])
        came[name] = line.receive(kind, size=len(bodies[name]))
        if not first:
            line.send(kind, bodies[name])
    return came


def _turns(lines: Mapping[str, Line], mine: Terms) -> list[tuple[str, bool, Line]]:
    pairs = [pair for pair in combinations(mine.parties, 2) if mine.party in pair]
    return [
        (other, mine.party == one, lines[other])
        for one, two in pairs
        for other in ({one, two} - {mine.party})
    ]
