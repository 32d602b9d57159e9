"""S12: review against reality. One setting differs from what the board signed.

Settings are changed in the files of a keeper that runs, one after the other and put back in between: each must be named
by its clause. The last one stays: nothing may be taken in then, by this keeper or by one that starts anew.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from safehold import canonical
from safehold.app.drill.cases.s06_pause import write_clicks
from safehold.app.drill.company import Company, take_file
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import replace
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.assurance.drill.scenario import DRIFT_S
from safehold.clock import SECOND_US, SystemClock
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient

PERSON: Final = "emp-00005"
ROWS: Final = 200
EVERY_S: Final = 2.0
Change = Callable[[dict[str, Any]], object]


def _longer(tree: dict[str, Any]) -> None:
    tree["collect"][1]["keep_days"] += 1


def _few(tree: dict[str, Any]) -> None:
    next(one for one in tree["red_lines"] if one["min_people"])["min_people"] = 2


def _no_red_line(tree: dict[str, Any]) -> None:
    tree["red_lines"] = tree["red_lines"][1:]


def _less_masked(tree: dict[str, Any]) -> None:
    tree["collect"][0]["minimise"]["dlp"] = ["identifiers"]


def _one_seat(tree: dict[str, Any]) -> None:
    tree["oversight"]["widen"]["approve"] = 1


FLAGS: Final[dict[str, Change]] = {
    "fewest people": _few, "a red line": _no_red_line, "what is masked": _less_masked, "quorum": _one_seat,
    "retention": _longer,
}  # fmt: skip


def attempt(place: Place) -> Findings:
    """Change settings beside a keeper that runs."""
    return Findings(live=_attack(place.company("s12"), (), waits=not place.quick))


def control(place: Place) -> Findings:
    """The same where nothing is compared."""
    off = (f"{__name__}:without_comparison",)
    return Findings(live=_attack(place.company("s12-control"), off, waits=False))


def without_comparison() -> None:
    """Let whatever runs pass for what was signed."""
    replace("safehold.keeper.drift:Drift._look", lambda *_: ())


def lake(place: Place) -> Findings:
    """A review on paper, and an ingestion that reads its own configuration."""
    folder = place.bin("s12-lake")
    (folder / "review.json").write_text(json.dumps({"keep_days": 30}), "utf-8")
    (folder / "config.json").write_text(json.dumps({"keep_days": 31}), "utf-8")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    table = pa.table({"t": list(range(ROWS)), "keep": [config["keep_days"]] * ROWS})
    pq.write_table(table, folder / "pointer.parquet")
    stored = pq.ParquetFile(folder / "pointer.parquet").read()
    reviewed = json.loads((folder / "review.json").read_text("utf-8"))["keep_days"]
    beyond = sum(one != reviewed for one in stored["keep"].to_pylist())
    return Findings(live=Exposure(people=1, records=beyond, segments=1))


def _attack(company: Company, off: tuple[str, ...], *, waits: bool) -> Exposure:
    told: dict[str, Any] = {}
    wrong: list[str] = []
    file = company.home.charter_file
    signed = file.read_bytes()
    with company.keeper(off=off) as client:
        if not _taken(company, client, 0):
            wrong.append("nothing is taken in where nothing was changed either")
        looks: list[float] = []
        for name, change in FLAGS.items():
            file.write_bytes(_changed(signed, change))
            began = time.monotonic()
            found = client.call("drift")["found"]
            looks.append(time.monotonic() - began)
            told[name] = found[0]["clause"] if found else None
            if not found:
                wrong.append(f"nobody noticed another setting: {name}")
            file.write_bytes(signed)
            if client.call("drift")["found"]:
                wrong.append(f"a setting that was put back still counts as another: {name}")
        file.write_bytes(_changed(signed, _longer))
        began = time.monotonic()
        number = 1
        accepted = before = _taken(company, client, number)
        # the last look was a moment ago, so this keeper may take something in for a minute: it is timed how long
        while waits and accepted and time.monotonic() - began < DRIFT_S + EVERY_S:
            time.sleep(EVERY_S)
            number += 1
            accepted = _taken(company, client, number)
            before += accepted
        detect = time.monotonic() - began
        if not waits:
            client.call("drift")  # the turn that a served keeper takes by itself every minute
            accepted = _taken(company, client, number + 1)
            detect = max(looks)
        told["rows taken before it was noticed"] = before
        told["looks_s"] = round(max(looks), 3)
        told["timed"] = (
            "until a source was refused" if waits else "one look; the whole drill times the turn"
        )
    after = accepted
    with suppress(SafeholdError), company.keeper(off=off) as client:
        told["starts anew"] = True
        after += _taken(company, client, number + 2)
    told.setdefault("starts anew", False)
    file.write_bytes(signed)
    return Exposure(
        people=int(after > 0),
        records=after,
        segments=int(after > 0),
        canaries=0,
        detect_s=None if after else round(detect, 3),
        wrong=tuple(wrong),
        told=told,
    )


def _changed(signed: bytes, change: Change) -> bytes:
    tree = canonical.decode(signed)
    change(tree["charter"])
    return canonical.encode(tree)


def _taken(company: Company, client: KeeperClient, number: int) -> int:
    """Return how many rows of a small file are taken in; none if it is refused."""
    now = SystemClock().now_us()
    file = company.temporary / "s12.jsonl"
    write_clicks(
        file, PERSON, count=ROWS, from_us=now - SECOND_US, to_us=now, session=f"s12-{number}"
    )
    try:
        return int(sum(take_file(client, file)["tally"]["taken"].values()))
    except SafeholdError:
        return 0


__all__ = ["attempt", "control", "lake", "without_comparison"]
