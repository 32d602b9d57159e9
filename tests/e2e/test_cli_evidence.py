"""Evidence by the command line, and checked on a machine that has only Python, ``cryptography`` and the verifier."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import CHARTERS, SOURCES, World

NEEDED = ("cryptography", "cffi", "_cffi_backend", "pycparser")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    made = World(tmp_path_factory.mktemp("evidence"))
    made.init(CHARTERS / "demo.yaml")
    with made.kept():
        made.run("charter", "publish", "notice")
        shown = made.try_run("evidence", "controls", "--measure")
        assert shown.code == 1, "an obligation is not satisfied yet"
        made.extra["SHOWN"] = shown.out + shown.err
        made.extra["BUILT"] = made.run("evidence", "build", "--out", "bundle", "--json").out
        made.extra["PAST"] = made.run(
            "evidence", "milestones", "--history", "--svg", "past.svg", "--json"
        ).out
        again = made.refuse("evidence", "build", "--out", "bundle", code=1)
        assert again["rule"] == "evidence.folder"
    return made


def policy(world: World) -> Path:
    (found,) = world.root.glob("outside/*/policy")
    return found


def test_controls_are_shown_with_state_reason_and_limits(world: World) -> None:
    text = world.extra["SHOWN"]
    assert "EU General Data Protection Regulation" in text
    assert "ok  Art. 22:" in text
    assert "The document record was never published: safehold charter publish record." in text
    assert "limit: Root in a running process sees its own segment." in text
    only = world.try_run("evidence", "controls", "--framework", "nist-800-207", "--json")
    assert {one["framework"] for one in only.json["controls"]} == {"nist-800-207"}
    assert world.refuse("evidence", "controls", "--framework", "x", code=1)["rule"] == "evidence.framework"  # fmt: skip


def test_a_bundle_is_a_folder_and_an_archive_that_verify(world: World) -> None:
    built = json.loads(world.extra["BUILT"])
    assert built["totals"]["satisfied"] >= 8
    for name in ("bundle", "bundle.zip"):
        report = world.ask("evidence", "verify", name, "--policy", policy(world))
        assert report["ok"] is True
        assert report["counts"] == built["counts"]
    told = world.run("evidence", "verify", "bundle", "--policy", policy(world)).out
    assert "What this does not show:" in told
    folder = world.root / "bundle"
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "Root in a running process" in (folder / "report.html").read_text()
    assert (world.root / "bundle.zip").stat().st_mode & 0o077 == 0


def test_history_is_listed_and_drawn(world: World) -> None:
    past = json.loads(world.extra["PAST"])["promises"]
    assert {one["promise"] for one in past} >= {"no-drift", "stop"}
    assert (world.root / "past.svg").read_text().startswith("<svg")


def test_a_changed_bundle_ends_with_exit_5(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.root / "bundle", tmp_path / "bundle")
    file = tmp_path / "bundle" / "report.html"
    file.write_text(file.read_text().replace("NOT satisfied", "satisfied"))
    error = world.refuse("evidence", "verify", tmp_path / "bundle", "--policy", policy(world), code=5)  # fmt: skip
    assert error["rule"] == "evidence.verify"
    assert "report.html" in error["message"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the verifier and what it needs, and nothing of Safehold."""
    place = tmp_path_factory.mktemp("bare")
    shutil.copytree(SOURCES / "safehold_verify", place / "safehold_verify")
    for name in NEEDED:
        found = find_spec(name)
        if found is None or found.origin is None:
            continue  # not every build of it needs all of them
        source = Path(found.origin)
        if source.name == "__init__.py":
            (place / name).symlink_to(source.parent)
        else:
            (place / source.name).symlink_to(source)
    return place


def verify(bare: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program = (
        "import sys; sys.path.insert(0, sys.argv.pop(1))\n"
        "try:\n    import safehold\nexcept ImportError:\n    pass\nelse:\n    sys.exit('it is here')\n"
        "from safehold_verify import main; sys.exit(main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(bare), "evidence", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
    )


def test_a_bundle_verifies_without_safehold(world: World, bare: Path, tmp_path: Path) -> None:
    said = verify(bare, world.root / "bundle.zip", "--policy", policy(world), "--json")
    assert said.returncode == 0, said.stderr
    report: dict[str, Any] = json.loads(said.stdout)
    assert report["ok"] is True
    assert report["whole"] is True
    words = verify(bare, world.root / "bundle", "--policy", policy(world))
    assert "NOT satisfied: gdpr-30" in words.stdout
    shutil.copytree(world.root / "bundle", tmp_path / "bundle")
    (tmp_path / "bundle" / "more.txt").write_text("x")
    more = verify(bare, tmp_path / "bundle", "--policy", policy(world))
    assert more.returncode == 5
    assert "a file that the manifest does not name" in more.stderr
