"""Veldkamp & Tan, forwarders of freight: its offices, its data and the people who work with them.

The firm clears customs, plans lorries and berths, and answers shippers from offices in Europe and in
South-East Asia.  It trains four assistants on how its clerks work.  What is recorded rests in segments
named `place/stream`; what is made of it rests by assistant, under `features/`, `vectors/`, `evals/`
and `registry/`.
"""

import random
from dataclasses import dataclass, field

EUROPE = ("rtm", "ham", "gdn", "lis")
ASIA = ("sin", "pen", "ceb")
LATE = "sgn"  # the office that opens while the log runs
STREAMS: dict[str, tuple[str, ...]] = {
    "keys": ("sessions", "shortcuts", "corrections"),
    "pointer": ("paths", "dwell"),
    "chats": ("threads", "handovers", "customers"),
    "prompts": ("turns", "ratings", "tools"),
    "calls": ("words", "minutes", "speakers"),
    "performance": ("cycle_times", "errors", "reviews"),
    "people": ("rota", "bridge"),
}
WIDTH = {
    "keys": 90, "pointer": 48, "chats": 420, "prompts": 900, "calls": 260, "performance": 120,
    "people": 80, "features": 640, "vectors": 3100, "evals": 1100, "audit": 300, "registry": 64,
}  # fmt: skip
ASSISTANTS: dict[str, tuple[str, ...]] = {
    "customs": ("keys", "prompts", "chats"),
    "dispatch": ("pointer", "chats", "keys"),
    "mail": ("chats", "prompts", "keys"),
    "berth": ("calls", "prompts", "pointer"),
}
# what a product team may put side by side
PAIRS: dict[str, tuple[tuple[str, str], ...]] = {
    "customs": (
        ("keys/sessions", "keys/corrections"),
        ("prompts/turns", "prompts/ratings"),
        ("keys/sessions", "prompts/turns"),
        ("chats/handovers", "chats/threads"),
    ),
    "dispatch": (
        ("pointer/paths", "pointer/dwell"),
        ("pointer/paths", "keys/sessions"),
        ("chats/handovers", "chats/threads"),
        ("keys/shortcuts", "keys/sessions"),
    ),
    "mail": (
        ("chats/customers", "chats/threads"),
        ("prompts/turns", "prompts/ratings"),
        ("chats/customers", "prompts/turns"),
        ("keys/corrections", "chats/threads"),
    ),
    "berth": (
        ("calls/words", "calls/minutes"),
        ("calls/words", "calls/speakers"),
        ("prompts/turns", "prompts/tools"),
        ("calls/minutes", "prompts/turns"),
    ),
    "insight": (
        ("performance/cycle_times", "performance/errors"),
        ("performance/cycle_times", "people/rota"),
    ),
    "foundation": (
        ("keys/sessions", "keys/corrections"),
        ("chats/threads", "chats/customers"),
        ("calls/words", "calls/speakers"),
    ),
}
# roles whose work changes while the log runs
MOVABLE = ("data_scientist", "ml_engineer", "data_engineer", "evaluator", "annotator", "analyst")
FIRST = [
    "anneke",
    "bram",
    "carys",
    "dieter",
    "elif",
    "femke",
    "goran",
    "hanna",
    "ines",
    "jonas",
    "katja",
    "lars",
    "marta",
    "nils",
    "olga",
    "pavel",
    "rosa",
    "stijn",
    "tomasz",
    "ula",
    "vera",
    "wim",
    "yara",
    "zofia",
    "aisyah",
    "bayani",
    "chen",
    "dewi",
    "eko",
    "farah",
    "gita",
    "hafiz",
    "indra",
    "jia",
    "kamal",
    "lina",
    "mei",
    "nadia",
    "omar",
    "puteri",
    "ravi",
    "siti",
    "teck",
    "umar",
    "vijay",
    "wei",
    "yong",
    "zul",
]
LAST = [
    "vos",
    "bakker",
    "kowalska",
    "jansen",
    "meyer",
    "lindt",
    "ferreira",
    "costa",
    "wojcik",
    "brandt",
    "smit",
    "tan",
    "lim",
    "goh",
    "santos",
    "reyes",
    "ismail",
    "rahman",
    "nair",
    "chua",
    "ong",
    "teo",
    "cruz",
    "bautista",
    "pereira",
    "hartmann",
    "nowak",
    "visser",
]


