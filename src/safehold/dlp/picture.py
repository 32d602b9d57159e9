"""Pictures written as text: no event that carries one is kept, in whatever column it is.

Looked for are data URLs of images (RFC 2397), and the first bytes of PNG, JPEG, GIF and WebP in Base64 (RFC 4648, also
its URL alphabet) or in hexadecimal digits.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.context import words_of

Bools = npt.NDArray[np.bool_]

_BASE64: Final = "[A-Za-z0-9+/_-]{24}"
_PICTURE: Final = (
    r"(?i:data:\s{0,8}image/)"
    rf"|iVBORw0KGgo{_BASE64}"  # \x89PNG
    rf"|[/_]9j[/_][24](?:AAQSkZJRg|{_BASE64})"  # JPEG: FF D8 FF, and a marker of its head
    rf"|R0lGOD(?:dh|lh){_BASE64}"
    rf"|UklGR[A-Za-z0-9+/_-]{{6}}XRUJQ"
    r"|(?i:89504e470d0a1a0a[0-9a-f]{16})|(?i:ffd8ff(?:e[0-9a-f]|db)[0-9a-f]{24})"
)


def pictured_events(table: pa.Table) -> Bools:
    """Tell which events carry a picture in one of their texts.

    Args:
        table: Events in wire form.
    """
    found = np.zeros(table.num_rows, bool)
    for item in table.schema:
        if pa.types.is_large_string(item.type):
            hit = pc.match_substring_regex(table.column(item.name), _PICTURE)
            found |= pc.fill_null(hit, fill_value=False).to_numpy()
        elif pa.types.is_string(item.type):
            index, values = words_of(table.column(item.name))
            words = pa.array(values, pa.large_string())
            hits = pc.fill_null(pc.match_substring_regex(words, _PICTURE), fill_value=False)
            found |= hits.to_numpy(zero_copy_only=False)[index]
    return found
