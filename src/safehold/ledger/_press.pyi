from collections.abc import Sequence

from safehold.ledger.entry import Entry
from safehold.ledger.press import Columns, Detail, Facts, Frame, More, Spell, Text

VERSION: int

def draft(
    entries: Sequence[Entry],
    noise: bytes,
    spell: Spell,
    encode: Spell,
    frame: Frame,
    facts: Facts,
    more: More,
    text: Text,
    detail: Detail,
    /,
) -> Columns: ...
def bind(
    mark: bytes, heads: list[bytes], middles: list[bytes], tail: bytes, /
) -> tuple[list[bytes], list[bytes]]: ...
def finish(
    heads: list[bytes], sealed: list[bytes], rests: list[bytes], /
) -> tuple[list[bytes], list[bytes]]: ...
def leaf_hashes(entries: Sequence[bytes], /) -> list[bytes]: ...
def fold(hashes: bytes, /) -> bytes: ...
def pack(things: list[bytes], width: int, /) -> bytes: ...
def cut(bundle: bytes, /) -> list[bytes]: ...
