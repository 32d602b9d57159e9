"""The doctor names what is missing and how to mend it."""

from __future__ import annotations

from pathlib import Path

import pytest

from safehold.app import doctor


def machine(monkeypatch: pytest.MonkeyPatch, level: str, *mechanisms: str) -> None:
    monkeypatch.setattr(
        doctor, "probe_sandbox", lambda: {"level": level, "mechanisms": list(mechanisms)}
    )


def sandbox_check(path: Path) -> dict[str, object]:
    found = doctor.examine(path / "nothing-here")
    (check,) = (one for one in found["checks"] if one["check"] == "sandbox")
    assert found["ok"] is (check["ok"] and all(one["ok"] for one in found["checks"]))
    return dict(check)


def test_a_machine_that_isolates_is_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    machine(monkeypatch, "E3", "namespaces", "landlock-7", "seccomp")
    assert sandbox_check(tmp_path) == {"check": "sandbox", "ok": True, "found": "level E3"}


@pytest.mark.parametrize(
    ("level", "mechanisms", "lacks", "fix", "refused"),
    [
        ("E2", ("namespaces", "seccomp"), "landlock", "lsm=", "more sensitive real data"),
        ("E1", ("landlock-7", "seccomp"), "namespaces", "userns", "more sensitive real data"),
        ("E0", (), "namespaces, seccomp, landlock", "SECCOMP", "real data is refused"),
    ],
)
def test_a_machine_that_isolates_less_is_told_what_to_mend(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    level: str,
    mechanisms: tuple[str, ...],
    lacks: str,
    fix: str,
    refused: str,
) -> None:
    machine(monkeypatch, level, *mechanisms)
    check = sandbox_check(tmp_path)
    assert check["ok"] is False
    assert f"level {level}, without {lacks}" in str(check["found"])
    assert refused in str(check["found"])
    assert fix in str(check["fix"])


@pytest.mark.parametrize(
    ("hashes", "seals", "said"),
    [
        (True, True, "the ledger's inner loops"),
        (True, False, "not its sealing: the ledger is right and slower"),
        (False, True, "not its hashing: the ledger is right and slower"),
        (False, False, "nothing: the ledger is right and slower"),
    ],
)
def test_it_says_whether_the_ledger_is_compiled(monkeypatch, tmp_path, hashes, seals, said):
    """Each of the two modules is loaded or left alone by itself."""
    monkeypatch.setattr("safehold.ledger.press.COMPILED", hashes)
    monkeypatch.setattr("safehold.vault.sidecar.COMPILED", seals)
    found = doctor.examine(tmp_path / "none")
    (check,) = (one for one in found["checks"] if one["check"] == "compiled")
    assert check["ok"]
    assert said in check["found"]
