"""What happened, from the ledger alone: every leaf that an incident touches, in a plain sentence, with index and time.

People are counted and never named; nor is who did something, but for what they are (a person, an agent, the board).
A leaf is in if it is a step of the incident, hangs on a grant, an artifact or a segment in its scope, or was caused by
a principal in its scope; and of what concerns everybody (a stop, another charter, a drift) all within its time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.clock import moment_of
from safehold.errors import SafeholdError
from safehold.incident.count import Counted, in_words
from safehold.incident.scope import Scope, scope_of
from safehold.keeper.incident import Incident
from safehold.ledger import Ledger

BEFORE_MS: Final = (
    7 * 86_400_000
)  # how long before anybody knew a timeline begins, if nothing says otherwise
# what concerns everybody; of no use to an incident before its time
GENERAL: Final = frozenset(
    {"stop", "resume", "charter", "drift", "key.change", "roster", "document", "drill", "drill.begin", "milestone"}
)  # fmt: skip
ACTED: Final = frozenset(
    {"access.intent", "refusal", "request", "grant", "session", "tool", "embed.export", "principal"}
)
LANES: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        ("access.intent", "access.result", "feature", "train.start", "train.end"), "use"
    ),
    **dict.fromkeys(("release", "artifact", "artifact.get", "embed.export", "derived"), "out"),
    **dict.fromkeys(("refusal",), "refused"),
    **dict.fromkeys(("request", "grant", "grant.closed", "review", "principal"), "granted"),
    **dict.fromkeys(("alert", "drift", "drill", "drill.begin", "milestone", "portal"), "seen"),
    **dict.fromkeys(("containment", "stop", "resume", "key.change"), "held back"),
    **dict.fromkeys(("incident", "document", "charter", "roster"), "people"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One line of a timeline.

    Args:
        index: Of the leaf.
        at_ms: When.
        kind: Of the leaf.
        lane: Which kind of thing it is, for the picture.
        sentence: What happened.
        people: How many people it is about, as it may be told; None where it is about nobody, or nobody can say.
        facts: Its public facts.
    """

    index: int
    at_ms: int
    kind: str
    lane: str
    sentence: str
    people: Mapping[str, Any] | None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "entry": self.index,
            "at_us": self.at_ms * 1000,
            "kind": self.kind,
            "lane": self.lane,
            "says": self.sentence,
            "people": None if self.people is None else dict(self.people),
        }


