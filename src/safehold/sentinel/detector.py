"""The sentinel's detector: events one by one go in, alerts come out; no clock, no chance, no file."""

from __future__ import annotations

from hashlib import sha256
from math import log
from typing import Any, Final

import orjson

from safehold.clock import DAY_US
from safehold.errors import InvalidError
from safehold.sentinel.alert import Alert
from safehold.sentinel.bursts import Bursts
from safehold.sentinel.crowd import Circle
from safehold.sentinel.event import Event
from safehold.sentinel.evidence import Finding, hold
from safehold.sentinel.grants import Grants
from safehold.sentinel.homes import Homes
from safehold.sentinel.idle import Idle
from safehold.sentinel.measure import Running
from safehold.sentinel.nights import Reasons
from safehold.sentinel.profile import FIRST_DAYS, MOST_CAME, Profile, came
from safehold.sentinel.runs import settle
from safehold.sentinel.sentence import MILDER, severity_of, tell
from safehold.sentinel.settings import HOUR_US, Settings
from safehold.sentinel.signals import find
from safehold.sentinel.threshold import Thresholds
from safehold.sentinel.volume import Usual, close, settle_week
from safehold.sentinel.words import PAPER, approves

FORMAT: Final = "safehold-sentinel/8"
LEAST_DAYS: Final = 5  # active days before the volume of a day can be odd
ODD: Final = 3.0  # standard deviations above which a day is not learned
A_DAY: Final = 0.1  # what a day of all principals weighs in how much of a day is new
FEW: Final = 10  # principals of a kind that there are at least, for that
WORTH: Final = 0.75  # part of a channel's floor below which a score is not even kept
SEVERE: Final = 3
HELD: Final = 2  # from which severity on a day does not become habit
WEEK: Final = 7
MOST_HABITS: Final = 4_000
SHIFTED: Final = 20  # days of principals before a shift is one of all
SHARED: Final = (
    "s",
    "o",
    "p",
    "a",
    "u",
    "g",
    "f",
    "q",
    "x",
    "j",
)  # kinds of things that colleagues explain


