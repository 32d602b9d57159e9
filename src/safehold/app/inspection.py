"""Look into files of artifacts: one after the other, and nothing of them is kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from safehold.dlp.artifact import Inspection, Use, admit, inspect
from safehold.dlp.canary import Canaries
from safehold.errors import DeniedError, InvalidError, MissingError, SafeholdError


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one file.

    Args:
        path: Where it is.
        inspection: What it holds; None when it could not be read.
        refusal: Why it is refused; None when it is admitted.
    """

    path: Path
    inspection: Inspection | None
    refusal: SafeholdError | None


def read_canaries(path: Path) -> Canaries:
    """Return the planted words of a file, one a line.

    Raises:
        MissingError: There is no such file.
        InvalidError: It is no text, or a word is too short.
    """
    return Canaries(planted_words(path))


def planted_words(path: Path) -> list[str]:
    """Return the planted words of a file, one a line, as they stand there.

    Raises:
        MissingError: There is no such file.
        InvalidError: It is no text.
    """
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except OSError:
        raise MissingError(
            "the list of canaries cannot be read", rule="artifact.canaries", fix="check its path"
        ) from None
    except UnicodeDecodeError:
        raise InvalidError(
            "the list of canaries is no text", rule="artifact.canaries", fix="write one word a line"
        ) from None


def list_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files, and those under the folders, in the order of their names.

    Raises:
        MissingError: A path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise MissingError("no such file or folder", rule="artifact.path", fix="check the path")
        inside = (
            sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
        )
        found += inside
    return found


def judge_files(
    files: Sequence[Path], *, use: Use, canaries: Canaries | None = None
) -> Iterator[Judged]:
    """Yield a judgement for each file, as soon as there is one.

    Args:
        files: The files.
        use: What is to happen with them.
        canaries: Planted words to look for.
    """
    for path in files:
        yield _judge(path, use, canaries)


def _judge(path: Path, use: Use, canaries: Canaries | None) -> Judged:
    try:
        # the parent's name as well: a folder can be called after somebody
        inspection = _inspect(path, f"{path.parent.name}/{path.name}", canaries)
    except (DeniedError, InvalidError) as error:
        return Judged(path, None, error)
    try:
        return Judged(path, admit(inspection, use), None)
    except DeniedError as error:
        return Judged(path, inspection, error)


def _inspect(path: Path, name: str, canaries: Canaries | None) -> Inspection:
    try:
        if path.stat().st_size == 0:
            return inspect(b"", name=name, canaries=canaries)
        with pa.memory_map(str(path)) as file:  # weights are not read into memory
            return inspect(memoryview(file.read_buffer()), name=name, canaries=canaries)
    except OSError:
        raise InvalidError(
            "the file cannot be read", rule="artifact.path", fix="check its rights"
        ) from None
