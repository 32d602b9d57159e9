"""Watching a ledger from outside: any log with its policy, or a home's own."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from safehold.clock import Clock
from safehold.errors import InvalidError, MissingError, TamperedError, UnavailableError
from safehold.ledger.monitor import Limits, Monitor, Verdict
from safehold.ledger.monitor_memory import read_state
from safehold.ledger.published import PublishedDirectory, open_published
from safehold.settings import Home
from safehold_verify import VerificationError, parse_policy
from safehold_verify.policy import Policy

MOMENT = 2.0  # seconds after which a log must show a head that a witness knows


def watch_home(home: Home, *, clock: Clock | None = None) -> Verdict:
    """Let the monitor of a home's own ledger take a turn.

    It runs with the home, so what it says convinces nobody outside; another's monitor does.

    Raises:
        UnavailableError: The ledger was never published.
    """
    return Monitor(
        PublishedDirectory(home.ledger),
        policy=read_policy(home.policy_file),
        directory=home.monitor,
        clock=clock,
    ).turn(others=_kept(home))


def watch_log(
    place: str,
    *,
    policy: Path,
    directory: Path,
    heads: Sequence[Path] = (),
    limits: Limits | None = None,
    plain: bool = False,
) -> Verdict:
    """Let a monitor of any log take a turn.

    Args:
        place: URL prefix or directory of the log.
        policy: Whose signatures count; it must not come from where the log comes from.
        directory: The monitor's own state.
        heads: Files with heads of this log that somebody else kept.
        limits: How much is let pass.
        plain: Let a log on another machine be read over HTTP without TLS.
    """
    return Monitor(
        open_published(place, plain=plain),
        policy=read_policy(policy),
        directory=directory,
        limits=limits,
    ).turn(others=[(file.name, _read(file)) for file in heads])


def follow(
    turn: Callable[[], Verdict],
    *,
    every: float,
    show: Callable[[Verdict], None],
    trouble: Callable[[str], None],
) -> Verdict:
    """Take turns until the published record does not hold; show each that says something new.

    Args:
        turn: One turn.
        every: Seconds between two.
        show: Is given a verdict.
        trouble: Is told why a turn could not be taken.
    """
    shown: object = None
    while True:
        try:
            verdict = turn()
        except UnavailableError as error:
            trouble(error.message)
        else:
            said = (verdict.broken, verdict.findings, verdict.more, shown is None)
            if verdict.new or said != shown:
                show(verdict)
                shown = (*said[:3], False)
            if verdict.broken:
                return verdict
        time.sleep(every)


def settled(turn: Callable[[], Verdict]) -> Verdict:
    """Take a turn, and where a witness is ahead of the log, a second one a moment later."""
    first = turn()
    if first.broken or not first.ahead:
        return first
    time.sleep(MOMENT)
    second = turn()
    return replace(second, new=first.new + second.new)


def last_seen(home: Home) -> dict[str, Any]:
    """Return what the home's monitor said last, for its status."""
    try:
        state = read_state(home.monitor)
    except TamperedError:
        return {"monitor": {"ok": False, "broken": ["the monitor's state is damaged"]}}
    if state is None:
        return {"monitor": None}
    broken, found = state["broken"], state["findings"]
    return {
        "monitor": {
            "ok": not (broken or found or state["more"]),
            "read": state["size"],
            "broken": [f"{rule}: {words}" for rule, _, words in broken],
            "findings": len(found) + state["more"],
            "newest": [
                {"rule": rule, "index": index, "sentence": words}
                for rule, index, words in found[-3:]
            ],
        }
    }


def require_whole(verdict: Verdict) -> None:
    """Pass if the published record holds.

    Raises:
        TamperedError: It does not.
    """
    if verdict.broken:
        raise TamperedError(
            f"the published ledger does not hold: {verdict.broken[0].sentence}",
            rule=verdict.broken[0].rule,
            fix="safehold ledger monitor; safehold ledger verify",
        )


def read_policy(path: Path) -> Policy:
    """Return the policy in a file.

    Raises:
        InvalidError: It is no policy.
    """
    try:
        return parse_policy(_read(path))
    except VerificationError as error:
        raise InvalidError(str(error), rule="ledger.policy", file=path.name) from error


def _kept(home: Home) -> list[tuple[str, bytes]]:
    return [
        ("the witness", file.read_bytes())
        for file in sorted(home.witness.glob("**/checkpoint"))
        if file.is_file()
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MissingError(f"{path.name} cannot be read", rule="cli.file") from error
