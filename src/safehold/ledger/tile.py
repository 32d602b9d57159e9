"""Names and bytes of the static files of a log (C2SP tlog-tiles)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from safehold.errors import InvalidError, TamperedError
from safehold.ledger import press
from safehold.ledger.tree import HEIGHT, WIDTH

LARGEST_ENTRY = 65_535  # bytes: an entry bundle counts them in 16 bits


def number_path(number: int) -> str:
    """Return a tile number in groups of three digits, all but the last marked with ``x``."""
    text = str(number)
    text = text.zfill(-(-len(text) // 3) * 3)
    groups = [text[at : at + 3] for at in range(0, len(text), 3)]
    return "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])


def tile_path(level: int | str, number: int, width: int = WIDTH) -> str:
    """Return the path of a tile (a level) or an entry bundle (``"entries"``) of some width."""
    partial = "" if width == WIDTH else f".p/{width}"
    return f"tile/{level}/{number_path(number)}{partial}"


def paths(size: int) -> list[str]:
    """Return every file of a log of a size, apart from its checkpoint."""
    found: list[str] = []
    for label, count in _rows(size):
        full, rest = divmod(count, WIDTH)
        found += [tile_path(label, number) for number in range(full)]
        if rest:
            found.append(tile_path(label, full, rest))
    return found


def partial_paths(size: int) -> list[str]:
    """Return the partial tiles and the partial bundle of a log of a size."""
    return [
        tile_path(label, count >> HEIGHT, count % WIDTH)
        for label, count in _rows(size)
        if count % WIDTH
    ]


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """Return entries one after the other, each behind its length in two bytes.

    Raises:
        InvalidError: An entry is longer than 65,535 bytes.
    """
    try:
        return press.pack(list(entries), 2)
    except OverflowError as error:
        raise InvalidError(
            "a leaf is longer than 65,535 bytes", rule="ledger.entry.size"
        ) from error


def unpack_entries(data: bytes) -> Iterator[bytes]:
    """Yield the entries of a bundle.

    Raises:
        TamperedError: The bundle ends within an entry.
    """
    try:
        yield from press.cut(data)
    except ValueError as error:
        raise TamperedError("an entry bundle ends within an entry", rule="ledger.bundle") from error


def _rows(size: int) -> list[tuple[int | str, int]]:
    """Return (label, number of hashes or entries) of every row of files that a size has."""
    rows: list[tuple[int | str, int]] = []
    level = 0
    while size >> (level * HEIGHT):
        rows.append((level, size >> (level * HEIGHT)))
        level += 1
    if size:
        rows.append(("entries", size))
    return rows
