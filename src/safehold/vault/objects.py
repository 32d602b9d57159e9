"""Where sealed objects rest: written once, whole, and durable before anybody is told.

A folder of this machine here; ``bucket`` for any store that speaks S3. Both keep the same promises, and the same
tests run over both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

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
_GONE: Final = (FileNotFoundError, NotFoundError)


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


def is_name(text: str) -> bool:
    """Return whether a text is the name of an object."""
    return _NAME.fullmatch(text) is not None


class Objects:
    """Sealed objects in a local folder.

    Args:
        path: The folder; made if it is missing.
    """

    # bytes of a block from which fetching some pages of it is cheaper than fetching it whole
    apart = 128 * 1024
    grace_us = 0  # how old an object must be before it counts as left over; nobody else writes here

    def __init__(self, path: Path) -> None:
        self._path = path
        self._store: Any = LocalStore(path, mkdir=True)

    def put(self, name: str, data: bytes | bytearray) -> None:
        """Store an object under a new name; durable when this returns.

        Raises:
            ConflictError: The name is taken; what lies there is untouched.
            UnavailableError: The storage refused.
        """
        name_id(name)
        self._create(name, data)
        file = self._path / name
        file.chmod(0o600)
        durable.sync(file)
        durable.sync(file.parent)
        durable.sync(self._path)

    def _create(self, name: str, data: bytes | bytearray) -> bool:
        """Store an object that must be new; return whether the store keeps versions."""
        try:
            put = obstore.put(self._store, name, data, mode="create", use_multipart=False)
        except AlreadyExistsError as error:
            raise ConflictError("an object of this name exists", rule="object.create") from error
        except (BaseError, OSError) as error:
            raise self._away("stored", error) from error
        return put.get("version") not in (None, "", "null")

    def get(self, name: str) -> bytes:
        """Return a whole object.

        Raises:
            MissingError: There is no such object.
            UnavailableError: The storage does not answer.
        """
        name_id(name)
        try:
            return obstore.get(self._store, name).bytes().to_bytes()
        except _GONE as error:
            raise _missing() from error
        except (BaseError, OSError) as error:
            raise self._away("read", error) from error

    def ranges(self, name: str, spans: Sequence[tuple[int, int]]) -> list[memoryview]:
        """Return spans of an object, each (offset, length).

        Spans closer than ``apart`` are asked for at once.

        Raises:
            MissingError: There is no such object.
            TamperedError: The object is shorter than that.
            UnavailableError: The storage does not answer.
        """
        name_id(name)
        runs = _joined(spans)
        try:
            parts = obstore.get_ranges(
                self._store,
                name,
                starts=[start for start, _ in runs],
                lengths=[length for _, length in runs],
                coalesce=self.apart,
            )
        except _GONE as error:
            raise _missing() from error
        except (BaseError, OSError) as error:
            # a store that is away and an object that was cut short fail alike; its size tells them apart
            if self._size(name) < max(start + length for start, length in spans):
                raise _cut_short() from error
            raise self._away("read", error) from error
        if any(len(part) != length for part, (_, length) in zip(parts, runs, strict=True)):
            raise _cut_short()
        views = iter([memoryview(part).cast("B") for part in parts])
        found: list[memoryview] = []
        view, begin, end = memoryview(b""), 0, -1
        for start, length in spans:
            if start != end:
                view, begin = next(views), start
            end = start + length
            found.append(view[start - begin : end - begin])
        return found

    def _size(self, name: str) -> int:
        try:
            return int(obstore.head(self._store, name)["size"])
        except _GONE as error:
            raise _missing() from error
        except (BaseError, OSError) as error:
            raise self._away("read", error) from error

    def delete(self, name: str) -> None:
        """Remove an object; nothing if it is gone.

        Raises:
            UnavailableError: The storage does not answer.
        """
        name_id(name)
        file = self._path / name
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise self._away("removed", error) from error
        if file.parent.is_dir():
            durable.sync(file.parent)

    def names(self, *, before_us: int | None = None) -> Iterator[str]:
        """Yield the names of all objects, so that what no catalogue knows can be removed.

        Args:
            before_us: Only those that were stored before this moment, by the clock of the store.

        Raises:
            UnavailableError: The storage does not answer.
        """
        for file in sorted(self._path.glob("??/*.shb")):
            name = f"{file.parent.name}/{file.name}"
            if is_name(name) and (before_us is None or file.stat().st_mtime_ns < before_us * 1000):
                yield name

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the size in bytes of every object.

        Raises:
            UnavailableError: The storage does not answer.
        """
        for name in self.names():
            yield name, (self._path / name).stat().st_size

    def _away(self, what: str, _error: BaseException) -> UnavailableError:
        return UnavailableError(f"an object could not be {what}", rule="object.store")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"


def _joined(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in which neighbours that touch are one: a folder is asked once for each."""
    runs: list[tuple[int, int]] = []
    begin, end = 0, -1
    for start, length in spans:
        if start != end:
            if end >= 0:
                runs.append((begin, end - begin))
            begin = start
        end = start + length
    return [*runs, (begin, end - begin)] if end >= 0 else runs


def _missing() -> MissingError:
    return MissingError("a sealed object is missing", rule="object.missing")


def _cut_short() -> TamperedError:
    return TamperedError("a sealed object is cut short", rule="object.length")
