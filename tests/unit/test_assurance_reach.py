"""What the modes of files let others do: each file, socket and folder, tried against a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from safehold.assurance.reach import reachable


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody reaches: one of pytest's own is closed to others further up."""
    made = Path(tempfile.mkdtemp())
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.parametrize(
    ("folder", "file", "open_"),
    [
        (0o755, 0o644, True), (0o755, 0o640, True), (0o755, 0o604, True), (0o755, 0o600, False),
        (0o755, 0o622, False), (0o700, 0o644, False), (0o744, 0o644, False), (0o711, 0o644, True),
        # through the folder as a member of its group only, and the file is for all others only
        (0o710, 0o604, False), (0o710, 0o640, True), (0o701, 0o640, False), (0o701, 0o604, True),
    ],
)  # fmt: skip
def test_a_file_is_reached_through_its_folders(
    place: Path, folder: int, file: int, open_: bool
) -> None:
    inner = place / "inner" / "deep"
    inner.mkdir(parents=True)
    (inner / "table").write_text("1")
    (inner / "table").chmod(file)
    inner.chmod(0o755)
    inner.parent.chmod(folder)
    assert bool(set(reachable([place]))) == open_
    assert bool(set(reachable([inner / "table"]))) == open_
    place.chmod(0o700)
    assert not set(reachable([place]))
    assert not set(reachable([inner]))


@pytest.mark.parametrize(
    ("mode", "open_"), [(0o600, False), (0o644, False), (0o622, True), (0o602, True)]
)
def test_a_socket_is_reached_by_whoever_may_write_to_it(
    place: Path, mode: int, open_: bool
) -> None:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(place / "door"))
        (place / "door").chmod(mode)
        assert bool(set(reachable([place / "door"]))) == open_
        assert bool(set(reachable([place]))) == open_


def test_a_link_leads_nowhere_and_what_is_gone_is_not_counted(place: Path) -> None:
    (place / "link").symlink_to("/etc/passwd")
    assert not set(reachable([place, place / "gone"]))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize(
    ("folder", "file", "groups", "open_"),
    [
        # past the folder as anybody, at the file as a member of its group, and the other way round
        (0o701, 0o640, (1001, 1002), True), (0o710, 0o604, (1001, 1002), True),
        (0o701, 0o640, (1001, 1001), False), (0o710, 0o604, (1001, 1001), False),
        (0o700, 0o644, (1001, 1002), False), (0o711, 0o600, (1001, 1002), False),
    ],
)  # fmt: skip
def test_another_user_is_in_some_groups_and_not_in_others(
    place: Path, folder: int, file: int, groups: tuple[int, int], open_: bool
) -> None:
    (place / "inner").mkdir()
    (place / "inner" / "table").write_text("1")
    os.chown(place / "inner", 0, groups[0])
    os.chown(place / "inner" / "table", 0, groups[1])
    (place / "inner").chmod(folder)
    (place / "inner" / "table").chmod(file)
    assert bool(set(reachable([place]))) == open_


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_belongs_to_another_user_stands_open_to_that_one(place: Path) -> None:
    (place / "table").write_text("1")
    (place / "table").chmod(0o600)
    assert not set(reachable([place]))
    os.chown(place / "table", 1001, 0)
    assert set(reachable([place])) == {place.resolve() / "table"}
    place.chmod(0o700)
    assert not set(reachable([place]))
