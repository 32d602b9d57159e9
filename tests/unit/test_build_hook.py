"""What is compiled at installation: both modules or none, and nothing stands in the way without a compiler."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lay(hook, root: Path) -> list[Path]:
    for source in (*hook.SOURCES, "src/safehold/ledger/hashing.h"):
        (root / source).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / source, root / source)
    return [root / Path(one).with_name(f"_{Path(one).stem}.abi3.so") for one in hook.SOURCES]


def test_one_that_does_not_compile_takes_the_other_with_it(hook, tmp_path, capsys):
    made = lay(hook, tmp_path)
    (tmp_path / hook.SOURCES[1]).write_text("#error no\n", "utf-8")
    assert hook.compile_modules(tmp_path) == []
    assert "series.c was not compiled" in capsys.readouterr().err
    assert not any(one.exists() for one in made)
    assert not list(tmp_path.rglob("*.new"))


@pytest.mark.parametrize("number", [0, 1])
def test_what_an_older_source_left_does_not_outlive_one_that_fails(hook, tmp_path, number):
    """It would be packed into a wheel for every machine, or be loaded beside Python that has moved on."""
    made = lay(hook, tmp_path)
    for one in made:
        one.write_bytes(b"older")
    (tmp_path / hook.SOURCES[number]).write_text("#error no\n", "utf-8")
    assert hook.compile_modules(tmp_path) == []
    assert not any(one.exists() for one in made)


def test_without_a_compiler_nothing_is_made_and_nothing_breaks(hook, tmp_path, monkeypatch):
    made = lay(hook, tmp_path)
    made[0].write_bytes(b"older")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert hook.compile_modules(tmp_path) == []
    assert not any(one.exists() for one in made)
