"""Five attacks of each kind, laid into the ordinary life of a company."""

from typing import Any

from .company import Row, World
from .facts import HOUR, Facts, Strike
from .strikes import FAST
from .strikes_long import LONG

KINDS = ("slow", "scope", "off_hours", "runaway", "export", "join", "artifact", "first_time")
EACH = 5
DAYS = {"slow": 6, "scope": 4}


def _inside(world: World, strike: Strike) -> bool:
    """Whether all of it lies after the learn days and before the end; sorts its events."""
    strike.rows.sort(key=lambda row: row[0])
    first, last = strike.rows[0][0], strike.rows[-1][0]
    return world.days.learn * 86400 < first and last < world.days.count * 86400


def attack(world: World) -> list[tuple[str, str, Strike]]:
    """Makes all attacks; an attack that fits nobody gives way to another variant of its kind."""
    facts, r = Facts(world), world.r
    done: list[tuple[str, str, Strike]] = []
    for kind in KINDS:
        makers = list({**FAST, **LONG}[kind])
        r.shuffle(makers)
        turns, got = 0, 0
        while got < EACH:
            maker = makers[turns % len(makers)]
            turns += 1
            if turns > 400:
                raise RuntimeError(f"no place for an attack of kind {kind}")
            strike = maker(facts)
            if strike is None or not strike.rows or not _inside(world, strike):
                continue
            first, last = strike.rows[0][0], strike.rows[-1][0]
            if last // 86400 - first // 86400 < DAYS.get(kind, 0) or not facts.free(
                strike.p, first, last
            ):
                continue
            facts.free_from[strike.p.name].append((first, last))
            done.append((kind, maker.__name__.replace("_", "-"), strike))
            got += 1
    return done


def merged(world: World) -> tuple[list[Row], list[dict[str, Any]]]:
    """The whole log in order of time, and which of its lines are attacks."""
    made = attack(world)
    marked: list[tuple[Row, int]] = [(row, -1) for row in world.log]
    for k, (_, _, strike) in enumerate(made):
        marked += [(row, k) for row in strike.rows]
    marked.sort(key=lambda x: int(x[0][0]))
    lines: list[list[int]] = [[] for _ in made]
    for number, (_, k) in enumerate(marked, 1):
        if k >= 0:
            lines[k].append(number)
    truth: list[dict[str, Any]] = []
    for (kind, variant, strike), where in zip(made, lines, strict=True):
        first, last = strike.rows[0][0], strike.rows[-1][0]
        tail = (6 if kind in {"slow", "scope"} else 1) * HOUR
        truth.append(
            {
                "kind": kind,
                "variant": variant,
                "principal": strike.p.name,
                "from": world.days.text(first),
                "to": world.days.text(last + tail),
                "lines": where,
            }
        )
    truth.sort(key=lambda x: x["lines"][0])
    return [row for row, _ in marked], truth
