"""Sums under encryption: ElGamal with the value in the exponent, in lanes.

A key is ``LANES`` secrets. A batch of as many values shares one ephemeral element and has one element per value:

    R = r G        C_i = (t_i + r s_i) G        i = 0 .. LANES - 1

Sharing r between *different* keys is as hard to break as the decisional Diffie-Hellman problem (Kurosawa 2002; Bellare,
Boldyreva and Staddon 2003). Whoever encrypts holds the secrets, so t_i + r s_i is one number and one multiplication of
the generator, in place of three multiplications. To add up, whoever selects values keeps one sum of R for each lane
and one sum of all C, and blinds each lane anew before giving it back, so it does not tell which ones were selected.

A sum is found by baby steps and giant steps (Shanks 1971), so it must lie in a range that is known before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from safehold.errors import InvalidError, TamperedError
from safehold.federation.group import (
    IDENTITY,
    ORDER,
    POINT,
    add,
    check_element,
    draw_scalar,
    multiply,
    multiply_base,
    scalar_bytes,
    subtract,
)

LANES: Final = 16
BATCH: Final = (1 + LANES) * POINT  # bytes of one encrypted batch
WIDEST: Final = 2**34  # values a sum may have: a search of 2^17 steps each way


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What values are blinded with.

    Args:
        lanes: One element each.
    """

    lanes: tuple[bytes, ...]

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKey:
        """Return the key these bytes are.

        Raises:
            TamperedError: They are none: an element is not in its only form, or comes twice.
        """
        lanes = tuple(data[at : at + POINT] for at in range(0, len(data), POINT))
        if len(data) != LANES * POINT or len(set(lanes)) != LANES:
            raise TamperedError("what came is no key", rule="join.key")
        for lane in lanes:
            check_element(lane)
        return cls(lanes)

    def to_bytes(self) -> bytes:
        """Return the key as it travels."""
        return b"".join(self.lanes)


@dataclass(frozen=True, slots=True)
class Total:
    """An encrypted sum: one blinded element for each lane, and one with the sum.

    Args:
        lanes: Sums of ephemeral elements, by lane.
        body: The sum of the others.
    """

    lanes: tuple[bytes, ...]
    body: bytes

    @classmethod
    def from_bytes(cls, data: bytes) -> Total:
        """Return the sum these bytes are.

        Raises:
            TamperedError: They are none.
        """
        if len(data) != BATCH:
            raise TamperedError("what came is no sum", rule="join.total")
        parts = [data[at : at + POINT] for at in range(0, len(data), POINT)]
        for part in parts:
            check_element(part)
        return cls(tuple(parts[:LANES]), parts[LANES])

    def to_bytes(self) -> bytes:
        """Return the sum as it travels."""
        return b"".join((*self.lanes, self.body))


class SecretKey:
    """Encrypts values, and finds sums. It is made for one session and never leaves it."""

    def __init__(self) -> None:
        self._secrets = [draw_scalar() for _ in range(LANES)]

    def public(self) -> PublicKey:
        """Return the other half."""
        return PublicKey(tuple(multiply_base(scalar_bytes(one)) for one in self._secrets))

    def encrypt(self, values: Sequence[int]) -> tuple[bytes, list[bytes]]:
        """Return the ephemeral element of a batch, and one element for each value.

        Args:
            values: As many as there are lanes.
        """
        ephemeral = draw_scalar()
        return multiply_base(scalar_bytes(ephemeral)), [
            multiply_base(scalar_bytes(value + ephemeral * secret))
            for value, secret in zip(values, self._secrets, strict=True)
        ]

    def decrypt(self, total: Total, *, least: int, most: int) -> int:
        """Return a sum.

        Args:
            total: As it came.
            least: The least it may be.
            most: The most it may be.

        Raises:
            TamperedError: It is not in this range.
        """
        rest = total.body
        for lane, secret in zip(total.lanes, self._secrets, strict=True):
            rest = subtract(rest, multiply(scalar_bytes(secret), lane))
        return find_exponent(rest, least=least, most=most)


class Tally:
    """Adds up encrypted values without reading them.

    Args:
        key: The key of whoever will read the sum.
    """

    def __init__(self, key: PublicKey) -> None:
        self._key = key
        self._lanes = [IDENTITY] * LANES
        self._body = IDENTITY

    def add(self, lane: int, ephemeral: bytes, body: bytes) -> None:
        """Add one value.

        Raises:
            TamperedError: It is not in its only form.
        """
        self._lanes[lane] = add(self._lanes[lane], ephemeral)
        self._body = add(self._body, body)

    def total(self, noise: int) -> Total:
        """Return the sum with noise added, blinded in each lane, so that it tells nothing but itself.

        Args:
            noise: A whole number, added under encryption.
        """
        lanes, body = [], add(self._body, multiply_base(scalar_bytes(noise)))
        for have, key in zip(self._lanes, self._key.lanes, strict=True):
            blind = scalar_bytes(draw_scalar())
            lanes.append(add(have, multiply_base(blind)))
            body = add(body, multiply(blind, key))
        return Total(tuple(lanes), body)


def find_exponent(element: bytes, *, least: int, most: int) -> int:
    """Return the whole number x between two bounds for which x G is an element.

    Raises:
        InvalidError: The range is empty or too wide to search.
        TamperedError: There is none.
    """
    if not least <= most < least + WIDEST:
        raise InvalidError(
            "the sum could lie in too wide a range",
            rule="join.range",
            fix="a smaller clamp, or a larger epsilon",
        )
    width = most - least + 1
    step = max(1, math.isqrt(width - 1) + 1)
    babies: dict[bytes, int] = {}
    here, one = IDENTITY, multiply_base(scalar_bytes(1))
    for number in range(step):
        babies[here] = number
        here = add(here, one)
    giant = multiply_base(scalar_bytes(step))
    at = subtract(element, multiply_base(scalar_bytes(least % ORDER)))
    for stride in range((width + step - 1) // step):
        found = babies.get(at)
        if found is not None and (x := stride * step + found) < width:
            return least + x
        at = subtract(at, giant)
    raise TamperedError(
        "the sum is in no range that honest values reach",
        rule="join.range",
        fix="nothing was released; ask the other house",
    )
