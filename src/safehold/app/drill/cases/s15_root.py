"""S15 root on the data plane (F2): root without what opens the root key copies all there is.

A lake shows all. Safehold must show 0 at rest; of what runs, no more than the one segment in a sandbox.
The memory of the keeper itself is reported and not counted: it is what holds the root key, and K1 to K4 say from whom.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field, replace
from typing import Final

from safehold.app.drill import levels
from safehold.app.drill.holder import grant_to, segments_opened
from safehold.app.drill.place import Place
from safehold.app.drill.process import arguments, family, memory, memory_files, processes, shown
from safehold.app.drill.run import unable
from safehold.app.drill.scan import Seen, copy_of, tables_in
from safehold.app.drill.twin import Twin
from safehold.app.embedded import connect
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home

SEGMENT: Final = "us-ca.feature"
PLACE: Final = "US-CA"
EVERY_S: Final = 0.2
SEALED_OFF: Final = (
    "safehold.app.drill.guards:without_sealing",
    "safehold.app.drill.guards:without_minimising",
)
LIVE_OFF: Final = ("safehold.app.drill.guards:without_bounds",)
KEEPERS: Final = (b"safehold.app.keeper", b"safehold.app.drill.unguarded", b"serve")


def attempt(place: Place) -> Findings:
    """Copy everything that lies there and try to start it; look into what runs while a model is trained."""
    with place.served("root", fed=True) as (twin, client):
        live = _look_in(twin, client, place)
    return Findings(at_rest=_copy(twin, place), live=live)


def lake(place: Place) -> Findings:
    """Copy the lake as root, whom no mode stops."""
    copy = copy_of([place.plain_lake.folder], place.folder("copied-lake"))
    return Findings(at_rest=place.scanner.look([copy]).exposure())


def control(place: Place) -> Findings:
    """The same copy of a twin that sealed nothing, whose secret lies beside it.

    And the same look into a run at a keeper that asks nothing of what a grant covers: more than its segment is there.
    """
    with place.served("root-unsealed", bare=True, off=SEALED_OFF) as (twin, client):
        client.call(
            "ingest",
            source={
                "kind": "synthetic",
                "spec": twin.spec.to_spec(),
                "first": 0,
                "count": twin.spec.people,
            },
        )
    (twin.home.path / "passphrase").write_text(twin.passphrase, "ascii")
    at_rest = _copy(twin, place)
    with place.served("root-unbounded", fed=True, off=LIVE_OFF) as (twin, client):
        live = _look_in(twin, client, place)
    return Findings(at_rest=at_rest, live=live)


def at_level(place: Place, level: str) -> Findings:
    """The same at a keeper that is kept as at a level."""
    with levels.served(place, level, fed=True) as (twin, client):
        live = _look_in(twin, client, place)
    return Findings(at_rest=_copy(twin, place), live=live)


def _copy(twin: Twin, place: Place) -> Exposure:
    """Copy home and outside, search both, and start a keeper of the copy without what unlocks it."""
    home = twin.home
    folder = place.folder("copied")
    folder.mkdir(mode=0o700)
    copy = copy_of([home.path, home.outside], folder / "all")
    seen = place.scanner.look([copy])
    wrong = []
    secrets = [twin.passphrase.encode()]
    if any(
        one in file.read_bytes() for file in copy.rglob("*") if file.is_file() for one in secrets
    ):
        wrong.append("what unlocks the root lies in what was copied")
    stolen = Home(
        copy / f"0-{home.path.name}", home.id, copy / f"1-{home.outside.name}", home.synthetic
    )
    if _starts(stolen):
        wrong.append("a copy started without what unlocks it")
    return replace(seen.exposure(), wrong=tuple(wrong))


def _starts(stolen: Home) -> bool:
    for secret in (None, {"passphrase": ""}, {"passphrase": stolen.id}):
        try:
            with connect(stolen, secret):
                return True
        except SafeholdError:
            continue
    return False


@dataclass(slots=True)
class _Looked:
    rows: int = 0
    people: set[str] = field(default_factory=set)
    environment: Seen = field(default_factory=Seen)
    looks: int = 0


def _look_in(twin: Twin, client: KeeperClient, place: Place) -> Exposure:
    if os.geteuid() != 0:
        raise unable("only root can look into other processes as root")
    begun = int(client.call("status")["ledger"]["size"])
    one = grant_to(twin, client, "drill.trainer", segment=SEGMENT, place=PLACE)
    keeper = _keeper_of(twin)
    ended = threading.Event()
    failed: list[SafeholdError] = []

    def train() -> None:
        try:
            one.use("train")
        except SafeholdError as error:
            failed.append(error)
        finally:
            ended.set()

    work = threading.Thread(target=train, daemon=True)
    work.start()
    looked = _Looked()
    while not ended.wait(EVERY_S):
        _look(keeper, looked, place)
    work.join()
    if failed:
        raise failed[0]
    inside = Seen()
    for piece in memory(keeper):
        place.scanner.look_at_words(piece, inside)
    segments, people = segments_opened(client, begun)
    wrong: tuple[str, ...] = ()
    if looked.environment.values or twin.passphrase.encode() in shown(keeper):
        wrong = ("an environment or an argument shows a secret",)
    return Exposure(
        people=people if looked.rows else 0,
        records=looked.rows,
        segments=len(segments) if looked.rows else 0,
        canaries=len(looked.environment.values),
        wrong=wrong,
        told={
            "looks": looked.looks,
            "segments": sorted(segments),
            "keeper_memory_shows": {"people": len(inside.names), "planted": len(inside.values)},
            "keeper_level": str(client.call("hello")["level"]),
            "limit": "root that searches the memory of a keeper that is unlocked finds what it computes with",
        },
    )


def _look(keeper: int, looked: _Looked, place: Place) -> None:
    """Look once into everything that runs for the keeper."""
    looked.looks += 1
    for pid in family(keeper):
        place.scanner.look_at_words(shown(pid), looked.environment)
        if pid == keeper:
            continue
        for data in memory_files(pid):
            rows = sum(table.num_rows for table in tables_in(data))
            looked.rows = max(looked.rows, rows)


def _keeper_of(twin: Twin) -> int:
    """Return the process that serves a twin."""
    home = str(twin.folder / "home").encode()
    for pid in processes():
        words = arguments(pid)
        if home in words and any(one in words for one in KEEPERS):
            return pid
    raise unable("the keeper's process was not found")


__all__ = ["at_level", "attempt", "control", "lake"]
