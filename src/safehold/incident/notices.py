"""Drafts of the notices, in plain words, from what the ledger shows.

A program drafts, people send. What is not known is said to be unknown, and what needs judgement is a gap that a person
fills. No draft names anybody: the list of the people is made apart, sealed to the one seat that may see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from safehold.charter import Charter
from safehold.charter.legal.page import Page, begin, limits, safeguards
from safehold.clock import moment_of
from safehold.errors import MissingError
from safehold.incident.count import in_words
from safehold.incident.severity import SCALE
from safehold.incident.timeline import Event
from safehold.keeper.incident import NOTICES, Incident

TITLES: Final[Mapping[str, str]] = {
    "authority": "Notification of a personal data breach (GDPR Art. 33)",
    "people": "To you, about your data (GDPR Art. 34)",
    "board": "To the board: an incident",
    "regulator": "Report of a serious incident (AI Act Art. 73)",
    "attorney": "Sample of the notice (Cal. Civ. Code 1798.82)",
}
UNKNOWN: Final = "This is not known yet."


def draft(
    name: str,
    one: Incident,
    charter: Charter,
    *,
    reach: Mapping[str, Any],
    scoped: bool,
    clocks: Sequence[Mapping[str, Any]],
    events: Sequence[Event],
    now_us: int,
) -> str:
    """Return the draft of a notice, Markdown.

    Args:
        name: One of ``NOTICES``.
        one: The incident.
        charter: The charter in force.
        reach: Counts of whom and what it reached.
        scoped: Whether anything at all was named that it is about; without, numbers mean nothing.
        clocks: Its clocks.
        events: Its timeline.
        now_us: Now.

    Raises:
        MissingError: There is no such notice.
    """
    if name not in NOTICES:
        raise MissingError(
            "no such notice", rule="incident.notice", fix=f"one of {', '.join(NOTICES)}"
        )
    if name in ("people", "attorney"):
        return letter(one, charter, reach=reach, scoped=scoped, name=name)
    page = begin(charter, TITLES[name])
    _head(page, one, clocks, now_us=now_us)
    _what(page, one, reach, scoped=scoped)
    if name == "regulator":
        page.head("The system and the incident")
        page.ask("which AI system, its registration, and whether it is of high risk (Annex III)")
        page.ask("which kind of serious incident (Art. 3(49)), and why; or why it is none")
        page.ask("whether the system caused it, or how likely that is")
    page.head("Likely consequences")
    page.ask("what this can mean for the people, in their words")
    _unintelligible(page, reach, scoped=scoped)
    page.head("What was done")
    done = [event for event in events if event.lane == "held back"]
    page.items(f"{_when(event.at_ms)}: {event.sentence} (entry {event.index})" for event in done)
    if not done:
        page.say(
            "Nothing was held back yet."
            if one.uncontained is None
            else f"Nothing is held back; why, is stated in entry {one.uncontained}."
        )
    page.say("What the system holds at all times:")
    page.items(safeguards(charter))
    if name == "board":
        page.head("What the board decides")
        page.items(
            (
                f"severity: {SCALE[one.grave].severity} ({SCALE[one.grave].name}): {SCALE[one.grave].means}",
                "whether to stop everything: any one seat may",
                "which notices are sent, and when",
                "when it ends: two people, none of whom opened it",
            )
        )
    page.head("What is not known, or not proved")
    page.items([*_unknown(one, reach, scoped=scoped), *limits()])
    return page.text()


def letter(
    one: Incident, charter: Charter, *, reach: Mapping[str, Any], scoped: bool, name: str = "people"
) -> str:
    """Return the letter to the people, the same for everybody on the list."""
    page = Page()
    page.head(TITLES[name], 1)
    page.say(
        f"From {charter.controller.name}. Questions: {charter.controller.contact}."
        f" Data protection officer: {charter.controller.dpo}."
    )
    page.say("This text was made by a program. It is a draft: counsel reads it first.")
    page.head("What happened")
    page.ask("what happened, in two plain sentences")
    page.say(f"We have known of it since {_when(one.aware_ms)}.")
    page.head("Which of your data")
    if scoped and reach["uses"]:
        segments = ", ".join(reach["segments"]) or "not known yet"
        days = " to ".join(reach["days"]) or "not known yet"
        page.say(f"Kinds: {segments}. From the days {days}.")
    else:
        page.say(UNKNOWN)
    page.head("What this can mean for you")
    page.ask("likely consequences, in plain words")
    _unintelligible(page, reach, scoped=scoped)
    page.head("What we did, and what you can do")
    page.ask("what was done, and what the person can do")
    page.say(
        "You can see every use of your data, and check that the list is complete: safehold people trail."
        " You can pause, withdraw, or have your data destroyed at any time, and nothing happens to you for it."
    )
    return page.text()


def _head(page: Page, one: Incident, clocks: Sequence[Mapping[str, Any]], *, now_us: int) -> None:
    page.table(
        ("", ""),
        (
            ("incident", str(one.index)),
            ("drafted", _when(now_us // 1000)),
            ("known since", _when(one.aware_ms)),
            ("severity", f"{one.grave} of 0 (gravest) to 5: {SCALE[one.grave].name}"),
            ("state", one.state),
            ("contained", _when(one.contained_ms) if one.contained_ms else "not yet"),
        ),
    )
    page.head("Until when")
    page.table(
        ("duty", "due", "state", "law", "unless"),
        [
            (
                str(clock["says"]),
                "without undue delay"
                if clock["due_us"] is None
                else _when(clock["due_us"] // 1000),
                str(clock["state"]),
                str(clock["law"]),
                str(clock["unless"] or "-"),
            )
            for clock in clocks
        ],
    )
    page.say("The texts of law are not checked by counsel; counsel decides which apply.")
    if any(clock["state"] in ("late", "met late", "decided late") for clock in clocks):
        page.ask("the reasons for the delay (GDPR Art. 33(1))")


def _what(page: Page, one: Incident, reach: Mapping[str, Any], *, scoped: bool) -> None:
    page.head("What happened, and whom it is about")
    page.ask("the nature of the breach, in two plain sentences")
    if not scoped:
        page.say("Nobody has named yet what it is about, so no number can be given.", UNKNOWN)
        return
    page.table(
        ("", ""),
        (
            ("people whose data was used", in_words(reach["people"])),
            ("others whose data could have been opened with a key", in_words(reach["could"])),
            ("among them erased since, at most", in_words(reach["erased"])),
            ("uses", f"{reach['uses']}, of which {reach['uses_finished']} ended with a result"),
            ("attempts that were refused", str(reach["refused"])),
            ("segments", ", ".join(reach["segments"]) or "none"),
            ("days of the data", " to ".join(reach["days"]) or "none"),
            ("things made from it", str(reach["made"])),
            ("root cause", "published" if one.caused() else "not known yet"),
        ),
    )


def _unintelligible(page: Page, reach: Mapping[str, Any], *, scoped: bool) -> None:
    """Say what speaks for GDPR Art. 34(3)(a), and no more than the record shows."""
    if not scoped:
        page.say("Whether the data was intelligible to anybody: this is not known yet.")
    elif reach["could"]["people"] != 0:
        page.say(
            "Somebody may have a key with which data could be opened outside the keeper, where nothing is recorded."
            " It must be taken as intelligible to them."
        )
    elif not reach["uses"] and not reach["uses_untold"]:
        page.say(
            "Within what is known, no key was released: all that could be reached is ciphertext, whose keys are held"
            f" elsewhere, and {reach['refused']} attempts were refused. This speaks for data that is unintelligible to"
            " whoever has it (GDPR Art. 34(3)(a)). Counsel decides."
        )
    else:
        page.say(
            f"Keys were released for {reach['uses']} uses, so the data was intelligible to what ran under them."
            " GDPR Art. 34(3)(a) does not help for those; whether rows left a sandbox, the gate's record tells."
        )


def _unknown(one: Incident, reach: Mapping[str, Any], *, scoped: bool) -> list[str]:
    found = []
    if not scoped:
        found.append("what it is about: no grant, principal, segment or artifact was named")
    if not one.caused():
        found.append("the root cause")
    if reach["uses_untold"]:
        found.append(f"whom {reach['uses_untold']} uses were about: their sealed part is gone")
    if reach["erased"]["people"] != 0:
        found.append(
            f"who up to {in_words(reach['erased'])} people were: they were erased since, and have no key any more"
        )
    return found


def _when(at_ms: int) -> str:
    return f"{moment_of(at_ms * 1000)[:19].replace('T', ' ')} UTC"
