"""The group in which names are masked: ristretto255 (RFC 9496), prime order, one encoding per element.

The one file that asks libsodium. Names become elements as RFC 9380 section 5.3.1 and appendix B say
(``ristretto255_XMD:SHA-512_R255MAP_RO_``), under a tag that holds the session: the element of a name in one session
says nothing about it in another. Multiplication runs in constant time in libsodium.
"""

from __future__ import annotations

from hashlib import sha512
from typing import Final

from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.ids import random_bytes

try:
    from rbcl import (
        crypto_core_ristretto255_add,
        crypto_core_ristretto255_from_hash,
        crypto_core_ristretto255_is_valid_point,
        crypto_core_ristretto255_sub,
        crypto_scalarmult_ristretto255,
        crypto_scalarmult_ristretto255_base_allow_scalar_zero,
    )
except ImportError as error:
    raise UnavailableError(
        "joins need libsodium", rule="join.missing", fix="pip install 'safehold[mpc]'"
    ) from error

POINT: Final = 32  # bytes of one element
ORDER: Final = 2**252 + 27742317777372353535851937790883648493  # RFC 9496 section 4
IDENTITY: Final = bytes(POINT)
LONGEST_TAG: Final = 255  # bytes, RFC 9380 section 5.3.3
_SUITE: Final = b"ristretto255_XMD:SHA-512_R255MAP_RO_"
_PAD: Final = sha512(bytes(128))  # Z_pad: one input block of SHA-512, hashed once for all names


class Names:
    """Turns the names of one session into elements of the group.

    Args:
        tag: What sets them apart from those of every other use and session.
    """

    def __init__(self, tag: bytes) -> None:
        whole = tag + _SUITE
        if len(whole) > LONGEST_TAG:
            raise InvalidError("the tag of a session is too long", rule="join.tag")
        end = whole + bytes((len(whole),))
        self._first = b"\x00\x40\x00" + end  # 64 bytes are asked for: l_i_b_str, then I2OSP(0, 1)
        self._second = b"\x01" + end

    def element(self, name: bytes) -> bytes:
        """Return the element of a name, 32 bytes."""
        start = _PAD.copy()
        start.update(name + self._first)
        return bytes(
            crypto_core_ristretto255_from_hash(sha512(start.digest() + self._second).digest())
        )


def draw_scalar() -> int:
    """Return a secret number from 1 to the order less 1, from operating-system entropy.

    64 bytes are reduced, so no number is more likely than another by more than 2^-259.
    """
    return 1 + int.from_bytes(random_bytes(64), "little") % (ORDER - 1)


def draw_element() -> bytes:
    """Return an element that nobody knows anything about."""
    return bytes(crypto_core_ristretto255_from_hash(random_bytes(64)))


def scalar_bytes(value: int) -> bytes:
    """Return a number as the group takes it: 32 bytes, little-endian, below the order."""
    return (value % ORDER).to_bytes(32, "little")


def multiply(scalar: bytes, element: bytes) -> bytes:
    """Return an element times a number.

    Raises:
        TamperedError: The element is not in its only encoding, or is the identity.
    """
    try:
        return bytes(crypto_scalarmult_ristretto255(scalar, element))
    except (RuntimeError, ValueError) as error:
        raise _no_element() from error


def multiply_base(scalar: bytes) -> bytes:
    """Return the generator times a number."""
    return bytes(crypto_scalarmult_ristretto255_base_allow_scalar_zero(scalar))


def add(one: bytes, other: bytes) -> bytes:
    """Return the sum of two elements.

    Raises:
        TamperedError: One of them is not in its only encoding.
    """
    try:
        return bytes(crypto_core_ristretto255_add(one, other))
    except (RuntimeError, ValueError) as error:
        raise _no_element() from error


def subtract(one: bytes, other: bytes) -> bytes:
    """Return the difference of two elements.

    Raises:
        TamperedError: One of them is not in its only encoding.
    """
    try:
        return bytes(crypto_core_ristretto255_sub(one, other))
    except (RuntimeError, ValueError) as error:
        raise _no_element() from error


def check_element(element: bytes) -> None:
    """Pass if these bytes are an element in its only encoding, and not the identity.

    Raises:
        TamperedError: They are not.
    """
    if element == IDENTITY or not crypto_core_ristretto255_is_valid_point(element):
        raise _no_element()


def _no_element() -> TamperedError:
    return TamperedError(
        "what came is no element of the group in its only form",
        rule="join.element",
        fix="the other house runs other software, or lies; nothing was released",
    )
