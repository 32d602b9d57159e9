"""S04 the fix did not stick (F4): S03 is repaired, then a deployment or a restored backup takes the repair back.

In a lake all is open again, and it is found by chance. Safehold must show 0; the next run is red, and nothing resumes.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path

from safehold.app.charters import keys_in, sign_order
from safehold.app.drill.outsider import close_everything, look_in, open_everything
from safehold.app.drill.place import Place
from safehold.app.drill.scan import Scanner
from safehold.app.drill.twin import Twin, take_in
from safehold.assurance.drill.outcome import Exposure, Findings, merge
from safehold.errors import DeniedError, SafeholdError
from safehold.keeper.client import KeeperClient

OFF = (
    "safehold.app.drill.guards:without_sealing",
    "safehold.app.drill.guards:without_minimising",
    "safehold.app.drill.guards:without_restart_gate",
)
PROMISE = "company-wide"
CAUSE = "The access modes of the home were set open by a deployment, and set back by hand.\n"


def attempt(place: Place) -> Findings:
    """Open, stop, repair, look: green. Take the repair back: red in the next run, and six seats resume nothing."""
    twin = place.twin("reverted")
    older = _backup(twin, place)
    strict = place.strict_twin.copy(place.folder("gate"))
    found = [_story(twin, place.scanner), _story(strict, place.scanner, resume=True)]
    # the other way back: the whole home as it was before the repair
    _restore(twin, older)
    try:
        with twin.keeper():
            found.append(Exposure(wrong=("a keeper serves a home from before the repair",)))
    except SafeholdError as error:
        found.append(Exposure(told={"restored_home": error.rule or error.code}))
    return Findings(live=merge(found))


def lake(place: Place) -> Findings:
    """Open, repair, take the repair back: what is read after the repair, and after that."""
    one = place.plain_lake
    one.close()
    repaired = one.read()
    one.open_to_all()
    found = one.read()
    told = {**found.told, "records_while_repaired": repaired.records}
    return Findings(live=replace(found, told=told))


def control(place: Place) -> Findings:
    """The same story in a twin that sealed nothing and whose restart asks for nothing."""
    twin = place.twin("reverted-unguarded", bare=True)
    with twin.keeper(off=OFF) as client:
        take_in(client, twin.spec)
    return Findings(live=_story(twin, place.scanner, off=OFF, resume=True))


def _story(
    twin: Twin, scanner: Scanner, *, off: tuple[str, ...] = (), resume: bool = False
) -> Exposure:
    wrong, told = [], {}
    with twin.keeper(off=off) as client:
        open_everything(twin)
        during = look_in(twin.home, scanner, closed=False)
        _order(twin, client, "stop")
        close_everything(twin)
        if _nightly(twin, client, scanner)[0]:
            wrong.append("the repaired home was not found green")
        # a deployment puts the modes back that it was written with
        open_everything(twin)
        reverted = time.monotonic()
        red, seen = _nightly(twin, client, scanner)
        took = time.monotonic() - reverted
        if not red:
            wrong.append("the reverted repair was not found by the next run")
        if resume:
            refused = _resume(twin, client)
            told["resume_while_reverted"] = refused or "let through"
            if refused is None:
                wrong.append("everything was resumed although the repair was reverted")
            close_everything(twin)
            _nightly(twin, client, scanner)
            again = _resume(twin, client)
            told["resume_when_repaired"] = again or "let through"
            if again is not None:
                wrong.append("nothing was resumed although all was repaired")
    whole = merge((during, seen))
    return replace(
        whole,
        detect_s=took if red else None,
        wrong=tuple(wrong),
        told={**whole.told, **told},
    )


def _nightly(twin: Twin, client: KeeperClient, scanner: Scanner) -> tuple[bool, Exposure]:
    """Do what is done each night: try it as somebody else, and measure the promises; return whether it is red."""
    seen = look_in(twin.home, scanner)
    found = client.call("milestones", measure=True)["milestones"]
    red = any(one["promise"] == PROMISE and one["state"] == "broken" for one in found)
    return red or bool(seen.wrong), replace(seen, wrong=())


def _order(twin: Twin, client: KeeperClient, what: str, cause: Path | None = None) -> None:
    keys = dict(list(keys_in(twin.seats).items())[: 1 if what == "stop" else 6])
    with twin.here():
        order = sign_order(
            twin.home.path, what, reason="a drill of what happened", keys=keys, cause=cause
        )
    client.call(what, **order)


def _resume(twin: Twin, client: KeeperClient) -> str | None:
    """Let all six seats resume, with a published cause; return the rule that refuses, or None if none does."""
    cause = twin.folder / "cause.txt"
    cause.write_text(CAUSE, "utf-8")
    try:
        _order(twin, client, "resume", cause)
    except DeniedError as error:
        return error.rule or error.code
    return None


def _backup(twin: Twin, place: Place) -> Path:
    copy = place.folder("older-home")
    shutil.copytree(twin.home.path, copy)
    return copy


def _restore(twin: Twin, older: Path) -> None:
    path = twin.home.path
    shutil.rmtree(path)
    shutil.copytree(older, path)


__all__ = ["attempt", "control", "lake"]
