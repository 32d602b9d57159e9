"""A home whose objects lie in a bucket, as the command line makes it and looks at it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command_line import World
from tests.seaweed import Weed


def test_a_home_is_made_in_a_bucket(weed: Weed, tmp_path: Path) -> None:
    world, url = World(tmp_path), weed.url(weed.bucket(), weed.prefix())
    assert world.ask("init", "--seats", world.seats, "--objects", url)["objects"] == "a bucket"
    looked = json.loads(world.try_run("doctor", "--json").out)["checks"]
    (found,) = (one for one in looked if one["check"] == "objects")
    assert found == {
        "check": "objects",
        "ok": True,
        "found": "0 in a bucket, which answers",
    }
    assert list((world.home / "objects").iterdir()) == []
