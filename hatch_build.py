"""Compiles the two C modules when Safehold is installed; without a compiler it is all Python, and slower.

``python hatch_build.py`` does the same for a checkout.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

SOURCES = ("src/safehold/ledger/press.c", "src/safehold/vault/series.c")
FLAGS = (
    "-O2", "-std=c11", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror=implicit-function-declaration",
    "-fstack-protector-strong", "-D_FORTIFY_SOURCE=2", "-Wl,-z,relro,-z,now",
)  # fmt: skip


def compile_modules(root: Path) -> list[str]:
    """Return the names below the root of the modules that were made: all of them, or none, and then none is left.

    Args:
        root: The checkout; each module lies beside its source.
    """
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    if shutil.which(compiler[0]) is None:
        compiler = ["cc"]
    made: list[str] = []
    for source in SOURCES:
        name = _target(source)
        fresh = root / name.with_suffix(".new")
        command = [
            *compiler, *FLAGS, f"-I{sysconfig.get_path('include')}", str(root / source),
            "-o", str(fresh), "-lcrypto",
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", "") or str(error)
            print(f"{source} was not compiled, Python does its work: {why}", file=sys.stderr)  # noqa: T201
            fresh.unlink(missing_ok=True)
            # those of an earlier source too: they would run beside Python that they were not compared with
            for one in SOURCES:
                (root / _target(one)).unlink(missing_ok=True)
            return []
        fresh.replace(root / name)
        made.append(str(name))
    return made


def _target(source: str) -> Path:
    return Path(source).with_name(f"_{Path(source).stem}.abi3.so")


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand
    pass
else:

    class CompilingHook(BuildHookInterface[Any]):
        """Puts what was compiled into the wheel, which is then for this kind of machine."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - hatchling's
            """Compile before anything is packed."""
            made = compile_modules(Path(self.root))
            if made:
                platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
                build_data["pure_python"] = False
                build_data["tag"] = f"cp311-abi3-{platform}"
                build_data["artifacts"] += made


if __name__ == "__main__":
    sys.exit(0 if compile_modules(Path(__file__).resolve().parent) else 1)
