"""Sizes that tell little: what is sealed is padded to one of a few lengths.

Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with
PURBs", PoPETs 2019 (Padme: at most 12 % longer, falling with size).
"""

from __future__ import annotations

from typing import Final

SMALLEST_BUCKET: Final = 512  # bytes


def bucket(size: int) -> int:
    """Return the padded length for a number of bytes."""
    if size <= SMALLEST_BUCKET:
        return SMALLEST_BUCKET
    exponent = size.bit_length() - 1
    low = exponent - exponent.bit_length()
    mask = (1 << low) - 1
    return (size + mask) & ~mask
