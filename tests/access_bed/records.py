"""What is written down: events, the grants they name, and how large things are."""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.access_bed import names
from tests.access_bed.diary import DAY, EPOCH
from tests.access_bed.world import Actor, World


@dataclass(slots=True)
class Event:
    """One line of the log, and which attack it belongs to (none for nearly all)."""

    moment: float
    principal: str
    kind: str
    role: str
    team: str
    action: str
    objects: tuple[str, ...]
    segment: str
    purpose: str
    rows: int
    size: int
    grant: str | None
    done: bool
    attack: int = -1

    def line(self) -> str:
        """The event as one line of JSON."""
        said: dict[str, object] = {
            "t": iso(self.moment),
            "principal": self.principal,
            "kind": self.kind,
        }
        said |= {"role": self.role, "team": self.team, "action": self.action}
        whole: dict[str, object] = {
            "objects": list(self.objects),
            "segment": self.segment,
            "purpose": self.purpose,
        }
        whole |= {"rows": self.rows, "bytes": self.size, "grant": self.grant}
        whole["outcome"] = "ok" if self.done else "denied"
        return json.dumps(said | whole)


def iso(moment: float) -> str:
    """A moment in the form of the log."""
    when = datetime.fromtimestamp(round(moment * 1000) / 1000, UTC)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def day_of(moment: float) -> int:
    """The day of the log, from 0, at a moment."""
    return int((moment - EPOCH) // DAY)


class Book:
    """Who holds which grant for which segment, and until when."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.held: dict[tuple[str, str], tuple[str, float, float]] = {}

    def give(self, name: str, segment: str, start: float, days: float) -> str:
        """A new grant, in the place of an older one."""
        grant = f"gr-{self.rng.randrange(16**7):07x}"
        self.held[name, segment] = (grant, start, start + days * DAY)
        return grant

    def holds(self, name: str, segment: str, moment: float) -> bool:
        """Whether a grant for the segment has begun, expired or not."""
        if segment in names.OPEN:
            return True
        return (name, segment) in self.held and self.held[name, segment][1] <= moment

    def grant(self, name: str, segment: str) -> str | None:
        """The newest grant of somebody for a segment; open data need none."""
        return self.held[name, segment][0] if (name, segment) in self.held else None


class Scribe:
    """Writes events down and knows the usual size of each kind of use."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.book = Book(rng)
        self.events: list[Event] = []
        self.mixed: dict[tuple[str, str, int], list[str]] = {}

    def note(
        self,
        who: Actor,
        moment: float,
        action: str,
        objects: tuple[str, ...],
        segment: str,
        purpose: str,
        *,
        rows: int = 0,
        size: int = 0,
        grant: str | None = None,
        done: bool = True,
        team: str | None = None,
    ) -> Event:
        """Write one event down."""
        if not done:
            rows = size = 0
        event = Event(
            *(moment, who.name, who.kind, who.role, team or who.team, action, objects),
            *(segment, purpose, rows, size, grant, done),
        )
        self.events.append(event)
        return event

    def table(self, who: str, segment: str, day: int) -> str:
        """A table of a segment, after the person's own taste."""
        place = self.world.segments[segment]
        tables = place.seen(max(day, place.born))
        # a stable order of each person's own, so that everybody has favourites
        key = (who, segment, len(tables))
        if key not in self.mixed:
            self.mixed[key] = sorted(tables, key=lambda name: hash_of(who + name))
        mixed = self.mixed[key]
        return mixed[int(len(mixed) * self.rng.random() ** 2.5)]

    def amount(self, action: str, thing: str, thirst: float) -> tuple[int, int]:
        """Rows and bytes of one use of a thing, now and then far from the usual."""
        rng = self.rng
        model = thing.startswith(("model:", "checkpoint:"))
        key = thing.split(":")[1].split("/", maxsplit=1)[0] if model else thing
        base, width = self.world.size.get(key, (8e3, 200))
        jitter = rng.lognormvariate(0, 0.45) * thirst
        if rng.random() < 0.008:
            jitter *= rng.uniform(6, 30)
        if action in {"table.preview", "notebook.open", "catalog.browse"}:
            rows = 100 if action == "table.preview" else 0
        elif action == "query.run":
            rows = int(base * 0.03 * jitter) + 1
        elif action in {"notebook.run", "dashboard.view"}:
            rows = int(base * 0.08 * jitter) + 1
        elif action == "result.download":
            rows = int(400 * jitter) + 1
        elif action == "embedding.search":
            rows = rng.choice((10, 10, 20, 50, 100))
        elif action == "embedding.export":
            rows = int(9000 * jitter) + 100
        elif action in {"model.download", "checkpoint.download"}:
            return 0, int(width * (1 if action == "model.download" else 2.6))
        else:
            rows = int(base * jitter) + 1
        return rows, int(rows * width * rng.uniform(0.85, 1.15))


_HASHES: dict[str, int] = {}


def hash_of(text: str) -> int:
    """A number that depends on the text alone, the same in every process."""
    if text not in _HASHES:
        _HASHES[text] = random.Random(text).getrandbits(32)
    return _HASHES[text]
