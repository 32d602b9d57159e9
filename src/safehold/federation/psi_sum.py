"""The sum of one house's values over the people who are in both, and nothing else (private intersection-sum).

The protocol is that of Ion et al., "On Deploying Secure Computation: Private Intersection-Sum-with-Cardinality"
(2020), figure 2, for two houses that keep to it (semi-honest), with noise inside it. One house brings a *set*, the
other *values*, one for each person. Names are masked twice, by a secret of each house, and shuffled by each:

1. the set house sends its masked names, with every dummy of the session among them;
2. the values house masks them again and sends them back in an order of its own;
3. the values house sends its own names, masked, each with its value encrypted; among them some of the dummies: how
   many is its noise, and only it knows;
4. the set house masks those too. Names masked twice can be compared, and nobody can tell whose they are. It counts,
   adds noise of its own, and refuses to go on unless the *lowest* count that noise allows is enough. Then it adds up
   the matching values under encryption, adds noise there, and sends sum and count;
5. the values house decrypts a sum that has the other's noise, adds its own, and sends that back.

So neither house ever has an exact figure: the set house sees the count with the other's dummies and the final sum;
the values house sees count and sum with the other's noise. Differences from the paper are in ADR 36.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from safehold.errors import InvalidError, TamperedError
from safehold.federation.group import (
    POINT,
    Names,
    draw_element,
    draw_scalar,
    multiply,
    scalar_bytes,
)
from safehold.federation.lifted import (
    BATCH,
    LANES,
    WIDEST,
    PublicKey,
    SecretKey,
    Tally,
    Total,
)
from safehold.federation.line import Kind, Line, too_few
from safehold.federation.noise import draw_shift
from safehold.federation.terms import Terms, agree, confirm, padded, session_of
from safehold.ids import random_bytes
from safehold.privacy.counting import draw_laplace

CHUNK: Final = 4096  # elements in one frame: 128 KiB
CALIBRATE: Final = 8  # additions that are timed where nothing matches
_NUMBER: Final = 8  # bytes of a count or a sum
_VALUE: Final = (
    POINT * (1 + LANES) + POINT * LANES
)  # bytes of one batch: R, masked names, encrypted values
Elements = npt.NDArray[np.bytes_]  # dtype S32


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a session releases, the same to both houses.

    Args:
        session: Id of the session.
        people: About how many people are in both, with the noise of both houses.
        at_least: There are at least so many, whatever the noise was.
        total: The sum over them, with the noise of both houses.
        peer: What the other house said of itself.
        sent: Bytes sent.
        received: Bytes received.
    """

    session: bytes
    people: int
    at_least: int
    total: int
    peer: Terms
    sent: int
    received: int


def size_of(members: int, terms_reach: int) -> int:
    """Return how many elements a house sends for so many people: they, all dummies, and what rounds it up."""
    return padded(members + 2 * terms_reach)


def join_set(line: Line, mine: Terms, members: Sequence[bytes]) -> Figures:
    """Take part with a set.

    Args:
        line: To the other house.
        mine: Terms, with the size that ``size_of`` gives.
        members: Names of people, each once.

    Raises:
        DeniedError: Too few people are in both houses, or the other house refused.
        TamperedError: The other house did not keep to the protocol.
        UnavailableError: It went away.
    """
    _check_members(mine, members)
    peer, session = _begin(line, mine, first=True)
    _check_range(mine, people=min(mine.size, peer.size))
    names, mask = Names(b"safehold-join" + session), scalar_bytes(draw_scalar())
    bodies = [*members, *_dummies(session, 2 * mine.reach)]
    _send_set(line, mine.size, bodies, names, mask)
    back = _receive_elements(line, Kind.BACK, mine.size)
    back.sort()
    if not _distinct(back):
        raise TamperedError("the other house sent a name twice", rule="join.twice")
    key = PublicKey.from_bytes(line.receive(Kind.KEY, size=LANES * POINT))
    found = _Matches(back)
    for lanes, ephemerals, masked, values in _receive_values(line, peer.size):
        found.look(
            np.array([multiply(mask, one) for one in masked], "S32"), lanes, ephemerals, values
        )
    tally, count = Tally(key), found.count
    noise = draw_shift(mine.epsilon_count_micro, mine.reach)
    shown = count + noise
    enough = shown - 4 * mine.reach >= max(mine.least, peer.least)
    # how long this takes must not tell how many there are: it takes as long as if everybody matched
    _add_all(tally, found, most=min(mine.size, peer.size))
    if not enough:
        line.refuse("few")
        raise too_few()
    total = tally.total(draw_laplace(mine.epsilon_sum_micro, mine.clamp))
    line.send(Kind.TOTAL, total.to_bytes() + shown.to_bytes(_NUMBER, "big"))
    final = int.from_bytes(line.receive(Kind.RESULT, size=_NUMBER), "big", signed=True)
    if not -2 * mine.tail <= final <= min(mine.size, peer.size) * mine.clamp + 2 * mine.tail:
        raise TamperedError("the sum is in no range that honest values reach", rule="join.range")
    line.send(Kind.DONE, b"")
    return _figures(line, session, peer, shown=shown, reach=mine.reach, total=final)


