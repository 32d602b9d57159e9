"""Who works at the firm: people in their teams, agents with their operators, scheduled jobs."""

import random

from tests.access_port.company import ASSISTANTS, STREAMS, Actor, Beat, Catalogue, Names, Place

TEAMS: tuple[tuple[str, str, int, int], ...] = (  # team, role, from, to
    ("foundation", "data_engineer", 4, 6),
    ("evaluation", "evaluator", 3, 5),
    ("labelling-west", "annotator", 3, 6),
    ("labelling-east", "annotator", 3, 6),
    ("insight", "analyst", 4, 6),
    ("trust-office", "auditor", 2, 3),
    ("watch", "responder", 4, 5),
    ("platform", "platform_engineer", 3, 5),
    ("release", "release_manager", 2, 2),
)
PACE = {
    "data_scientist": 4.2, "ml_engineer": 4.4, "lead": 2.2, "data_engineer": 4.5, "evaluator": 4.0,
    "annotator": 3.6, "analyst": 4.2, "auditor": 3.2, "privacy_officer": 1.8, "responder": 3.6,
    "platform_engineer": 3.8, "release_manager": 2.6,
}  # fmt: skip


class Staff:
    """Makes the people of one firm."""

    def __init__(self, rng: random.Random, catalogue: Catalogue) -> None:
        self.rng = rng
        self.catalogue = catalogue
        self.names = Names(rng)
        self.home = {  # each product is led from one continent and has a hand in the other
            a: ("europe", "asia")[i % 2] for i, a in enumerate(rng.sample(sorted(ASSISTANTS), 4))
        }
        self.people: list[Actor] = []
        self.agents: list[Actor] = []
        self.jobs: list[Actor] = []
        self._teams()
        self._agents()
        self._jobs()

    def place(self, continent: str | None = None) -> Place:
        """An office, on that continent if one is named."""
        return self.rng.choice(
            [p for p in self.catalogue.places if continent in (None, p.continent)]
        )

    def person(self, team: str, role: str, continent: str | None, assistant: str) -> Actor:
        """Somebody with habits of their own."""
        rng = self.rng
        actor = Actor(
            name=self.names.next(), kind="human", role=role, team=team,
            place=self.place(continent), assistant=assistant,
            start=rng.gauss(8.8, 0.7), length=rng.gauss(8.3, 0.5),
            pace=1.25 * PACE[role] * rng.lognormvariate(0, 0.25), size=rng.lognormvariate(0, 0.45),
        )  # fmt: skip
        if rng.random() < 0.14:  # some like the evening, whatever the hour is called
            actor.evening = rng.uniform(0.15, 0.4)
        if rng.random() < 0.08:
            actor.weekend = rng.uniform(0.15, 0.4)
        actor.beats = self.beats(actor)
        self.people.append(actor)
        return actor

    def beats(self, actor: Actor, assistant: str = "") -> list[Beat]:
        """The work of somebody in that role."""
        rng, role = self.rng, actor.role
        assistant = assistant or actor.assistant
        near = [p.code for p in self.catalogue.places if p.continent == actor.place.continent]
        every = [p.code for p in self.catalogue.places]
        beats: list[Beat] = []
        if role in ("data_scientist", "ml_engineer", "lead"):
            streams = ASSISTANTS[assistant]
            beats.append(self.beat(f"train.{assistant}", assistant, near, streams[:2], 0.75))
            if rng.random() < 0.5:
                beats.append(
                    self.beat(f"study.{assistant}", assistant, rng.sample(every, 2), streams[2:], 1)
                )
        elif role == "data_engineer":
            streams = tuple(rng.sample(sorted(STREAMS), 3))
            beats.append(self.beat("curate.intake", assistant, near, streams, 0.8))
        elif role == "evaluator":
            for name in rng.sample(sorted(ASSISTANTS), 2):
                beats.append(self.beat(f"evaluate.{name}", name, near[:2], ASSISTANTS[name][:1], 1))
        elif role == "annotator":
            beats.append(
                self.beat("label.quality", assistant, near, ASSISTANTS[assistant][:2], 0.8)
            )
        elif role == "analyst":
            beats.append(
                self.beat("insight.throughput", assistant, near, ("performance", "people"), 0.9)
            )
        elif role in ("auditor", "privacy_officer"):
            beats.append(
                Beat(
                    "oversight.audit",
                    assistant,
                    ["audit/ledger"],
                    {"audit/ledger": ["audit/ledger/uses", "audit/ledger/grants"]},
                )
            )
        elif role == "responder":
            beats.append(
                Beat(
                    "security.response",
                    assistant,
                    ["audit/ledger"],
                    {
                        "audit/ledger": [
                            "audit/ledger/uses",
                            "audit/ledger/alarms",
                            "audit/ledger/sessions",
                        ]
                    },
                )
            )
        elif role == "platform_engineer":
            beats.append(
                self.beat(
                    "operate.platform",
                    assistant,
                    every,
                    tuple(rng.sample(("keys", "pointer", "chats", "prompts", "calls"), 3)),
                    0.7,
                )
            )
        else:
            beats.append(
                self.beat("release.assistant", assistant, near[:1], ASSISTANTS[assistant][:1], 1)
            )
        return beats

    def beat(
        self,
        purpose: str,
        assistant: str,
        places: list[str],
        streams: tuple[str, ...],
        share: float,
    ) -> Beat:
        """A beat over some places and streams; not everybody uses every one."""
        rng = self.rng
        wanted = [f"{p}/{s}" for p in places for s in streams]
        kept = [s for s in wanted if rng.random() < share] or [rng.choice(wanted)]
        rng.shuffle(kept)
        sets: dict[str, list[str]] = {}
        for segment in kept:
            usual = [
                s for s in self.catalogue.sets[segment] if not s.endswith(("/reviews", "/bridge"))
            ]
            if (
                purpose == "insight.throughput"
                and segment.endswith("/performance")
                and rng.random() < 0.25
            ):
                usual.append(f"{segment}/reviews")
            sets[segment] = rng.sample(usual, min(len(usual), rng.choice((1, 2, 2, 3))))
        return Beat(purpose, assistant, kept, sets)

    def _teams(self) -> None:
        rng = self.rng
        for assistant, home in self.home.items():
            self.person(assistant, "lead", home, assistant)
            for role, low, high in (("data_scientist", 3, 5), ("ml_engineer", 2, 4)):
                for _ in range(rng.randint(low, high)):
                    self.person(assistant, role, home if rng.random() < 0.85 else None, assistant)
        for team, role, low, high in TEAMS:
            side = {"labelling-west": "europe", "labelling-east": "asia"}.get(team)
            for number in range(rng.randint(low, high)):
                where = side or ("europe", "asia")[number % 2]
                self.person(team, role, where, rng.choice(sorted(ASSISTANTS)))
        for continent in ("europe", "asia"):
            self.person("trust-office", "privacy_officer", continent, "mail")
            self.person("foundation", "lead", continent, rng.choice(sorted(ASSISTANTS)))
        for actor in self.people:
            if actor.role in ("responder", "platform_engineer") or (
                actor.role == "ml_engineer" and rng.random() < 0.25
            ):
                actor.on_call = True

    def agent(self, owner: Actor, style: str, number: int) -> Actor:
        """An agent that acts for somebody, with part of what they may do."""
        rng = self.rng
        beats = [
            Beat(b.purpose, b.assistant, b.segments[: rng.choice((2, 3, 4))], b.sets)
            for b in owner.beats
        ]
        actor = Actor(
            name=f"{style}-{number:02d}", kind="agent", role=f"{style}_agent", team=owner.team, place=owner.place,
            assistant=owner.assistant, start=owner.start, length=owner.length, owner=owner, style=style,
            pace=rng.uniform(1.2, 3.6), size=rng.lognormvariate(-0.3, 0.3), beats=beats,
        )  # fmt: skip
        self.agents.append(actor)
        return actor

    def _agents(self) -> None:
        rng, people = self.rng, self.people
        helped = [
            p
            for p in people
            if p.role in ("data_scientist", "ml_engineer", "analyst", "data_engineer")
        ]
        for number, owner in enumerate(rng.sample(helped, rng.randint(9, 13)), 1):
            self.agent(owner, "copilot", number)
        testers = [p for p in people if p.role == "evaluator"]
        for number, owner in enumerate(rng.sample(testers, rng.randint(2, 3)), 1):
            self.agent(owner, "sweeper", number).pace = rng.uniform(0.8, 1.4)
        keepers = [p for p in people if p.role in ("responder", "platform_engineer")]
        for number, owner in enumerate(rng.sample(keepers, rng.randint(2, 3)), 1):
            self.agent(owner, "watcher", number)

    def job(
        self, name: str, purpose: str, assistant: str, segments: list[str], style: str
    ) -> Actor:
        """A scheduled job, owned by an engineer."""
        rng = self.rng
        owner = rng.choice(
            [p for p in self.people if p.role in ("data_engineer", "platform_engineer")]
        )
        beat = Beat(
            purpose,
            assistant,
            segments,
            {s: list(self.catalogue.sets.get(s, [])) for s in segments},
        )
        actor = Actor(
            name=f"job-{name}", kind="workload", role="scheduled_job", team=owner.team, place=owner.place,
            assistant=assistant, owner=owner, style=style, beats=[beat],
        )  # fmt: skip
        self.jobs.append(actor)
        return actor

    def _jobs(self) -> None:
        streams = [s for s in STREAMS if s != "people"]
        raw = [s for s in self.catalogue.sets if not s.endswith("/people")]
        for place in self.catalogue.places:
            self.job(
                f"landing-{place.code}",
                "intake.land",
                "mail",
                [f"{place.code}/{s}" for s in streams],
                "landing",
            )
        self.job("pseudonyms", "intake.pseudonymise", "mail", raw, "pseudonyms")
        for name, wanted in ASSISTANTS.items():
            mine = [s for s in raw if s.split("/")[1] in wanted[:2]]
            self.job(f"features-{name}", f"train.{name}", name, mine, "features")
            self.job(f"vectors-{name}", f"train.{name}", name, mine[:5], "vectors")
            self.job(f"trainer-{name}", f"train.{name}", name, [f"registry/{name}"], "trainer")
        for name, style in (("retention", "retention"), ("backup", "backup")):
            self.job(name, f"operate.{name}", "mail", list(self.catalogue.sets), style)
        self.job(
            "publish-index",
            "release.assistant",
            "mail",
            [f"vectors/{a}" for a in ASSISTANTS],
            "publish",
        )
        self.job(
            "serve-refresh",
            "release.assistant",
            "mail",
            [f"registry/{a}" for a in ASSISTANTS],
            "serve",
        )
        self.job(
            "consent-sync",
            "oversight.consent",
            "mail",
            [f"{p.code}/people" for p in self.catalogue.places],
            "consent",
        )
