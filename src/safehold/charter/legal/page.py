"""A text for people in Markdown: headings, paragraphs, lists, tables, and gaps that somebody must fill."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from safehold.charter.difference.words import ENGLISH, Said
from safehold.charter.model import Category, Charter, Minimise
from safehold.charter.vocabulary import DLP_GROUPS

GAP: Final = "[to be completed: "
COUNSEL: Final = (
    "This text was made from the charter by a program. It is a draft: counsel reads it first."
)


@dataclass(slots=True)
class Page:
    """A text that grows from top to bottom."""

    parts: list[str] = field(default_factory=list)

    def head(self, text: str, level: int = 2) -> None:
        """Add a heading."""
        self.parts.append(f"{'#' * level} {text}")

    def say(self, *sentences: str) -> None:
        """Add a paragraph."""
        self.parts.append(" ".join(sentences))

    def items(self, lines: Iterable[str]) -> None:
        """Add a list."""
        self.parts.append("\n".join(f"- {line}" for line in lines) or "- none")

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table."""
        lines = [head, ["---"] * len(head), *rows]
        self.parts.append("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))

    def ask(self, question: str) -> None:
        """Add a gap that a person must fill."""
        self.parts.append(f"{GAP}{question}]")

    def text(self) -> str:
        """Return the whole text."""
        return "\n\n".join(self.parts) + "\n"


def begin(charter: Charter, title: str) -> Page:
    """Return a page that says what it is, of which charter, and who answers."""
    page = Page()
    page.head(title, 1)
    page.say(f"{charter.title}. {charter.summary}")
    page.table(
        ("", ""),
        (
            ("charter", f"{charter.id}, version {charter.version}"),
            ("digest of the charter", charter.digest().hex()),
            ("controller", charter.controller.name),
            ("contact", charter.controller.contact),
            ("data protection officer", charter.controller.dpo),
        ),
    )
    page.say(COUNSEL)
    return page


def said(kind: str, value: object) -> str:
    """Return a value of the charter in words."""
    return ENGLISH.say(Said.of(kind, value))


def masked(one: Minimise) -> str:
    """Return the groups that are masked; naming none means all of them."""
    return said("dlp", one.dlp or DLP_GROUPS)


def category(one: Category) -> str:
    """Return a category of data or a use with its terms."""
    return ", ".join(one.terms())


def purposes(charter: Charter) -> list[tuple[str, str]]:
    """Return the purposes as (name, in words)."""
    return [(name, one.plain) for name, one in charter.purposes.items()]


def kept(charter: Charter) -> list[tuple[str, str]]:
    """Return for each kind of data, and for what is made of it, how long it is kept."""
    rows = [(said("what", one.what), said("days", one.keep_days)) for one in charter.collect]
    for name, one in charter.purposes.items():
        if one.derived_keep_days is not None:
            rows.append((f"what is made for {name}", said("days", one.derived_keep_days)))
    if charter.set_aside is not None:
        rows.append(
            ("broken messages, sealed until they end", said("days", charter.set_aside.keep_days))
        )
    return rows


def safeguards(charter: Charter) -> list[str]:
    """Return the technical and organisational measures that the charter and the system hold."""
    oversight, withdraw = charter.oversight, charter.participation.withdraw
    widen, witnesses = oversight.widen, charter.audit.witnesses
    lines = [
        "Each block of data belongs to one person, one stream and one day. It rests encrypted under their own key.",
        "A key is used only after an entry about it is durable in an append-only record that outsiders can verify.",
        "Data is used inside sandboxes without network. What leaves is checked, bounded and counted.",
        "Who leaves is out at once. On request their keys are destroyed, in backups too, within {}.".format(
            said("seconds", withdraw.effect.within_s)
        ),
        "A stop by {} of the board ends all work within {}.".format(
            said("seats", oversight.stop.approve), said("seconds", oversight.stop.effect.within_s)
        ),
        "To allow more takes {} of {}, among them {}, and {} of notice.".format(
            widen.approve,
            said("seats", len(oversight.seats)),
            said("words", widen.must_include),
            said("seconds", widen.notice_s),
        ),
        "The record needs {} outside. An independent audit comes every {}.".format(
            said("witnesses", witnesses.min), said("days", charter.audit.independent_days)
        ),
    ]
    lines += [f"Red line: {line.words()}" for line in charter.red_lines]
    return lines


def limits() -> list[str]:
    """Return what the system does not prove."""
    return [
        "Root on the keeper's machine can read the memory of the keeper while it runs.",
        "Detection by patterns misses things; how many is measured and never zero.",
        "Differential privacy bounds what a model reveals about one person; it does not make it nothing.",
        "The record proves which keys were used, not what a person remembered.",
    ]


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