@dataclass(slots=True)
class Walk:
    """One pass over the ledger for a scope: which leaves hang on it.

    Args:
        ledger: The record.
        one: The incident.
        scope: What it is about.
        begins_ms: From when what concerns everybody is told.
        ends_ms: Until when.
    """

    ledger: Ledger
    one: Incident
    scope: Scope
    begins_ms: int
    ends_ms: int
    hanging: set[int] = field(default_factory=set)

    def leaves(self) -> Iterator[tuple[int, dict[str, Any], Mapping[str, Any]]]:
        """Yield (index, leaf, what its sealed part says; nothing where it was not needed or is gone)."""
        steps = {step.index for step in self.one.steps} | set(self.one.held)
        for index, leaf in self.ledger.leaves():
            told = self._told(index, leaf)
            if index in steps or self._hangs(index, leaf, told):
                self.hanging.add(index)
                yield index, leaf, told or self._open(index)
            elif _tells(leaf) and self.begins_ms <= int(leaf["t"]) <= self.ends_ms:
                yield index, leaf, told

    def _told(self, index: int, leaf: Mapping[str, Any]) -> Mapping[str, Any]:
        """Open what has to be opened to tell whether a leaf belongs."""
        asked = self.scope.principals or self.scope.segments
        if asked and leaf["k"] in ACTED and self._in_time(leaf):
            return self._open(index)
        return {}

    def _open(self, index: int) -> Mapping[str, Any]:
        try:
            return self.ledger.detail(index)
        except SafeholdError:
            return {}

    def _in_time(self, leaf: Mapping[str, Any]) -> bool:
        first, last = self.scope.first_ms, self.scope.last_ms
        return first <= int(leaf["t"]) and (not last or int(leaf["t"]) <= last)

    def _hangs(self, index: int, leaf: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
        scope, facts = self.scope, leaf.get("pub", {})
        if index in scope.grants or index == self.one.alert:
            return True
        ref = leaf.get("ref")
        if leaf["k"] != "incident" and (ref in scope.grants or ref in self.hanging):
            return True  # of a grant its uses, of a use its result
        if facts.get("artifact") in scope.artifacts or facts.get("target") in (
            scope.segments | scope.artifacts
        ):
            return True
        if leaf.get("seg") and leaf["seg"] in scope.segments and self._in_time(leaf):
            return True
        if not told:
            return False
        named = told["detail"].get("segments", ())
        return told["actor"] in scope.principals or not scope.segments.isdisjoint(named)


def _tells(leaf: Mapping[str, Any]) -> bool:
    """Whether a leaf concerns everybody, and says more than that all is as it should be."""
    return leaf["k"] in GENERAL and leaf.get("pub", {}).get("state") not in ("kept", "held")


def walk(one: Incident, ledger: Ledger, *, now_ms: int) -> Walk:
    """Return a pass over the ledger for an incident."""
    scope = scope_of(one, ledger)
    begins = [
        int(leaf["t"]) for index in scope.grants for _, leaf in ledger.leaves(index, index + 1)
    ]
    return Walk(
        ledger=ledger,
        one=one,
        scope=scope,
        begins_ms=scope.first_ms or min([*begins, one.aware_ms - BEFORE_MS]),
        ends_ms=one.closed_ms or now_ms,
    )


def read_timeline(one: Incident, ledger: Ledger, *, now_ms: int, counted: Counted) -> list[Event]:
    """Return the timeline of an incident, oldest first.

    Args:
        one: The incident.
        ledger: The record.
        now_ms: Now.
        counted: How numbers of people may be told.
    """
    return [
        event_of(index, leaf, told, counted)
        for index, leaf, told in walk(one, ledger, now_ms=now_ms).leaves()
    ]


def event_of(
    index: int, leaf: Mapping[str, Any], told: Mapping[str, Any], counted: Counted
) -> Event:
    """Return one line: what a leaf says in public, and how many people its sealed part counts."""
    facts = leaf.get("pub", {})
    detail = told.get("detail", {}) if told else {}
    people = detail.get("people")
    count = counted(people) if type(people) is int else None
    return Event(
        index=index,
        at_ms=int(leaf["t"]),
        kind=str(leaf["k"]),
        lane=LANES.get(leaf["k"], "other"),
        sentence=sentence_of(str(leaf["k"]), facts, people=count, rule=str(detail.get("rule", ""))),
        people=count,
        facts=facts,
    )


def sentence_of(
    kind: str, facts: Mapping[str, Any], *, people: Mapping[str, Any] | None, rule: str = ""
) -> str:
    """Return what a leaf says, in one sentence made of its public facts, a count and the name of a rule."""
    of = "" if people is None else f", about {in_words(people)} people"
    said = _Said({name: str(value) for name, value in facts.items()}, of)
    if kind in _SENTENCES:
        return _SENTENCES[kind](said)
    if kind == "refusal":
        return f"something was refused by the rule {said['rule'] or rule or 'of the ledger'}"
    told = ", ".join(f"{name} {value}" for name, value in sorted(said.facts.items()))
    return f"{kind}{': ' if told else ''}{told}{of}"


@dataclass(frozen=True, slots=True)
class _Said:
    """The public facts of a leaf as texts, and how many people it is about in words."""

    facts: Mapping[str, str]
    of: str

    def __getitem__(self, name: str) -> str:
        return self.facts.get(name, "")


def _incident(said: _Said) -> str:
    step, severity = said["step"], "no severity said in the clear"
    if said["severity"]:
        severity = f"severity {said['severity']}"
    if not step:
        return f"the incident was opened, {severity}"
    if step in _STEPS:
        return _STEPS[step](said, severity)
    return STEP_SENTENCES.get(step, f"a step of the incident: {step}")


def _use(said: _Said) -> str:
    what = "a model was taken out" if said["action"] == "pull_artifact" else "data was used"
    return f"{what} for {said['purpose'] or 'no stated purpose'}{said.of}"


def _grant(said: _Said) -> str:
    known = {
        "approved": f"access was granted{said.of}",
        "revoked": "the grant was revoked",
        "narrowed": "the grant was narrowed",
    }
    return known.get(said["state"], "a grant changed")


_STEPS: Final[Mapping[str, Callable[[_Said, str], str]]] = {
    "move": lambda said, _: f"the incident is {said['state']}",
    "severity": lambda _, severity: f"people set it to {severity}",
    "lower": lambda _, severity: f"two people called it less grave: {severity}",
    "agree": lambda said, _: f"the seat {said['seat']} agreed to {said['about']} it",
    "notice": lambda said, _: f"the notice to {said['notice']} was decided: {said['decision']}",
    "assign": lambda said, _: f"the role {said['about']} was given to somebody",
    "clock": lambda said, _: (
        f"it was said that somebody knew since {moment_of(int(said['since'] or 0) * 1000)}"
    ),
}
_SENTENCES: Final[Mapping[str, Callable[[_Said], str]]] = {
    "incident": _incident,
    "access.intent": _use,
    "access.result": lambda said: f"the use ended: {said['outcome'] or 'nobody knows how'}",
    "grant": _grant,
    "grant.closed": lambda said: (
        f"the grant ended ({said['state']}); it was used {said['uses'] or 0} times"
    ),
    "request": lambda said: f"access was asked for or decided about: {said['state']}",
    "review": lambda said: f"the seat {said['seat']} reviewed the grant: {said['outcome']}",
    "alert": lambda said: (
        f"an alert of the signal {said['signal']}, severity {said['severity']} of 4: {said['state']}"
    ),
    "containment": lambda said: (
        f"containment of {said['what'] or 'something'}"
        f"{' ' if said['target'] else ''}{said['target']}: {said['state']}"
    ),
    "drill.begin": lambda said: f"a drill of {said['scenarios'].replace('+', ', ')} was begun",
    "drill": lambda said: f"the drill tried {said['scenario']}: {said['state']}",
    "portal": lambda said: f"a portal said how far its journal goes: {said['size']} lines",
    "milestone": lambda said: f"the promise {said['promise']} was measured: {said['state']}",
    "drift": lambda said: (
        f"what runs was compared with what was signed: {said['state']} ({said['clause']})"
    ),
    "document": lambda said: f"the document {said['name']} was published",
    "stop": lambda _: "the board stopped everything",
    "resume": lambda _: "the board resumed",
    "charter": lambda said: (
        f"version {said['version']} of the charter came into force ({said['direction']})"
    ),
    "key.change": lambda said: f"keys were changed ({said['level']}): {said['state']}",
}
STEP_SENTENCES: Final[Mapping[str, str]] = {
    "note": "somebody noted something",
    "scope": "somebody named more that it is about",
    "uncontained": "it was stated why nothing is contained",
    "cause": "the root cause was published",
    "action": "something to do was written down",
    "done": "something that was to be done is done",
    "close": "two people closed the incident",
    "reopen": "the incident was opened again",
    "report": "the report was published",
    "list": "the sealed list of the people was drawn up",
}


def write_text(events: list[Event]) -> str:
    """Return a timeline as text: index, time, sentence."""
    lines = [
        f"{event.index:>8}  {moment_of(event.at_ms * 1000)[:19]}Z  {event.sentence}"
        for event in events
    ]
    return "\n".join([*lines, ""])
