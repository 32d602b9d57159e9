"""The five real files, each through its shipped mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.ingest_job import STREAMS, run_path

COHORTS = [
    {"prefix": f"{name}-", "streams": list(STREAMS)}
    for name in ("aalto", "balabit", "sapimouse", "irc", "miniwob")
]
FILES: dict[str, dict[str, Any]] = {
    "aalto_keys": {"mapping": "aalto", "rows": 292_535, "refused": 2},
    "balabit_mouse": {"mapping": "balabit", "rows": 1_058_815, "refused": 0},
    "sapimouse": {"mapping": "sapimouse", "rows": 746_569, "refused": 0},
    "irc_ubuntu": {"mapping": "irc", "rows": 150_000, "refused": 0},
    "miniwob_events": {"mapping": "miniwob", "rows": 302_580, "refused": 0},
}


@pytest.mark.real
@pytest.mark.proof
@pytest.mark.parametrize("name", list(FILES))
def test_a_real_file_goes_through_its_mapping(shared_data: Path, name: str) -> None:
    path = shared_data / "telemetry" / f"{name}.parquet"
    frames = run_path(path, people={}, cohorts=COHORTS)
    (done,) = frames.of("done")
    tally = frames.tally()
    print(name, done["rows_read"], {key: dict(counts) for key, counts in tally.items()})
    assert done["mapping"] == FILES[name]["mapping"]
    assert done["rows_read"] == FILES[name]["rows"]
    assert done["refused"] == FILES[name]["refused"]
    taken = sum(tally["taken"].values())
    assert taken == sum(header["rows"] for header in frames.of("batch")) > 0
