"""``safehold alert targets`` and ``alert send``: what a replay found reaches a receiver, as somebody would do it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.command_line import World
from tests.receivers import web_receiver

from safehold.incident.export.target import _KEYS, FORMS
from safehold.settings import Home

PAGE = Path(__file__).parents[2] / "docs/reference/exports.md"
LINES = [
    {"t": f"2026-04-01T09:3{number}:00+00:00", "principal": "dana", "signal": "export", "severity": 3,
     "sentence": "dana exported embeddings 9 times today; usual is once a week.", "events": [number + 1]}
    for number in range(3)
]  # fmt: skip


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in world.environment.items():
            patch.setenv(name, value)
        Home.create(world.home, synthetic=True)
    return world


def aim(world, text):
    (folder,) = [one for one in (world.root / "outside").iterdir() if one.name.startswith("home")]
    (folder / "targets.toml").write_text(text)


def test_alerts_of_a_file_reach_a_receiver_and_one_that_is_down_loses_none(world, tmp_path):
    alerts, secret = tmp_path / "alerts.json", tmp_path / "secret"
    alerts.write_text(json.dumps({"alerts": LINES, "events": 3}))
    secret.touch(0o600)
    secret.write_text("long enough")
    got = []
    with web_receiver(got) as url:
        aim(world, f'[hook]\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\nsecret = "{secret}"\n')
        assert (
            world.refuse("alert", "send", "--to", "hook", "--from", alerts, code=6)["rule"]
            == "export.reach"
        )
        (shown,) = world.ask("alert", "targets")["targets"]
        assert (shown["waiting"], shown["rule"]) == (3, "export.reach")
        aim(world, f'[hook]\nkind = "webhook"\nurl = "{url}"\nsecret = "{secret}"\n')
        said = world.ask("alert", "send", "--to", "hook", "--from", alerts)
        assert said == {"target": "hook", "taken": 0, "sent": 3, "waiting": 0}
    assert [json.loads(one.body)["metadata"]["sequence"] for one in got] == [1, 2, 3]
    assert not any("dana" in one.body.decode() for one in got)


def test_what_cannot_be_used_is_refused_in_words(world, tmp_path):
    alerts = tmp_path / "alerts.jsonl"
    alerts.write_text("\n".join(map(json.dumps, LINES)))
    assert (
        world.refuse("alert", "send", "--to", "nobody", "--from", alerts, code=1)["rule"]
        == "export.target"
    )
    aim(world, '[siem]\nkind = "syslog"\nurl = "udp://192.0.2.1:514"\n')
    assert world.refuse("alert", "targets", code=2)["rule"] == "export.target"


def test_the_page_names_every_kind_form_and_key():
    text = PAGE.read_text("utf-8")
    said = set(re.findall(r"`([a-z-]+)`", text))
    assert {*FORMS, *(form for forms in FORMS.values() for form in forms), *_KEYS} <= said
