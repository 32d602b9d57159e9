"""Write the lineage to files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from safehold.app.trail import write_private
from safehold.catalog.openlineage import to_openlineage
from safehold.catalog.picture import draw_lineage


def write_picture(file: Path, nodes: Sequence[Mapping[str, Any]], *, start: str) -> None:
    """Write the picture."""
    write_private(file, draw_lineage(nodes, start=start).encode())


def write_openlineage(file: Path, nodes: Sequence[Mapping[str, Any]], *, home: str) -> None:
    """Write the events, one a line."""
    events = to_openlineage(nodes, home=home)
    lines = [orjson.dumps(one, option=orjson.OPT_SORT_KEYS) for one in events]
    write_private(file, b"".join(line + b"\n" for line in lines))
