"""Plan a working day: sign in, run through tasks, and meet what is planted on the way."""

from __future__ import annotations

from typing import Final

import numpy as np

from safehold.workforce import words
from safehold.workforce.grammar import NAMES, TASKS, Step, Task, choose_task, walk, weigh_tasks
from safehold.workforce.keyboard import (
    BACKSPACE,
    ENTER,
    ERASE_WORD,
    HELD,
    LEFT,
    PASTE,
    SELECT_ALL,
    TAB,
    strike,
)
from safehold.workforce.keyboard import DELETE as DELETE_KEY
from safehold.workforce.people import TEAM_SIZE, external_id, hand, name_of, person
from safehold.workforce.plan import (
    AI,
    CHAT,
    CLICK,
    DRAG,
    FIELD_OF,
    KEYS,
    SCROLL,
    TEXTS,
    Message,
    Plan,
    Span,
)
from safehold.workforce.plants import (
    ASK,
    BANK,
    CLINIC,
    DIRECT,
    ERASED,
    FILE,
    KEPT,
    RESET,
    TITLE,
    VAULT,
    WRONG,
    Plant,
    list_plants,
)
from safehold.workforce.plants import CHAT as CHAT_PLANT
from safehold.workforce.secret import Secret, password
from safehold.workforce.spec import PERSON, PLAN, Draw, Spec, generator

_KEY_OPS: Final = {"tab": TAB, "enter": ENTER, "delete": DELETE_KEY}
_HOSTS: Final = {"browser": "intranet.northfield.example"}
_PASSWORD_FIELD: Final = 1
_FAR: Final = 210  # characters the caret travels in a far edit


