"""ZIP archives: names checked before anything is unpacked, sizes counted while it is.

Nothing is written: a member is read into memory, at most as long as the limit. What an archive says of its sizes is
not believed. Format: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from io import BufferedReader
from typing import Final

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.image import holds_image

_END: Final = b"PK\x05\x06"
_END_SIZE: Final = 22
_COMMENT: Final = 65_535
_ENCRYPTED: Final = 0x1
_PACKED: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class Archive:
    """A ZIP archive.

    Args:
        reader: The open file.
        name: Its name.
        limits: What it may ask for.

    Raises:
        InvalidError: It is damaged, names a place outside, holds a link, is encrypted, or asks for more than the
            limits.
    """

    def __init__(self, reader: FileReader, *, name: str, limits: Limits) -> None:
        self.size = reader.size
        self._name = name
        self._limits = limits
        self._spent = 0
        self._check_directory(reader)
        reader.seek(0)
        try:
            self._zip = zipfile.ZipFile(BufferedReader(reader))
        except (
            zipfile.BadZipFile, NotImplementedError, OSError, ValueError, struct.error,
            RuntimeError, UnicodeDecodeError,
        ) as error:  # fmt: skip
            raise self._broken() from error
        members = self._zip.infolist()
        if len(members) > limits.members:
            raise InvalidError(
                f"more than {limits.members} members", file=name, rule="source.size", fix="split it"
            )
        self._members: dict[str, zipfile.ZipInfo] = {}
        for number, member in enumerate(members):
            self._check_member(member, number)
            if not member.is_dir():
                self._members[member.filename] = member
        self.names = sorted(self._members)
        self.place = {name: place for place, name in enumerate(self.names)}

    def read(self, member: str) -> bytes:
        """Return a member.

        Raises:
            InvalidError: It is damaged, a picture, or larger than the limits, alone or with those before it.
        """
        number = self.place[member]
        try:
            with self._zip.open(self._members[member]) as file:
                data = file.read(self._limits.document_bytes + 1)
        except (
            zipfile.BadZipFile, zlib.error, NotImplementedError, OSError, ValueError, struct.error,
            RuntimeError, EOFError,
        ) as error:  # fmt: skip
            raise self._broken(number) from error
        self._spent += len(data)
        most = min(self._limits.archive_bytes, max(64 << 20, self._limits.amplify * self.size))
        if len(data) > self._limits.document_bytes or self._spent > most:
            raise InvalidError(
                "a member unpacks to more than the limits allow",
                file=self._name,
                row=number,
                rule="source.bomb",
                fix="export fewer days at a time",
            )
        if holds_image(data):
            raise InvalidError("a picture", file=self._name, row=number, rule="source.image")
        return data

    def _check_directory(self, reader: FileReader) -> None:
        """Refuse a directory that is too long before anybody reads it whole."""
        tail_at = max(0, reader.size - _END_SIZE - _COMMENT)
        tail = reader.pread(tail_at, _END_SIZE + _COMMENT)
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < _END_SIZE:
            raise self._broken()
        count, length = struct.unpack_from("<HL", tail, at + 10)
        if count == 0xFFFF or length == 0xFFFF_FFFF or length > self._limits.footer_bytes:
            raise InvalidError(
                f"its directory is larger than {self._limits.footer_bytes} bytes",
                file=self._name,
                rule="source.footer",
                fix="split it",
            )

    def _check_member(self, member: zipfile.ZipInfo, number: int) -> None:
        path = member.orig_filename
        parts = path.rstrip("/").split("/")
        outside = (
            path.startswith("/") or ".." in parts or "" in parts or "\\" in path or "\0" in path
        )
        if outside or ":" in parts[0][:2]:
            raise self._wrong("a member names a place outside the archive", number, "source.path")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise self._wrong("a member is a link", number, "source.link")
        if member.flag_bits & _ENCRYPTED or member.compress_type not in _PACKED:
            raise self._wrong("a member is encrypted, or packed otherwise", number, "source.zip")
        if member.filename in self._members:
            raise self._wrong("two members share a name", number, "source.duplicate")

    def _wrong(self, message: str, number: int, rule: str) -> InvalidError:
        return InvalidError(message, file=self._name, row=number, rule=rule)

    def _broken(self, number: int | None = None) -> InvalidError:
        return InvalidError(
            "not a whole ZIP archive", file=self._name, row=number, rule="source.zip"
        )
