"""Plan a working day: sign in, run through tasks, and meet what is planted on the way."""

from __future__ import annotations

from typing import Final

import numpy as np

from safehold.workforce import words
from safehold.workforce.desk import HOSTS, Desk
from safehold.workforce.grammar import NAMES, TASKS, Task, choose_task, weigh_tasks
from safehold.workforce.guise import narrow
from safehold.workforce.keyboard import (
    BACKSPACE,
    ENTER,
    ERASE_WORD,
    HELD,
    LEFT,
    SELECT_ALL,
    strike,
)
from safehold.workforce.life import role_on, works
from safehold.workforce.meeting import hold, meeting_hours
from safehold.workforce.people import external_id
from safehold.workforce.plan import CLICK, KEYS, MEET, SCROLL, Plan
from safehold.workforce.plants import (
    ADDRESS,
    ASK,
    BANK,
    CLINIC,
    DIRECT,
    ERASED,
    FILE,
    HOST,
    KEPT,
    LABEL,
    RESET,
    SPEECH,
    TITLE,
    VAULT,
    WRONG,
    Plant,
    list_plants,
)
from safehold.workforce.plants import CHAT as CHAT_PLANT
from safehold.workforce.secret import Secret, password
from safehold.workforce.spec import PERSON, WHOLE, Draw, Spec, generator

_PASSWORD_FIELD: Final = 1
_FAR: Final = 210  # characters the caret travels in a far edit


