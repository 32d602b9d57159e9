"""Where sealed objects rest: written once, whole, and durable before anybody is told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError
from obstore.store import LocalStore

from safehold import ids
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    TamperedError,
    UnavailableError,
)
from safehold.vault import durable

_NAME: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{30}\.shb")


def new_name() -> str:
    """Return an opaque object name; it says nothing of content, person or time."""
    text = ids.random_bytes(16).hex()
    return f"{text[:2]}/{text[2:]}.shb"


def name_id(name: str) -> bytes:
    """Return the 16 bytes an object's name stands for.

    Raises:
        InvalidError: It is not the name of an object.
    """
    if not _NAME.fullmatch(name):
        raise InvalidError("not the name of a sealed object", rule="object.name")
    return bytes.fromhex(name[:2] + name[3:33])


class Objects:
    """Sealed objects in a local folder.

    Args:
        path: The folder; made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store = LocalStore(path, mkdir=True)

    def put(self, name: str, data: bytes | bytearray) -> None:
        """Store an object under a new name; durable when this returns.

        Raises:
            ConflictError: The name is taken; what lies there is untouched.
            UnavailableError: The storage refused.
        """
        name_id(name)
        try:
            obstore.put(self._store, name, data, mode="create")
        except AlreadyExistsError as error:
            raise ConflictError("an object of this name exists", rule="object.create") from error
        except (BaseError, OSError) as error:
            raise UnavailableError("the object could not be stored", rule="object.store") from error
        file = self._path / name
        file.chmod(0o600)
        durable.sync(file)
        durable.sync(file.parent)
        durable.sync(self._path)

    def get(self, name: str) -> bytes:
        """Return a whole object.

        Raises:
            MissingError: There is no such object.
        """
        name_id(name)
        try:
            return obstore.get(self._store, name).bytes().to_bytes()
        except (FileNotFoundError, NotFoundError) as error:
            raise MissingError("a sealed object is missing", rule="object.missing") from error
        except (BaseError, OSError) as error:
            raise UnavailableError("the object could not be read", rule="object.store") from error

    def ranges(self, name: str, spans: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return spans of an object, each (offset, length).

        Raises:
            MissingError: There is no such object.
            TamperedError: The object is shorter than that.
        """
        name_id(name)
        try:
            parts = obstore.get_ranges(
                self._store,
                name,
                starts=[start for start, _ in spans],
                lengths=[length for _, length in spans],
            )
        except (FileNotFoundError, NotFoundError) as error:
            raise MissingError("a sealed object is missing", rule="object.missing") from error
        except (BaseError, OSError) as error:
            raise TamperedError("a sealed object is cut short", rule="object.length") from error
        if any(len(part) != length for part, (_, length) in zip(parts, spans, strict=True)):
            raise TamperedError("a sealed object is cut short", rule="object.length")
        return [memoryview(part).cast("B") for part in parts]

    def delete(self, name: str) -> None:
        """Remove an object; nothing if it is gone."""
        name_id(name)
        file = self._path / name
        file.unlink(missing_ok=True)
        if file.parent.is_dir():
            durable.sync(file.parent)

    def names(self) -> Iterator[str]:
        """Yield the names of all objects, so that what no catalogue knows can be removed."""
        for file in sorted(self._path.glob("??/*.shb")):
            name = f"{file.parent.name}/{file.name}"
            if _NAME.fullmatch(name):
                yield name
