"""The whole promise in words that an employee understands, made from every clause of the charter.

The sentences are short and stand in message catalogues, one file a language. What fills them comes from the charter and
is said in the words of that language; texts that the charter itself gives (title, summary, purposes, red lines) are the
board's own and stay as they were written.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from safehold.charter.difference.words import Catalogue, Said, load
from safehold.charter.model import Category, Charter, Collect, GrantRule, Purpose, RedLine, Role
from safehold.charter.oversight import Quorum
from safehold.charter.redline import forms
from safehold.charter.vocabulary import DLP_GROUPS
from safehold.errors import InvalidError

LANGUAGES: Final = ("en", "de")
BREAK: Final = ""  # begins a new paragraph

Line = tuple[str, Mapping[str, Said]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One part of the explanation.

    Args:
        name: Its name in the catalogues.
        heading: In words.
        paragraphs: Sentences, a list for each paragraph.
    """

    name: str
    heading: str
    paragraphs: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A charter in plain words.

    Args:
        language: ``en`` or ``de``.
        sections: In the order in which people ask.
    """

    language: str
    sections: tuple[Section, ...]

    def text(self) -> str:
        """Return it as Markdown."""
        parts = []
        for section in self.sections:
            parts.append(f"## {section.heading}")
            parts += [" ".join(sentences) for sentences in section.paragraphs]
        return "\n\n".join(parts) + "\n"

    def sentences(self) -> list[str]:
        """Return every sentence, for counting."""
        return [
            one
            for section in self.sections
            for paragraph in section.paragraphs
            for one in paragraph
        ]


@cache
def phrases(language: str) -> tuple[Mapping[str, str], Catalogue]:
    """Return the sentences of a language, and its words.

    Raises:
        InvalidError: There is no catalogue of it.
    """
    if language not in LANGUAGES:
        raise InvalidError(
            "no words of this language",
            rule="charter.language",
            fix=f"one of {', '.join(LANGUAGES)}",
        )
    file = resources.files("safehold.charter.explain").joinpath(f"sentences_{language}.json")
    tree, shared = json.loads(file.read_text("utf-8")), load(language)
    words = dict(shared.words)
    for kind, more in tree["words"].items():
        words[kind] = {**words.get(kind, {}), **more}
    return MappingProxyType(tree["sentences"]), replace(shared, words=words)


def explain(charter: Charter, language: str = "en") -> Explanation:
    """Return what a charter promises, in plain words.

    Raises:
        InvalidError: There are no words of this language.
    """
    templates, words = phrases(language)
    sections = []
    for name, lines in _SECTIONS.items():
        paragraphs: list[list[str]] = [[]]
        for message, filling in lines(charter):
            if message == BREAK:
                paragraphs.append([])
            else:
                paragraphs[-1].append(_fill(templates[message], filling, words))
        sections.append(
            Section(
                name=name,
                heading=templates[f"head.{name}"],
                paragraphs=tuple(tuple(one) for one in paragraphs if one),
            )
        )
    return Explanation(language=language, sections=tuple(sections))


def _fill(template: str, filling: Mapping[str, Said], words: Catalogue) -> str:
    text = template.format_map({name: words.say(one) for name, one in filling.items()})
    for doubled, single in (("..", "."), ("?.", "?"), ("!.", "!"), (".”.", ".”")):
        text = text.replace(doubled, single)
    return text[:1].upper() + text[1:]


def _line(message: str, **filling: tuple[str, Any]) -> Line:
    return message, {name: Said.of(kind, value) for name, (kind, value) in filling.items()}


def _about(charter: Charter) -> Iterator[Line]:
    who, subjects = charter.controller, charter.data_subjects
    yield _line("about.title", title=("name", charter.title))
    yield _line("about.summary", summary=("name", charter.summary))
    yield _line(BREAK)
    yield _line("about.which", id=("name", charter.id), version=("number", charter.version))
    yield _line("about.format", format=("name", charter.charter))
    yield _line("about.nothing")
    yield _line("about.controller", name=("name", who.name))
    yield _line("about.contact", contact=("name", who.contact))
    yield _line("about.dpo", dpo=("name", who.dpo))
    yield _line(BREAK)
    yield _line("about.subjects", include=("term", subjects.include))
    yield _line("about.excluded", exclude=("term", subjects.exclude))
    yield _line("about.regimes", regimes=("name", charter.regimes))


def _choice(charter: Charter) -> Iterator[Line]:
    choice = charter.participation
    yield _line("choice.default", default=("rule", choice.default))
    yield _line("choice.opt_in", opt_in=("term", choice.opt_in))
    yield _line("choice.basis", basis=("term", choice.legal_basis))
    yield _line("choice.leave" if choice.withdraw.any_time else "choice.stay")
    yield _line("choice.cost", detriment=("rule", choice.withdraw.detriment))
    effect = choice.withdraw.effect
    yield _line("choice.effect", effect=("rule", effect.name), within=("seconds", effect.within_s))
    yield _line(BREAK)
    yield _line("choice.pause", max=("rule", choice.pause.max))
    yield _line("choice.pause_effect", effect=("rule", choice.pause.effect))
    yield _line("choice.equal", names=("group", choice.applies_equally_to))
    yield _line("choice.managers", visible=("rule", choice.manager_visibility_of_choice))
    yield _line("choice.opt_in_by", by=("entry", choice.opt_in_by))
    yield _line(BREAK)
    yield _line("choice.places", places=("place", charter.places.collect_in))
    yield _line("choice.counterpart", rule=("rule", charter.places.counterpart_rule))


def _recorded(charter: Charter) -> Iterator[Line]:
    for item in charter.collect:
        yield from _item(item)
        yield _line(BREAK)
    if (aside := charter.set_aside) is not None:
        purpose = charter.purposes.get(aside.purpose)  # the review refuses a charter without it
        yield _line("aside.what", what=("what", () if purpose is None else purpose.sources))
        yield _line("aside.sealed")
        yield _line("aside.keep", days=("days", aside.keep_days))
        yield _line("aside.a_day", a_day=("number", aside.a_day))
        yield _line("aside.purpose", purpose=("name", aside.purpose))
        yield _line("aside.never")


def _item(item: Collect) -> Iterator[Line]:
    less = item.minimise
    yield _line("recorded.what", what=("what", item.what))
    yield (
        "recorded.level",
        {
            "level": Said.of("level", less.level),
            "meaning": Said.of("depth", less.level),
        },
    )
    yield _line("recorded.masked", dlp=("dlp", less.dlp or DLP_GROUPS))
    if less.drop:
        yield _line("recorded.drop", drop=("part", less.drop))
    yield _line("recorded.apps", apps=("apps", less.apps))
    yield _line("recorded.titles", titles=("titles", less.titles))
    # without a word of the charter the minimiser takes public channels alone; an empty list takes none
    channels = ("public",) if less.channels is None else less.channels
    yield _line("recorded.channels", channels=("channels", channels))
    if less.silo is not None:
        yield _line("recorded.silo", silo=("silo", less.silo))
    yield _line("recorded.keep", days=("days", item.keep_days))
    yield _line("recorded.sensitivity", sensitivity=("number", item.sensitivity))
    yield _line("recorded.category", terms=("term", _terms(item.category)))


def _never(charter: Charter) -> Iterator[Line]:
    for term in charter.never_collect:
        yield _line("never.category", term=("term", term))


def _purposes(charter: Charter) -> Iterator[Line]:
    for name, purpose in charter.purposes.items():
        yield from _purpose(name, purpose)
        yield _line(BREAK)


def _purpose(name: str, purpose: Purpose) -> Iterator[Line]:
    yield _line("purpose.plain", name=("name", name), plain=("name", purpose.plain))
    yield _line("purpose.from", what=("what", purpose.sources))
    yield _line("purpose.stages", stages=("stage", purpose.stages))
    yield _line("purpose.releases", releases=("release", purpose.releases))
    if purpose.privacy is not None:
        yield _line(
            "purpose.budget",
            epsilon=("epsilon", purpose.privacy.epsilon_micro),
            delta=("delta", purpose.privacy.delta_pico),
            unit=("unit", purpose.privacy.unit),
        )
        yield _line("purpose.people", people=("people", purpose.privacy.min_people))
    if purpose.derived_keep_days is None:
        yield _line("purpose.derived_none")
    else:
        yield _line("purpose.derived", days=("days", purpose.derived_keep_days))
    yield _line("purpose.uses", terms=("term", _terms(purpose.uses)))


def _lines(charter: Charter) -> Iterator[Line]:
    for written in charter.red_lines:
        yield from _red_line(written)
        yield _line(BREAK)


def _red_line(written: RedLine) -> Iterator[Line]:
    line = forms(written)
    for words in (written.plain, written.rule):
        if words is not None:
            yield _line("line.plain", line=("sentence", words))
    yield _line("line.id", id=("name", written.id))
    if terms := line.terms():
        yield _line("line.terms", terms=("term", terms))
    if line.forbid_actions:
        yield _line("line.actions", actions=("action", line.forbid_actions))
    if line.forbid_beside:
        yield _line("line.beside", silos=("silo", line.forbid_beside))
    if line.min_people is not None:
        yield _line("line.people", people=("people", line.min_people))
    if line.law is not None:
        yield _line("line.law", law=("term", line.law))


def _roles(charter: Charter) -> Iterator[Line]:
    for name, role in charter.who_may.items():
        yield from _role(name, role)
        yield _line(BREAK)


def _role(name: str, role: Role) -> Iterator[Line]:
    yield _line("role.do", role=("role", name), actions=("action", role.do))
    yield _line("role.stages", stages=("stage", role.stages))
    if role.sees_data is not None:
        yield _line("role.sees" if role.sees_data else "role.blind")
    if role.may_delegate is not None:
        yield _line("role.delegate" if role.may_delegate else "role.no_delegate")
    if role.grant is not None:
        yield from _grant(role.grant)


def _grant(grant: GrantRule) -> Iterator[Line]:
    yield _line("role.approvers", approvals=("approvals", grant.approvers))
    yield _line("role.grant", max=("seconds", grant.max_s), token=("seconds", grant.token_s))
    if grant.reason is not None:
        yield _line("role.reason", reason=("reason", grant.reason))
    if grant.budget is not None:
        yield _line(
            "role.caps",
            rows=("rows", grant.budget.rows),
            bytes=("bytes", grant.budget.bytes_out),
            runs=("runs", grant.budget.runs),
        )


def _models(charter: Charter) -> Iterator[Line]:
    if not charter.gates:
        yield _line("gate.none")
    for gate in charter.gates:
        yield _line("gate.attack", attack=("attack", gate.attack), id=("name", gate.id))
        if gate.level is not None:
            yield _line("gate.level", level=("level", gate.level))
        bound = (gate.must_be.op, gate.must_be.micro)
        yield _line("gate.bound", measure=("name", gate.measure), bound=("bound", bound))
        if gate.attack == "reidentify":
            yield _line("gate.data")
        yield _line(BREAK)
    safe = charter.assurance
    for n, level in enumerate((safe.level_1, safe.level_2, safe.level_3, safe.level_4), start=1):
        yield _line("sandbox.level", n=("number", n), level=("level", level))


def _board(charter: Charter) -> Iterator[Line]:
    board = charter.oversight
    yield _line("board.seats", seats=("seat", board.seats))
    for message, quorum in (("board.widen", board.widen), ("board.narrow", board.narrow)):
        yield _line(BREAK)
        yield _quorum(message, quorum)
    yield _line(BREAK)
    yield _line(
        "board.stop",
        people=("seats", board.stop.approve),
        effect=("rule", board.stop.effect.name),
        within=("seconds", board.stop.effect.within_s),
    )
    again = board.restart_after_stop
    yield _line("board.restart", people=("seats", again.approve), needs=("need", again.needs))
    glass = board.break_glass
    if glass is None:
        yield _line("board.emergency", rule=("rule", "never"))
        return
    yield _line(
        "board.glass",
        approvals=("approvals", glass.approvers),
        seats=("seat", glass.seats),
        max=("seconds", glass.max_s),
    )
    yield _line("board.glass_after", reviews=("number", glass.reviews))


def _quorum(message: str, quorum: Quorum) -> Line:
    return _line(
        message,
        people=("seats", quorum.approve),
        must=("seat", quorum.must_include),
        notice=("seconds", quorum.notice_s),
    )


def _promises(charter: Charter) -> Iterator[Line]:
    for promise in charter.promises:
        bound = (promise.must_be.op, promise.must_be.micro)
        yield _line("promise.says", says=("name", promise.says))
        yield _line(
            "promise.measure",
            id=("name", promise.id),
            measure=("name", promise.measure),
            bound=("bound", bound),
        )
        yield _line(BREAK)


def _audit(charter: Charter) -> Iterator[Line]:
    audit = charter.audit
    yield _line("audit.every", days=("days", audit.independent_days))
    yield _line("audit.bundle", bundle=("rule", audit.bundle))
    yield _line(
        "audit.witnesses",
        witnesses=("witnesses", audit.witnesses.min),
        seat=("seat", audit.witnesses.includes),
    )


def _limits(_charter: Charter) -> Iterator[Line]:
    for name in ("root", "masking", "noise", "policy"):
        yield _line(f"limits.{name}")


def _terms(category: Category) -> tuple[str, ...]:
    return category.terms()


_SECTIONS: Final = {
    "about": _about,
    "choice": _choice,
    "recorded": _recorded,
    "never": _never,
    "purposes": _purposes,
    "lines": _lines,
    "roles": _roles,
    "models": _models,
    "board": _board,
    "promises": _promises,
    "audit": _audit,
    "limits": _limits,
}
