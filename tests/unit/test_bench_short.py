"""The bench suite in its short form: every group still makes its rows, so that no bench can rot.

Tiny sizes, one process, no peers and no speed: a floor is looked at, never judged. ``make bench`` measures.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.bench.groups import GROUPS, HERE

# what is run of each group: whatever starts several processes for long is left to `make bench`
SHORT = (
    "test_text_path.py", "test_store_encrypted.py", "test_ledger_pymerkle.py", "test_policy_peers.py",
    "test_access_speed.py", "test_sandbox_gvisor.py", "test_training_opacus.py", "test_sentinel_speed.py",
    "test_growth.py", "test_embedding_speed.py", "test_label_speed.py",
)  # fmt: skip
WANTED = {"ingest", "store", "ledger", "policy", "enclave", "training", "sentinel", "growth", "embedding", "labels"}  # fmt: skip


def run_short(rows: Path, files: tuple[str, ...], **more: str) -> subprocess.CompletedProcess[str]:
    environment = (
        os.environ | {"SAFEHOLD_BENCH_SHORT": "1", "SAFEHOLD_BENCH_ROWS": str(rows)} | more
    )
    environment.pop("PYTEST_ADDOPTS", None)
    return subprocess.run(
        # the join starts four processes at each of three sizes: a third of the time of all the others
        [sys.executable, "-m", "pytest", "-m", "bench", "-k", "not test_joins", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
         *(str(HERE / name) for name in files)],
        cwd=HERE.parents[1], env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def check_rows(rows: Path) -> set[str]:
    told = json.loads(rows.read_text("utf-8"))
    for row in told["rows"]:
        assert row["group"] in GROUPS
        assert row["what"]
        if row["state"] == "not here":
            assert row["ratio"] is None
            assert ": " in row["peer"]  # with its reason
            continue
        assert (row["floor"] is None) != (row["most"] is None)
        assert math.isfinite(row["ratio"])
        assert (row["floor"] or row["most"] or 0) >= 0
    for curve in told["curves"]:
        sizes = [size for size, _ in curve["points"]]
        assert sizes == [sizes[0], 10 * sizes[0], 100 * sizes[0]]
    return {row["group"] for row in told["rows"]}


def test_every_bench_still_makes_its_rows(tmp_path: Path) -> None:
    rows = tmp_path / "rows.json"
    done = run_short(rows, SHORT)
    assert done.returncode == 0, done.stdout[-4000:]
    assert check_rows(rows) == WANTED
    absent = [row for row in json.loads(rows.read_text())["rows"] if row["state"] == "not here"]
    # a peer that is not there leaves a row for each thing it is compared in
    assert {"ingest", "ledger", "policy", "training"} <= {row["group"] for row in absent}


@pytest.mark.proof
def test_every_bench_still_makes_its_rows_with_the_peers(tmp_path: Path) -> None:
    peers = Path(sys.prefix) / "peers/bin/python"
    if not peers.exists():
        pytest.skip("the peers are not installed: make bench")
    rows = tmp_path / "rows.json"
    files = tuple(sorted(one.name for one in HERE.glob("test_*.py") if one.name in SHORT))
    done = run_short(rows, files, SAFEHOLD_PEERS=str(peers))
    assert done.returncode == 0, done.stdout[-4000:]
    assert check_rows(rows) == WANTED
    found = json.loads(rows.read_text())["rows"]
    assert not [row for row in found if row["state"] == "not here" and "gVisor" not in row["peer"]]
