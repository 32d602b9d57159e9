"""A home that moves and is killed at one step of it; see ``tests.crashing`` for how."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
from tests.crashing import Job, Steps, main
from tests.key_crashing import OLD, cheap
from tests.world import outside

from safehold.app.profile import Places
from safehold.app.relocation import move
from safehold.settings import Home

PLACES = "places.json"  # beside the home: where it goes


def places_beside(path: Path) -> Places:
    return Places(**orjson.loads((path / PLACES).read_bytes()))


def note_places(path: Path, places: Places) -> None:
    (path / PLACES).write_bytes(orjson.dumps(places.to_json()))


def go(path: Path, places: Places | None, **more: Any) -> dict[str, Any]:
    """Move the home under a folder."""
    with outside(path):
        return move(Home.open(path / "home"), OLD, places, **more)


def moved(places: Places, **changes: str | None) -> Places:
    return replace(places, **changes)


def work(job: Job) -> None:
    """Move a home, and die at a step; ``mode`` is ``steps`` or ``every``."""
    cheap()
    steps = Steps(die_at=job.die_at, fail_at=0)
    if job.mode == "every":
        for name in ("fsync", "replace", "unlink", "rename", "link"):
            steps.wrap(os, name)
        steps.names.clear()
    go(job.path, places_beside(job.path), reached=steps.step)
    out = os.open(job.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(out, orjson.dumps({"steps": steps.names}) + b"\n")


if __name__ == "__main__":
    main(work)
