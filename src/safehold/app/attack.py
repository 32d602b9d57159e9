"""``safehold attack``: how well people are recognised in what a level leaves, and whether a charter's gate holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safehold.charter import load, shipped
from safehold.clock import SystemClock, day_of
from safehold.errors import InvalidError, UnavailableError
from safehold.telemetry.stream import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pyarrow as pa

ENDINGS: Final = (".parquet", ".pq", ".jsonl", ".ndjson", ".csv")
_NEEDED: Final = {"sklearn": "attack", "jax": "train", "optax": "train"}


def reidentify(
    sources: Sequence[Path],
    *,
    mappings: Sequence[str] = (),
    made_up: int | None = None,
    days: int = 2,
    pace: int = 3_200,
    levels: Sequence[str] = ("L0", "L1", "L2", "L3"),
    attackers: Sequence[str] = (),
    cap: int | None = None,
    enrol: int | None = None,
    charter: Path | None = None,
    seed: int = 1,
    steps: int = 1_000,
    picture: Path | None = None,
    progress: Callable[[dict[str, Any]], None] = lambda _message: None,
) -> dict[str, Any]:
    """Attack files, folders of files, or made-up people, and return what was found.

    Args:
        sources: Files or folders; a folder's files are taken together.
        mappings: Mapping of each file in turn; missing ones are recognised by their columns.
        made_up: Number of made-up people instead of sources.
        days: Days of the made-up people.
        pace: Events a made-up person makes a day.
        levels: Names of levels.
        attackers: Kinds of attacker; none named = all.
        cap: Most events of a probe.
        enrol: Most events enrolled of a person.
        charter: Its gates are checked; the shipped example's without one.
        seed: Makes the measurement the same again.
        steps: Steps the encoder is trained for.
        picture: Where to draw risk beside utility.
        progress: Is told how far it is.

    Raises:
        InvalidError: There is nothing to attack, or an option does not fit.
        UnavailableError: A package of the attackers is not installed.
    """
    from safehold.assurance.reidentify.attackers import KINDS, Arms
    from safehold.assurance.reidentify.picture import draw
    from safehold.assurance.reidentify.trial import LIMITS, Trial, outcome, run_trial

    kinds = tuple(attackers) or KINDS
    if unknown := [one for one in kinds if one not in KINDS]:
        raise InvalidError(
            f"{len(unknown)} attackers are not known", rule="attack.kind", fix=", ".join(KINDS)
        )
    need(kinds)
    ruled = load(charter or shipped("example"))
    trial = Trial(
        levels=tuple(_level(name) for name in levels),
        arms=Arms(kinds=kinds, seed=seed, steps=steps),
        cap=cap,
        enrol=enrol,
        gates=ruled.gates,
    )
    if made_up is not None:
        tables = _made_up(made_up, days=days, pace=pace, seed=seed)
    else:
        tables = _read(sources, mappings)
    found = run_trial(tables, trial, progress)
    name = "made-up people" if made_up is not None else ", ".join(one.name for one in sources)
    if picture is not None:
        picture.write_text(draw(found, title=f"Re-identification: {name}"), "utf-8")
    return {
        "source": name,
        "charter": {"name": "shipped example" if charter is None else charter.name},
        "seed": seed,
        "cap": cap,
        "enrol": enrol,
        "outcome": outcome(found),
        "found": [one.to_json() for one in found],
        "limits": list(LIMITS),
    }


def need(kinds: Sequence[str]) -> None:
    """Return only if what some kinds of attacker need is installed.

    Raises:
        UnavailableError: It is not.
    """
    wanted = {"sklearn"} | ({"jax", "optax"} if "encoder" in kinds else set())
    missing = sorted(name for name in wanted if importlib.util.find_spec(name) is None)
    if missing:
        extras = ",".join(sorted({_NEEDED[name] for name in missing}))
        raise UnavailableError(
            "what the attackers need is not installed",
            rule="attack.extra",
            fix=f"pip install 'safehold[{extras}]'",
        )


def _level(name: str) -> Level:
    try:
        return Level[name]
    except KeyError as error:
        raise InvalidError("a level is one of L0, L1, L2, L3, L4", rule="attack.level") from error


def _read(sources: Sequence[Path], mappings: Sequence[str]) -> dict[str, pa.Table]:
    import pyarrow as pa

    from safehold.ingest.gather import gather

    files: list[Path] = []
    for one in sources:
        if one.is_dir():
            files += sorted(file for file in one.iterdir() if file.suffix in ENDINGS)
        else:
            files.append(one)
    if not files:
        raise InvalidError(
            "there is no file to attack",
            rule="attack.source",
            fix="name a file or a folder of files, or --made-up with a number of people",
        )
    parts: dict[str, list[pa.Table]] = {}
    now_us = SystemClock().now_us()
    for number, file in enumerate(files):
        mapping = mappings[number] if number < len(mappings) else None
        for stream, table in gather(file, mapping, now_us=now_us).items():
            parts.setdefault(stream, []).append(table)
    return {stream: pa.concat_tables(tables) for stream, tables in parts.items()}


def _made_up(people: int, *, days: int, pace: int, seed: int) -> dict[str, pa.Table]:
    import pyarrow as pa

    from safehold.workforce import Spec, person_day

    today = day_of(SystemClock().now_us())
    # made by the seed alone: a fixed first day, so that the same call measures the same people
    spec = Spec(people=people, days=days, start_day=min(20_780, today), seed=seed, pace=pace)
    parts: dict[str, list[pa.Table]] = {"key": [], "pointer": []}
    for index in range(people):
        for day in range(days):
            made = person_day(spec, index, day)
            for stream, tables in parts.items():
                tables.append(made[stream])
    return {stream: pa.concat_tables(tables) for stream, tables in parts.items()}
