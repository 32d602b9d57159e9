"""Run the drill: every scenario in three places, each result a leaf of the deployment's ledger."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from safehold.app.drill.place import Place, Size, read_truth
from safehold.assurance.drill.outcome import COUNTS, Findings
from safehold.assurance.drill.result import LEVELS, Report, Result, Try
from safehold.assurance.drill.scenario import BY_ID, SCENARIOS, Scenario
from safehold.errors import InvalidError, SafeholdError, UnavailableError, place_of
from safehold.keeper.client import KeeperClient
from safehold.keeper.program import name_program
from safehold.settings import Home

CASES: Final = "safehold.app.drill.cases"
UNABLE_RULE: Final = "drill.unable"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to run.

    Args:
        only: Ids of scenarios; empty for all.
        levels: Levels of the keeper that are tried besides.
        quick: Leave out what only makes figures firmer.
        size: How large the twin is.
        truth: What was planted in a deployment of made-up people.
    """

    only: tuple[str, ...] = ()
    levels: tuple[str, ...] = LEVELS
    quick: bool = False
    size: Size = field(default_factory=Size)
    truth: Path | None = None


def unable(reason: str) -> UnavailableError:
    """Return the error by which a scenario says that it cannot run here."""
    return UnavailableError(reason, rule=UNABLE_RULE)


def check_order(only: Iterable[str], levels: Iterable[str]) -> None:
    """Pass if there are such scenarios and levels.

    Raises:
        InvalidError: There are not.
    """
    for given, known, what in (
        (only, set(BY_ID), "scenario"),
        (levels, set(LEVELS), "level"),
    ):
        if unknown := sorted(set(given) - known):
            raise InvalidError(
                f"no such {what}: {', '.join(unknown)}",
                rule=f"drill.{what}",
                fix=f"one of {', '.join(sorted(known))}",
            )


def run_drill(home: Home, client: KeeperClient, order: Order, say: Say) -> Report:
    """Run it and return what came out; nothing in the deployment is changed but its ledger.

    Raises:
        InvalidError: No such scenario or level.
    """
    check_order(order.only, order.levels)
    started = time.monotonic()
    announced = [one.id for one in SCENARIOS if not order.only or one.id in order.only]
    # before anything is tried: a run whose results nobody hands in is seen by this
    begun = client.call("drill.begin", scenarios=announced, program=name_program())
    scratch = Path(tempfile.mkdtemp(prefix="safehold-drill-"))
    scratch.chmod(0o711)  # the lake in it is for everybody, the rest has modes of its own
    try:
        place = Place(
            home=home,
            client=client,
            scratch=scratch,
            size=order.size,
            planted=None if order.truth is None else read_truth(order.truth),
            say=say,
            quick=order.quick,
        )
        results = [_run(one, place, order, say) for one in SCENARIOS]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report = Report(
        run=str(begun["run"]),
        results=results,
        seconds=time.monotonic() - started,
        size={"people": order.size.people, "days": order.size.days},
        twin=place.terms.to_json(),
    )
    say("writing the results into the ledger")
    leaves = [leaf for one in results if not _left_out(one, order) for leaf in leaves_of(one)]
    client.call("drill.record", run=report.run, results=leaves)
    return replace(report, recorded=True)


def _left_out(result: Result, order: Order) -> bool:
    return bool(order.only) and result.scenario.id not in order.only


def leaves_of(result: Result) -> list[dict[str, Any]]:
    """Return what the ledger is told of one scenario: the deployment, the lake, the control, and each level."""
    state = result.status
    tries: list[tuple[str, str, Try, str | None]] = [("deployment", state, result.attempt, None)]
    for place, tried in (("lake", result.lake), ("control", result.control)):
        tries.append((place, tried.state(result.scenario), tried, None))
    for level, tried in result.levels.items():
        tries.append(("deployment", tried.state(result.scenario), tried, level))
    return [
        {
            "scenario": result.scenario.id,
            "of": place,
            "state": told.replace(" ", "-"),
            **({} if level is None else {"level": level}),
            **_figures(tried),
        }
        for place, told, tried, level in tries
    ]


def _figures(tried: Try) -> dict[str, int]:
    """Return the figures of one try as whole numbers; what was not measured is left out."""
    if tried.found is None:
        return {}
    whole = tried.found.whole
    told: dict[str, int] = {
        name: count for name in COUNTS if (count := getattr(whole, name)) is not None
    }
    for name in ("detect", "contain"):
        seconds = getattr(whole, f"{name}_s")
        if seconds is not None:
            told[f"{name}_ms"] = round(seconds * 1000)
    return told


def _run(scenario: Scenario, place: Place, order: Order, say: Say) -> Result:
    if order.only and scenario.id not in order.only:
        left_out = Try(reason="it was left out of this run")
        return Result(scenario=scenario, attempt=left_out, lake=left_out, control=left_out)
    say(f"{scenario.id} {scenario.title}")
    started = time.monotonic()
    try:
        case = find_case(scenario)
    except ImportError:
        missing = Try(reason="its attack cannot be loaded here")
        return Result(scenario=scenario, attempt=missing, lake=missing, control=missing)
    if case is None:
        missing = Try(reason="this version has no such attack")
        return Result(scenario=scenario, attempt=missing, lake=missing, control=missing)
    levels: dict[str, Try] = {}
    if scenario.levels and hasattr(case, "at_level"):
        for level in order.levels:
            levels[level] = _try(lambda at=level: case.at_level(place, at), place)  # type: ignore[misc]
    return Result(
        scenario=scenario,
        attempt=_try(lambda: case.attempt(place), place),
        lake=_try(lambda: case.lake(place), place),
        control=_try(lambda: case.control(place), place),
        levels=levels,
        seconds=time.monotonic() - started,
    )


def find_case(scenario: Scenario) -> ModuleType | None:
    """Return the file of a scenario's attack, if there is one."""
    name = f"{CASES}.{scenario.module}"
    return None if importlib.util.find_spec(name) is None else importlib.import_module(name)


def _try(attack: Callable[[], Findings], place: Place) -> Try:
    """Carry an attack out; one that failed by itself is no attack that was withstood."""
    try:
        return Try(found=attack())
    except SafeholdError as error:
        reason = error.message if error.rule == UNABLE_RULE else f"{error.message} ({error.rule})"
        return Try(reason=reason)
    except Exception as error:  # noqa: BLE001 - the kind and the place only: its text may hold a value
        return Try(reason=f"it failed itself: {type(error).__name__} at {place_of(error)}")
    finally:
        _tidy(place)


def _tidy(place: Place) -> None:
    """Take away the copies that an attack made."""
    for folder in place.scratch.glob("[0-9][0-9][0-9]-*"):
        shutil.rmtree(folder, ignore_errors=True)


def words(text: str | None) -> tuple[str, ...]:
    """Return the words of a list with commas."""
    return tuple(one.strip() for one in (text or "").split(",") if one.strip())


__all__: Sequence[str] = ["Order", "check_order", "find_case", "run_drill", "unable", "words"]