def join_values(line: Line, mine: Terms, values: Mapping[bytes, int]) -> Figures:
    """Take part with one value for each person.

    Args:
        line: To the other house.
        mine: Terms, with the size that ``size_of`` gives.
        values: Whole numbers from 0 to the clamp, by name.

    Raises:
        DeniedError: Too few people are in both houses, or the other house refused.
        TamperedError: The other house did not keep to the protocol.
        UnavailableError: It went away.
    """
    _check_members(mine, list(values))
    if not all(type(one) is int and 0 <= one <= mine.clamp for one in values.values()):
        raise InvalidError("a value lies outside of 0 and the clamp", rule="join.clamp")
    peer, session = _begin(line, mine, first=False)
    most = min(mine.size, peer.size) * mine.clamp
    _check_range(mine, people=min(mine.size, peer.size))
    names, mask = Names(b"safehold-join" + session), scalar_bytes(draw_scalar())
    _send_back(line, peer.size, mask)
    secret = SecretKey()
    line.send(Kind.KEY, secret.public().to_bytes())
    dummies = _dummies(session, 2 * mine.reach)[: draw_shift(mine.epsilon_count_micro, mine.reach)]
    brought = {**values, **dict.fromkeys(dummies, 0)}
    _send_values(line, brought, size=mine.size, names=names, mask=mask, secret=secret)
    came = line.receive(Kind.TOTAL, size=BATCH + _NUMBER)
    shown = int.from_bytes(came[BATCH:], "big")
    if not 4 * mine.reach < shown <= min(mine.size, peer.size) + 2 * mine.reach:
        raise TamperedError("the count is in no range that honest sets reach", rule="join.range")
    if shown - 4 * mine.reach < max(mine.least, peer.least):
        raise too_few()
    total = secret.decrypt(Total.from_bytes(came[:BATCH]), least=-mine.tail, most=most + mine.tail)
    final = total + draw_laplace(mine.epsilon_sum_micro, mine.clamp)
    line.send(Kind.RESULT, final.to_bytes(_NUMBER, "big", signed=True))
    line.receive(Kind.DONE, size=0)
    return _figures(line, session, peer, shown=shown, reach=mine.reach, total=final)


def _figures(
    line: Line, session: bytes, peer: Terms, *, shown: int, reach: int, total: int
) -> Figures:
    # two noises lie in the count, each of 0 to 2 reach and of reach on average
    return Figures(
        session=session,
        people=max(0, shown - 2 * reach),
        at_least=shown - 4 * reach,
        total=total,
        peer=peer,
        sent=line.sent,
        received=line.received,
    )


def _begin(line: Line, mine: Terms, *, first: bool) -> tuple[Terms, bytes]:
    peer = agree(line, mine, first=first)
    session = session_of((mine, peer))
    confirm(line, session, first=first)
    return peer, session


def _check_members(mine: Terms, members: Sequence[bytes]) -> None:
    if len(set(members)) != len(members):
        raise InvalidError("somebody is in the set twice", rule="join.twice")
    if mine.size != size_of(len(members), mine.reach):
        raise InvalidError("the size is not that of the set", field="size", rule="join.size")


def _check_range(mine: Terms, *, people: int) -> None:
    """Refuse a sum that nobody could find, before anything is sent."""
    if people * mine.clamp + 2 * mine.tail >= WIDEST:
        raise InvalidError(
            "the sum could lie in too wide a range",
            rule="join.range",
            fix="a smaller clamp, or a larger epsilon",
        )


def _dummies(session: bytes, count: int) -> list[bytes]:
    """Return names of nobody; both houses know them, and a name of somebody is never like one."""
    return [b"\xff" + session + number.to_bytes(4, "big") for number in range(count)]


def _shuffled(count: int) -> npt.NDArray[np.intp]:
    """Return an order that nobody can guess, from operating-system entropy."""
    return np.argsort(np.frombuffer(random_bytes(8 * count), np.uint64))


def _chunks(size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, size, CHUNK):
        yield start, min(size, start + CHUNK)


def _send_set(line: Line, size: int, bodies: Sequence[bytes], names: Names, mask: bytes) -> None:
    order = _shuffled(size)
    for start, stop in _chunks(size):
        line.send(
            Kind.SET,
            b"".join(
                multiply(mask, names.element(bodies[at])) if at < len(bodies) else draw_element()
                for at in order[start:stop]
            ),
        )


