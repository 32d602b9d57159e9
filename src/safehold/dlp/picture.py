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

from safehold.dlp.engine.literal import Literals
from safehold.dlp.engine.rows import constant_of, whole_of

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


# one of these stands in every match, in some case of its letters
_HELD: Final = Literals(
    [b"data:", b"ivborw0kggo", b"r0lgod", b"uklgr", b"89504e470d0a1a0a", b"ffd8ff"]
    + [b"9j" + sign + digit for sign in (b"/", b"_") for digit in (b"2", b"4")]
)


def pictured_events(table: pa.Table) -> Bools:
    """Tell which events carry a picture in one of their texts.

    Args:
        table: Events in wire form.
    """
    found = np.zeros(table.num_rows, bool)
    for item in table.schema:
        if not (pa.types.is_large_string(item.type) or pa.types.is_string(item.type)):
            continue
        column = whole_of(table.column(item.name))
        if column.null_count == len(column):
            continue
        alike = constant_of(column) is not None
        texts = column.slice(0, 1) if alike else column
        rows = _HELD.rows(texts)
        if not len(rows):
            continue
        hit = pc.match_substring_regex(texts.take(pa.array(rows)), _PICTURE)
        rows = rows[np.asarray(pc.fill_null(hit, fill_value=False))]
        found[slice(None) if alike and len(rows) else rows] = True
    return found
