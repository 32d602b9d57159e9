"""The verifier as a command: what it writes, and that it ends in words."""

from __future__ import annotations

from pathlib import Path

import pytest

import safehold_verify as verifier


def auditor(tmp_path: Path, *, name: str = "dpo.example", public: str = "public") -> int:
    key, out = str(tmp_path / "key"), str(tmp_path / public)
    return verifier.main(["auditor", "--name", name, "--key", key, "--public", out])


def test_an_auditors_key_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert auditor(tmp_path) == 0
    seed = (tmp_path / "key").read_bytes()
    assert (len(seed), (tmp_path / "key").stat().st_mode & 0o077) == (32, 0)
    assert auditor(tmp_path) == 5
    assert "key: the file exists" in capsys.readouterr().err
    assert (tmp_path / "key").read_bytes() == seed


@pytest.mark.parametrize("name", ["", "a+b", "a b", "a\nb"])
def test_a_name_that_no_line_can_carry_makes_no_key(tmp_path: Path, name: str) -> None:
    assert auditor(tmp_path, name=name) == 5
    assert not list(tmp_path.iterdir())


def test_a_place_that_takes_no_file_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert auditor(tmp_path, public="missing/public") == 5
    assert "public: the file exists or cannot be written" in capsys.readouterr().err