def _send_back(line: Line, size: int, mask: bytes) -> None:
    """Mask what comes, and send all of it back in another order."""
    came = np.empty(size, "V32")
    again = np.empty(size, "V32")
    for start, stop in _chunks(size):
        body = line.receive(Kind.SET, size=(stop - start) * POINT)
        came[start:stop] = np.frombuffer(body, "V32")
        again[start:stop] = np.frombuffer(
            b"".join(multiply(mask, body[at : at + POINT]) for at in range(0, len(body), POINT)),
            "V32",
        )
    came = came.view("S32")
    came.sort()
    if not _distinct(came):
        raise TamperedError("the other house sent a name twice", rule="join.twice")
    order = _shuffled(size)
    for start, stop in _chunks(size):
        line.send(Kind.BACK, again[order[start:stop]].tobytes())


def _receive_elements(line: Line, kind: Kind, size: int) -> Elements:
    found = np.empty(size, "S32")
    for start, stop in _chunks(size):
        body = line.receive(kind, size=(stop - start) * POINT)
        found[start:stop] = np.frombuffer(body, "S32")
    return found


def _distinct(ordered: Elements) -> bool:
    return not bool((ordered[1:] == ordered[:-1]).any())


def _send_values(
    line: Line,
    values: Mapping[bytes, int],
    *,
    size: int,
    names: Names,
    mask: bytes,
    secret: SecretKey,
) -> None:
    bodies = list(values)
    order = _shuffled(size)
    for start, stop in _chunks(size):
        frame = bytearray()
        for first in range(start, stop, LANES):
            batch = [
                bodies[at] if at < len(bodies) else None for at in order[first : first + LANES]
            ]
            ephemeral, encrypted = secret.encrypt(
                [0 if one is None else values[one] for one in batch]
            )
            frame += ephemeral
            for one in batch:
                frame += draw_element() if one is None else multiply(mask, names.element(one))
            frame += b"".join(encrypted)
        line.send(Kind.VALUES, bytes(frame))


def _receive_values(
    line: Line, size: int
) -> Iterator[tuple[list[int], list[bytes], list[bytes], list[bytes]]]:
    """Yield, chunk by chunk, lanes, ephemeral elements, masked names and encrypted values, in one order."""
    if size % LANES:
        raise TamperedError("the other house sends no whole batches", rule="join.size")
    for start, stop in _chunks(size):
        body = line.receive(Kind.VALUES, size=(stop - start) // LANES * _VALUE)
        ephemerals: list[bytes] = []
        masked: list[bytes] = []
        values: list[bytes] = []
        for at in range(0, len(body), _VALUE):
            parts = [body[place : place + POINT] for place in range(at, at + _VALUE, POINT)]
            ephemerals += parts[:1] * LANES
            masked += parts[1 : 1 + LANES]
            values += parts[1 + LANES :]
        yield list(range(LANES)) * ((stop - start) // LANES), ephemerals, masked, values


class _Matches:
    """Encrypted values of names that are in both houses.

    Args:
        back: The own names, masked by both, sorted.
    """

    def __init__(self, back: Elements) -> None:
        self._back = back
        self._seen = np.zeros(len(back), np.bool_)
        self._lanes = bytearray()
        self._kept = bytearray()  # 64 bytes a match: ephemeral element and encrypted value

    @property
    def count(self) -> int:
        """How many there are, dummies among them."""
        return len(self._lanes)

    def add_to(self, tally: Tally) -> None:
        """Add all of them up.

        Raises:
            TamperedError: One is not in its only form.
        """
        for number, lane in enumerate(self._lanes):
            at = number * 2 * POINT
            middle, end = at + POINT, at + 2 * POINT
            tally.add(lane, bytes(self._kept[at:middle]), bytes(self._kept[middle:end]))

    def look(
        self,
        masked: Elements,
        lanes: Sequence[int],
        ephemerals: Sequence[bytes],
        values: Sequence[bytes],
    ) -> None:
        """Keep the encrypted values of those that match.

        Raises:
            TamperedError: A name came twice: its value would count twice.
        """
        places = np.searchsorted(self._back, masked)
        places[places == len(self._back)] = 0
        for at in np.flatnonzero(self._back[places] == masked).tolist():
            if self._seen[places[at]]:
                raise TamperedError("the other house sent a name twice", rule="join.twice")
            self._seen[places[at]] = True
            self._lanes.append(lanes[at])
            self._kept += ephemerals[at] + values[at]


def _add_all(tally: Tally, matches: _Matches, *, most: int) -> None:
    """Add the values of all matches, and let as much time pass as if everybody had matched."""
    started = time.monotonic()
    matches.add_to(tally)
    took, done = time.monotonic() - started, matches.count
    if done < CALIBRATE:
        began, spare = time.monotonic(), Tally(PublicKey(()))
        for _ in range(CALIBRATE):
            spare.add(0, draw_element(), draw_element())
        took, done = time.monotonic() - began, CALIBRATE
    time.sleep(max(0.0, took / done * most - (time.monotonic() - started)))
