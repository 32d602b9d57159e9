"""Attacks that take days."""

from collections import Counter

from tests.access_port.company import Actor
from tests.access_port.log import DAY, HOUR, Event
from tests.access_port.plant import READS, Plant


def _work_days(plant: Plant, actor: Actor, first: int, span: int) -> list[int]:
    """Days of the span on which they are at work, before the log ends."""
    last = min(first + span, plant.world.total)
    return [d for d in range(first, last) if plant.moment(actor, d) is not None]


def _reads(plant: Plant, actor: Actor, at: int) -> list[Event]:
    return [e for e in plant.usual(actor, at) if e.action in READS and e.rows > 3]


def _busy(plant: Plant, actor: Actor, first: int) -> list[Event] | None:
    """Their reads so far, if there are enough of them to know what is usual: some six a day of work."""
    reads = _reads(plant, actor, first * DAY)
    days = {e.at // DAY for e in reads}
    return reads if days and len(reads) >= 40 and len(reads) / len(days) >= 6 else None


def slow_larger(plant: Plant, actor: Actor, first: int, span: int) -> bool:
    """As many reads as ever, but most of them two to three times as large, for a week or more."""
    if _busy(plant, actor, first) is None or len(_work_days(plant, actor, first, span)) < 4:
        return False
    start, end = first * DAY, min(first + span, plant.world.total) * DAY
    now = [
        e
        for e in plant.by_name[actor.name]
        if start <= e.at < end and e.action in READS and e.rows > 3 and e.outcome == "ok"
    ]
    if len(now) < 24:
        return False
    for event in now:
        if plant.rng.random() < 0.75:
            more = plant.rng.uniform(2.1, 3.3)
            event.rows, event.bytes = int(event.rows * more), int(event.bytes * more)
            event.attack = plant.number
    return True


def slow_more(plant: Plant, actor: Actor, first: int, span: int) -> bool:
    """On top of the usual reads nearly as many again each day, all among their larger ones: the week is doubled."""
    reads, days = _busy(plant, actor, first), _work_days(plant, actor, first, span)
    if reads is None or len(days) < 4:
        return False
    ranked = sorted(reads, key=lambda e: e.rows)
    large = ranked[len(ranked) * 3 // 5 : len(ranked) * 19 // 20]
    daily = len(reads) / len({e.at // DAY for e in reads})
    for day in days:
        for _ in range(min(20, max(6, round(daily * plant.rng.uniform(0.65, 1.0))))):
            at = plant.moment(actor, day, 0.05, 0.95)
            if at is not None:
                plant.again(at, actor, plant.rng.choice(large))
    return True


def slow_drawer(plant: Plant, actor: Actor, first: int, span: int) -> bool:
    """Each day before going home the same data set, in pieces two or three times the usual size: nobody reads one so steadily."""
    reads, days = _busy(plant, actor, first), _work_days(plant, actor, first, span)
    if reads is None or len(days) < 4:
        return False
    weight: Counter[str] = Counter()
    daily: Counter[tuple[str, ...]] = Counter()
    for event in reads:
        weight[event.action] += event.rows
        daily[event.objects] += 1
    most = weight.most_common(1)[0][0]
    seldom = 2.5 * len({e.at // DAY for e in reads})
    able = [
        e
        for e in reads[-120:]
        if e.action == most and len(e.objects) == 1 and daily[e.objects] <= seldom
    ]
    if not able:
        return False
    like = plant.rng.choice(able)
    same = sorted(e.rows for e in reads if e.action == like.action)
    middle = same[len(same) // 2]
    for day in days:
        at = plant.moment(actor, day, 0.8, 0.9)
        for _ in range(plant.rng.randint(7, 10)):
            if at is not None:
                plant.do(
                    at,
                    actor,
                    like.action,
                    like.objects,
                    like.segment,
                    like,
                    rows=max(5, middle * plant.rng.uniform(2.0, 3.2)),
                )
                at += plant.gap(60, 400)
    return True


def _fresh(plant: Plant, actor: Actor, first: int) -> list[str]:
    """Segments new to them, those nearest to their work first."""
    seen = plant.segments(actor, first * DAY)
    streams = {s.partition("/")[2] for s in seen}
    able = [s for s in plant.world.catalogue.sets if s not in seen and not s.startswith("sgn/")]
    plant.rng.shuffle(able)
    return sorted(able, key=lambda s: s.partition("/")[2] not in streams)


def _look(
    plant: Plant, actor: Actor, at: int, segment: str, like: Event, grant: str | None = None
) -> int:
    for _ in range(plant.rng.randint(2, 4)):
        name = plant.rng.choice(plant.world.catalogue.sets[segment])
        plant.do(
            at,
            actor,
            "dataset.read",
            (name,),
            segment,
            like,
            rows=plant.rng.uniform(150, 2500),
            grant=grant,
        )
        at += plant.gap(40, 400)
    return at


def scope_asking(plant: Plant, actor: Actor, first: int, span: int) -> bool:
    """Each day a grant or two more, waved through by one lead; more in a week than most get in half a year."""
    days, able = _work_days(plant, actor, first, span), _fresh(plant, actor, first)
    if len(days) < 4 or len(able) < 8:
        return False
    desk = plant.world.desk
    for day in days:
        at = plant.moment(actor, day, 0.1, 0.5)
        for _ in range(plant.rng.choice((1, 2, 2))):
            if at is None or not able:
                break
            segment, like, ident = able.pop(0), plant.usual(actor, first * DAY)[-1], plant.ident(at)
            named = (f"holder:{actor.name}",)
            plant.do(at, actor, "grant.request", named, segment, like, size=0, grant=ident)
            at += plant.gap(60, 400)
            lead = desk.approver(actor, "lead", at)
            plant.beside.append(
                Event(
                    at,
                    lead.name,
                    "human",
                    lead.role,
                    lead.team,
                    "grant.approve",
                    named,
                    segment,
                    like.purpose,
                    0,
                    0,
                    ident,
                    "ok",
                )
            )
            at = _look(plant, actor, at + plant.gap(20, 200), segment, like, ident)
    return True


def scope_purposes(plant: Plant, actor: Actor, first: int, span: int) -> bool:
    """The same segments for one more purpose each day, none of them theirs, all under the grant for the first."""
    days = _work_days(plant, actor, first, span)
    usual = _reads(plant, actor, first * DAY)
    mine = {e.purpose for e in plant.past(actor, first * DAY)}
    others = sorted({e.purpose for name in plant.by_name for e in plant.by_name[name][:40]} - mine)
    if len(days) < 4 or len(usual) < 20 or len(others) < 6:
        return False
    plant.rng.shuffle(others)
    for day in days:
        at = plant.moment(actor, day)
        purpose = others.pop() if others else ""
        for _ in range(plant.rng.randint(3, 5)):
            if at is None or not purpose:
                break
            like = plant.rng.choice(usual[-150:])
            plant.do(
                at,
                actor,
                like.action,
                like.objects,
                like.segment,
                like,
                rows=plant.near(like.rows, 5),
                purpose=purpose,
            )
            at += plant.gap(60, 500)
    return True


def scope_trying(plant: Plant, actor: Actor, first: int, span: int) -> bool:
    """Every day one or two new segments, some refused at first, then read under a grant that does not name them."""
    days, able = _work_days(plant, actor, first, span), _fresh(plant, actor, first)
    if len(days) < 4 or len(able) < 8:
        return False
    for day in days:
        at = plant.moment(actor, day, 0.1, 0.6)
        for _ in range(plant.rng.choice((1, 2, 2))):
            if at is None or not able:
                break
            segment, like = able.pop(0), plant.usual(actor, first * DAY)[-1]
            if plant.rng.random() < 0.5:
                name = plant.world.catalogue.sets[segment][0]
                plant.do(at, actor, "dataset.read", (name,), segment, like, outcome="denied")
                at += plant.gap(20, 200)
            at = _look(plant, actor, at, segment, like) + plant.gap(200, 2 * HOUR / 1000)
    return True
