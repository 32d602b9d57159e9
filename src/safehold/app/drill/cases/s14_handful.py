"""S14 a handful of engineers (F11): a valid grant to one segment; then neighbours, export, a second purpose.

A lake shows all to whoever is in the group. Safehold must show at most one segment, and no row to a person; joins and
exports are refused.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

from safehold.app.drill import levels
from safehold.app.drill.asking import shape_of
from safehold.app.drill.holder import GrantHolder, grant_to, segments_opened, tries
from safehold.app.drill.notice import contained, noticed
from safehold.app.drill.place import Place
from safehold.app.drill.scan import Scanner, read_answer
from safehold.app.drill.twin import PURPOSE, Twin
from safehold.assurance.drill.outcome import Exposure, Findings, merge
from safehold.keeper.client import KeeperClient
from safehold.signing import SigningKey

OFF = ("safehold.app.drill.guards:without_bounds",)
SEGMENT: Final = "us-ca.feature"
PLACE: Final = "US-CA"
OTHER: Final = "us-wa.feature"
SECOND_PURPOSE: Final = "secure_the_pipeline"


def attempt(place: Place) -> Findings:
    """Use the grant rightly once, then try whatever lies beside it, and read what the twin stores."""
    with place.served("handful", fed=True, watched=True) as (twin, client):
        live = _engineer(twin, client, place.scanner, alerted=True)
    return Findings(at_rest=place.scanner.look([twin.folder / "home"]).exposure(), live=live)


def lake(place: Place) -> Findings:
    """Read as a member of the group that may read one table: in such a lake the group reads them all."""
    place.plain_lake.open_to_all()
    return Findings(live=place.plain_lake.read())


def control(place: Place) -> Findings:
    """The same grant at a keeper that asks nothing of what it covers."""
    with place.served("handful-unbounded", fed=True, off=OFF) as (twin, client):
        return Findings(live=_engineer(twin, client, place.scanner))


def at_level(place: Place, level: str) -> Findings:
    """The same at a keeper that is kept as at a level."""
    with levels.served(place, level, fed=True) as (twin, client):
        live = _engineer(twin, client, place.scanner)
    return Findings(at_rest=place.scanner.look([twin.folder / "home"]).exposure(), live=live)


def _engineer(
    twin: Twin, client: KeeperClient, scanner: Scanner, *, alerted: bool = False
) -> Exposure:
    begun = int(client.call("status")["ledger"]["size"])
    since = time.time()
    one = grant_to(twin, client, "drill.engineer", segment=SEGMENT, place=PLACE)
    refused, through = tries(_beside(one))
    own = one.use("train")
    again = tries([("a second run", partial(one.use, "train"))])
    refused, through = refused | again[0], through + again[1]
    segments, people = segments_opened(client, begun)
    shown = read_answer(own, scanner)
    wrong = [f"{name} was let through" for name in through]
    found = Exposure(
        people=max(shown.people or 0, people if through else 0),
        records=shown.records,
        segments=len(segments),
        canaries=shown.canaries,
        wrong=tuple(wrong),
        told={
            "opened": sorted(segments),
            "people_of_the_run": people,
            "tried": len(refused) + len(through),
            "refused_by": refused,
        },
    )
    if not alerted:
        return found
    return merge((found, noticed(client, since), contained(client, one.name, one.line)))


def _beside(one: GrantHolder) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield what a valid grant to one segment does not cover."""
    stranger = SigningKey.generate()
    yield "a second purpose", partial(one.use, "train", SECOND_PURPOSE)
    yield "all features anew", partial(one.use, "feature.granted")
    for name, verb in (
        ("an attack on people", "attack.dataset"),
        ("a query", "query"),
        ("own code", "enclave.run"),
        ("vectors", "embed"),
        ("neighbours", "embed.near"),
        ("a join", "join.sum"),
    ):
        yield name, partial(one.use, verb, **shape_of(verb))
    yield "an export of vectors", partial(one.use, "embed.export", dataset=f"{PURPOSE}/embedding:1")
    yield "the model", partial(_pull, one)
    yield "somebody's copy", partial(one.line.call, "people.export", person="emp-00001")
    yield "another's hands", partial(_with, one, stranger)
    yield "the other segment", partial(one.enact, segments=(OTHER,))
    yield "both segments", partial(one.enact, segments=(SEGMENT, OTHER))
    yield "everybody", partial(one.enact, people="")
    yield "more runs", partial(one.enact, max_runs=100)
    yield "more days", partial(one.enact, minutes=10_000)
    yield "a new charter", partial(one.line.call, "charter.propose", charter={}, proposal={})


def _pull(one: GrantHolder) -> dict[str, Any]:
    with tempfile.TemporaryFile() as file:
        given = one.prove("artifact.pull") | shape_of("artifact.pull")
        return one.line.call("artifact.pull", descriptors=[file.fileno()], **given)


def _with(one: GrantHolder, key: SigningKey) -> dict[str, Any]:
    return one.line.call("train", **one.prove("train", key=key))


__all__ = ["at_level", "attempt", "control", "lake"]
