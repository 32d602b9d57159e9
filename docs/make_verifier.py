# ruff: noqa: INP001
"""Make the verifier one file, ``safehold-verify.pyz``: the same source gives the same bytes on every machine.

    python3 docs/make_verifier.py OUT

It needs python3 and ``cryptography`` where it runs. Its SHA-256 is printed.
"""

from __future__ import annotations

import hashlib
import io
import sys
import zipfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "safehold_verify"
FIRST_LINE = b"#!/usr/bin/env -S python3 -I\n"
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip can tell
MAIN = b"import sys\n\nfrom safehold_verify import main\n\nsys.exit(main())\n"
UNIX, MODE = 3, 0o100644 << 16


def make_verifier(source: Path = SOURCE) -> bytes:
    """Return the bytes of the file: members by name, one fixed time, uncompressed."""
    members = {"__main__.py": MAIN}
    for file in source.rglob("*.py"):
        members[f"safehold_verify/{file.relative_to(source).as_posix()}"] = file.read_bytes()
    made = io.BytesIO()
    made.write(FIRST_LINE)
    with zipfile.ZipFile(made, "a", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, TIME)
            info.create_system, info.external_attr = UNIX, MODE
            archive.writestr(info, members[name])
    return made.getvalue()


def main(out: Path) -> None:
    """Write the file and print its hash."""
    made = make_verifier()
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(made)
    out.chmod(0o755)
    sys.stdout.write(f"{hashlib.sha256(made).hexdigest()}  {out}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
