from collections.abc import Sequence

VERSION: int

def seal(
    key: bytes,
    front: bytes,
    first: int,
    place: bytes,
    pad: int,
    secrets: Sequence[bytes],
    aads: Sequence[bytes],
    /,
) -> list[bytes]: ...