class Day:
    """Plan one person-day; ``plan`` holds the result after ``run``.

    Args:
        spec: The company.
        index: Number of the person.
        day: Number of the day.
    """

    def __init__(self, spec: Spec, index: int, day: int) -> None:
        self.spec, self.index, self.day = spec, index, day
        self.who = person(spec, index)
        self.rng = generator(spec.seed, index, day, PLAN)
        self.draw = Draw(self.rng)
        self.plan = Plan(hand=hand(spec.seed, index))
        self._secret: Secret | None = None  # planted into the next text of this kind
        self._sent = 0
        self._thread, self._kind = "", ""
        self._people: tuple[str, ...] = ()
        self._conversation, self._turn = "", 0
        self._typed = ""

    def run(self) -> Plan:
        """Plan the day and return it. One person-day in fifty is a day off, never the first day."""
        if self.day > 0 and self.draw.unit() < 0.02:
            return self.plan
        budget = self.spec.pace * float(np.exp(0.2 * self.draw.normal() - 0.02))
        taste = generator(self.spec.seed, self.index, PERSON, 2)
        edges = weigh_tasks(self.who.role, taste.lognormal(0.0, 0.25, len(NAMES)).tolist())
        plants = list_plants(self.spec, self.index, self.day)[::-1]
        self._sign_in()
        task: Task | None = None
        while self.plan.cost < budget or plants:
            if self.plan.second_session < 0 and self.plan.cost > 0.55 * budget:
                self.plan.second_session = len(self.plan.kinds)
                app = self.plan.app
                self.plan.look_at(app, title=words.title(self.draw), host=_HOSTS.get(app))
            if plants and (self.plan.cost >= plants[-1].at * budget):
                self._plant(plants.pop())
                continue
            task = choose_task(self.draw, edges=edges, last=task)
            self._run_task(task)
        return self.plan

    # tasks ------------------------------------------------------------------------------------

    def _open(self, app: str, *, title: str | None = None, host: str | None = None) -> None:
        """Bring an application to the front through the task bar, if it is not there."""
        self.plan.task_starts.append(len(self.plan.kinds))
        if self.plan.app != app:
            if self.plan.app:
                self.plan.add(CLICK, role="icon|window")
            self.plan.look_at(app, title=title or self._title(app), host=host or _HOSTS.get(app))
        elif title or host or self.draw.unit() < 0.25:
            self.plan.look_at(app, title=title or self._title(app), host=host or _HOSTS.get(app))

    def _title(self, app: str) -> str:
        if app == "spreadsheet":
            return words.title(self.draw) + ".xlsx"
        if app == "ticketing":
            return f"Ticket {self.draw.whole(1000, 9999)}"
        return words.title(self.draw)

    def _run_task(self, task: Task) -> None:
        self._open(task.app)
        for step in walk(task, self.draw):
            self._do(step)

    def _do(self, step: Step) -> None:
        plan = self.plan
        if step.what == "click":
            plan.add(CLICK, role=step.name)
        elif step.what == "scroll":
            plan.add(SCROLL)
        elif step.what == "drag":
            plan.add(DRAG)
        elif step.what == "type":
            self._type(step.name)
        elif step.what == "send":
            self._send()
        elif step.what == "ask":
            self._ask()
        else:
            plan.add(KEYS, ops=bytes([_KEY_OPS[step.what]]))

    def _type(self, kind: str) -> None:
        if kind in ("channel", "direct"):
            text = self._compose(kind)
        else:
            text = TEXTS[kind](self.draw)
            if kind == "ask" and self._secret is None and self.draw.unit() < 0.06:
                self._typed = text  # the rest of the prompt is pasted
                ops = strike(text, rate=self.plan.hand.typo, draw=self.draw)
                self.plan.add(KEYS, ops=ops + bytes([PASTE]))
                return
        if self._secret is not None and kind in ("channel", "direct", "ask"):
            self._typed = self._strike_secret(self._secret)
            return
        self._typed = text
        ops = strike(text, rate=self.plan.hand.typo, draw=self.draw)
        self.plan.add(KEYS, ops=ops, field_kind=FIELD_OF.get(kind, 0))

    def _strike_secret(self, secret: Secret, *, lead: str = "", field_kind: int = 0) -> str:
        """Type a secret with the words around it as one action, note its span, return the text."""
        rate, draw = self.plan.hand.typo, self.draw
        before = strike(lead + secret.before, rate=rate, draw=draw)
        value = strike(secret.value, rate=rate, draw=draw)
        first = len(self.plan.ops) + len(before)
        ops = before + value + strike(secret.after, rate=rate, draw=draw)
        self.plan.add(KEYS, ops=ops, field_kind=field_kind)
        self._note("key", secret, first, first + len(value) - 1)
        return f"{lead}{secret.before}{secret.value}{secret.after}"

    def _note(  # a span has this many facts
        self, stream: str, secret: Secret, first: int, last: int, *, erased: bool = False,
        retyped: bool = False,
    ) -> None:  # fmt: skip
        self.plan.spans.append(
            Span(
                stream=stream,
                kind=secret.kind,
                value=secret.value,
                first=first,
                last=last,
                erased=erased,
                retyped=retyped,
                decoy=secret.decoy,
            )
        )

    # messages ---------------------------------------------------------------------------------

    def _mate(self) -> int:
        team = self.index // TEAM_SIZE * TEAM_SIZE
        return team + (self.index - team + self.draw.whole(1, TEAM_SIZE - 1)) % TEAM_SIZE

    def _compose(self, kind: str) -> str:
        draw, me = self.draw, self.who.id
        mate = self._mate()
        self._people = (me,)
        text = ""
        if kind == "channel":
            self._kind = "channel"
            self._thread = draw.pick((self.who.team, self.who.team, "general", "help-desk"))
            if draw.unit() < 0.46:
                self._people = (me, external_id(mate))
                text = name_of(self.spec.seed, mate)[0] + ", "
        elif draw.unit() < 0.69:
            self._kind = "dm"
            self._people = (me, external_id(mate))
            self._thread = "dm-{}-{}".format(*sorted(self._people))
        else:
            self._kind = "private"
            others = {external_id(self._mate()) for _ in range(3)} - {me}
            self._people = (me, *sorted(others))
            self._thread = f"{self.who.team}-private"
        length = float(np.clip(np.exp(3.60 + 1.06 * draw.normal()), 2, 600))
        body = words.message(draw, length=max(int(length) - len(text), 2))
        return text + body

    def _send(self) -> None:
        if not self._typed:
            return
        plan, draw = self.plan, self.draw
        plan.add(CHAT)
        self._sent += 1
        reply = None
        if draw.unit() < 0.3:
            mate = self._people[1] if len(self._people) > 1 else external_id(self._mate())
            reply = f"msg-{mate}-{self.day}-{draw.whole(1, 9)}"
        plan.chats.append(
            Message(
                stream="chat",
                action=len(plan.kinds) - 1,
                thread=self._thread,
                kind=self._kind,
                text=self._typed,
                people=self._people,
                reply=reply,
            )
        )
        self._keep_secret("chat", len(plan.chats) - 1)
        self._typed = ""

    def _ask(self) -> None:
        plan, draw = self.plan, self.draw
        if not self._conversation or draw.unit() < 0.6:
            self._conversation = f"conv-{self.who.id}-{self.day}-{len(plan.turns)}"
            self._turn = 0
        for role, text in (("user", self._typed), ("assistant", words.answer(draw))):
            self._turn += 1
            plan.add(AI)
            plan.turns.append(
                Message(
                    stream="ai",
                    action=len(plan.kinds) - 1,
                    thread=self._conversation,
                    kind=role,
                    text=text,
                    turn=self._turn,
                )
            )
        self._keep_secret("ai", len(plan.turns) - 2)
        self._typed = ""

    def _keep_secret(self, stream: str, place: int) -> None:
        if self._secret is not None:
            self._note(stream, self._secret, place, place)
            self._secret = None

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
            self._note("focus", secret, len(self.plan.contexts) - 1, len(self.plan.contexts) - 1)
            self.plan.add(SCROLL)
            self.plan.add(CLICK, role="button|next")
        else:
            self._visit(secret, way)

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
