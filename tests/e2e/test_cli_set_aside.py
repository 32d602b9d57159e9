"""A device sends what cannot be read, by HTTP; it is set aside, counted, and judged again under a grant: in processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import CHARTERS, EVIDENCE, World
from tests.e2e.test_cli_network import Process

from safehold.access.envelope import seal_envelope
from safehold.access.lease import read_lease
from safehold.canonical import unb64
from safehold.clock import SystemClock
from safehold.errors import DeniedError
from safehold.ingest.network.line import HttpLine
from safehold.signing import SigningKey, VerifyKey

PURPOSE = """\
  repair:
    plain: Take in again what arrived broken, once its cause is mended.
    uses: {fides: essential.service.operations, dpv: "dpv:EnforceSecurity"}
    from: [keys]
    stages: [ingest]
    releases: []

red_lines:
"""
ENGINEER = "engineer:       {do: [operate], stages: [ingest, feature], sees_data: false"
GRANT = ", grant: {max: 4h, token: 60m, approvers: 2, reason: ticket}"


def test_what_arrived_broken_is_counted_and_judged_again(tmp_path: Path) -> None:
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    text = text.replace("\nred_lines:\n", "\n" + PURPOSE, 1).replace(ENGINEER, ENGINEER + GRANT)
    text = text.replace(
        "\npromises:\n", "\nset_aside: {purpose: repair, keep: 7d, a_day: 8}\n\npromises:\n"
    )
    (tmp_path / "charter.yaml").write_text(text, "utf-8")
    world = World(tmp_path).init(tmp_path / "charter.yaml")
    keeper = Process(world, "serve", said="ready")
    (tmp_path / "people.csv").write_text("person,jurisdiction,streams\nann,US-CA,key\n", "utf-8")
    world.run("people", "enrol", "--file", "people.csv", "--evidence", EVIDENCE)
    device = SigningKey.generate()
    device.write(tmp_path / "device.key")
    world.run("source", "add", "--person", "ann", "--device", "device.key")
    front = Process(world, "ingest", "serve", "--bind", "127.0.0.1:0", said="hand in at")
    try:
        url = f"http://127.0.0.1:{front.line.rpartition(':')[2]}"
        line = HttpLine(url, person="ann", device=device)
        said = line.ask()
        lease = read_lease(said["lease"].encode(), keeper=VerifyKey.from_text(said["keeper"]))
        header = {
            "lease": lease.id, "number": 0, "stream": "key", "rows": 1,
            "sealed_us": SystemClock().now_us(),
        }  # fmt: skip
        with pytest.raises(DeniedError) as caught:
            line.submit(seal_envelope(header, b"no table", to=unb64(lease.sealing), device=device))
        assert caught.value.rule == "leased.body"
        line.close()
        told = world.ask("ingest", "aside")
        assert (told["allowed"], told["messages"]) == (True, 1)
        assert "ann" not in str(told)
        world.run(
            "request", "new", "repair.json", "--recipe", "repair", "--purpose", "repair",
            "--role", "engineer", "--requester", "eve", "--reason", "TICKET-1", "--holder", "eve.key",
        )  # fmt: skip
        use = ("ingest", "repair", "--grant", "repair.json", "--holder", "eve.key")
        assert world.refuse(*use, code=3)["rule"] == "approval.quorum"
        for seat in ("privacy", "legal"):
            world.run(
                "request", "approve", "repair.json", "--seat", seat, "--key", world.seats / f"{seat}.key",
            )  # fmt: skip
        told = world.ask(*use)
        assert told["states"] == {"refused": 1}
        assert told["rules"] == {"leased.body": 1}
        assert world.ask("ingest", "aside")["messages"] == 1
    finally:
        front.end()
        keeper.end()
