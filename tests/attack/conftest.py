"""One company for all attacks; each gets a copy of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.world import World, copy_world, found_world, outside

from safehold.keeper.intake import Intake


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return found_world(tmp_path_factory.mktemp("made"))


@pytest.fixture
def world(made_world: World, tmp_path: Path) -> Iterator[World]:
    """A running company with data in it."""
    copy = copy_world(made_world, tmp_path).start()
    yield copy
    copy.stop()


@pytest.fixture
def collectors_are_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a made-up home takes in no collector has its own test; here they are to be tried out."""
    monkeypatch.setattr(Intake, "check_home", lambda *_: None)


@pytest.fixture
def somebody(world: World) -> str:
    """A participant with rows."""
    held = world.held()
    return next(one for one in world.participants() if held.get(one, 0) >= 3)


@pytest.fixture
def twin(made_world: World, tmp_path: Path) -> Iterator[World]:
    """The same company, copied once more: what somebody does with a stolen home and its root."""
    (tmp_path / "twin").mkdir()
    copy = copy_world(made_world, tmp_path / "twin")
    with outside(copy.path):
        yield copy.start()
    copy.stop()
