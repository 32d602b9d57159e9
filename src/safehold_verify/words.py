"""A package in plain words, for the person whose data it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby

from safehold_verify.choice import Choice, Effect
from safehold_verify.package import PackageReport, Use

WHAT = {
    "access.intent": "your data was used",
    "ingest": "data about you was taken in",
    "choice": "a choice of yours was recorded",
    "lease": "a device was allowed to record you for a quarter of an hour",
    "release": "a copy was sealed to your key and handed out, or how many take part was published, with noise",
    "disclosure": "the board decided what you are told of some uses, or from when on",
    "gap": "a record was made that nothing of you was recorded for a time",
}


CHOSEN = {
    "consent": "opted in",
    "pause": "paused",
    "resume": "ended a pause",
    "withdraw": "withdrew",
    "erase": "asked to be erased",
    "object": "objected",
    "restrict": "restricted all use",
    "lift": "lifted the restriction",
    "correct": "asked for a correction",
    "answer": "an answer was given",
    "move": "a place of work was entered",
    "invite": "a one-time code was made",
    "key": "a key was set",
    "link": "a sign-in was linked, which sees what is yours and narrows for you",
    "unlink": "a sign-in was unlinked",
    "disown": "a key or a sign-in that a code had set was taken away again",
    "read": "a request was read",
    "device": "a device was added, used first, or removed",
}


def choice_in_words(choice: Choice, effect: Effect | None) -> Iterator[str]:
    """Yield the lines of a receipt: what, when, by whom, under which charter, and whether it was kept to."""
    what = CHOSEN.get(choice.choice, plain(choice.choice))
    yield f"{moment(choice.time)}, leaf {choice.index} of {choice.origin}: {what}."
    for name in ("streams", "purposes", "about"):
        if values := choice.said.get(name):
            yield f"  {name}: {', '.join(plain(str(one)) for one in values)}"
    if choice.key:
        yield f"Signed by the person with the key {choice.key}; compare it with yours."
    elif choice.session:
        leaf, principal = choice.session
        yield (
            f"Said in a signed-in session by {plain(principal)}, leaf {leaf} of the same log. No key of the person "
            "signed it: that it was them is the word of whoever signed them in, and of the keeper."
        )
    else:
        yield f"Entered by: {plain(choice.by)}. The person did not sign it."
    if choice.charter:
        name, version, digest = choice.charter
        yield f"Under the charter {plain(name)}, version {version}, digest {digest}."
    if effect is None:
        yield "Whether it was kept to since: give your package too (--package)."
        return
    yield f"Kept: none of the leaves {effect.first} to {effect.stop - 1} uses what was forbidden."
    if effect.ended_by >= 0:
        yield f"It ended with a later choice, leaf {effect.ended_by}."
    for copy in effect.copies:
        yield f"Leaf {copy} says that it is a copy which you asked for with your key; if you did not, it is a use."
    if effect.unexplained >= 0:
        yield (
            f"Leaf {effect.unexplained} is a later choice of yours of which no receipt was given (--later): what came "
            "after it is not shown."
        )


def in_words(report: PackageReport) -> Iterator[str]:
    """Yield the lines of a report: what, why, when, by which role, and where there was nothing."""
    yield f"Checked: {report.origin}, {report.size} entries."
    if report.witnesses:
        seen = min(report.witnesses.values())  # one that lies can only make it look older
        yield f"Cosigned by its witnesses, the first of them: {moment(seen * 1000)}."
        yield "What came later is not in it; if that is long ago, ask for a newer package."
    else:
        yield "No witness says how old it is."
    uses = {span.epoch: [] for span in report.spans}  # type: dict[int, list[Use]]
    for use in report.uses:
        uses[use.epoch].append(use)
    quiet: int | None = None
    for span in report.spans:
        if not span.count:
            quiet = span.first if quiet is None else quiet
            continue
        if quiet is not None:
            yield _nobody(quiet, span.first)
            quiet = None
        yield f"Leaves {span.first} to {span.stop - 1}: {span.count} about you, and no more."
        yield from (f"  {_use(one)}" for one in uses[span.epoch])
    if quiet is not None:
        yield _nobody(quiet, report.covered)
    for first, stop, names in _stretches(report):
        if names:
            yield (
                f"Leaves {first} to {stop - 1}: {_and(names)} computed everybody's lists again from the entries and "
                "signed that they are complete; yours is one of them."
            )
    if report.covered < report.size:
        yield f"Not covered yet: leaves {report.covered} to {report.size - 1}."
    if report.covered:
        yield f"Covered until {moment(report.until)}, by the log's own clock."
    yield from limits(report)


def limits(report: PackageReport) -> Iterator[str]:
    """Yield what a package does not show."""
    yield "What this does not show:"
    if not report.bound:
        yield (
            "  that it is about you: it was not compared with a receipt. The commitment of its keys is "
            f"{report.commitment}; a receipt from before, or an earlier package, must have the same."
        )
    open_now = [(first, stop) for first, stop, names in _stretches(report) if not names]
    if open_now or not report.covered:
        where = ", ".join(f"{first} to {stop - 1}" for first, stop in open_now)
        yield (
            f"  that the lists {f'of leaves {where} ' if where else ''}are complete: for each of these epochs an "
            "auditor computes them again from the entries; where nobody used your data, that the index is sorted and "
            "names you once is the auditor's word too; ask for the auditor's statement."
        )
    if auditors := sorted({name for span in report.spans for name in span.auditors}):
        yield (
            f"  whether {_and(auditors)} told the truth: an auditor who works together with whoever runs the keeper "
            "can leave somebody out."
        )
    yield (
        "  what happens without an entry: no key is given out without one, which is the keeper's construction and not "
        "shown here; whoever is root on its machine can read its memory."
    )


def _stretches(report: PackageReport) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Yield first leaf, leaf after the last, and auditors, of epochs that the same ones vouch for."""
    for names, spans in groupby(report.spans, key=lambda span: span.auditors):
        first, *rest = spans
        yield first.first, (rest[-1] if rest else first).stop, names


def _and(names: Sequence[str]) -> str:
    return " and ".join(map(plain, names))


def _nobody(first: int, stop: int) -> str:
    return f"Leaves {first} to {stop - 1}: nobody used your data."


def _use(use: Use) -> str:
    what = WHAT.get(use.kind, use.kind)
    said = [f"{moment(use.time)}, leaf {use.index}: {what}"]
    try:
        detail = json.loads(use.told.get("det", "{}"))
    except (ValueError, RecursionError):
        detail = {}
    if purpose := use.purpose or (detail.get("purpose") if isinstance(detail, dict) else ""):
        said.append(f"for {purpose}")
    if use.kind == "access.intent" and (recipe := use.told.get("obj")):
        said.append(f"by the recipe {recipe}")
    if isinstance(detail, dict) and detail.get("role"):
        said.append(f"asked for by a {detail['role']}")
    if who := use.told.get("act"):
        said.append(f"who was {who}")
    if use.kind == "access.intent" and not use.told:
        said.append("by whom and how is withheld for a time, by decision of the board")
    return ", ".join(plain(one) for one in said)


def moment(at: int, unit: str = "ms") -> str:
    """Return a time in words; a leaf may say one that no calendar has.

    Args:
        at: Since 1970.
        unit: ``ms`` or ``us``.
    """
    second = {"ms": 1_000, "us": 1_000_000}[unit]
    try:
        return f"{datetime.fromtimestamp(at // second, UTC):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return f"{at} {unit} after 1970"


def plain(text: str) -> str:
    """Return a text that writes nothing on a terminal but itself."""
    return "".join(one if one.isprintable() else "?" for one in text)
