"""A folder of files as one archive: the same files give the same bytes, and nothing but plain files come out."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from safehold.errors import ConflictError, InvalidError, UnavailableError

_WHEN: Final = (1980, 1, 1, 0, 0, 0)  # the earliest that the format can say
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_PLAIN: Final = 0o100644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return an archive of files, by name in order, without times or owners."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, data in sorted(files.items()):
            one = zipfile.ZipInfo(name, _WHEN)
            one.compress_type = zipfile.ZIP_DEFLATED
            one.external_attr = _PLAIN
            one.create_system = 3
            archive.writestr(one, data)
    return held.getvalue()


def unpack(data: bytes, folder: Path) -> list[str]:
    """Write the files of an archive that ``pack`` made into a new folder, and return their names.

    Raises:
        ConflictError: The folder is there already.
        InvalidError: A name leads out of the folder, or stands twice.
        UnavailableError: It cannot be written.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        if len(set(names)) < len(names) or not all(_NAME.fullmatch(one) for one in names):
            raise InvalidError("not the names of a bundle", rule="evidence.archive")
        try:
            folder.mkdir()
        except FileExistsError as error:
            raise ConflictError(
                "this folder is there already", rule="evidence.folder", fix="name another"
            ) from error
        except OSError as error:
            raise UnavailableError("the folder cannot be made", rule="evidence.folder") from error
        for name in names:
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(name))
    return names
