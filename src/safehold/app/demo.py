"""The demo: a made-up workforce, and every promise kept about it.

The workforce is made inside the ingestion sandbox, so that raw telemetry of even made-up people never lies on a
disk. What was planted is written to a file of the caller's choice, outside the home.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from safehold import canonical, ids
from safehold.app.embedded import connect
from safehold.app.grants import pass_with_seats
from safehold.app.run import counted, use
from safehold.app.search import search_home
from safehold.app.setup import create
from safehold.app.verification import verify_home
from safehold.assurance.report import render
from safehold.catalog import add_tallies
from safehold.charter import shipped
from safehold.charter.legal import DOCUMENTS
from safehold.clock import SECOND_US, SystemClock, day_of
from safehold.errors import InvalidError
from safehold.keeper.client import KeeperClient, Progress
from safehold.settings import Home
from safehold.workforce import Spec, roster, truth
from safehold.workforce.people import Person

WORKERS = 2  # sandboxes that take in at once
PURPOSE = "train_ui_agent"
TRUTH_COLUMNS = ["person", "stream", "class", "value", "erased", "decoy", "first_seq", "last_seq"]
EVIDENCE = "made-up people; nobody was asked and nobody exists"


def run_demo(
    path: Path, *, people: int, days: int, seed: int, truth_file: Path | None, progress: Progress
) -> dict[str, Any]:
    """Make a workforce, take it in, let some leave, train, verify, search, and report.

    Args:
        path: The home to make; it must be empty or absent.
        people: How many made-up people.
        days: How many working days, the last one yesterday.
        seed: Seed of the made-up people.
        truth_file: Where to write what was planted; it must lie outside the home.
        progress: Told how far it is.

    Raises:
        InvalidError: The truth would lie in the home.
    """
    started = time.monotonic()
    if truth_file is not None and path.resolve() in truth_file.resolve().parents:
        raise InvalidError("the truth does not belong into the home", rule="demo.truth")
    spec = Spec(
        people=people, days=days, seed=seed, start_day=day_of(SystemClock().now_us()) - days
    )
    progress({"title": "making a home", "done": 0, "of": 5})
    home = _make_home(path)
    planted = truth(spec)
    if truth_file is not None:
        truth_file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(planted.select(TRUTH_COLUMNS), truth_file)
    secret = (home.outside / "demo" / "passphrase").read_text("utf-8").strip()
    with connect(home, {"passphrase": secret}) as client:
        staff = roster(spec)
        # people are told, and the risk is assessed, before anything is taken in: the order stands in the ledger
        for name in DOCUMENTS:
            client.call("document.publish", name=name)
        enrol_staff(client, staff)
        sources = [_take_in(client, spec, progress)]
        for one in staff:
            if one.withdraws and one.consent:
                client.call("people.choose", person=one.id, choice="withdraw")
        permit = pass_with_seats(
            client, home, purpose=PURPOSE, seats=home.outside / "demo" / "seats"
        )
        result: dict[str, Any] = {"sources": sources, **use(client, permit, PURPOSE, progress)}
        result["people"] = client.call("people.count")
        progress({"title": "verifying the ledger", "note": ""})
        client.call("ledger.publish")
        result["status"] = client.call("status")
    result["verification"] = verify_home(path)
    progress({"title": "searching for what was planted"})
    result["search"] = search_home(home, planted)
    result["made"] = (
        f"{datetime.fromtimestamp(SystemClock().now_us() // SECOND_US, UTC):%Y-%m-%d %H:%M} UTC"
    )
    report = home.path / "report.html"
    report.write_text(render(result), encoding="utf-8")
    result["report"] = str(report)
    result["truth"] = None if truth_file is None else str(truth_file)
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


def _make_home(path: Path) -> Home:
    passphrase = canonical.b64(ids.random_bytes(24))
    # the home's name, and with it its outside, is known only after it is made
    staging = path.resolve().parent / f".{path.name}.{ids.opaque_id('seats')}"
    try:
        create(path, seats=staging, charter=shipped("demo"), synthetic=True, passphrase=passphrase)
        home = Home.open(path)
        place = home.outside / "demo"
        place.mkdir(mode=0o700)
        staging.rename(place / "seats")
    finally:
        if staging.exists():
            for file in staging.iterdir():
                file.unlink()
            staging.rmdir()
    file = place / "passphrase"
    file.touch(mode=0o600)
    file.write_text(passphrase + "\n", encoding="ascii")
    return home


def _take_in(client: KeeperClient, spec: Spec, progress: Progress) -> dict[str, Any]:
    rows = [0] * WORKERS
    lock = threading.Lock()
    total = spec.people * spec.days * spec.pace
    share = -(-spec.people // WORKERS)

    def take(number: int) -> dict[str, Any]:
        first = number * share
        count = min(share, spec.people - first)
        if count <= 0:
            return {"already": False, "tally": {}, "refusals": []}

        def report(message: dict[str, Any]) -> None:
            if "rows" in message:
                with lock:
                    rows[number] += message["rows"]
                    done = sum(rows)
                progress({"title": "taking in", "done": done, "of": max(total, done), "rows": done})

        return client.call(
            "ingest",
            source={"kind": "synthetic", "spec": spec.to_spec(), "first": first, "count": count},
            progress=report,
        )

    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(take, range(WORKERS)))

    return {
        "file": "synthetic workforce",
        **counted(
            {
                "already": all(answer["already"] for answer in answers),
                "tally": add_tallies(answer["tally"] for answer in answers),
                "refusals": [],
                "level": answers[0].get("level", ""),
            }
        ),
    }


def enrol_staff(client: KeeperClient, staff: Sequence[Person]) -> None:
    """Enrol everybody of a made-up company, as they chose."""
    client.call(
        "people.enrol",
        people=[
            {
                "person": one.id,
                "jurisdiction": one.jurisdiction,
                "streams": sorted(one.consent),
                "pauses": [list(pause) for pause in one.pauses],
            }
            for one in staff
        ],
        evidence=EVIDENCE,
    )
