"""The files of a bundle, from a folder or from its archive; links, odd names and too much of anything are refused."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.files import read_file

MOST_FILES = 20_000
LARGEST = 64 << 20  # bytes of one file
LARGEST_OF_ALL = 512 << 20
# whatever a damaged archive makes the library say
DAMAGED = (
    OSError, zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError, ValueError,
)  # fmt: skip
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")


def read_folder(bundle: Path) -> dict[str, bytes]:
    """Return every file of a bundle by its name.

    Raises:
        VerificationError: It is neither folder nor archive, or holds what no bundle holds.
    """
    return _from_folder(bundle) if bundle.is_dir() else _from_archive(bundle)


def _from_folder(bundle: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    waiting, total = [bundle], 0
    while waiting:
        folder = waiting.pop()
        for one in sorted(folder.iterdir()):
            name = one.relative_to(bundle).as_posix()
            if one.is_symlink() or not (one.is_dir() or one.is_file()):
                raise VerificationError("not a regular file", where=name)
            if one.is_dir():
                waiting.append(one)
                continue
            _check_name(name)
            found[name] = read_file(one, name, limit=LARGEST)
            total += len(found[name])
            _check_amount(len(found), total)
    return found


def _from_archive(bundle: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    try:
        with zipfile.ZipFile(bundle) as archive:
            for one in archive.infolist():
                _check_name(one.filename)
                total += one.file_size
                _check_amount(len(found) + 1, total)
                if one.filename in found or one.file_size > LARGEST:
                    raise VerificationError(
                        "a name that stands twice, or a file too large", where=one.filename
                    )
                if one.compress_type not in _PLAIN:
                    raise VerificationError("packed in another way", where=one.filename)
                with archive.open(one) as file:
                    data = file.read(one.file_size + 1)
                if len(data) != one.file_size:
                    raise VerificationError("not as long as the archive says", where=one.filename)
                found[one.filename] = data
    except DAMAGED as error:
        raise VerificationError("neither a folder nor an archive", where=bundle.name) from error
    return found


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None or len(name) > 200:
        raise VerificationError("not a name of a bundle's file", where="bundle")


def _check_amount(count: int, total: int) -> None:
    if count > MOST_FILES or total > LARGEST_OF_ALL:
        raise VerificationError("more than a bundle holds", where="bundle")
