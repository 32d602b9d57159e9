"""S17 vectors leave, or are turned back (F4): a data scientist exports vectors, or asks for neighbours of a person.

In a lake vectors lie beside names. Safehold: 0 vectors leave, and what a released model tells of who was in
its training stays within the bound of its differential privacy; figure and interval are reported.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold.app.drill.holder import tries
from safehold.app.drill.lake import write_table
from safehold.app.drill.notice import contained, noticed
from safehold.app.drill.place import Place
from safehold.app.drill.twin import PURPOSE, Twin
from safehold.app.permit import Pass
from safehold.assurance.drill.outcome import Exposure, Findings, merge
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient

OFF = ("safehold.app.drill.guards:without_vector_exit",)
STREAMS: Final = ["chat", "ai"]
EPSILON, DELTA = 4.0, 1e-6  # what the charter of a twin allows its one training
DIMENSIONS: Final = 64


def attempt(place: Place) -> Findings:
    """Make vectors under a grant, try to get one, look for them on the disk, and attack the model that was trained."""
    with place.served("vectors", watched=True) as (twin, client):
        live = _get_vectors(twin, client, alerted=True)
        member = _attack_model(twin, client)
    at_rest = place.scanner.look([twin.folder / "home"]).exposure()
    return Findings(at_rest=at_rest, live=live).with_told(**member)


def lake(place: Place) -> Findings:
    """Write vectors beside the names they are of, as such lakes do, and read them as somebody else."""
    folder = place.plain_lake.folder.parent / "vectors"
    folder.mkdir(exist_ok=True)
    rows = np.random.default_rng(0).normal(size=(len(place.names), DIMENSIONS)).astype(np.float32)
    file = folder / "embeddings.parquet"
    write_table(pa.table({"person": place.names, "vector": list(rows)}), file)
    file.chmod(0o644)
    folder.chmod(0o755)
    return Findings(live=place.plain_lake.read(folder))


def control(place: Place) -> Findings:
    """The same at a keeper that has a way out for vectors."""
    with place.served("vectors-out", off=OFF) as (twin, client):
        return Findings(live=_get_vectors(twin, client))


def _get_vectors(twin: Twin, client: KeeperClient, *, alerted: bool = False) -> Exposure:
    since = time.time()
    scientist = twin.enrol(client, "drill.scientist", role="data_scientist")
    permit = twin.pass_(client, recipe="embed")
    made = permit.embed(client, "embed", PURPOSE, lambda _: None, streams=STREAMS)
    vectors = 0
    refused: dict[str, str] = {}
    for rows in (1, 1_000_000):
        asked: dict[str, Any] = {"purpose": PURPOSE, "dataset": made["dataset"], "rows": rows}
        try:
            vectors += len(scientist.call("embed.export", **asked)["vectors"])
        except SafeholdError as error:
            refused[f"export {rows}"] = error.rule or error.code
    more, through = tries(
        [
            (name, partial(_ask, twin, client, verb, made["dataset"], asked))
            for name, verb, asked in (
                ("neighbours of a text", "embed.near", {"texts": ["tax"], "how": "near"}),
                ("who it is", "embed.near", {"texts": ["emp-00001"], "how": "person"}),
                ("a head on them", "embed.head", {"person": "emp-00001"}),
            )
        ]
    )
    found = Exposure(
        people=int(made["people"]) if vectors else 0,
        records=vectors,
        segments=int(vectors > 0),
        canaries=0,
        wrong=tuple(f"{name} was let through" for name in through),
        told={
            "vectors_made": made["vectors"],
            "set": made["state"],
            "refused_by": refused | more,
        },
    )
    if not alerted:
        return found
    return merge((found, noticed(client, since), contained(client, "drill.scientist", scientist)))


def _ask(
    twin: Twin, client: KeeperClient, verb: str, dataset: str, asked: dict[str, Any]
) -> dict[str, Any]:
    permit: Pass = twin.pass_(client, recipe=verb)
    return permit.embed(
        client, verb, PURPOSE, lambda _: None, dataset=dataset, epsilon_micro=500_000, **asked
    )


def _attack_model(twin: Twin, client: KeeperClient) -> dict[str, Any]:
    """Try to tell who was in the training of the model, and compare with what its differential privacy bounds."""
    permit = twin.pass_(client, recipe="membership")
    answer = permit.embed(
        client, "attack.model", PURPOSE, lambda _: None, artifact=twin.done["train"]["artifact"]
    )
    (gate,) = (one for one in answer["gates"] if one["attack"] == "membership")
    bound = advantage_bound(EPSILON, DELTA)
    return {
        "membership_advantage": gate["micro"] / 1e6,
        "interval_95": [gate["lower"] / 1e6, gate["upper"] / 1e6],
        "auc_at_least": round((1 + gate["micro"] / 1e6) / 2, 3),
        "bound": round(bound, 3),
        "within_bound": gate["lower"] / 1e6 <= bound,
        "members": gate["members"],
        "others": gate["others"],
    }


def advantage_bound(epsilon: float, delta: float) -> float:
    """Return the largest advantage of any membership test against (epsilon, delta)-differential privacy.

    Source: Humphries et al., "Investigating Membership Inference Attacks under Data Dependencies", CSF 2023.
    """
    return (math.exp(epsilon) - 1 + 2 * delta) / (math.exp(epsilon) + 1)


__all__ = ["advantage_bound", "attempt", "control", "lake"]
