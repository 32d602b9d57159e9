"""Pictures are never taken in, at no door: how one is known by its first bytes.

Signatures: PNG (RFC 2083 3.1), JPEG (ITU-T T.81 B.1.1.3), GIF89a, RIFF/WebP (RFC 9649), TIFF 6.0, ISO BMFF brands of
HEIF and AVIF. Screens come as metadata only.
"""

from __future__ import annotations

from typing import Final

_HEADS: Final = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\x00",
    b"MM\x00*",
)
PICTURES: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".heic",
    ".avif",
)
_BRANDS: Final = frozenset({b"heic", b"heix", b"mif1", b"avif", b"msf1"})


def holds_image(data: bytes | bytearray) -> int:
    """Return how likely bytes are a picture: 1 when they begin as one, 0 otherwise."""
    head = bytes(data[:16])
    if head.startswith(_HEADS):
        return 1
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return 1
    return int(head[4:8] == b"ftyp" and head[8:12] in _BRANDS)
