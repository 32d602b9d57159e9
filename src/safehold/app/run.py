"""The main job: sources in, features, a private model out, the ledger verified.

This process is the engineer's: it passes open files to the keeper and sees counters. No row, no key and no
weight comes here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safehold.app.charters import enact_for
from safehold.app.grants import pass_for
from safehold.app.permit import Pass
from safehold.app.plan import Plan
from safehold.errors import DeniedError, SafeholdError, in_file
from safehold.keeper.abreast import side_by_side
from safehold.keeper.client import KeeperClient, Progress


def run_job(client: KeeperClient, home: Path, plan: Plan, progress: Progress) -> dict[str, Any]:
    """Do a run and return what happened, counters only."""
    from safehold.app.verification import verify_home

    started = time.monotonic()
    if plan.charter is not None:
        enact_for(client, home, plan.charter, seats=plan.seats)
    names = None
    if plan.roster is not None:
        from safehold.app.roster import read_names

        names = read_names(plan.roster)
    # as many at once as the keeper runs sandboxes side by side; elsewhere one after the other
    abreast = client.call("status").get("sandboxes_abreast", 1) if len(plan.sources) > 1 else 1

    def take(numbered: tuple[int, Path]) -> dict[str, Any]:
        number, path = numbered
        progress({"title": f"taking in {path.name}", "done": number, "of": len(plan.sources)})
        return ingest_file(
            client,
            path,
            mapping=plan.mappings[number] if number < len(plan.mappings) else None,
            tolerate=plan.tolerate,
            progress=progress,
            person=plan.person,
            roster=names,
        )

    sources = list(enumerate(plan.sources))
    result: dict[str, Any] = {"sources": [one for _, one in side_by_side(take, sources, abreast)]}
    permit = pass_for(
        client,
        home,
        purpose=plan.purpose,
        grant=plan.grant,
        holder=plan.holder,
        seats=plan.seats,
    )
    if permit is None:
        result["training"] = {"skipped": "no grant was given"}
    else:
        result |= use(client, permit, plan.purpose, progress)
    client.call("ledger.publish")
    result["status"] = client.call("status")
    result["verification"] = verify_home(home)
    result["seconds"] = round(time.monotonic() - started, 1)
    return result


def use(client: KeeperClient, permit: Pass, purpose: str, progress: Progress) -> dict[str, Any]:
    """Build features and train; a refusal is part of the result, not the end of the run."""
    result: dict[str, Any] = {}
    steps: tuple[tuple[str, str, Callable[..., dict[str, Any]]], ...] = (
        ("features", "building features", permit.feature),
        ("training", "training with differential privacy", permit.train),
    )
    for name, title, step in steps:
        progress({"title": title, "done": 0, "of": 1, "note": ""})
        try:
            result[name] = step(client, purpose, progress)
        except DeniedError as error:
            result[name] = {"refused": error.message, "rule": error.rule, "entry": error.entry}
            break
    return result


def ingest_file(
    client: KeeperClient,
    path: Path,
    *,
    mapping: str | None,
    tolerate: float | None,
    progress: Progress,
    person: str | None = None,
    roster: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Hand one file to the keeper and return what was taken, masked, dropped and refused.

    Args:
        client: The keeper.
        path: The source.
        mapping: How it is read, or None to guess.
        tolerate: Share of rows that may be refused.
        progress: Told how far it is.
        person: Whose events the file holds, where its mapping asks for that.
        roster: Names of the people who work here; used for this source and kept nowhere.

    Raises:
        InvalidError: The file is refused; names file, row and rule.
    """
    from safehold.ingest.folder import open_path
    from safehold.ingest.preview import file_source

    descriptor = open_path(path)
    try:
        source = file_source(path, mapping, person)
        answer = client.call(
            "ingest",
            descriptors=[descriptor],
            progress=progress,
            source=source,
            tolerate_ppm=None if tolerate is None else round(tolerate * 1_000_000),
            **({} if roster is None else {"roster": roster}),
        )
    except SafeholdError as error:  # one of several sources: say which
        raise in_file(error, path.name) from error
    finally:
        os.close(descriptor)
    return {"file": path.name, **counted(answer)}


def counted(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an ingest answer with one total beside each group of counters."""
    tally = answer["tally"]
    return {
        "already": answer["already"],
        **{
            group: dict(sorted(tally.get(group, {}).items()))
            for group in ("taken", "masked", "dropped", "refused", *sorted(tally))
        },
        "totals": {group: sum(counts.values()) for group, counts in sorted(tally.items())},
        "refusals": answer["refusals"][:10],
        **({"level": answer["level"]} if "level" in answer else {}),
    }
