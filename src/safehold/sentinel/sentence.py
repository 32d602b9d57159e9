"""How bad an alert is, and its one sentence: what happened, and what is usual. It names no object, purpose or grant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import exp
from types import MappingProxyType
from typing import Final

from safehold.sentinel.crowd import Circle
from safehold.sentinel.evidence import Finding
from safehold.sentinel.idle import PAIR
from safehold.sentinel.profile import Profile
from safehold.sentinel.settings import HOUR_US

SEVERITY: Final[Mapping[str, int]] = MappingProxyType(
    {
        "export": 3,  # what has left cannot be called back
        "join": 2,  # held back in time, nothing has happened
        "artifact": 3,  # as an export
        "agent": 4,  # faster than anybody reads
        "off-hours": 1,  # mostly somebody on call
        "first-time": 2,  # mostly a new task that nobody granted
        "slow": 2,  # days have passed, an hour more is no loss
        "scope": 2,  # as slow
        "denied": 2,  # the door held
        "drift": 1,  # mostly a word that was stated wrong
    }
)
# two of what somebody may fetch are mostly nothing: told and learned, and the third of them is told again; one large
# use of what is no export must not open the episode of one
MILDER: Final[Mapping[str, int]] = MappingProxyType({"pair": 2, "bulk": 1})
MOST: Final = 4


def severity_of(signal: str, finding: Finding, *, learning: bool) -> int:
    """Return how bad it is, 0 to 4.

    One more if it was refused and tried again. One less if a new grant explains a part of it, and about somebody whose
    own habits are not known yet, except for what is too much whoever does it.

    Args:
        signal: The signal.
        finding: What was found.
        learning: True if the principal is still learned.
    """
    severity = (
        SEVERITY[signal]
        - MILDER.get(finding.channel, 0)
        + finding.retried
        - bool(finding.facts.get("approved"))
    )
    severity -= learning and signal not in ("agent", "denied")
    return max(0, min(MOST, severity))


def tell(
    signal: str, finding: Finding, who: Profile, ring: Sequence[Circle], threshold: float
) -> str:
    """Return the sentence.

    Args:
        signal: The signal.
        finding: What was found.
        who: Whom it is about.
        ring: Their circles, widest first.
        threshold: What the score had to reach.
    """
    said = _WORDS[signal](finding, who, ring)
    learning = "" if who.active >= 10 else f"; only {_days(who)} of their own are known"
    again = "; it was refused before and is tried again" if finding.retried else ""
    return f"{said}{again}{learning} ({finding.score:.1f}, told from {threshold:.1f})"


def _days(who: Profile) -> str:
    return _count(round(who.active), "active day")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _usual(key: str, who: Profile, ring: Sequence[Circle]) -> str:
    """Return who uses a thing: the principal, the team, all."""
    own = min(round(who.known.get(key, 0.0)), round(who.active))
    said = f"usual: {own} of their {_days(who)}"
    names = ("all others", "their role", "their team")
    for circle, name in reversed(list(zip(ring, names, strict=False))):
        count, of = circle.others(who.name, key)
        if of:
            said += f", {count} of {of} in {name}"
    return said.replace("in all others", "others in all")


def _extra(finding: Finding, who: Profile) -> str:
    facts = finding.facts
    said = ""
    if told := facts.get("row"):
        days = who.bursts.get(told.row.name) or [0.0] * told.uses
        what = "different ones within ten minutes" if told.row.different else "within an hour"
        said += (
            f", {told.uses} {what} "
            f"(usual: on {days[told.uses - 1]:.0f} of their {_count(round(days[0]), 'day')} with any)"
        )
    if facts["large"] >= 2.0:
        said += f", {facts['large']:.1f} deviations larger than usual"
    if facts["often"] >= 2.0:
        said += f", {facts['often']:.1f} deviations more often"
    if facts["hour"] >= 1.5:
        said += ", at an hour that is unusual for them"
    return said


def _export(finding: Finding, who: Profile, ring: Sequence[Circle]) -> str:
    facts = finding.facts
    if away := facts.get("away"):
        return f"one use {away:.1f} deviations larger than such uses of the same thing are, whoever they are by"
    if not facts["use"]:
        return f"an action that is hardly used, with more coming out than is usual; {_usual(facts['key'], who, ring)}"
    what = "use of embeddings" if facts["use"] == "embedding" else "export or attempted export"
    return f"{what} number {facts['count']} of the day{_extra(finding, who)}; {_usual(facts['key'], who, ring)}"


def _artifact(finding: Finding, who: Profile, ring: Sequence[Circle]) -> str:
    facts = finding.facts
    if pair := facts.get("pair"):
        days = who.bursts.get(PAIR.name) or [0.0] * pair.different
        return (
            f"artifact fetched, number {facts['count']} of the day, "
            f"{pair.different} different ones within a quarter of an hour "
            f"(usual: on {days[pair.different - 1]:.0f} of their {_count(round(days[0]), 'day')} with any); "
            "nobody else fetched it and nothing new of its family came out "
            f"for {_long(pair.idle_us)}, usual: {_long(pair.usual_us)}"
        )
    return (
        f"artifact fetched, number {facts['count']} of the day{_extra(finding, who)}; "
        f"{_usual(facts['strange'] or facts['key'], who, ring)}"
    )


def _long(us: float) -> str:
    """Return a time in days, or in hours if it is less than two days."""
    hours = round(us / HOUR_US)
    return _count(hours, "hour") if hours < 48 else _count(round(hours / 24), "day")


def _join(finding: Finding, who: Profile, ring: Sequence[Circle]) -> str:
    facts = finding.facts
    usual = _usual(facts["pair"] or facts["key"], who, ring)
    return f"a join of what is not brought together{_extra(finding, who)}; {usual}"


def _agent(finding: Finding, who: Profile, _ring: Sequence[Circle]) -> str:
    facts = finding.facts
    if swift := facts.get("swift"):
        return (
            f"{swift.uses} events in a row within {swift.took_s:.0f} s; "
            f"usual for so many in a row: {swift.usual_s:.0f} s"
        )
    if same := facts.get("same"):
        return (
            f"{same} times the same call in a row, each within three seconds of the last; "
            f"usual at most of a day: {exp(who.most_same.mean) - 1:.0f}"
        )
    return (
        f"{facts['soon']} events in two minutes, {facts['rate']} in five, {facts['hourly']} in an hour and "
        f"{_count(facts['broad'], 'different thing')} in an hour, "
        f"{facts['denied']} refused; usual at most of a day: {exp(who.most_soon.mean) - 1:.0f} in two minutes, "
        f"{exp(who.most_rate.mean) - 1:.0f} in five, "
        f"{exp(who.most_hourly.mean) - 1:.0f} in an hour, "
        f"{exp(who.most_broad.mean) - 1:.0f} different in an hour"
    )


def _hours(finding: Finding, who: Profile, _ring: Sequence[Circle]) -> str:
    facts = finding.facts
    own = min(round(who.hours[facts["hour"]]), round(who.active))
    return (
        f"{_count(facts['count'], 'event')} within three hours, at hour {facts['hour']} UTC; "
        f"usual: there at that hour on {own} of their {_days(who)}"
    )


def _first(finding: Finding, who: Profile, ring: Sequence[Circle]) -> str:
    facts = finding.facts
    granted = (
        "without a grant" if facts["grant"] is None else "under a grant that does not explain it"
    )
    if facts["approved"]:
        granted = "under a new grant"
    return (
        f"first use of {'a segment' if facts['what'] == 'segment' else 'an object'}, {granted}, "
        f"{_count(facts['times'], 'time')} so far; {_usual(facts['key'], who, ring)}"
    )


def _slow(finding: Finding, _who: Profile, _ring: Sequence[Circle]) -> str:
    facts = finding.facts
    before = f"on {facts['days']} days before this week"
    match facts["what"]:
        case "pace":
            return (
                f"{_count(round(exp(facts['value']) - 1), 'use')} of one kind so far today, and more in the days "
                f"before, than is usual: {exp(facts['mean']) - 1:.1f} a day {before}"
            )
        case "slow":
            return (
                f"{_count(round(facts['large']), 'use')} so far today, and more in the days before, larger than nine "
                f"of ten of the same action by this principal, and more so than {before}"
            )
        case "larger":
            return (
                f"{_count(round(facts['large']), 'use')} so far today, and more in the days before, larger than four "
                f"of five of the same action on the same thing by anybody, and more so than {before}"
            )
        case _:
            pass
    what = "bytes a row" if facts["what"] == "wide" else "size of uses"
    return (
        f"{what} so far today on average {facts['value'] - facts['mean']:.1f} deviations more than for this principal "
        f"{before}, each held against others of its kind; more in the days before too"
    )


def _scope(finding: Finding, _who: Profile, _ring: Sequence[Circle]) -> str:
    facts = finding.facts
    what = {"S": "segment", "U": "purpose", "D": "grant"}.get(facts["what"], "object")
    return f"{_count(facts['count'], f'new {what}')} in seven days; usual: {facts['usual']:.1f}"


def _denied(finding: Finding, who: Profile, _ring: Sequence[Circle]) -> str:
    facts = finding.facts
    return (
        f"{_count(facts['count'], 'refusal')} within an hour, {facts['retried']} tried again; "
        f"usual at most of a day: {who.most_denied.mean:.1f}"
    )


def _drift(finding: Finding, who: Profile, ring: Sequence[Circle]) -> str:
    facts = finding.facts
    said = "what is stated and what is done under the grant have come apart"
    return f"{said}; of the purpose, {_usual(facts['key'], who, ring)}" if facts["key"] else said


_WORDS: Final[Mapping[str, Callable[[Finding, Profile, Sequence[Circle]], str]]] = MappingProxyType(
    {
        "export": _export,
        "join": _join,
        "artifact": _artifact,
        "agent": _agent,
        "off-hours": _hours,
        "first-time": _first,
        "slow": _slow,
        "scope": _scope,
        "denied": _denied,
        "drift": _drift,
    }
)