class Sentinel:
    """Watches a stream of events; see the package for how it is used.

    Args:
        settings: What it is set by.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self.begun = -1
        self.day = -1
        self.last_us = 0
        self.people: dict[str, Profile] = {}
        self.circles: dict[str, Circle] = {"*": Circle()}
        self.habits: dict[str, Running] = {}  # of kinds and roles, for whoever has none yet
        self.reasons = Reasons()
        self.bursts = Bursts()
        self.idle = Idle()
        self.homes = Homes()
        self.usual = Usual()
        self.shift: dict[
            str, list[list[float]]
        ] = {}  # kind and number: day, sum above usual, how many
        self.risen: dict[tuple[str, str], float] = {}  # what follows from it, until it changes
        self.grants = Grants(self.settings.most_grants)
        self.thresholds = Thresholds(self.settings)
        self.crowd = 0.0  # principals on an ordinary day
        self.present = 0
        self.many: dict[
            str, int
        ] = {}  # principals of each kind that have days of their own, and came this week
        self.least = {
            name: channel.floor * WORTH for name, channel in self.settings.channels.items()
        }

    @property
    def learning(self) -> bool:
        """Tell whether the first days, which only teach, are not over."""
        return self.day < 0 or self.day < self.begun + self.settings.learn_days

    def observe(self, event: Event) -> list[Alert]:
        """Judge an event by what came before it, then learn from it.

        Args:
            event: The next event. One that says it is older than the one in front counts as of the same moment.

        Returns:
            Alerts, most severe first; nearly always none.
        """
        t_us = max(self.last_us, event.t_us)
        self.last_us = t_us
        day = t_us // DAY_US
        if day != self.day:
            self._begin(day)
        who = self.people.get(event.principal)
        if who is None:
            self._crowded()
            who = self.people[event.principal] = Profile(event.principal, event.kind, day)
            self.present += 1
        elif who.day != day:
            self._close(who, day)
            self.present += 1
        who.kind = event.kind
        if event.team != who.team or event.role != who.role:
            who.belong(event.role, event.team)
        who.today.uses += 1
        held = hold(self, event, who, t_us, day)
        found = find(self, held)
        least = self.least
        findings = [one for one in found if one.score >= least[one.channel]]
        # whoever asks for a grant or approves it does not hold it
        if event.grant is not None and event.outcome == "ok":
            if held.meaning != PAPER:
                self.grants.learn(event.grant, who.name, event.segment, event.purpose, day)
            elif approves(event.action):
                self.grants.approve(event.grant, who.name, event.segment, event.purpose, day)
        if not findings:
            return []
        return self._tell(event, who, t_us, day, findings)

    def _tell(
        self, event: Event, who: Profile, t_us: int, day: int, findings: list[Finding]
    ) -> list[Alert]:
        told: list[Alert] = []
        channels, now = self.settings.channels, self.thresholds.now
        quiet = self.learning
        for finding in findings:
            if (
                day > who.severe + WEEK
            ):  # what goes with an attack that was told is no measure of what is usual
                self.thresholds.note(finding.channel, who.name, day, finding.score)
            threshold = now[finding.channel]
            if finding.score < threshold or quiet:
                continue
            channel = channels[finding.channel]
            severity = severity_of(
                channel.signal, finding, learning=who.active < self.settings.own_days
            )
            # what is milder has episodes of its own: it ends none of what is graver, and hides none
            own = finding.channel if finding.channel in MILDER else channel.signal
            stands = [one for name in {own, channel.signal} if (one := who.episodes.get(name))]
            if any(
                t_us - at < channel.hours * HOUR_US and severity <= worst for at, worst in stands
            ):
                continue
            who.episodes[own] = [t_us, severity]
            # a night on call is told and learned: else every one that follows would be told too
            who.today.anomalous = who.today.anomalous or severity >= HELD
            self.thresholds.tell(finding.channel, day)
            if severity >= SEVERE:
                who.severe, who.today.severe = day, True
            if channel.signal == "slow":
                settle_week(who)
            if channel.signal == "scope":  # what was told counts for no other alert
                who.new = [[at, kind, 0.0, number] for at, kind, _, number in who.new]
            sentence = tell(channel.signal, finding, who, self.ring(who), threshold)
            told.append(
                Alert(
                    t_us=t_us,
                    principal=who.name,
                    signal=channel.signal,
                    severity=severity,
                    sentence=sentence,
                    events=(*finding.numbers, event.number),
                )
            )
        told.sort(key=lambda alert: (-alert.severity, alert.signal))
        return told

    def _begin(self, day: int) -> None:
        """Begin a day: count who was there, forget what is old, set thresholds if it is time."""
        if self.begun < 0:
            self.begun = day
        elif (self.day + 3) % 7 < 5:  # weekends say little of how many there are
            self.crowd += max(0.1, 1.0 / (self.day - self.begun + 1)) * (self.present - self.crowd)
        self.crowd = max(self.crowd, 1.0)
        before, self.day, self.present = self.day, day, 0
        # names that come once teach nothing, so they do not count: else whoever invents some stops what all learn
        self.many = {}
        for who in self.people.values():
            if who.active > FIRST_DAYS and who.day >= day - WEEK:
                self.many[who.kind] = self.many.get(who.kind, 0) + 1
        self.thresholds.turn(day, self.begun, self.crowd)
        if before >= 0 and before // 7 != day // 7:
            self._forget(day - self.settings.forget_days)
        for kept in self.shift.values():
            kept[:] = [one for one in kept if one[0] > day - 8]
        self.shift = {key: kept for key, kept in self.shift.items() if kept}
        self.risen.clear()

    def _forget(self, before: int) -> None:
        for circle in self.circles.values():
            circle.forget(before, self.settings.fade)
        self.circles = {
            name: circle for name, circle in self.circles.items() if circle.members or name == "*"
        }
        self.people = {name: who for name, who in self.people.items() if who.day >= before}
        self._crowded()
        self.grants.forget(before)
        self.reasons.fade(self.settings.fade)
        self.bursts.fade(self.settings.fade)
        self.usual.fade(self.settings.fade)

    def _crowded(self) -> None:
        most = self.settings.most_principals
        if len(self.people) > most:
            # those with habits stay: whoever invents principals by the thousand pushes out their own
            latest = sorted(
                self.people.values(),
                key=lambda who: (-min(who.active, 10.0), -who.day, who.name),
            )
            self.people = {who.name: who for who in latest[: most * 3 // 4]}

    def _close(self, who: Profile, day: int) -> None:
        """Close the last day of a principal: it becomes habit, unless it was anomalous."""
        today, old = who.today, who.day
        odd = today.anomalous or (
            who.active >= LEAST_DAYS and who.most_uses.far(log(1.0 + today.uses), 0.4) >= ODD
        )
        learn = not odd or who.held >= self.settings.held_days
        who.held = 0 if learn else who.held + 1
        settings = self.settings
        self.risen.clear()
        for key, away in close(self, who, learn=learn).items():
            shift = self.shift.setdefault(f"{who.kind}/{key}", [])
            if not shift or shift[-1][0] != self.day:
                shift.append([self.day, 0.0, 0.0])
            shift[-1][1] += away
            shift[-1][2] += 1.0
        if learn and today.uses:
            for name, value in (
                ("soon", log(1.0 + today.soon)),
                ("same", log(1.0 + today.same)),
                ("rate", log(1.0 + today.rate)),
                ("hourly", log(1.0 + today.hourly)),
                ("broad", log(1.0 + today.breadth)),
            ):
                self.habit(f"{name}/{who.kind}").learn(value, 0.02)
            for use, count in today.counts.items():
                self.habit(f"{use}s/{who.kind}").learn(log(1.0 + count), 0.02)
            self.bursts.learn(who, today.fullest)
            if today.idle:
                self.idle.learn(who.kind, today.idle)
            if today.runs:
                settle(self, who, today.runs)
        if learn and who.active > FIRST_DAYS:
            # by days and not by how many there are: else those of a large company would be held against its weekend
            weight = A_DAY / max(self.many.get(who.kind, 0), FEW)
            for kind, new in today.new.items():
                self.habit(came(kind, who.kind)).learn(min(new, MOST_CAME), weight)
        keys = who.roll(day, learn=learn, fade=settings.fade, most=settings.most_keys)
        if not learn:
            return
        self.reasons.learn(who, today.reasons)
        shared = [key for key in keys if key[0] in SHARED]
        for name in circles_of(who):
            circle = self.circles.get(name)
            if circle is None:
                circle = self.circles[name] = Circle()
            circle.learn(who.name, shared, old, today.hours)

    def habit(self, name: str) -> Running:
        """Return what is usual among all of a kind.

        Args:
            name: Of what.
        """
        found = self.habits.get(name)
        if found is None:
            found = Running()
            if len(self.habits) < MOST_HABITS:
                self.habits[name] = found
        return found

    def shifted(self, kind: str, key: str) -> float:
        """Return by how much a number of all of a kind lies above what it was, this week; 0 if it does not."""
        risen = self.risen.get((kind, key))
        if risen is None:
            kept = self.shift.get(f"{kind}/{key}", ())
            number = sum(one[2] for one in kept)
            risen = max(0.0, sum(one[1] for one in kept) / number) if number >= SHIFTED else 0.0
            self.risen[kind, key] = risen
        return risen

    def ring(self, who: Profile) -> list[Circle]:
        """Return the circles of a principal that exist, widest first."""
        found = (self.circles.get(name) for name in circles_of(who))
        return [circle for circle in found if circle is not None]

    def snapshot(self) -> bytes:
        """Return all that it knows, as JSON with sorted keys: the same state gives the same bytes."""
        tree = {
            "format": FORMAT,
            "settings": mark_of(self.settings),
            "begun": self.begun,
            "day": self.day,
            "last_us": self.last_us,
            "crowd": self.crowd,
            "present": self.present,
            "many": self.many,
            "people": {name: who.to_json() for name, who in self.people.items()},
            "circles": {name: circle.to_json() for name, circle in self.circles.items()},
            "habits": {name: habit.to_json() for name, habit in self.habits.items()},
            "grants": [self.grants.seen, self.grants.all, self.grants.spread],
            "usual": self.usual.to_json(),
            "shift": self.shift,
            "reasons": self.reasons.to_json(),
            "bursts": self.bursts.to_json(),
            "idle": self.idle.to_json(),
            "homes": self.homes.kept,
            "thresholds": self.thresholds.to_json(),
        }
        return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)

    @classmethod
    def restore(cls, data: bytes, settings: Settings | None = None) -> Sentinel:
        """Return a sentinel that goes on where a snapshot was taken.

        Args:
            data: What ``snapshot`` returned.
            settings: What it is set by; must be those the snapshot was taken under.

        Raises:
            InvalidError: Not a snapshot, of another format, or of other settings.
        """
        made = cls(settings)
        try:
            tree: dict[str, Any] = orjson.loads(data)
            _check_format(tree["format"], tree["settings"], made.settings)
            made.begun, made.day, made.last_us = tree["begun"], tree["day"], tree["last_us"]
            made.crowd, made.present = tree["crowd"], tree["present"]
            made.many = tree["many"]
            made.people = {name: Profile.from_json(one) for name, one in tree["people"].items()}
            made.circles = {name: Circle.from_json(one) for name, one in tree["circles"].items()}
            made.habits = {name: Running.from_json(one) for name, one in tree["habits"].items()}
            made.grants.seen, made.grants.all, made.grants.spread = tree["grants"]
            made.usual, made.shift = Usual.from_json(tree["usual"]), tree["shift"]
            made.reasons = Reasons.from_json(tree["reasons"])
            made.bursts = Bursts.from_json(tree["bursts"])
            made.idle = Idle.from_json(tree["idle"])
            made.homes.kept = tree["homes"]
            made.thresholds.take(tree["thresholds"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidError(
                "not a snapshot of the sentinel",
                rule="sentinel.snapshot",
                fix="read the events again from the first",
            ) from error
        return made


def mark_of(settings: Settings) -> str:
    """Return what tells settings apart, so that no state is read under others than it was made under.

    Args:
        settings: The settings.
    """
    return sha256(repr(settings).encode()).hexdigest()[:16]


def _check_format(form: object, mark: object, settings: Settings) -> None:
    if form != FORMAT:
        raise KeyError(FORMAT)
    if mark != mark_of(settings):
        raise InvalidError(
            "the snapshot is of a sentinel with other settings",
            rule="sentinel.snapshot",
            fix="give the settings it was taken under, or read the events again",
        )


def circles_of(who: Profile) -> tuple[str, ...]:
    """Return the names of a principal's circles, widest first: all, those of the same kind and role, the team."""
    role = f"r/{who.kind}/{who.role}"
    return ("*", role, f"t/{who.team}") if who.team else ("*", role)
