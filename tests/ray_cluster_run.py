"""Run by ``proof/test_ray_cluster.py`` in a network of its own: a cluster of two nodes, openers that an operator started.

Prints one JSON object: how two jobs ended, one of whose nodes was killed on the way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.clusters import family
from tests.ingest_job import NOW_US, job

from safehold.app.workers import add_worker, choose_workers, workshop_of
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.workforce import Spec

PORT = 6399


def ray(place: Path, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--num-gpus=0"),
            *("--object-store-memory=80000000", "--disable-usage-stats", *words),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=place,
    )


def main() -> None:
    place = Path(sys.argv[1])
    token = place / "token"
    token.write_text(os.urandom(32).hex())
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    os.environ["SAFEHOLD_OUTSIDE"] = str(place / "outside")
    home = Home.create(place / "home", synthetic=True)
    keeper, worker, socket = SigningKey.generate(), SigningKey.generate(), place / "s"
    worker.write(place / "w.key")
    (place / "keeper.pub").write_text(keeper.public.text() + "\n")
    opener = subprocess.Popen(
        [
            *(sys.executable, "-m", "safehold", "worker", "serve", "node-1"),
            *("--key", place / "w.key", "--keeper", place / "keeper.pub"),
            *("--of", home.id, "--socket", socket),
        ],
        stderr=subprocess.PIPE,
    )
    assert opener.stderr is not None
    assert b"ready" in opener.stderr.readline()
    started = [
        ray(
            place, "--head", f"--port={PORT}", "--num-cpus=1", "--include-dashboard=false",
            f"--temp-dir={place}/r",
        )
    ]  # fmt: skip
    time.sleep(8)
    started.append(ray(place, f"--address=127.0.0.1:{PORT}", "--num-cpus=1"))
    time.sleep(8)
    choose_workers(home, f"127.0.0.1:{PORT}", width=2, socket=str(socket))
    add_worker(home, "node-1", worker.public, level="E0")
    workshop: Any = workshop_of(home, lambda: keeper)
    hear, struck = workshop.farm.hear, []

    def strike(header: dict[str, Any], body: bytes) -> None:
        if header.get("say") == "claim" and not struck:
            raylets = [pid for pid, line in family().items() if "raylet/raylet " in line]
            struck.append(len(raylets))
            os.kill(max(raylets), signal.SIGKILL)  # the second node's
        hear(header, body)

    workshop.farm.hear = strike
    company = Spec(people=4, days=1, start_day=NOW_US // 86_400_000_000 - 1, pace=400).to_spec()

    def run(first: int) -> dict[str, Any]:
        source = {"kind": "synthetic", "spec": company, "first": first, "count": 2}
        with workshop.start("ingest", job(source), [], least="E0") as one:
            kinds = [frame.header["type"] for frame in one.frames()]
            return {"last": kinds[-1], "told": [w for w in one.mechanisms if w[:4] == "ray-"]}

    try:
        with ThreadPoolExecutor(2) as pool:
            print(json.dumps({"nodes": struck, "jobs": list(pool.map(run, (0, 2)))}), flush=True)
    finally:
        workshop.close()
        for process in (opener, *started):
            process.terminate()
            process.wait(30)


if __name__ == "__main__":
    main()
