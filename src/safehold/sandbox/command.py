"""The command line that starts one confined interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from safehold.sandbox import boot
from safehold.sandbox.bwrap import choose_wrapper
from safehold.sandbox.job import Limits
from safehold.sandbox.landlock import DEVICE, KEEP, READ
from safehold.sandbox.layout import Layout

ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - the sandbox's own, on its own tmpfs
    "TMPDIR": "/tmp",  # noqa: S108
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "JAX_PLATFORMS": "cpu",
    # Each arena of the C library reserves 64 MiB of addresses per thread.
    "MALLOC_ARENA_MAX": "2",
}
_NOBODY = "65534"
_DEVICES = {"/dev/null": DEVICE, "/dev/zero": READ, "/dev/random": READ, "/dev/urandom": READ}
_PRIVATE = ("/tmp", "/dev/shm")  # noqa: S108

# Entering the group before bwrap starts leaves no moment in which a process is outside it.
_ENTER = 'while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done; shift; exec "$@"'


def find_bwrap() -> str | None:
    """Return the bubblewrap executable to start, or nothing where none may be."""
    wrapper = choose_wrapper()
    return None if wrapper is None else wrapper.path


def boot_command(layout: Layout, config: int) -> list[str]:
    """Return the command that starts the boot.

    Args:
        layout: Where Python lies.
        config: Descriptor of the sealed config.
    """
    imports = [str(path) for path in layout.imports]
    flags = ["-I", "-S", "-B", "-W", "ignore"]
    return [str(layout.interpreter), *flags, "-c", boot.START, str(config), *imports]


def wrap_command(bwrap: str, layout: Layout, limits: Limits, *, clean: bool = True) -> list[str]:
    """Return the bubblewrap command that makes namespaces, to be followed by the boot command.

    No process file system is mounted: nothing here needs one, and through it a descriptor could be
    opened again with more rights. The order of mounts matters: the private temporary folder comes
    before anything that may have to lie beneath it, and the root is made read-only last.

    Args:
        bwrap: The executable.
        layout: What to show.
        limits: Sizes.
        clean: Start with an empty environment.
    """
    command = [
        *(bwrap, "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
        *("--unshare-uts", "--disable-userns", "--cap-drop", "ALL"),
        *("--uid", _NOBODY, "--gid", _NOBODY, "--hostname", "sandbox"),
        *("--die-with-parent", "--new-session"),
        *("--size", str(limits.temp), "--tmpfs", "/tmp"),  # noqa: S108
    ]
    if clean:
        command.append("--clearenv")
        for name, value in ENVIRONMENT.items():
            command += ["--setenv", name, value]
    for path in layout.shown:
        command += ["--ro-bind", str(path), str(path)]
    for start, end in layout.links:
        command += ["--symlink", str(end), str(start)]
    command += ["--size", "65536", "--tmpfs", "/dev"]
    for device in _DEVICES:
        command += ["--dev-bind", device, device]
    command += ["--size", str(limits.shared), "--tmpfs", "/dev/shm"]  # noqa: S108
    return [*command, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp", "--"]  # noqa: S108


def enter_command(groups: Sequence[Path]) -> list[str]:
    """Return what must stand before a command so that it starts inside control groups."""
    if not groups:
        return []
    files = [str(folder / "cgroup.procs") for folder in groups]
    return ["/bin/sh", "-c", _ENTER, "enter", *files, "--"]


def file_rules(layout: Layout, *, private: bool) -> list[tuple[str, int]]:
    """Return the Landlock rules that match the mounts.

    Args:
        layout: What is shown.
        private: True if temporary folders belong to the sandbox; without namespaces they are the
            machine's, and a job gets none.
    """
    rules = [(str(path), READ) for path in layout.shown]
    rules += _DEVICES.items()
    if private:
        rules += [(path, KEEP) for path in _PRIVATE]
    return rules
