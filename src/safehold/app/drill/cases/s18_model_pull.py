"""S18 a model is pulled (F6): an unusual download of a model or a checkpoint.

In a lake it is allowed. Safehold must refuse it without a release leaf, notice it, and store nothing but ciphertext.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from safehold import ids
from safehold.app.drill.lake import write_table
from safehold.app.drill.notice import noticed
from safehold.app.drill.place import Place
from safehold.app.drill.scan import copy_of
from safehold.app.drill.twin import PURPOSE, Twin
from safehold.app.permit import Pass
from safehold.app.search import views
from safehold.assurance.drill.outcome import Exposure, Findings, merge
from safehold.canonical import b64
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient

OFF = ("safehold.app.drill.guards:without_release_check",)
VERB: Final = "artifact.pull"
WEIGHTS: Final = (b'"dtype":"F', b'"dtype": "F', b"\x93NUMPY", b"PK\x03\x04")  # of stored models
CHECKPOINTS: Final = 3


def attempt(place: Place) -> Findings:
    """Copy what is stored and look for weights; then ask for the model, up to a holder of a grant to pull."""
    twin = place.twin("pull")
    at_rest = _stored(twin, place)
    with twin.watched() as client:
        return Findings(at_rest=at_rest, live=_ask_for_it(twin, client, alerted=True))


def lake(place: Place) -> Findings:
    """Write checkpoints beside the tables, as such lakes do, and read them as somebody else."""
    folder = place.plain_lake.folder.parent / "models"
    folder.mkdir(exist_ok=True)
    people = place.names
    for number in range(CHECKPOINTS):
        # a checkpoint with one embedding for each person, which is what recommenders and personal agents keep
        rows = np.random.default_rng(number).normal(size=(len(people), 8)).astype(np.float32)
        file = folder / f"checkpoint-{number}.parquet"
        write_table(pa.table({"person": people, "weights": list(rows)}), file)
        file.chmod(0o644)
    folder.chmod(0o755)
    return Findings(live=place.plain_lake.read(folder))


def control(place: Place) -> Findings:
    """The same at a keeper that does not ask the charter whether a model may leave."""
    with place.served("pull-unchecked", off=OFF) as (twin, client):
        return Findings(live=_ask_for_it(twin, client))


def _stored(twin: Twin, place: Place) -> Exposure:
    copy = copy_of([twin.home.path], place.folder("stored"))
    readable = sum(
        any(mark in view for view in views(file.read_bytes()) for mark in WEIGHTS)
        for file in copy.rglob("*")
        if file.is_file() and file.suffix in {".shb", ""}
    )
    return Exposure(
        people=0, records=readable, segments=0, canaries=0, told={"models_readable": readable}
    )


def _ask_for_it(twin: Twin, client: KeeperClient, *, alerted: bool = False) -> Exposure:
    since = time.time()
    artifact = str(twin.done["train"]["artifact"])
    people = int(twin.done["train"].get("people", 0))
    got: dict[str, int] = {}
    refused: dict[str, str] = {}
    unlogged = 0
    for name, line, proof in _askers(twin, client):
        size, error = _pull(line, artifact, proof, twin.folder / "pulled")
        if error is None or size:
            got[name] = size
        else:
            refused[name] = error.rule or error.code
            unlogged += error.entry is None
    found = Exposure(
        people=people if got else 0,
        records=len(got),
        segments=len(got),
        canaries=0,
        missing=unlogged,
        told={"refused_by": refused, "bytes": sum(got.values()), "got_by": sorted(got)},
    )
    return merge((found, noticed(client, since))) if alerted else found


def _askers(twin: Twin, client: KeeperClient) -> Iterator[tuple[str, KeeperClient, dict[str, Any]]]:
    """Yield who asks, on which line, and with what to show."""
    forged = {
        "purpose": PURPOSE,
        "token": b64(ids.random_bytes(300)),
        "nonce": "",
        "proof": b64(bytes(64)),
    }
    scientist = twin.enrol(client, "drill.scientist", role="data_scientist")
    agent, _ = twin.enrol_agent(client, "drill.agent", operator="drill.scientist")
    for name, line in (("nobody", client), ("scientist", scientist), ("agent", agent)):
        yield name, line, forged | {"nonce": client.call("nonce")["nonce"]}
    for recipe in ("train", "pull"):
        permit: Pass = twin.pass_(client, recipe=recipe)
        yield (
            f"holder of a grant to {recipe}",
            client,
            {
                "purpose": PURPOSE,
                **permit.prove(client, VERB, PURPOSE),
            },
        )


def _pull(
    line: KeeperClient, artifact: str, proof: dict[str, Any], file: Path
) -> tuple[int, SafeholdError | None]:
    """Ask for the model; return how many bytes came, and what refused it."""
    handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        line.call(VERB, descriptors=[handle], artifact=artifact, **proof)
    except SafeholdError as error:
        return os.fstat(handle).st_size, error
    else:
        return os.fstat(handle).st_size, None
    finally:
        os.close(handle)
        file.unlink()


__all__ = ["attempt", "control", "lake"]
