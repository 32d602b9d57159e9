"""Where a home says that its sandboxes run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safehold.app.ray_workshop import RayWorkshop
from safehold.app.workers import (
    OpenerHere,
    Workers,
    add_worker,
    choose_workers,
    read_workers,
    remove_worker,
    workshop_of,
)
from safehold.app.workshop import SandboxWorkshop
from safehold.errors import ConflictError, InvalidError, MissingError
from safehold.settings import Home
from safehold.signing import SigningKey

KEY = SigningKey.generate()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.create(tmp_path / "home", synthetic=True)


def test_without_a_word_sandboxes_run_on_this_machine(home: Home) -> None:
    assert read_workers(home) == Workers()
    made = workshop_of(home, lambda: KEY)
    assert type(made) is SandboxWorkshop
    assert made.abreast() == 1


def test_what_was_chosen_is_read_back_and_can_be_taken_back(home: Home) -> None:
    choose_workers(home, "head:6379", width=8, socket="/x/s")
    add_worker(home, "node-1", KEY.public, level="E3")
    told = read_workers(home)
    assert (told.ray, told.width, told.socket) == ("head:6379", 8, "/x/s")
    assert told.crew["node-1"].key == KEY.public
    add_worker(home, "node-1", KEY.public, level="E2")  # the same key: another level
    with pytest.raises(ConflictError):
        add_worker(home, "node-1", SigningKey.generate().public, level="E2")
    remove_worker(home, "node-1")
    with pytest.raises(MissingError):
        remove_worker(home, "node-1")
    choose_workers(home, "")
    assert type(workshop_of(home, lambda: KEY)) is SandboxWorkshop


@pytest.mark.parametrize(
    "ray", ["local", "local:0", "local:-1", "auto", "ray://h", "h", "h:x", "local:2 "]
)
def test_an_address_in_another_form_is_refused(home: Home, ray: str) -> None:
    with pytest.raises(InvalidError):
        choose_workers(home, ray)


@pytest.mark.parametrize("name", ["", "Local", "local", "a b", "-a", "x" * 64])
def test_a_worker_has_a_name_of_its_own(home: Home, name: str) -> None:
    with pytest.raises(InvalidError):
        add_worker(home, name, KEY.public, level="E3")


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told.pop("v"),
        lambda told: told.update(ray=5),
        lambda told: told.update(width=0),
        lambda told: told.update(workers={"a": {"key": "AA", "level": "E3"}}),
        lambda told: told.update(workers={"a": {"key": KEY.public.text(), "level": "E7"}}),
    ],
)
def test_a_damaged_file_starts_no_keeper(home: Home, change: Any) -> None:
    from safehold import canonical

    told = Workers(ray="local:2").to_json()
    change(told)
    home.workers_file.write_bytes(canonical.encode(told))
    with pytest.raises(InvalidError):
        workshop_of(home, lambda: KEY)


def test_a_cluster_without_an_enrolled_worker_is_no_cluster(home: Home) -> None:
    with pytest.raises(InvalidError) as error:
        workshop_of(home, lambda: KEY, ray="head:6379")
    assert error.value.rule == "cluster.worker"


def test_the_level_that_is_told_is_the_least_of_all_that_may_run_it(home: Home) -> None:
    choose_workers(home, "head:6379", width=3)
    add_worker(home, "strong", KEY.public, level="E3")
    add_worker(home, "weak", SigningKey.generate().public, level="E0")
    made = workshop_of(home, lambda: KEY)
    assert isinstance(made, RayWorkshop)
    assert (made.level(), made.abreast()) == ("E0", 3)
    made.close()


def test_a_keeper_that_is_killed_leaves_no_folder_of_its_opener() -> None:
    here = OpenerHere("home_x", KEY.public)
    here.ready()
    folder, process = here.path.parent, here._process
    assert folder.is_dir()
    assert process is not None
    assert process.stdin is not None
    process.stdin.close()  # all that a killed keeper does
    assert process.wait(60) == 0
    assert not folder.exists()
    here.close()
