"""The verifier as one file: the same bytes each time, and it judges a package with nothing else of ours on the machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.crowd import Crowd

ROOT = Path(__file__).resolve().parents[2]


def build(out: Path, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs/make_verifier.py"), str(out)],
        capture_output=True, text=True, check=True, env={**os.environ, **env},
    )  # fmt: skip
    return done.stdout.split()[0]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("verifier") / "safehold-verify.pyz"
    build(out)
    return out


def test_built_twice_it_is_the_same_bytes_and_its_hash_is_told(program, tmp_path):
    told = build(tmp_path / "deeper" / "again.pyz", TZ="Pacific/Auckland", PYTHONHASHSEED="7")
    again = (tmp_path / "deeper" / "again.pyz").read_bytes()
    assert again == program.read_bytes()
    assert told == hashlib.sha256(again).hexdigest()


def test_it_verifies_a_package_and_refuses_a_tampered_one_alone(program, tmp_path):
    crowd = Crowd(tmp_path / "crowd", people=4)
    crowd.use(0, 1)
    crowd.use(0)
    crowd.close()
    package = crowd.package(0) / "package.json"
    policy = tmp_path / "policy"
    policy.write_bytes(crowd.desk.policy.read_bytes())

    def run(file: Path) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-I",
            str(program),
            "package",
            str(file),
            "--policy",
            str(policy),
        ]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert run(package).returncode == 0
    packed = package.read_bytes()
    place = packed.index(b'"nonce":"') + 12
    other = b"B" if packed[place : place + 1] != b"B" else b"C"
    tampered = tmp_path / "tampered.json"
    tampered.write_bytes(packed[:place] + other + packed[place + 1 :])
    done = run(tampered)
    assert done.returncode == 5
    assert "leaf" in done.stderr
