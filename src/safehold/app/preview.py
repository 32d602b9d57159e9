"""What is made of a file before anything of it is taken in, and the formats that are understood."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from safehold.app.workshop import SandboxWorkshop
from safehold.clock import SystemClock
from safehold.errors import (
    SafeholdError,
    in_file,
)
from safehold.ingest.folder import open_path
from safehold.ingest.preview import file_source
from safehold.ingest.shelf import describe, shipped_mappings
from safehold.sandbox.launch import Launcher


def formats() -> list[dict[str, Any]]:
    """Return the formats that are understood without writing a mapping."""
    return [describe(mapping) for _, mapping in sorted(shipped_mappings().items())]


def preview(path: Path, *, mapping: str | None, person: str | None) -> dict[str, Any]:
    """Return what a mapping makes of a file, in counts and never in values; it is read in a sandbox.

    Args:
        path: A file, or a folder of JSON.
        mapping: A shipped name or a file; None to recognise it.
        person: Whose events they are, where the format does not say.

    Raises:
        InvalidError: The file or the mapping does not fit; names file, row and rule.
    """
    descriptor = open_path(path)
    try:
        spec = {
            "source": file_source(path, mapping, person),
            "preview": True,
            "now_us": SystemClock().now_us(),
            "pseudonym_key": "00" * 32,  # nothing is named: no batch is made
            "policy": "00" * 32,
            "rules": {},
        }
        workshop = SandboxWorkshop(Launcher())
        with workshop.start("ingest", spec, [descriptor], least="E0") as job:
            (frame,) = [one.header for one in job.frames()]
    except SafeholdError as error:
        raise in_file(error, path.name) from error
    finally:
        os.close(descriptor)
    del frame["type"]
    return {"file": path.name, **frame, "sandbox": job.level}
