"""How people use their applications: tasks, their steps, and what follows what.

Everybody shares one grammar; a role weighs the applications, a person varies the weights a
little. The next action depends on the application, the task and how far it has come, which shows
in the last four or five actions but not in the last one alone: after typing comes a tab, a save,
a submit or an enter, according to what was opened before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from safehold.workforce.spec import Draw

SLIP: Final = 0.025  # chance per step of a scroll in between
ABANDON: Final = 0.006  # chance per step that the task is cancelled
HABIT: Final = 0.6  # chance that a task is followed by its usual successor


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing a person does.

    Args:
        what: ``click``, ``scroll``, ``drag``, ``type``, ``tab``, ``enter``, ``delete``, ``send``
            or ``ask``.
        name: Role of the thing clicked, or kind of text typed.
        chance: How often the step is done at all.
    """

    what: str
    name: str = ""
    chance: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A script of steps in one application.

    Args:
        app: Application id.
        name: Name of the task.
        steps: What is done, in order.
        follower: The task that usually comes next, as ``app.name``.
    """

    app: str
    name: str
    steps: tuple[Step, ...]
    follower: str


# `role` clicks, `T:kind` types, capitals are keys and messages; `?p` = done with chance p
_SCRIPTS: Final = """
editor.write > assistant.ask:
    textbox|body DRAG?.6 T:prose ENTER T:prose ENTER T:prose menu|file menuitem|save
editor.insert > chat.channel:
    menu|edit option|item button|next textbox|body T:short button|save
editor.find > editor.write:
    menu|edit menuitem|find T:search ENTER link|result DRAG?.6 T:short button|save
editor.review > chat.channel:
    tab|main SCROLL textbox|body DELETE T:short button|save SCROLL button|next
spreadsheet.fill > spreadsheet.export:
    cell|grid T:number TAB T:number TAB T:number ENTER T:number TAB T:number TAB T:number ENTER
    DRAG?.8 button|save
spreadsheet.formula > spreadsheet.fill:
    cell|grid DRAG?.5 DELETE cell|grid T:formula ENTER cell|grid DELETE T:formula ENTER SCROLL
spreadsheet.export > mail.reply:
    menu|file menuitem|export option|item button|next
ticketing.triage > ticketing.answer:
    link|record combobox|status option|item checkbox|confirm button|save
ticketing.answer > crm.update:
    link|record SCROLL button|reply option|item T:prose button|send combobox|status
    option|item button|save
ticketing.new > chat.channel:
    menu|file menuitem|new textbox|field T:word TAB T:prose TAB option|item button|submit
crm.lookup > ticketing.triage:
    textbox|search option|item link|result SCROLL button|back
crm.update > ticketing.new:
    textbox|search T:search ENTER link|result tab|main textbox|field T:word TAB option|item
    button|save
crm.new > mail.reply:
    menu|file menuitem|new textbox|field T:word TAB T:number TAB T:word TAB T:number
    checkbox|confirm button|save
browser.search > browser.form:
    textbox|search T:search ENTER SCROLL link|result SCROLL button|back link|result SCROLL
browser.form > spreadsheet.formula:
    link|record textbox|field T:word TAB checkbox|confirm button|submit button|next
mail.read > ticketing.triage:
    link|record SCROLL button|next SCROLL button|next SCROLL
mail.reply > browser.search:
    link|record SCROLL button|reply T:prose button|send
chat.channel > mail.read:
    link|channel textbox|body T:channel ENTER SEND:channel
chat.direct > editor.review:
    link|person textbox|body T:direct ENTER SEND:direct
assistant.ask > editor.insert:
    textbox|body T:ask ENTER ASK SCROLL button|copy
assistant.refine > editor.write:
    textbox|body T:ask ENTER ASK SCROLL textbox|body T:ask ENTER ASK SCROLL button|copy
"""

_KEYS: Final = {"TAB": "tab", "ENTER": "enter", "DELETE": "delete", "SCROLL": "scroll"}
_KEYS_MORE: Final = {"DRAG": "drag", "ASK": "ask"}


def _read_step(word: str) -> Step:
    word, _, chance = word.partition("?")
    odds = float(chance) if chance else 1.0
    plain = {**_KEYS, **_KEYS_MORE}.get(word)
    if plain:
        return Step(what=plain, chance=odds)
    if word.startswith("T:"):
        return Step(what="type", name=word[2:], chance=odds)
    if word.startswith("SEND:"):
        return Step(what="send", name=word[5:], chance=odds)
    return Step(what="click", name=word, chance=odds)


def _read_scripts() -> dict[str, Task]:
    tasks = {}
    for script in re.split(r"\n(?=\S)", _SCRIPTS.strip()):
        head, _, body = script.partition(":\n")
        name, _, follower = head.partition(" > ")
        app, _, short = name.partition(".")
        steps = tuple(_read_step(word) for word in body.split())
        tasks[name] = Task(app=app, name=short, steps=steps, follower=follower)
    return tasks


TASKS: Final = _read_scripts()
NAMES: Final = tuple(TASKS)

# how much of a role's work begins with a task of an application
_MIX: Final = {
    "support": {"ticketing": 5, "crm": 2, "chat": 2, "mail": 2, "assistant": 1, "browser": 1},
    "sales": {"crm": 5, "mail": 3, "chat": 2, "spreadsheet": 1, "assistant": 1, "browser": 1},
    "analyst": {"spreadsheet": 5, "browser": 2, "editor": 1, "chat": 2, "assistant": 2, "mail": 1},
    "writer": {"editor": 5, "browser": 2, "assistant": 2, "chat": 2, "mail": 1, "ticketing": 1},
    "developer": {"editor": 4, "ticketing": 3, "assistant": 3, "chat": 2, "browser": 2},
    "manager": {"mail": 4, "chat": 4, "spreadsheet": 2, "editor": 2, "ticketing": 1, "crm": 1},
}


def weigh_tasks(role: str, variation: list[float]) -> list[float]:
    """Return the cumulative chance of each task of ``NAMES`` for one person.

    Args:
        role: The person's role.
        variation: One positive factor per task: the person's own taste.
    """
    mix = _MIX[role]
    apps = [TASKS[name].app for name in NAMES]
    weights = [
        (mix.get(app, 0.3) / apps.count(app)) * factor
        for app, factor in zip(apps, variation, strict=True)
    ]
    total = sum(weights)
    edges, reached = [], 0.0
    for weight in weights:
        reached += weight / total
        edges.append(reached)
    return edges


def choose_task(draw: Draw, *, edges: list[float], last: Task | None) -> Task:
    """Return the next task: the usual successor of the last one, or one of the person's mix."""
    if last is not None and draw.unit() < HABIT:
        return TASKS[last.follower]
    return TASKS[draw.weigh(NAMES, edges)]


_SCROLL: Final = Step(what="scroll")
_CANCEL: Final = Step(what="click", name="button|cancel")


def walk(task: Task, draw: Draw) -> Iterator[Step]:
    """Yield the steps of one run through a task, with slips and, rarely, given up half way."""
    for step in task.steps:
        at = draw.unit()
        if at < ABANDON and step.what in ("click", "tab"):
            yield _CANCEL
            return
        if at > 1 - SLIP and step.what == "click":
            yield _SCROLL
        if step.chance == 1.0 or draw.unit() < step.chance:
            yield step
