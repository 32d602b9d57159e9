"""Agents, which act for their operators steadily or in bursts, and scheduled jobs."""

import random

from tests.access_bed import names
from tests.access_bed.diary import DAY, EPOCH, Diary
from tests.access_bed.records import Scribe
from tests.access_bed.world import Actor, Agent, World

ASSISTING = ("query.run", "table.preview", "catalog.browse", "embedding.search", "notebook.run")
BATCH = {
    "eval-runner": ("model.download", "eval.run"),
    "index-keeper": ("table.read", "embedding.upsert"),
    "auto-labeller": ("table.read", "label.write"),
    "feature-scout": ("table.preview", "feature.build"),
    "regression-hunter": ("query.run", "eval.run"),
    "data-tidier": ("table.read", "quality.check"),
}


class Machines:
    """Lets agents and jobs work for one day after another."""

    def __init__(self, world: World, diary: Diary, scribe: Scribe, seed: int) -> None:
        self.world, self.diary, self.scribe = world, diary, scribe
        self.rng = random.Random(f"bed-{seed}-machines")
        for actor in (*world.agents.values(), *world.jobs.values()):
            for segment in actor.segments:
                if segment not in names.OPEN:
                    scribe.book.give(actor.name, segment, EPOCH - DAY, 400)

    def serve(self, agent: Agent, day: int) -> None:
        """An agent's day: when its operator works, or at its hour of the night."""
        rng = self.rng
        window = self.diary.windows.get((agent.operator, day))
        if agent.nightly is not None:
            for _ in range(rng.choice((1, 2, 2, 3))):
                hour = agent.nightly + rng.uniform(0, 1.5)
                self._burst(agent, day, EPOCH + day * DAY + hour * 3600)
        if window is None:
            return
        operator = self.world.people[agent.operator]
        if rng.random() < 0.012 and len(agent.segments) < 6:
            self._widen(agent, day, window[0])
        if agent.bursty:
            busy = 2 if self.diary.rush(operator.name, day) else 1
            for _ in range(rng.randint(1, 4) * busy):
                self._burst(agent, day, rng.uniform(window[0], window[1] - 900))
            return
        # one conversation after another: an assistant serves one operator
        count = rng.randint(7, 14)
        slot = (window[1] - window[0]) / count
        for number in range(count):
            moment = window[0] + number * slot
            self._help(agent, day, moment + rng.uniform(0, slot / 3), moment + slot - 60)

    def _widen(self, agent: Agent, day: int, moment: float) -> None:
        """The operator's lead lets the agent use one more segment of its operator."""
        operator = self.world.people[agent.operator]
        more = [s for s in operator.segments if s not in (*agent.segments, *names.OPEN)]
        if not more:
            return
        segment = self.rng.choice(more)
        lead, moment = self.diary.approver(agent.team, moment)
        grant = self.scribe.book.give(agent.name, segment, moment, 400)
        things = (f"grant:{grant}", segment)
        self.scribe.note(lead, moment + 30, "grant.approve", things, segment, "agent-scope")
        agent.segments.append(segment)

    def _do(self, agent: Actor, moment: float, action: str, things: tuple[str, ...]) -> bool:
        """One call of an agent; now and then it is denied, and says so to its operator."""
        segment = things[-1].split(":")[-1].split(".")[0].split("/")[0]
        segment = names.MODELS.get(segment, segment)
        rows, size = self.scribe.amount(action, things[0], 0.6)
        done = self.rng.random() > 0.006
        purpose = names.PURPOSES[agent.team][len(agent.name) % 3]
        grant = self.scribe.book.grant(agent.name, segment)
        said = (agent, moment, action, things, segment, purpose)
        self.scribe.note(*said, rows=rows, size=size, grant=grant, done=done)
        return done

    def _help(self, agent: Agent, day: int, moment: float, end: float) -> None:
        """A short conversation: a few calls, each after somebody read the last answer."""
        rng = self.rng
        segment = agent.segments[int(len(agent.segments) * rng.random() ** 1.6)]
        table = self.scribe.table(agent.name, segment, day)
        index = self.world.segments[segment].index
        taste = [3 + len(agent.name + action) % 5 for action in ASSISTING]
        for _ in range(rng.randint(2, 9)):
            if moment > end:
                return
            action = rng.choices(ASSISTING, taste)[0]
            thing = index if action == "embedding.search" and index else table
            action = "query.run" if action == "embedding.search" and not index else action
            if not self._do(agent, moment, action, (thing,)) and rng.random() < 0.4:
                self._do(agent, moment + 20, action, (thing,))
            moment += rng.lognormvariate(4.2, 0.6) + 12

    def _burst(self, agent: Agent, day: int, moment: float) -> None:
        """A batch: tens of calls seconds apart on one or two segments."""
        rng = self.rng
        first, second = BATCH[agent.name.split("/")[1]]
        segment = rng.choice(agent.segments)
        table = self.scribe.table(agent.name, segment, day)
        pace = rng.uniform(3, 9)
        if first == "model.download":
            lines = self.world.models(agent.team)
            model = f"model:{rng.choice(lines)}"
            version = self.world.release(model.split(":")[1], day)
            things = (f"{model}/{version}", table)
            self._do(agent, moment, first, things[:1])
            moment += pace * 4
        for number in range(min(110, int(rng.lognormvariate(3.6, 0.5)) + 6)):
            if number % 12 == 11 and rng.random() < 0.5:
                table = self.scribe.table(agent.name, segment, day)
            action = second if number % 3 or first == "model.download" else first
            index = self.world.segments[segment].index
            thing = index if action == "embedding.upsert" and index else table
            if not self._do(agent, moment, action, (thing,)) and rng.random() < 0.5:
                moment += pace * 3
                self._do(agent, moment, action, (thing,))
            moment += pace * rng.uniform(0.6, 1.6)

    def schedule(self, day: int) -> None:
        """The scheduled jobs of one day, now and then run again after a failure."""
        rng, jobs = self.rng, self.world.jobs
        midnight = EPOCH + day * DAY
        for new in self.world.segments.values():
            if new.born == day > 0:
                for name in ("job/nightly-etl", "job/retention-sweep"):
                    jobs[name].segments.append(new.name)
                    self.scribe.book.give(name, new.name, midnight, 400)
        self._etl(jobs["job/nightly-etl"], day, midnight + 2.2 * 3600)
        if rng.random() < 0.06:
            self._etl(jobs["job/nightly-etl"], day, midnight + rng.uniform(4, 5) * 3600)
        self._etl(jobs["job/retention-sweep"], day, midnight + 0.6 * 3600)
        for hour in range(0, 24, 3):
            moment = midnight + hour * 3600 + rng.uniform(120, 400)
            job = jobs["job/feature-refresh"]
            for segment in job.segments:
                self._run(job, moment, "feature.build", f"features:jobs/{segment}", segment)
                moment += rng.uniform(2, 15)
        moment = midnight + 3.5 * 3600 + rng.uniform(0, 300)
        for segment in jobs["job/embed-rebuild"].segments:
            index = self.world.segments[segment].index or ""
            self._run(jobs["job/embed-rebuild"], moment, "embedding.build", index, segment)
            moment += rng.uniform(60, 400)
        for hour in range(1, 24, 6):
            moment = midnight + hour * 3600 + rng.uniform(0, 200)
            for model, segment in names.MODELS.items():
                thing = f"model:{model}/{self.world.release(model, day)}"
                self._run(jobs["job/model-sync"], moment, "model.download", thing, segment)
                moment += rng.uniform(1, 20)
        if day % 7 < 5:
            moment = midnight + 5.25 * 3600 + rng.uniform(0, 240)
            for segment in jobs["job/partner-feed"].segments:
                index = self.world.segments[segment].index or ""
                self._run(jobs["job/partner-feed"], moment, "embedding.export", index, segment)
                moment += rng.uniform(30, 90)

    def _run(self, job: Actor, moment: float, action: str, thing: str, segment: str) -> None:
        rows, size = self.scribe.amount(action, thing, 1.0)
        grant = self.scribe.book.grant(job.name, segment)
        said = (job, moment, action, (thing,), segment, "platform-operations")
        self.scribe.note(*said, rows=rows, size=size, grant=grant)

    def _etl(self, job: Actor, day: int, moment: float) -> None:
        """Pass over the segments: read what came in, join identities, write tables; or sweep."""
        rng = self.rng
        moment += rng.uniform(0, 600)
        for segment in job.segments:
            if job.role == "custodian":
                self._run(job, moment, "retention.sweep", f"{segment}.raw_identified", segment)
                moment += rng.uniform(5, 60)
                continue
            raw = f"{segment}.raw_identified"
            self._run(job, moment, "table.read", raw, segment)
            if rng.random() < 0.3:
                keys = self.world.segments["identity_keys"].tables[0][0]
                things = (min(keys, raw), max(keys, raw))
                said = (job, moment + 9, "table.join", things, segment, "platform-operations")
                rows, size = self.scribe.amount("table.join", raw, 1.0)
                grant = self.scribe.book.grant(job.name, segment)
                self.scribe.note(*said, rows=rows, size=size, grant=grant)
            table = rng.choice(self.world.segments[segment].seen(day))
            self._run(job, moment + 30, "table.write", table, segment)
            moment += rng.uniform(40, 200)
