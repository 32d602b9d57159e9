"""Retention: a full backup of the home, the live root and the live outside open nothing that has ended."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.world import PURPOSE, World, raised

from safehold.app.keeper import compose
from safehold.catalog import Catalog
from safehold.clock import FixedClock
from safehold.db import open_engine
from safehold.errors import ShreddedError, TamperedError
from safehold.settings import Home
from safehold.vault import Objects, Records, SealedBlock, Vault

STREAMS = ("key", "pointer", "chat", "ai", "focus", "feature")
SHORT = {"key", "chat", "ai"}  # kept for 14 days; pointer and focus for 30


class PowerCut(BaseException):
    """The power goes."""


class Backup:
    """What an attacker with everything but time has: a copy of H, the root, and the outside of today."""

    def __init__(self, world: World, path: Path) -> None:
        self.engine = open_engine(path / "control.db")
        # the attacker's clock stands where the data was alive
        self.vault = Vault.open(
            engine=self.engine,
            root=world.root,
            epochs=world.home.epochs,
            objects=Objects(path / "objects"),
            clock=FixedClock(world_began(world)),
        )
        self.catalog = Catalog(
            self.engine,
            key=self.vault.derive("catalog-mac"),
            sealer=Records(world.root, "catalog"),
        )

    def blocks(self) -> list[SealedBlock]:
        return [
            block
            for kind in ("telemetry", "derived")
            for block in self.catalog.blocks(kind=kind, streams=STREAMS, after_day=0)
        ]

    def opens(self) -> tuple[list[SealedBlock], list[SealedBlock]]:
        """Return the blocks that open, and those that are shredded."""
        good, gone = [], []
        for block in self.blocks():
            try:
                rows = sum(table.num_rows for _, table in self.vault.read([block]))
                assert rows == block.rows
                good.append(block)
            except ShreddedError:
                gone.append(block)
        return good, gone


def world_began(world: World) -> int:
    return world.began_us  # type: ignore[attr-defined, no-any-return]


@pytest.fixture
def aged(world: World, tmp_path: Path) -> Iterator[World]:
    """A company with features, whose home was copied before anything ended."""
    world.call("feature", purpose=PURPOSE)
    world.began_us = world.clock.now_us()  # type: ignore[attr-defined]
    world.stop()
    shutil.copytree(world.home.path, tmp_path / "backup")
    yield world.start()


def test_before_the_end_a_backup_opens(aged: World, tmp_path: Path) -> None:
    """The attack is a real one: with root and outside, a copy of yesterday opens."""
    good, gone = Backup(aged, tmp_path / "backup").opens()
    assert good
    assert not gone


def test_after_the_sweep_no_expired_block_opens(aged: World, tmp_path: Path) -> None:
    aged.later(days=16)
    swept = aged.call("dataset.sweep")
    assert swept["keys"] > 0
    good, gone = Backup(aged, tmp_path / "backup").opens()
    assert {block.stream for block in gone} >= SHORT
    assert not {block.stream for block in good} & SHORT
    # segments that lost nothing were not rotated: what has not ended still opens from a backup
    assert {block.stream for block in good} == {"pointer", "focus"}
    today = aged.desk.today()
    assert all(block.label.expires > today for block in good)
    # and where something ended, a backup opens nothing at all, ended or not
    ended = {block.segment for block in gone if block.label.expires <= today}
    assert {block.segment for block in gone} == ended
    assert not ended & {block.segment for block in good}
    aged.later(days=16)
    aged.call("dataset.sweep")
    good, _ = Backup(aged, tmp_path / "backup").opens()
    assert not good


def test_what_has_not_ended_still_serves_after_the_sweep(aged: World) -> None:
    aged.later(days=16)
    aged.call("dataset.sweep")
    answer = aged.call("feature", purpose=PURPOSE)
    assert answer["people"] > 0
    assert {header["stream"] for header in aged.workshop.packed[-1]} <= {"pointer", "focus"}


def test_past_its_day_nothing_is_released_even_before_the_sweep(aged: World) -> None:
    aged.later(days=16)
    aged.call("feature", purpose=PURPOSE)
    assert not {header["stream"] for header in aged.workshop.packed[-1]} & SHORT
    aged.later(days=16)
    raised(lambda: aged.call("feature", purpose=PURPOSE))


@pytest.mark.parametrize("step", ["mark", "prepare", "rewrap", "destroy", "scrub", "close"])
def test_a_power_cut_during_the_sweep(aged: World, tmp_path: Path, step: str) -> None:
    aged.later(days=16)

    def reached(name: str) -> None:
        if name == step:
            raise PowerCut

    aged.desk.vault._eraser._reached = reached
    with pytest.raises(PowerCut):
        assert aged.service is not None
        aged.service.sweep()
    aged.restart()
    aged.call("dataset.sweep")
    good, gone = Backup(aged, tmp_path / "backup").opens()
    assert {block.stream for block in good} == {"pointer", "focus"}
    assert {block.stream for block in gone} >= SHORT
    known = aged.desk.catalog.objects()
    lie = {file.name for file in aged.home.objects.rglob("*") if file.is_file()}
    assert lie == {Path(name).name for name in known}


def test_a_power_cut_between_keys_and_catalogue(aged: World) -> None:
    aged.later(days=16)
    aged.desk.vault.shred(expired_on=aged.desk.today())
    aged.restart()
    aged.call("dataset.sweep")
    known = aged.desk.catalog.objects()
    lie = {file.name for file in aged.home.objects.rglob("*") if file.is_file()}
    assert lie == {Path(name).name for name in known}
    assert not [one for one in Backup(aged, aged.home.path).blocks() if one.stream in SHORT]


def test_the_keeper_does_not_start_on_the_backup(aged: World, tmp_path: Path) -> None:
    aged.later(days=16)
    aged.call("dataset.sweep")
    aged.stop()
    old = Home(tmp_path / "backup", aged.home.id, aged.home.outside, synthetic=True)
    error = raised(lambda: compose(old, aged.root, clock=aged.clock))
    assert isinstance(error, TamperedError | ShreddedError)
    aged.start()
