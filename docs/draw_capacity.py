# ruff: noqa: INP001, T201, E501, PLR0917 - a script, not a package; its lines are those of a picture
"""Draw a day of 80,000 people: ``PYTHONPATH=src python docs/draw_capacity.py``.

Writes docs/pictures/capacity.svg from ``safehold capacity plan`` and prints the tables of
docs/explanation/eighty-thousand.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safehold.app.capacity.costs import read_costs
from safehold.app.capacity.day import Day
from safehold.app.capacity.plan import Setting, people_of_one_keeper, plan
from safehold.app.capacity.price import Prices
from safehold.app.capacity.work import Habits

PICTURE = Path(__file__).parent / "pictures" / "capacity.svg"
WIDTH, LEFT, WIDE, HIGH, GAP, TOP = 760, 70, 640, 110, 46, 40
INK, BLUE, BROWN, GREEN = "#1b1b1b", "#0b5fa5", "#a5540b", "#5b8c2a"
Line = tuple[str, str, Sequence[float]]


def panel(
    top: float, title: str, most: float, unit: str, lines: Sequence[Line], limit: float = 0.0
) -> list[str]:
    """Return one panel over the hours of a day (UTC)."""
    parts = [f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{title}</text>']
    for share in (0.0, 0.5, 1.0):
        y = top + HIGH * (1 - share)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDE}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" font-size="10">{most * share:,.4g}{unit}</text>'
        )
    for hour in range(0, 25, 4):
        x = LEFT + WIDE * hour / 24
        parts.append(
            f'<text x="{x:.1f}" y="{top + HIGH + 14}" text-anchor="middle" font-size="10">{hour}</text>'
        )
    if limit:
        y = top + HIGH * (1 - limit / most)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + WIDE}" y2="{y:.1f}" stroke="#b00020" stroke-dasharray="4 3"/>'
        )
    for number, (name, colour, values) in enumerate(lines):
        step = WIDE / (len(values) - 1)
        points = " ".join(
            f"{LEFT + at * step:.1f},{top + HIGH * (1 - min(one, most) / most):.1f}"
            for at, one in enumerate(values)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        )
        parts.append(
            f'<text x="{LEFT + WIDE}" y="{top - 8 + 0 * number}" dx="{-150 * (len(lines) - 1 - number)}" '
            f'text-anchor="end" fill="{colour}" font-size="11">{name}</text>'
        )
    return parts


def draw(one: dict[str, Any], alone: dict[str, Any], limit: float) -> str:
    """Return the picture: what comes in, how busy the parts are, what waits."""
    curves = one["curves"]
    keeper = curves["keeper_busy"]
    tops = [TOP + number * (HIGH + GAP) for number in range(3)]
    waiting = max(1.0, *curves["chunks_waiting"], *alone["curves"]["chunks_waiting"])
    high = 1.25 * max(0.8, *keeper, *alone["curves"]["keeper_busy"])
    parts = [
        *panel(tops[0], "events a second", 600_000.0, "", [("arrivals", BLUE, curves["events_a_second"])]),
        *panel(
            tops[1], f"busy, 1 is all of it (dashed: {limit:g})", round(high, 1), "",
            [("if each device asked alone", BROWN, alone["curves"]["keeper_busy"]), ("keeper", GREEN, keeper),
             ("sandboxes", BLUE, curves["sandbox_busy"])], limit,
        ),
        *panel(
            tops[2], "chunks that wait for the keeper", waiting, "",
            [("if each device asked alone", BROWN, alone["curves"]["chunks_waiting"]), ("as it is", GREEN, curves["chunks_waiting"])],
        ),
    ]  # fmt: skip
    high_all = tops[2] + HIGH + 34
    parts.append(
        f'<text x="{LEFT + WIDE / 2}" y="{high_all - 6}" text-anchor="middle" font-size="11">hour of the day, UTC</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high_all:.0f}" font-family="sans-serif" '
        f'font-size="13" fill="{INK}" role="img"><title>A day of 80,000 people</title>'
        f'<rect width="{WIDTH}" height="{high_all:.0f}" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def main() -> None:
    """Draw, and print what the page shows."""
    costs, setting = read_costs(), Setting()
    one = plan(costs, Day(people=80_000), setting, Prices())
    alone = plan(costs, Day(people=80_000), Setting(together=False), Prices())
    PICTURE.write_text(draw(one, alone, setting.limit), "utf-8")
    print(
        "| 80,000 people | keeper busy at the peak | of it chunks, leases, pages | chunk waits, p50, p99 | homes | machines | a month |"
    )
    for name, told in (("as it is", one), ("each device asks alone", alone)):
        does, waits = told["one_keeper"]["does"], told["waits"]["keeper"]
        print(
            f"| {name} | {told['one_keeper']['busy']:.2f} | {does['chunks']:.2f}, {does['leases']:.3f}, {does['pages']:.3f} | "
            f"{waits['p50_s']:.2f} s, {waits['p99_s']:.1f} s | {told['one_keeper']['homes']} | {told['price']['nodes']:.0f} | {told['price']['month']:,.0f} |"
        )
    print({name: {k: round(v, 2) for k, v in role.items()} for name, role in one["roles"].items()})
    print(
        {k: round(v, 1) for k, v in one["storage"].items()},
        one["arrivals"],
        one["price"],
        one["one_keeper"],
        one["night"],
    )
    print({"one": one["waits"], "alone": alone["waits"]})
    print("| setting | people of one keeper |")
    for name, changed in {
        "as it is": setting,
        "files of 5 minutes": Setting(batch_minutes=5),
        "files of an hour": Setting(batch_minutes=60),
        "gateways of 100 people": Setting(gateway_people=100),
        "gateways of 5,000 people": Setting(gateway_people=5_000),
        "one front": Setting(fronts=1),
        "ten fronts": Setting(fronts=10),
        "each device asks for a lease alone": Setting(together=False),
        "no leases (recorders that need none)": Setting(habits=Habits(leases=0)),
        "each device hands in its own": Setting(way="devices"),
        "each device hands in its own, hourly": Setting(way="devices", batch_minutes=60),
        "busy up to 0.8": Setting(limit=0.8),
    }.items():
        print(f"| {name} | {people_of_one_keeper(costs, Day(people=80_000), changed):,} |")


if __name__ == "__main__":
    main()