@dataclass(frozen=True)
class Place:
    """An office."""

    code: str
    continent: str


@dataclass
class Beat:
    """A piece of work somebody has: a purpose, and the segments and data sets it is done in."""

    purpose: str
    assistant: str
    segments: list[str]
    sets: dict[str, list[str]]
    old: bool = True  # its grants were given before the log begins
    until: int = 10**6


@dataclass
class Actor:
    """A person, an agent or a scheduled job."""

    name: str
    kind: str
    role: str
    team: str
    place: Place
    assistant: str
    start: float = 9.0  # by the clock on the wall
    length: float = 8.0
    pace: float = 4.0  # sessions a day
    evening: float = 0.0
    weekend: float = 0.0
    size: float = 1.0
    beats: list[Beat] = field(default_factory=list)
    first_day: int = 0
    last_day: int = 10**6
    away: set[int] = field(default_factory=set)
    owner: "Actor | None" = None
    style: str = ""
    on_call: bool = False
    shift: dict[int, int] = field(default_factory=dict)  # hours, on days of travel

    def here(self, day: int) -> bool:
        """Employed, and not on leave."""
        return self.first_day <= day <= self.last_day and day not in self.away


class Catalogue:
    """What exists: offices, data sets by segment, pairs by team, models by assistant."""

    def __init__(self, rng: random.Random) -> None:
        europe = sorted(rng.sample(EUROPE, 3))
        asia = sorted(rng.sample(ASIA, rng.choice((2, 3))))
        self.places = [Place(p, "europe") for p in europe] + [Place(p, "asia") for p in asia]
        self.sets: dict[str, list[str]] = {}
        for place in self.places:
            self.open(place.code)
        self.pairs = {team: list(pairs) for team, pairs in PAIRS.items()}
        self.features = {
            a: [
                f"features/{a}/{n}"
                for n in rng.sample(
                    ("rhythm", "pauses", "routes", "intents", "tone", "steps", "fields"), 4
                )
            ]
            for a in ASSISTANTS
        }
        self.vectors = {
            a: [f"vectors/{a}/{n}" for n in ("turns", "threads", "episodes")] for a in ASSISTANTS
        }
        self.evals = {
            a: [f"evals/{a}/{n}" for n in ("golden", "refusals", "regress")] for a in ASSISTANTS
        }
        self.version = {a: rng.randint(4, 30) for a in ASSISTANTS}
        self.run = {a: rng.randint(100, 800) for a in ASSISTANTS}
        self.weight = {a: rng.uniform(4e8, 5e9) for a in ASSISTANTS}

    def open(self, code: str) -> None:
        """Give an office its segments."""
        for stream, names in STREAMS.items():
            self.sets[f"{code}/{stream}"] = [f"{code}/{stream}/{n}" for n in names]

    def model(self, assistant: str, back: int = 0) -> str:
        """A version of an assistant, the newest unless told."""
        return f"models/{assistant}/v{self.version[assistant] - back}"


class Names:
    """Names of people, none twice."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()

    def next(self) -> str:
        """A name nobody has."""
        while True:
            name = f"{self._rng.choice(FIRST)}.{self._rng.choice(LAST)}"
            if name not in self._used:
                self._used.add(name)
                return name


def stream_of(segment: str) -> str:
    """`keys` for `rtm/keys`; `features` for `features/mail`."""
    head, _, tail = segment.partition("/")
    return head if head in WIDTH else tail
