"""The list of a home's witnesses: what it may say, and the policy that follows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.ledger_desk import Desk

import safehold_verify as verifier
from safehold.errors import ConflictError, InvalidError, MissingError, TamperedError
from safehold.ledger import Panel, Witness
from safehold.ledger.panel import Remote, policy_logs


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def remote(desk: Desk, name: str, **changes: str) -> Remote:
    place = desk.outside.with_name(name)
    witness = Witness.create(place, name=f"{name}.example", logs=[desk.signer.vkey.text()])
    return Remote(name=name, url=f"https://{name}.example/w", vkeys=witness.vkeys, **changes)


def test_what_is_written_is_read_and_makes_a_policy(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "witnesses.json"
    assert Panel.read(file) == Panel()
    panel = Panel().add(remote(desk, "council", seat="legal")).add(remote(desk, "auditor"))
    panel = replace(panel, quorum=2, strict=False)
    panel.write(file)
    assert Panel.read(file) == panel
    text = panel.policy(desk.signer.policy_keys, desk.witness.vkeys)
    policy = verifier.parse_policy(text.encode())
    assert policy.groups[policy.quorum].need == 2
    assert policy.groups[policy.quorum].members == ("local", "council", "auditor")
    assert all(policy.witnesses[name].algorithm == 0x06 for name in ("local", "council", "auditor"))
    desk.policy.write_text(text, "utf-8")
    assert policy_logs(desk.policy) == list(desk.signer.policy_keys)
    assert [one.name for one in panel.remove("council").remote] == ["auditor"]
    assert replace(panel, quorum=3).remove("council").quorum is None
    with pytest.raises(MissingError):
        panel.remove("nobody")
    with pytest.raises(ConflictError):
        panel.add(panel.remote[0])


def test_lists_that_cannot_hold(desk: Desk, tmp_path: Path) -> None:
    one = remote(desk, "council")
    wrong = [
        *(Panel(remote=(replace(one, name=name),)) for name in ("local", "none", "A", "a b", "")),
        Panel(remote=(one, one)),
        Panel(remote=(one, replace(one, name="twin"))),  # one key must not count twice
        Panel(remote=(replace(one, url="http://council.example"),)),
        Panel(remote=(replace(one, vkeys=()),)),
        Panel(remote=(replace(one, vkeys=(desk.signer.vkey.text(),)),)),
        Panel(remote=(replace(one, authority=str(tmp_path / "absent")),)),
        Panel(remote=(one,), quorum=0),
        Panel(remote=(one,), quorum=3),
        Panel(quorum=2),
    ]
    for panel in wrong:
        with pytest.raises(InvalidError):
            panel.write(tmp_path / "witnesses.json")
    assert not (tmp_path / "witnesses.json").exists()


def test_a_damaged_list_is_no_list_of_none(desk: Desk, tmp_path: Path) -> None:
    """A home must not start with fewer witnesses because somebody spoilt the file."""
    file = tmp_path / "witnesses.json"
    Panel().add(remote(desk, "council")).write(file)
    good = file.read_bytes()
    for bad in (
        b"",
        b"{}",
        good[:-1],
        good.replace(b"witnesses/1", b"witnesses/2"),
        good.replace(b"https", b"http"),
    ):
        file.write_bytes(bad)
        with pytest.raises(TamperedError):
            Panel.read(file)


def test_what_a_charter_promises(desk: Desk) -> None:
    council = remote(desk, "council", seat="employee_representative")
    promise = {"least": 1, "includes": "employee_representative"}
    assert "0 of at least 1" in (Panel().shortfall(**promise) or "")
    assert Panel().add(council).shortfall(**promise) is None
    other = Panel().add(replace(council, seat="legal"))
    assert "employee_representative" in (other.shortfall(**promise) or "")
    assert Panel().shortfall(least=0, includes="legal") is None


def test_policies_without_a_log(tmp_path: Path) -> None:
    for text in ("", "quorum none\n"):
        (tmp_path / "policy").write_text(text)
        with pytest.raises(TamperedError):
            policy_logs(tmp_path / "policy")
    with pytest.raises(TamperedError):
        policy_logs(tmp_path / "absent")
