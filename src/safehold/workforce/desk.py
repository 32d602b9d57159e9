"""What a person does at a desk: open windows, run through tasks, type, write messages, ask."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from safehold.workforce import words
from safehold.workforce.compose import OFTEN, accept, composer, phrases
from safehold.workforce.grammar import Step, Task, walk
from safehold.workforce.keyboard import DELETE as DELETE_KEY
from safehold.workforce.keyboard import ENTER, PASTE, TAB, strike
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
    Commit,
    Message,
    Plan,
    Span,
)
from safehold.workforce.secret import Secret
from safehold.workforce.spec import PLAN, Draw, Spec, generator

_KEY_OPS: Final = {"tab": TAB, "enter": ENTER, "delete": DELETE_KEY}
COLUMNS: Final = {
    "key": "key",
    "chat": "text",
    "ai": "text",
    "speech": "text",
    "focus": "title",
    "metric": "name",
}  # where a planted value lies
_COMPOSED: Final = ("prose", "channel", "direct")  # kinds of text an input method is used for
HOSTS: Final = {"browser": "intranet.northfield.example"}


class Desk:
    """Plan what one person does on one day; ``plan`` holds what was done so far.

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
        self._composer = composer(spec, index, day)

    # tasks ------------------------------------------------------------------------------------

    def _open(self, app: str, *, title: str | None = None, host: str | None = None) -> None:
        """Bring an application to the front through the task bar, if it is not there."""
        self.plan.task_starts.append(len(self.plan.kinds))
        if self.plan.app != app:
            if self.plan.app:
                self.plan.add(CLICK, role="icon|window")
            self.plan.look_at(app, title=title or self._title(app), host=host or HOSTS.get(app))
        elif title or host or self.draw.unit() < 0.25:
            self.plan.look_at(app, title=title or self._title(app), host=host or HOSTS.get(app))

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
        if kind in _COMPOSED and self._composer is not None and self._composer.unit() < OFTEN:
            pieces = phrases(self._composer)
            self._compose_text(pieces)
            self._typed = "".join(text for _, text in pieces)
            return
        self._typed = text
        ops = strike(text, rate=self.plan.hand.typo, draw=self.draw)
        self.plan.add(KEYS, ops=ops, field_kind=FIELD_OF.get(kind, 0))

    def _compose_text(self, pieces: list[tuple[str, str]], *, lead: bytes = b"") -> int:
        """Type through an input method as one action; return the number of its last commit.

        Args:
            pieces: What is typed for each commit, and what it brings.
            lead: Presses before the first.
        """
        plan, ops = self.plan, lead
        for typed, text in pieces:
            first = len(plan.ops) + len(ops)
            ops += strike(typed, rate=plan.hand.typo, draw=self.draw)
            ops += accept(self.draw, plan.hand)
            last = len(plan.ops) + len(ops) - 1
            plan.commits.append(Commit(first=first, last=last, text=text))
        plan.add(KEYS, ops=ops)
        return len(plan.commits) - 1

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

    def _note(
        self, stream: str, secret: Secret, first: int, last: int | None = None, **more: Any
    ) -> None:
        """Remember where a planted value lies; ``more`` are further facts of its span."""
        self.plan.spans.append(
            Span(
                stream=stream,
                kind=secret.kind,
                value=secret.value,
                first=first,
                last=first if last is None else last,
                decoy=secret.decoy,
                **{"column": COLUMNS[stream], **more},
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
            self._note(stream, self._secret, place)
            self._secret = None
