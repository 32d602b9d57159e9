"""Weights: safetensors, GGUF, NumPy arrays and archives of them.

Sources: safetensors format (Hugging Face; u64 length, JSON header, tensors back to back without
holes); GGUF specification, versions 2 and 3 (ggml); NPY format 1.0 to 3.0 (NumPy enhancement 1).
"""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from safehold.dlp.artifact.content import OPTIMIZER, SPREAD, Content
from safehold.dlp.artifact.passage import Passage, read_json, walk
from safehold.dlp.artifact.spread import spread_texts
from safehold.dlp.artifact.tensor import texts_of
from safehold.dlp.artifact.words import plain_token
from safehold.errors import DeniedError, InvalidError

LONGEST_HEADER: Final = 100 << 20  # bytes, as the reference reader has it
_LARGEST_ARRAY: Final = 4 << 30
_WIDTHS: Final = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2,
    "BF16": 2, "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
# names by which optimizers keep their state: Adam and its kin, momentum, Adafactor, optax
_STATE: Final = re.compile(
    r"(?:^|[./_])(?:exp_avg(?:_sq)?|max_exp_avg_sqs?|momentum(?:_buffer)?|velocity|square_avg|acc_delta"
    r"|optimizer|optim|opt_state|adam_[mv]|mu|nu|trace|v_(?:row|col)|slots?)(?:$|[./_0-9])",
    re.IGNORECASE,
)


def is_safetensors(body: memoryview) -> bool:
    """Tell whether a file begins as one."""
    if len(body) < 10 or bytes(body[8:9]) != b"{":
        return False
    (length,) = struct.unpack_from("<Q", body)
    return bool(2 <= length <= len(body) - 8)


def read_safetensors(body: memoryview) -> Content:
    """Read names, metadata and tensors.

    Raises:
        InvalidError: It is damaged, or has bytes that belong to no tensor.
    """
    (length,) = struct.unpack_from("<Q", body)
    if length > LONGEST_HEADER:
        raise _broken("the header is too long")
    raw = bytes(body[8 : 8 + length])
    header = read_json(raw.rstrip(b" "), what="header")
    if not isinstance(header, dict):
        raise _broken("the header is no object")
    data = body[8 + length :]
    metadata = header.pop("__metadata__", None)
    places = _check_tensors(header, len(data))
    content = Content("safetensors", ())
    if any(_STATE.search(name) for name in header):
        content.notes.add(OPTIMIZER)

    def passages() -> Iterator[Passage]:
        # a key that stands twice is gone from what JSON gives back, so the bytes are read as well
        yield Passage("header", raw.decode("utf-8", "replace"))
        yield from walk(metadata, "__metadata__")
        for number, name in enumerate(header):
            yield Passage(f"tensor[{number}].name", name)
        for number, (name, low, high) in enumerate(places):
            yield from texts_of(data[low:high], header[name]["dtype"], f"tensor[{number}]")
            for passage in spread_texts(data[low:high], header[name]["dtype"], f"tensor[{number}]"):
                content.notes.add(SPREAD)
                yield passage

    content.passages = passages()
    return content


def _check_tensors(header: dict[str, Any], size: int) -> list[tuple[str, int, int]]:
    places = []
    for name, entry in header.items():
        try:
            low, high = entry["data_offsets"]
            if high - low != math.prod(entry["shape"]) * _WIDTHS[entry["dtype"]]:
                raise _broken("a tensor is not where the header says")
            memoryview(b"")[low:high]  # whole numbers
        except (KeyError, TypeError, ValueError):
            raise _broken("a tensor is not where the header says") from None
        if not 0 <= low <= high <= size:
            raise _broken("a tensor is not where the header says")
        places.append((name, low, high))
    places.sort(key=lambda item: item[1:])
    ends = [0, *(high for _, _, high in places)]
    if (
        any(low != end for (_, low, _), end in zip(places, ends[:-1], strict=True))
        or ends[-1] != size
    ):
        raise _broken("the file has bytes outside its tensors")
    return places


# numbers of GGUF: their form for ``struct``, and their name as safetensors has it
_GGUF: Final = {
    0: ("B", "U8"), 1: ("b", "I8"), 2: ("H", "U16"), 3: ("h", "I16"), 4: ("I", "U32"), 5: ("i", "I32"),
    6: ("f", "F32"), 7: ("B", "BOOL"), 10: ("Q", "U64"), 11: ("q", "I64"), 12: ("d", "F64"),
}  # fmt: skip
_TEXT: Final = 8
_LIST: Final = 9
_MOST_ITEMS: Final = 10_000_000


