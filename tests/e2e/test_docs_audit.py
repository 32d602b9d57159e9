"""The how-to about auditing a trainer is run as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs/how-to/audit-a-trainer.md"
COMMANDS = re.findall(r"^ {3}safehold (.*)$", PAGE.read_text("utf-8"), re.MULTILINE)


def run(command):
    return subprocess.run(
        [sys.executable, "-m", "safehold", *command.split()], capture_output=True, text=True, check=False
    )  # fmt: skip


def test_an_audit_is_a_record():
    found = run(COMMANDS[1])
    assert found.returncode == 0, found.stderr
    (audit,) = orjson.loads(found.stdout)["audits"]
    assert (audit["algorithm"], audit["state"]) == ("bandmf", "passed")
    assert found.stderr == ""


@pytest.mark.proof
def test_an_audit_is_told_in_words():
    found = run(COMMANDS[0])
    assert found.returncode == 0, found.stderr
    assert "dp-sgd: passed" in found.stdout
    assert "bandmf: passed" in found.stdout
    assert "limit: An audit refutes" in found.stderr
