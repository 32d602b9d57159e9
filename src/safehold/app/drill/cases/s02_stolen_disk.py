"""S02 stolen disk or bucket (F2): a byte copy of all storage and of the control database; look for canaries.

A lake shows all rows and all canaries. Safehold must show 0 canaries and 0 plain bytes; sizes and counts in buckets.
"""

from __future__ import annotations

from pathlib import Path

from safehold.app.drill import levels
from safehold.app.drill.place import Place
from safehold.app.drill.scan import Scanner, copy_of
from safehold.app.drill.twin import take_in
from safehold.assurance.drill.outcome import Exposure, Findings, join
from safehold.settings import Home
from safehold.vault.pad import bucket

ARTIFACT = b"SHA1"  # how a sealed artifact begins
ARTIFACT_FRAME = 4 + 16 + 32 + 16  # bytes: beginning, id, commitment, and the tag of the seal
OFF = (
    "safehold.app.drill.guards:without_sealing",
    "safehold.app.drill.guards:without_minimising",
)


def attempt(place: Place) -> Findings:
    """Copy the deployment and its twin, and look through the copies."""
    return join(
        (
            _steal(place, place.home, place.home_scanner),
            _steal(place, place.full_twin.home, place.scanner),
        )
    )


def lake(place: Place) -> Findings:
    """Copy the lake, whose modes a thief does not ask for."""
    copy = copy_of([place.plain_lake.folder], place.folder("stolen-lake"))
    found = place.scanner.look([copy])
    return Findings(at_rest=found.exposure())


def control(place: Place) -> Findings:
    """The same theft from a twin that sealed and minimised nothing."""
    with place.served("unsealed", bare=True, off=OFF) as (twin, client):
        take_in(client, twin.spec)
    return _steal(place, twin.home, place.scanner)


def at_level(place: Place, level: str) -> Findings:
    """The same theft from a twin whose root is kept as at a level."""
    with levels.kept(place, level) as twin:
        return _steal(place, twin.home, place.scanner)


def _steal(place: Place, home: Home, scanner: Scanner) -> Findings:
    copy = copy_of([home.path], place.folder("stolen"))
    seen = scanner.look([copy])
    odd = tuple(_odd_sizes(copy))
    found = seen.exposure()
    wrong = (f"{len(odd)} sealed objects have a size that is in no bucket",) if odd else ()
    return Findings(
        at_rest=Exposure(
            people=found.people,
            records=found.records,
            segments=found.segments,
            canaries=found.canaries,
            wrong=wrong,
            told={**found.told, "looked_for": scanner.count},
        )
    )


def _odd_sizes(copy: Path) -> list[str]:
    """Return the sealed objects whose size tells more than a bucket; an artifact's frame stands outside its bucket."""
    odd = []
    for file in copy.glob("*/objects/**/*"):
        if file.is_file():
            with file.open("rb") as data:
                size = file.stat().st_size - (ARTIFACT_FRAME if data.read(4) == ARTIFACT else 0)
            if bucket(size) != size:
                odd.append(file.name)
    return odd
