"""``safehold ledger anchor``, as somebody types it, against a real time-stamp authority."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World
from tests.time_stamps import Authority
from tests.world import outside, raised

from safehold.app.anchors import anchor_now
from safehold.clock import DAY_US, FixedClock, SystemClock
from safehold.errors import UnavailableError
from safehold.settings import Home


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    made = Authority(tmp_path / "authority")
    yield made
    made.close()


def test_heads_are_anchored_when_told_and_once_a_day(tmp_path: Path, authority: Authority) -> None:
    world = World(tmp_path)
    world.init(CHARTERS / "demo.yaml")
    assert world.ask("ledger", "anchor") == {"anchored": [], "receipts": []}
    assert world.ask("ledger", "anchor", "--now") == {"anchored": [], "receipts": []}
    assert "anchors" not in world.ask("status")
    assert authority.asked == [], "off unless configured"
    roots = tmp_path / "authority" / "ca.pem"
    more = ("--add", "notary", "--url", authority.url, "--roots", roots)
    said = world.ask("ledger", "anchor", *more, "--now")
    (row,) = said["receipts"]
    assert (row["anchor"], row["holds"], len(said["anchored"])) == ("notary", True, 1)
    assert world.refuse("ledger", "anchor", *more, code=1)["rule"] == "anchor.name"
    assert world.ask("ledger", "anchor", "--now")["anchored"] == [], "the head is the same"
    (shown,) = world.ask("status")["anchors"]
    assert shown["holds"] is True
    # a new head is anchored by itself only after a day
    seat = ("--seat", "security", "--key", world.seats / "security.key")
    world.run("stop", *seat, "--reason", "a test")
    with outside(tmp_path):
        home = Home.open(world.home)
        clock = FixedClock(SystemClock().now_us())
        assert anchor_now(home, clock=clock, only_due=True) == []
        clock.advance(DAY_US + 3_600_000_000)
        authority.status = 503
        error = raised(lambda: anchor_now(home, clock=clock, only_due=True))
        assert isinstance(error, UnavailableError)
        authority.status = 200
        assert len(anchor_now(home, clock=clock, only_due=True)) == 1
    said = world.ask("ledger", "anchor")
    assert [one["holds"] for one in said["receipts"]] == [True, True]
    # what was kept is checked again each time
    receipts = sorted((tmp_path / "outside").rglob("*.receipt"))
    assert len(receipts) == 2
    assert not list(world.home.rglob("*.receipt"))
    receipts[0].write_bytes(receipts[1].read_bytes())
    found = world.try_run("ledger", "anchor", "--json")
    assert found.code == 5
    assert [one["holds"] for one in found.json["receipts"]] == [False, True]


def test_what_is_no_authority(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.init()
    (tmp_path / "roots").write_text("nothing")
    for name, url, rule in (
        ("notary", "https://x", "anchor.roots"),
        ("../x", "https://x", "anchor.name"),
    ):
        given = ("--add", name, "--url", url, "--roots", tmp_path / "roots")
        assert world.refuse("ledger", "anchor", *given, code=2)["rule"] == rule
    assert world.refuse("ledger", "anchor", "--add", "notary", code=2)["rule"] == "anchor.url"
