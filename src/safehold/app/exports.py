"""Sending what the sentinel and the incidents say to whoever a home's outside names.

``pass_on`` is what the live feed calls: it takes records (of alerts, of incidents), keeps what each target wants until
the target has it, and never lets a receiver that is down hold up whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from safehold import ids
from safehold.app import senders
from safehold.app.outbox import Outbox
from safehold.clock import Clock, SystemClock
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    SafeholdError,
    UnavailableError,
)
from safehold.incident.export.finding import ALERT, Finding, Names, from_alert, from_incident
from safehold.incident.export.target import SHOWN, Target, read_targets
from safehold.settings import Home
from safehold.vault.durable import write_new

FIRST_US: Final = 1_000_000  # until a target is tried again, doubled at each failure
MOST_US: Final = 900_000_000
Record = Mapping[str, Any]
_KEY: Final = 32


def targets_of(home: Home) -> dict[str, Target]:
    """Return the targets of a home, by name.

    Raises:
        InvalidError: ``targets.toml`` cannot be used.
    """
    return read_targets(home.targets_file)


def show_targets(home: Home) -> list[dict[str, Any]]:
    """Return where findings go, and how that stands."""
    shown = []
    for name, target in targets_of(home).items():
        outbox = Outbox(home.exports / name)
        state = outbox.state()
        shown.append(
            target.shown()
            | {
                "waiting": len(outbox.waiting()),
                "taken": state["taken"],
                "failed": state["failed"],
                "rule": state["rule"],
            }
        )
    return shown


def send(
    home: Home,
    name: str,
    records: Iterable[tuple[str, Record]],
    *,
    principals: Iterable[str] = (),
    since: int | None = None,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Take records for one target and send everything that waits for it, now.

    Args:
        home: Whose.
        name: The target.
        records: Pairs of ``alert`` or ``incident`` and the record.
        principals: Every name that may stand in a sentence, so that none leaves.
        since: Take those from this index on, also if they were taken before; else what is new.
        clock: The time.

    Raises:
        MissingError: There is no such target.
        UnavailableError: The receiver does not take it; what waits is kept.
    """
    target = targets_of(home).get(name)
    if target is None:
        raise MissingError("no such target", rule="export.target", fix="safehold alert targets")
    outbox, clock = Outbox(home.exports / name), clock or SystemClock()
    with outbox.held():
        sent = _drain(home, target, outbox, clock) if outbox.full else 0
        taken = outbox.put(
            _wanted(home, target, records, principals, since), again=since is not None
        )
        sent += _drain(home, target, outbox, clock)
    return {"target": name, "taken": taken, "sent": sent, "waiting": len(outbox.waiting())}


def pass_on(
    home: Home,
    records: Iterable[tuple[str, Record]],
    *,
    principals: Iterable[str] = (),
    clock: Clock | None = None,
    only: str | None = None,
    patience_s: float | None = None,
) -> list[dict[str, Any]]:
    """Take records for every target, and send where it is time; a failure is told, never raised.

    Call it again with nothing to try again what failed. Of each target it says whether it has ``kept`` all that was for
    it: what was not kept is to be passed again.

    Args:
        home: Whose.
        records: Pairs of ``alert`` or ``incident`` and the record.
        principals: Every name that may stand in a sentence, so that none leaves.
        clock: The time.
        only: The one target; else all.
        patience_s: How long sending to one target may go on, before the others have their turn.

    Raises:
        InvalidError: ``targets.toml`` cannot be used.
    """
    clock, known, told = clock or SystemClock(), frozenset(principals), []
    kept = list(records)
    for name, target in targets_of(home).items():
        if only not in (None, name):
            continue
        outbox = Outbox(home.exports / name)
        said: dict[str, Any] = {"target": name, "taken": 0, "sent": 0, "kept": False}
        try:
            with outbox.held():
                said |= _take(outbox, _wanted(home, target, kept, known, None))
                if clock.now_us() >= outbox.state()["again_us"]:
                    said["sent"] = _drain(home, target, outbox, clock, patience_s)
        except SafeholdError as error:
            said["rule"] = error.rule or error.code
        told.append(said | {"waiting": len(outbox.waiting())})
    return told


def _take(outbox: Outbox, found: list[Finding]) -> dict[str, Any]:
    try:
        return {"taken": outbox.put(found) if found else 0, "kept": True}
    except UnavailableError as error:  # full: what waits is sent all the same
        return {"rule": error.rule or error.code}


def _wanted(
    home: Home,
    target: Target,
    records: Iterable[tuple[str, Record]],
    principals: Iterable[str],
    since: int | None,
) -> list[Finding]:
    kept = [(kind, dict(record)) for kind, record in records]
    said = {str(record.get("principal", "")) for _, record in kept}
    names = Names(
        key=_tag_key(home.exports),
        target=target.name,
        shown=target.names == SHOWN,
        known=frozenset(principals) | said - {""},
    )
    found = []
    for kind, record in kept:
        if kind not in target.kinds:
            continue
        finding = from_alert(record, names) if kind == ALERT else from_incident(record, names)
        if finding.rank >= target.least and (since is None or finding.index >= since):
            found.append(finding)
    return found


def _drain(
    home: Home, target: Target, outbox: Outbox, clock: Clock, patience_s: float | None = None
) -> int:
    before = len(outbox.waiting())
    if not before:
        return 0
    post: Callable[[Finding], None] = senders.sender(
        target, home=home.id, product=_product(), clock=clock
    )
    try:
        sent = outbox.drain(post, patience_s=patience_s)
    except SafeholdError as error:
        failed = outbox.state()["failed"] + 1
        if len(outbox.waiting()) < before:
            failed = 1  # something went through in between
        pause = min(FIRST_US * 2 ** min(failed - 1, 20), MOST_US)
        outbox.note(failed=failed, rule=error.rule or error.code, again_us=clock.now_us() + pause)
        raise
    outbox.note(failed=0, rule="", again_us=0)
    return sent


def _tag_key(folder: Path) -> bytes:
    """Return the key of the tags of this home, made when it is first needed."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / "tag.key"
    with suppress(ConflictError):
        if not path.exists():
            write_new(path, ids.random_bytes(_KEY))
    key = path.read_bytes()
    if len(key) != _KEY:
        raise InvalidError("the key of the tags is damaged", rule="export.key")
    return key


def _product() -> str:
    try:
        return version("safehold")
    except PackageNotFoundError:  # run from its sources
        return "0"