class Day(Desk):
    """Plan one person-day; ``plan`` holds the result after ``run``."""

    @property
    def _whole(self) -> bool:
        return self.spec.edition >= WHOLE

    def run(self) -> Plan:
        """Plan the day and return it. One person-day in fifty is a day off, never the first day."""
        if self.day > 0 and self.draw.unit() < 0.02:
            return self.plan
        if not works(self.spec, self.index, self.day):
            return self.plan
        budget = self.spec.pace * float(np.exp(0.2 * self.draw.normal() - 0.02))
        taste = generator(self.spec.seed, self.index, PERSON, 2)
        role = role_on(self.spec, self.index, self.day)
        edges = weigh_tasks(role, taste.lognormal(0.0, 0.25, len(NAMES)).tolist())
        plants = list_plants(self.spec, self.index, self.day)[::-1]
        self._sign_in()
        meetings = meeting_hours(self.spec, self.index, self.day) if self._whole else []
        task: Task | None = None
        while self.plan.cost < budget or plants or meetings:
            if self.plan.second_session < 0 and self.plan.cost > 0.55 * budget:
                self.plan.second_session = len(self.plan.kinds)
                app = self.plan.app
                self.plan.look_at(app, title=words.title(self.draw), host=HOSTS.get(app))
            if plants and (self.plan.cost >= plants[-1].at * budget):
                self._plant(plants.pop())
                continue
            if meetings and self.plan.cost >= meetings[-1] * budget:
                meetings.pop()
                self._meet()
                continue
            task = choose_task(self.draw, edges=edges, last=task)
            self._run_task(task)
        return self.plan

    # sign-in and planted things ---------------------------------------------------------------

    def _type_password(self, value: str) -> None:
        self.plan.add(CLICK, role="textbox|field")
        secret = Secret(kind="PASSWORD", value=value)
        self._strike_secret(secret, field_kind=_PASSWORD_FIELD)

    def _sign_in(self) -> None:
        """Type the person's own password into a password field: nobody starts a day without."""
        self._open("browser", title="Sign in", host="login.northfield.example")
        self._type_password(password(Draw(generator(self.spec.seed, self.index, PERSON, 3))))
        self.plan.add(KEYS, ops=bytes([ENTER]))

    def _plant(self, plant: Plant) -> None:
        secret, way = plant.secret, plant.way
        if way in (CHAT_PLANT, DIRECT, ASK):
            self._secret = secret
            name = {ASK: "assistant.ask", DIRECT: "chat.direct"}.get(way, "chat.channel")
            self._open(TASKS[name].app)
            for step in TASKS[name].steps:
                self._do(step)
        elif way == KEPT:
            self._open(self.draw.pick(("editor", "ticketing", "crm", "mail")))
            self.plan.add(CLICK, role="textbox|body")
            self._strike_secret(secret, lead=words.phrase(self.draw) + " ")
            self.plan.add(CLICK, role="button|save")
        elif way == ERASED:
            self._erase(secret, plant.style)
        elif way == WRONG:
            self._mistake(secret)
        elif way == RESET:
            self._open("browser", title="Reset password", host="login.northfield.example")
            self._type_password(password(self.draw))
            for _ in range(2):
                self._type_password(secret.value)
            self.plan.add(CLICK, role="button|submit")
        elif way in (TITLE, FILE):
            name = f"report_{secret.value}_final.xlsx" if way == FILE else f"Re: {secret.value}"
            self._open("spreadsheet" if way == FILE else "mail", title=name)
            self._note("focus", secret, len(self.plan.contexts) - 1)
            self.plan.add(SCROLL)
            self.plan.add(CLICK, role="button|next")
        elif way in (VAULT, BANK, CLINIC):
            self._visit(secret, way)
        else:
            self._plant_further(secret, way)

    def _plant_further(self, secret: Secret, way: str) -> None:
        """Plant what came with the whole edition."""
        if way == SPEECH:
            self._meet(secret)
        elif way in (ADDRESS, HOST):
            link = f"{secret.before}{secret.value}{secret.after}"
            title, host = (link, None) if way == ADDRESS else (None, link)
            self._open("browser", title=title, host=host)
            place = len(self.plan.contexts) - 1
            self._note("focus", secret, place, column="url_host" if way == HOST else "title")
            self.plan.add(SCROLL)
            self.plan.add(CLICK, role="link|result")
        elif way == LABEL:
            self.plan.labels.append(f"handling_time {secret.value}")
            self._note("metric", secret, len(self.plan.labels) - 1)
        else:
            self._compose_secret(secret)

    def _meet(self, secret: Secret | None = None) -> None:
        """Join a meeting of the team, and let the host's recorder transcribe it."""
        plan, draw = self.plan, self.draw
        title = f"Meeting - {words.phrase(draw)}"
        self._open("meeting", title=title)
        plan.add(CLICK, role="button|next")
        action = plan.add(MEET)
        guests = sorted({external_id(self._mate()) for _ in range(3)})
        said, lasts, place = hold(
            draw,
            action=action,
            name=f"meet-{self.who.id}-{self.day}-{len(plan.meeting_ms)}",
            host=self.who.id,
            guests=guests,
            pace=self.spec.pace,
            secret=secret,
        )
        plan.meeting_ms[action] = lasts
        plan.said += said
        if secret is not None:
            self._note("speech", secret, len(plan.said) - len(said) + place)

    def _compose_secret(self, secret: Secret) -> None:
        """Type the words before as usual, and the value through an input method."""
        plan, draw = self.plan, self.draw
        self._open(draw.pick(("editor", "ticketing", "mail")))
        plan.add(CLICK, role="textbox|body")
        lead = strike(secret.before, rate=plan.hand.typo, draw=draw)
        first = len(plan.ops) + len(lead)
        commit = self._compose_text([(narrow(secret.value), secret.value)], lead=lead)
        last = plan.commits[commit].last
        self._note("key", secret, first, last, column="commit", commit=commit)
        plan.add(CLICK, role="button|save")

    def _visit(self, secret: Secret, way: str) -> None:
        """Use something no recorder may watch: a password manager, a bank, a clinic."""
        app, title, host = {
            VAULT: ("keepassxc", "Passwords.kdbx", None),
            BANK: (
                "browser",
                "Online banking - Transfer - Northfield Bank",
                "online-banking.example",
            ),
            CLINIC: ("browser", "Patient portal - Health record", "patient-portal.example"),
        }[way]
        self._open(app, title=title, host=host)
        self.plan.add(CLICK, role="textbox|field")
        self._strike_secret(secret)
        self.plan.add(CLICK, role="button|save")

    def _erase(self, secret: Secret, style: float) -> None:
        """Type a secret and delete it again, in one of the ways people do."""
        draw, plan = self.draw, self.plan
        self._open(draw.pick(("editor", "ticketing", "mail")))
        plan.add(CLICK, role="textbox|body")
        lead = words.phrase(draw) + " " + secret.before
        rate = plan.hand.typo
        ahead = strike(lead, rate=rate, draw=draw)
        value = strike(secret.value, rate=rate, draw=draw)
        first = len(plan.ops) + len(ahead)
        ops = ahead + value + self._delete(secret.value, lead, style)
        ops += strike(words.phrase(draw), rate=rate, draw=draw)
        plan.add(KEYS, ops=ops)
        plan.add(CLICK, role="button|save")
        self._note("key", secret, first, first + len(value) - 1, erased=True)

    def _delete(self, value: str, lead: str, style: float) -> bytes:
        """Return the presses that remove ``value``, just typed after ``lead``."""
        length, back = len(value), bytes([BACKSPACE])
        if 0.18 < style < 0.35 and value.isalnum() and lead.endswith(" "):
            return bytes([ERASE_WORD])
        if style < 0.40:
            return back * length
        if style < 0.60:  # held down
            return back + bytes([HELD]) * (length - 1)
        if style < 0.82:  # select everything and write over it
            return bytes([SELECT_ALL, BACKSPACE])
        more = ""
        while len(more) < (_FAR if style >= 0.91 else 120):
            more += " " + words.sentence(self.draw)
        typed = more.encode()
        if style < 0.91:  # long: write on, then delete everything in one run
            return typed + back * (len(typed) + length)
        # far: write on, delete that, edit far to the left, come back, then delete the value
        far = bytes([LEFT]) * (length + 3)
        return typed + back * len(typed) + far + back + b"x" + bytes([2]) + back * length

    def _mistake(self, secret: Secret) -> None:
        """Type a password into a chat box, notice, delete it, type it where it belongs."""
        plan = self.plan
        self._open("chat")
        plan.add(CLICK, role="textbox|body")
        value = strike(secret.value, rate=plan.hand.typo, draw=self.draw)
        first = len(plan.ops)
        plan.add(KEYS, ops=value + bytes([BACKSPACE]) * len(secret.value))
        self._note("key", secret, first, first + len(value) - 1, erased=True, retyped=True)
        self._open("browser", title="Sign in", host="login.northfield.example")
        self._type_password(secret.value)
        plan.add(KEYS, ops=bytes([ENTER]))


def plan_day(spec: Spec, index: int, day: int) -> Plan:
    """Return the plan of a person-day, the same for whoever asks."""
    return Day(spec, index, day).run()
