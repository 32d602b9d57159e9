"""A home whose root is in a token, from its making on, by the command line alone."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import World
from tests.key_services import PIN, find_softhsm


def test_a_root_in_a_token(tmp_path: Path) -> None:
    token = find_softhsm()
    world = World(tmp_path, passphrase="")
    pin = tmp_path / "pin"
    pin.write_text(PIN + "\n")
    address = token.uri("home-root")
    init = ("init", "--seats", world.seats, "--root", address, "--make-key", "--unlock", pin)
    pin.chmod(0o600)
    made = world.ask(*init)
    assert (made["keeper_level"], made["shares"]) == ("K1", 0)
    assert "SAFEHOLD_UNLOCK_FILE" in world.refuse("status", code=6)["fix"]
    world.extra["SAFEHOLD_UNLOCK_FILE"] = str(pin)
    keeper = world.ask("status")["keeper"]
    assert (keeper["level"], keeper["root"]) == ("K1", "pkcs11")
    assert keeper["memory"]["core_dumps"] == "off"
    # to another key of the token, the new PIN by standard input; the old one is destroyed there
    said = world.ask(
        "key", "rotate", "--root", token.uri("next-root"), "--make-key", "--unlock", "-", "--destroy-old",
        stdin=PIN.encode(),
    )  # fmt: skip
    assert "destroyed" in said["old"]
    wrong = tmp_path / "wrong"
    wrong.write_text("00000000")
    wrong.chmod(0o600)
    world.extra["SAFEHOLD_UNLOCK_FILE"] = str(wrong)
    assert world.refuse("status", code=4)["rule"] == "root.token.pin"
    world.extra["SAFEHOLD_UNLOCK_FILE"] = str(pin)
    assert world.ask("key", "list")["levels"][0]["where"]["object"] == "next-root"