class _Gguf:
    """A cursor over a GGUF header."""

    def __init__(self, body: memoryview) -> None:
        self.body = body
        self.at = 4

    def take(self, form: str) -> Any:
        try:
            (value,) = struct.unpack_from(f"<{form}", self.body, self.at)
        except struct.error:
            raise _broken("the file is cut off") from None
        self.at += struct.calcsize(f"<{form}")
        return value

    def text(self) -> str:
        length = self.take("Q")
        if length > len(self.body) - self.at:
            raise _broken("the file is cut off")
        raw = bytes(self.body[self.at : self.at + length])
        self.at += length
        return raw.decode("utf-8", "replace")

    def values(self, place: str, kind: int, *, depth: int = 0) -> Iterator[Passage]:
        if kind == _TEXT:
            text = self.text()
            yield Passage(place, text)
            if (plain := plain_token(text)) != text:
                yield Passage(place, plain)
        elif kind == _LIST:
            inner, count = self.take("I"), self.take("Q")
            if count > _MOST_ITEMS or depth > 4:
                raise _broken("a list is too long or too deep")
            if inner in _GGUF:
                form, name = _GGUF[inner]
                size = struct.calcsize(form) * count
                if size > len(self.body) - self.at:
                    raise _broken("the file is cut off")
                yield from texts_of(self.body[self.at : self.at + size], name, place)
                self.at += size
            else:
                for number in range(count):
                    yield from self.values(f"{place}[{number}]", inner, depth=depth + 1)
        elif kind in _GGUF:
            value = self.take(_GGUF[kind][0])
            if isinstance(value, int) and abs(value) >= 10**6:
                yield Passage(place, str(value))
        else:
            raise _broken("a value has a type that is not known")


def read_gguf(body: memoryview) -> Content:
    """Read metadata, tokens and names of tensors; then the tensors' bytes.

    Raises:
        InvalidError: It is damaged or of a version that is not known.
    """

    def passages() -> Iterator[Passage]:
        cursor = _Gguf(body)
        if cursor.take("I") not in (2, 3):
            raise _broken("the version is not known")
        tensors, pairs = cursor.take("Q"), cursor.take("Q")
        if max(tensors, pairs) > _MOST_ITEMS:
            raise _broken("the file has too many parts")
        for number in range(pairs):
            yield Passage(f"metadata[{number}].key", cursor.text())
            yield from cursor.values(f"metadata[{number}]", cursor.take("I"))
        for number in range(tensors):
            yield Passage(f"tensor[{number}].name", cursor.text())
            for _ in range(cursor.take("I")):
                cursor.take("Q")
            cursor.take("I")
            cursor.take("Q")
        yield from texts_of(body[cursor.at :], "F32", "tensors")

    return Content("gguf", passages())


def read_array(body: memoryview, place: str = "array") -> Content:
    """Read one NumPy array.

    Raises:
        DeniedError: It holds Python objects, which are pickles.
        InvalidError: It is damaged.
    """
    return Content("array", _array(io.BytesIO(body), place))


def _array(source: Any, place: str) -> Iterator[Passage]:
    try:
        version = np.lib.format.read_magic(source)
        reader = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(source)
    except (ValueError, EOFError, OSError):
        raise _broken("the array has no header") from None
    if dtype.hasobject:
        raise DeniedError(
            "the array holds Python objects, which are pickles",
            rule="artifact.pickle",
            fix="store numbers and text as plain types",
        )
    size = math.prod(shape) * dtype.itemsize
    if size > _LARGEST_ARRAY:
        raise _broken("the array is too large")
    data = source.read(size + 1)
    if len(data) != size:
        raise _broken("the array has another length than its header says")
    for name in dtype.names or ():
        yield Passage(f"{place}.field", name)
    if dtype.kind == "U":
        width = max(dtype.itemsize // 4, 1)
        signs = np.frombuffer(data, dtype.byteorder.replace("|", "<").replace("=", "<") + "u4")
        for row, part in enumerate(signs.reshape(-1, width)):
            yield Passage(
                f"{place}[{row}]", "".join(chr(c) for c in part.tolist() if 0 < c < 0x110000)
            )
    else:
        number = {"f": "F", "i": "I", "u": "U"}.get(dtype.kind, "")
        kind = f"{number}{dtype.itemsize * 8}" if number else "U8"
        yield from texts_of(data, kind, place)


def is_arrays(body: memoryview) -> bool:
    """Tell whether an archive begins with an array; ``read_arrays`` refuses what else is in it."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            return any(info.filename.endswith(".npy") for info in archive.infolist())
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError):
        return False


def read_arrays(body: memoryview) -> Content:
    """Read an archive of NumPy arrays; anything else in it is refused.

    Raises:
        DeniedError: A member holds Python objects.
        InvalidError: It holds something that is no array, or is damaged.
    """
    content = Content("array", ())

    def passages() -> Iterator[Passage]:
        try:
            with zipfile.ZipFile(io.BytesIO(body)) as archive:
                for number, info in enumerate(archive.infolist()):
                    if not info.filename.endswith(".npy"):
                        raise InvalidError(
                            "the archive holds more than arrays",
                            rule="artifact.archive",
                            fix="hand in the files one by one",
                        )
                    if info.file_size > max(1 << 26, 1000 * info.compress_size):
                        raise _broken("a member grows too much when it is unpacked")
                    if _STATE.search(info.filename):
                        content.notes.add(OPTIMIZER)
                    yield Passage(f"member[{number}].name", info.filename)
                    with archive.open(info) as member:
                        yield from _array(member, f"member[{number}]")
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, NotImplementedError):
            raise _broken("the archive is damaged") from None

    content.passages = passages()
    return content


def _broken(message: str) -> InvalidError:
    return InvalidError(message, rule="artifact.damaged", fix="write the file again")


__all__ = [
    "is_arrays",
    "is_safetensors",
    "read_array",
    "read_arrays",
    "read_gguf",
    "read_safetensors",
]
