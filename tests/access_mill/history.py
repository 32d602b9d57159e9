"""What was ordinary, counted from the benign lines, so that attacks can be chosen against it."""

from collections import Counter, defaultdict

from tests.access_mill.journal import Line
from tests.access_mill.place import DAY
from tests.access_mill.world import Principal, World


class History:
    """Counts over all benign lines of a log, before and after an attack alike."""

    def __init__(self, world: World, lines: list[Line]) -> None:
        self.world, self.calendar = world, world.calendar
        self.actions: dict[str, Counter[str]] = defaultdict(Counter)
        self.segments: dict[str, Counter[str]] = defaultdict(Counter)
        self.team_segments: dict[str, Counter[str]] = defaultdict(Counter)
        self.users: dict[str, Counter[str]] = defaultdict(Counter)
        self.team_users: dict[str, Counter[str]] = defaultdict(Counter)
        self.hours: dict[str, Counter[int]] = defaultdict(Counter)
        self.since: dict[tuple[str, str], float] = {}
        self.weekend: Counter[str] = Counter()
        self.times: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        self.rows: dict[str, list[int]] = defaultdict(list)
        self.day_rows: dict[str, Counter[int]] = defaultdict(Counter)
        self.together: Counter[tuple[str, str]] = Counter()
        for when, who, fields in lines:
            name, day = who.name, int(when // DAY)
            self.actions[name][fields["action"]] += 1
            self.hours[name][int(self.calendar.local(when, who.region))] += 1
            self.weekend[name] += self.calendar.weekend(day)
            self.times[name][day].append(when)
            if fields["action"] != "catalog.list" and fields["outcome"] == "ok":
                self.segments[name][fields["segment"]] += 1
                key = (name, fields["segment"])
                self.since[key] = min(when, self.since.get(key, when))
                self.team_segments[who.team][fields["segment"]] += 1
                for title in fields["objects"]:
                    self.users[title][name] += 1
                    self.team_users[title][who.team] += 1
            if fields["rows"]:
                self.rows[name].append(fields["rows"])
                self.day_rows[name][day] += fields["rows"]
            titles = fields["objects"]
            for left in titles if len(titles) > 1 else ():
                for right in titles:
                    self.together[(left, right)] += 1
        for rows in self.rows.values():
            rows.sort()

    def events(self, who: Principal) -> int:
        """How many lines somebody has."""
        return sum(self.actions[who.name].values())

    def known(self, who: Principal, days: int = 8) -> bool:
        """Whether somebody was active on enough days to learn for an expert to say what is usual."""
        if who.moving or who.last < self.calendar.learn:
            return False
        learn = self.calendar.learn
        active = sum(1 for day in self.times[who.name] if day < learn)
        return active >= min(days, learn // 3)

    def usual(self, who: Principal, share: float = 0.5) -> int:
        """A quantile of somebody's rows per line."""
        rows = self.rows[who.name] or [100]
        return rows[min(len(rows) - 1, int(share * len(rows)))]

    def usual_day(self, who: Principal, share: float = 0.5) -> int:
        """A quantile of somebody's rows per active day."""
        rows = sorted(self.day_rows[who.name].values()) or [500]
        return rows[min(len(rows) - 1, int(share * len(rows)))]

    def most(self, who: Principal, days: int = 10) -> int:
        """The most rows that somebody had in so many days on end."""
        rows = self.day_rows[who.name]
        starts = range(self.calendar.days - days + 1)
        return max(sum(rows[start + n] for n in range(days)) for start in starts)

    def usual_count(self, who: Principal, share: float = 0.5) -> int:
        """A quantile of somebody's lines per active day."""
        counts = sorted(len(times) for times in self.times[who.name].values()) or [1]
        return counts[min(len(counts) - 1, int(share * len(counts)))]

    def strange(self, who: Principal) -> list[str]:
        """Segments that neither somebody nor anybody of the team ever used, sensitive ones first."""
        friends = {who.plan.domain, *who.plan.friends, "shared"}
        mine, ours = self.segments[who.name], self.team_segments[who.team]
        return [
            one.name
            for one in self.world.segments.values()
            if one.domain not in friends and one.name not in mine and ours[one.name] == 0
        ]

    def strange_model(self, who: Principal, day: int) -> list[str]:
        """Families of other domains that nobody of a team ever took, none of them just released."""
        domains = {who.plan.domain, *who.plan.friends}
        return [
            model.family
            for model in self.world.models.values()
            if model.domain not in domains
            and model.family not in who.models
            and not any(day - 4 <= one <= day + 1 for one in model.releases)
            and not any(who.team in self.team_users[model.weights(n)] for n in range(25))
        ]
