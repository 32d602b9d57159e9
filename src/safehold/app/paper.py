"""Files that people keep and hand around: requests, signatures, a device's numbers."""

from __future__ import annotations

from pathlib import Path


def write_paper(file: Path, data: bytes) -> None:
    """Put a file in the place of an older one; whoever reads meanwhile finds one or the other, whole."""
    temporary = file.with_name(file.name + ".part")
    temporary.write_bytes(data)
    temporary.replace(file)
