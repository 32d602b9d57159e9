"""What the sentinel says reaches a receiver by itself while a home is served: once, and also across a kill."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from tests.command_line import CHARTERS, World, eventually
from tests.e2e.test_cli_alert import LIMIT_S, knock, line_to, served
from tests.receivers import syslog_receiver, tls_of


def told(message: bytes) -> tuple[str, ...]:
    """Return signal, state and newest entry of what was sent."""
    found = dict(re.findall(r'(\w+)="([^"]*)"', message.decode()))
    return found["signal"], found["state"], found["entry"]


def waiting_for(world: World, target: str) -> int:
    return next(
        one["waiting"]
        for one in world.ask("alert", "targets")["targets"]
        if one["target"] == target
    )


def test_a_burst_of_refusals_reaches_the_receiver_once(tmp_path: Path) -> None:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    chain, context = tls_of(tmp_path)
    got: list[bytes] = []
    (folder,) = [one for one in (tmp_path / "outside").iterdir() if one.name.startswith("home")]
    secret = tmp_path / "secret"
    secret.touch(0o600)
    secret.write_text("long enough")
    with syslog_receiver(context, got) as port:
        (folder / "targets.toml").write_text(
            f'[dead]\nkind = "webhook"\nurl = "http://127.0.0.1:9/"\nsecret = "{secret}"\n'
            f'[siem]\nkind = "syslog"\nurl = "tls://localhost:{port}"\nform = "text"\n'
            f'authority = "{chain}"\n'
        )
        with served(world) as process:
            client = line_to(world)
            eventually(lambda: client.call("status")["sentinel"]["alive"])
            knock(client, 25)
            eventually(lambda: bool(got), seconds=LIMIT_S)
            (alert,) = client.call("alert.list")["alerts"]
            assert told(got[0]) == ("denied_burst", "raised", str(alert["alert"]))
            tasks = {one["task"]: one for one in client.call("status")["periodic"]}
            assert (tasks["exports"]["failures"], tasks["publish"]["failures"]) == (0, 0)
            process.send_signal(signal.SIGKILL)
            process.wait(60)
        with served(world):
            client = line_to(world)
            client.call("alert.ack", alert=alert["alert"], reason="a test of the doors")
            eventually(lambda: len(got) > 1, seconds=LIMIT_S)
            (acked,) = client.call("alert.list")["alerts"]
            assert told(got[1]) == ("denied_burst", "acked", str(acked["entry"]))
            # the receiver has it a moment before the keeper has noted that it has
            eventually(lambda: not waiting_for(world, "siem"), seconds=LIMIT_S)
        states = {one["target"]: one for one in world.ask("alert", "targets")["targets"]}
        assert (states["siem"]["waiting"], states["dead"]["waiting"]) == (0, 2)
        # by hand, from the keeper's own lists: nothing is new; again from the beginning if that is asked for
        said = world.ask("alert", "send", "--to", "siem")
        assert said == {"target": "siem", "taken": 0, "sent": 0, "waiting": 0}
        assert len(got) == 2
        assert world.ask("alert", "send", "--to", "siem", "--since", "0")["sent"] == 1
    assert told(got[2]) == told(got[1])
