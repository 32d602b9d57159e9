"""What a sandbox can see, for every way Python may be installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import safehold
from safehold.sandbox import layout
from safehold.sandbox.command import file_rules, wrap_command
from safehold.sandbox.job import Limits
from safehold.sandbox.landlock import EXECUTE, WRITE_FILE
from safehold.sandbox.layout import find_layout


def test_only_what_python_needs_is_shown():
    found = find_layout()
    source = Path(safehold.__file__).resolve().parent
    assert all(path.is_absolute() and path == path.resolve() for path in found.shown)
    assert not any(above in found.shown for path in found.shown for above in path.parents)
    for wide in ("/", "/home", "/root", "/etc", "/proc", "/sys", "/tmp", "/var", "/opt"):
        assert Path(wide) not in found.shown
    assert any(path == source or path in source.parents for path in found.shown)
    assert source.parent not in found.shown or source.parent.name.endswith("-packages")
    assert found.interpreter.is_file()
    assert not found.interpreter.is_symlink()


def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, linked: bool) -> Path:
    """Make folders as an interpreter, an environment and a checkout would."""
    real = tmp_path / "real" / "cpython"
    (real / "bin").mkdir(parents=True)
    (real / "bin" / "python3.11").write_bytes(b"")
    prefix = real
    if linked:
        prefix = tmp_path / "versions" / "3.11"
        prefix.parent.mkdir()
        prefix.symlink_to(real)
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    (tmp_path / "env" / "bin").mkdir()
    (tmp_path / "env" / "bin" / "python").symlink_to(prefix / "bin" / "python3.11")
    (tmp_path / "checkout" / "safehold").mkdir(parents=True)
    (tmp_path / "checkout" / "safehold" / "__init__.py").write_bytes(b"")
    (tmp_path / "checkout" / "secrets").mkdir()
    monkeypatch.setattr(sys, "_base_executable", str(tmp_path / "env" / "bin" / "python"))
    monkeypatch.setattr(sys, "base_prefix", str(prefix))
    monkeypatch.setattr(sys, "base_exec_prefix", str(prefix))
    monkeypatch.setattr(sys, "path", [str(tmp_path / "checkout"), str(packages), str(tmp_path)])
    monkeypatch.setattr(
        safehold, "__file__", str(tmp_path / "checkout" / "safehold" / "__init__.py")
    )
    return prefix


@pytest.mark.parametrize("linked", [False, True])
def test_an_environment_of_an_interpreter_behind_links(tmp_path, monkeypatch, linked):
    tmp_path = tmp_path.resolve()
    prefix = install(tmp_path, monkeypatch, linked=linked)
    found = find_layout()
    own = {path for path in found.shown if tmp_path in path.parents}
    assert own == {
        tmp_path / "real" / "cpython",
        tmp_path / "env" / "lib" / "python3.11" / "site-packages",
        tmp_path / "checkout" / "safehold",
    }
    assert found.interpreter == tmp_path / "real" / "cpython" / "bin" / "python3.11"
    assert found.imports == (
        tmp_path / "checkout",
        tmp_path / "env" / "lib" / "python3.11" / "site-packages",
    )
    assert ((prefix, prefix.resolve()) in found.links) == linked


def test_a_package_that_is_installed_is_shown_once(tmp_path, monkeypatch):
    tmp_path = tmp_path.resolve()
    install(tmp_path, monkeypatch, linked=False)
    packages = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    (packages / "safehold").mkdir()
    (packages / "safehold" / "__init__.py").write_bytes(b"")
    monkeypatch.setattr(safehold, "__file__", str(packages / "safehold" / "__init__.py"))
    found = find_layout()
    assert packages in found.shown
    assert packages / "safehold" not in found.shown
    assert found.imports == (packages,)


def test_every_mount_is_read_only_and_sized():
    command = wrap_command("bwrap", find_layout(), Limits())
    assert "--bind" not in command
    assert "--proc" not in command
    assert "--share-net" not in command
    assert command[-1] == "--"
    for flag in ("user", "ipc", "pid", "net", "uts"):
        assert f"--unshare-{flag}" in command
    for flag in ("--disable-userns", "--clearenv", "--die-with-parent", "--new-session"):
        assert flag in command
    assert command[command.index("--cap-drop") + 1] == "ALL"
    for index, word in enumerate(command):
        if word == "--tmpfs":
            assert command[index - 2] == "--size"
    first_bind = command.index("--ro-bind")
    assert command.index("--tmpfs") < first_bind


def test_no_file_rule_lets_a_job_execute_or_write_what_is_shown():
    found = find_layout()
    shown = {str(path) for path in found.shown}
    for private in (True, False):
        rules = file_rules(found, private=private)
        assert not any(access & EXECUTE for _, access in rules)
        assert not any(access & WRITE_FILE for path, access in rules if path in shown)
    assert {path for path, access in file_rules(found, private=False) if access & WRITE_FILE} == {
        "/dev/null"
    }


def test_a_folder_that_is_no_package_folder_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "path", [*sys.path, str(tmp_path), "", str(tmp_path / "site-packages")]
    )
    assert not any(tmp_path in path.parents or path == tmp_path for path in find_layout().shown)
    assert (Path("/usr"), Path("/etc/ld.so.cache")) == layout._SYSTEM
