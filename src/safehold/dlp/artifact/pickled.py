"""Know a pickle by what it is, whatever it is called: it runs code when it is loaded.

Nothing is loaded. Protocols 2 to 5 begin with a mark; protocols 0 and 1 have none and are known by
reading their instructions (``pickletools``, which carries none of them out). Archives of PyTorch and
joblib are looked into as far as the names of their members and their first bytes.
"""

from __future__ import annotations

import bz2
import io
import lzma
import pickletools
import zipfile
import zlib
from typing import Final

Body = bytes | memoryview
_HEAD: Final = 1 << 16  # bytes of a file without a mark that are read as instructions
_FEW: Final = 3  # instructions that a short text may hold by chance
_LEAVES: Final = (".pkl", ".pickle", ".pt", ".pth", ".joblib", ".dill", ".npy.pkl")


def is_pickle(body: Body, *, deep: bool = True) -> bool:
    """Tell whether a file is a pickle, or a compressed or archived one.

    Args:
        body: The file.
        deep: Whether to look into compressed files and archives as well.
    """
    head = bytes(body[:_HEAD])
    if head[:1] == b"\x80" and len(head) > 1 and head[1] in range(2, 6):
        return True
    if _is_old(head):
        return True
    return deep and (_is_packed(head) or _is_archived(body))


def _is_old(head: bytes) -> bool:
    """Protocols 0 and 1: instructions from the first byte to a stop."""
    if not head or head[:1] not in b"(cdgilt}]NIFSUVXKMJGB":
        return False
    count = 0
    try:
        for opcode, _, _ in pickletools.genops(head):
            count += 1
            if opcode.name == "STOP":
                return count > _FEW
    except Exception:  # noqa: BLE001 - genops raises whatever the bytes provoke; it is no pickle then
        return False
    return False


def _is_packed(head: bytes) -> bool:
    for magic, start in (
        (b"\x1f\x8b", lambda: zlib.decompressobj(31).decompress(head, 64)),
        (b"\x78", lambda: zlib.decompressobj().decompress(head, 64)),
        (b"BZh", lambda: bz2.BZ2Decompressor().decompress(head, 64)),
        (b"\xfd7zXZ", lambda: lzma.LZMADecompressor().decompress(head, 64)),
        (b"\x5d\x00\x00", lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(head, 64)),
    ):
        if head.startswith(magic):
            try:
                inner = start()
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                continue
            if is_pickle(inner, deep=False):
                return True
            if inner[:1] == b"\x80" and inner[1:2] in (b"\2", b"\3", b"\4", b"\5"):
                return True
    return False


def _is_archived(body: Body) -> bool:
    if bytes(body[:4]) != b"PK\x03\x04":
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            for info in archive.infolist():
                if info.filename.lower().endswith(_LEAVES):
                    return True
                with archive.open(info) as member:
                    if is_pickle(member.read(64), deep=False):
                        return True
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError, NotImplementedError):
        return False
    return False
