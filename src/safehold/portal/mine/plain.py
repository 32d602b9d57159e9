"""The keeper's words in plain ones. What is not known here is shown as it is: nothing is left out for that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from safehold.portal.words import mark

STREAMS: Final[Mapping[str, str]] = {
    "key": mark("Keys you press"),
    "pointer": mark("Clicks and scrolling"),
    "focus": mark("Which program is in front"),
    "chat": mark("Chat messages"),
    "ai": mark("Questions to AI tools and their answers"),
    "speech": mark("What is said in meetings"),
    "metric": mark("Figures about work"),
    "screen": mark("Pictures of the screen"),
}
SORTS: Final[Mapping[str, str]] = {
    "used": mark("Your data was used"),
    "recorded": mark("Something was recorded, or the silence was proved"),
    "chosen": mark("A choice of yours, or about you"),
    "released": mark("Something was handed out"),
    "other": mark("Anything else"),
}
KINDS: Final[Mapping[str, str]] = {
    "access.intent": mark("Your data was used"),
    "ingest": mark("Data about you was taken in"),
    "lease": mark("A device may record you for up to 15 minutes"),
    "gap": mark("A proof that nothing was recorded"),
    "choice": mark("A choice was recorded"),
    "release": mark("Something was handed out"),
    "derived": mark("A table of several people was made"),
    "join": mark("A figure together with another house"),
    "embed.export": mark("Vectors were handed out"),
    "incident": mark("A step in an incident"),
    "disclosure": mark("The board decided what you are told"),
}
RECIPES: Final[Mapping[str, str]] = {
    "feature": mark("Features were computed from recordings"),
    "train": mark("A model was trained"),
    "query": mark("A figure was computed, with noise"),
    "embed": mark("Vectors were computed"),
    "code": mark("Approved code was run"),
    "reidentify": mark("A test whether people could be recognised"),
    "membership": mark("A test whether a model gives away who was in it"),
    "export": mark("Your own copy"),
    "symmetry": mark("How many take part was published, with noise"),
    "federate": mark("A model was trained with other houses"),
    "join": mark("A figure together with another house"),
    "blast": mark("Whom an incident reached was looked up"),
    "pull": mark("A model was handed out"),
}
ROLES: Final[Mapping[str, str]] = {
    "engineer": mark("Engineer"),
    "data_scientist": mark("Data scientist"),
    "auditor": mark("Auditor"),
    "agent": mark("Software agent"),
    "board": mark("Board"),
    "person": mark("You"),
    "keeper": mark("The system itself"),
    "employee": mark("Employee"),
}
OUTCOMES: Final[Mapping[str, str]] = {
    "": mark("still going on"),
    "ok": mark("done"),
    "failed": mark("failed"),
    "denied": mark("refused"),
    "stopped": mark("stopped by people"),
    "lost": mark("broken off"),
}
CHOICES: Final[Mapping[str, str]] = {
    "enrol": mark("You were enrolled"),
    "consent": mark("Agreed"),
    "pause": mark("Paused"),
    "resume": mark("Ended a pause"),
    "withdraw": mark("Left the study"),
    "object": mark("Objected"),
    "restrict": mark("Restricted all use"),
    "lift": mark("Lifted the restriction"),
    "correct": mark("Asked for a correction"),
    "key": mark("Set a key"),
    "link": mark("Linked a sign-in"),
    "unlink": mark("Ended the link of a sign-in"),
    "disown": mark("Refused a key or sign-in that was not yours"),
    "invite": mark("A one-time code was made"),
    "move": mark("A place of work was entered"),
    "read": mark("A request of yours was read"),
    "answer": mark("A request of yours was answered"),
    "device": mark("A device was added, first used, or removed"),
    "erase": mark("Asked to be erased"),
}
BY: Final[Mapping[str, str]] = {
    "person": mark("you, with your key"),
    "sign-in": mark("you, signed in"),
    "operator": mark("an operator"),
}
THINGS: Final[Mapping[str, str]] = {
    "feature": mark("Features"),
    "embedding": mark("Vectors"),
    "table": mark("Table"),
    "vectors": mark("Vectors of several people"),
    "model": mark("Model"),
    "aggregate": mark("Figure"),
}
STATUS: Final[Mapping[str, str]] = {
    "live": mark("in use"),
    "expired": mark("has ended"),
    "ended": mark("has ended"),
    "replaced": mark("was replaced"),
    "broken": mark("its record is damaged"),
    "shredded": mark("opens nowhere any more"),
    "rebuilt": mark("made again without you"),
    "pending": mark("will be made again without you"),
    "bounded": mark("stays; what it can tell of you is bounded"),
    "unsupported": mark("stays, and nothing bounds what it tells of you"),
}
RIGHTS: Final[Mapping[str, str]] = {
    "object": mark("Objection"),
    "restrict": mark("Restriction"),
    "correct": mark("Correction"),
}
ANSWERS: Final[Mapping[str, str]] = {
    "": mark("waits for an answer"),
    "upheld": mark("upheld"),
    "refused": mark("refused"),
    "kept": mark("kept"),
    "lifted": mark("lifted"),
    "corrected": mark("corrected"),
    "annotated": mark("noted"),
    "taken_back": mark("taken back by you"),
}
WRONG: Final[Mapping[str, str]] = {
    "attribution": mark("It was not me"),
    "jurisdiction": mark("The place is wrong"),
    "label": mark("The label is wrong"),
    "metadata": mark("Something else about it is wrong"),
}
# purposes that no charter has to name: what the system does for the person, or must do
PURPOSES: Final[Mapping[str, str]] = {
    "": "\N{EN DASH}",
    "right-of-access": mark("You asked for a copy of your data."),
    "incident-response": mark("To find out whom an incident reached."),
}
DECISIONS: Final[Mapping[str, str]] = {
    "identity": mark("The board decided that you are told who it was"),
    "delay": mark("The board decided that you are told the rest of some uses later"),
}
TABLES: Final = {
    "decisions": DECISIONS,
    "purposes": PURPOSES,
    "streams": STREAMS, "sorts": SORTS, "kinds": KINDS, "recipes": RECIPES, "roles": ROLES,
    "outcomes": OUTCOMES, "choices": CHOICES, "by": BY, "things": THINGS, "status": STATUS,
    "rights": RIGHTS, "answers": ANSWERS, "wrong": WRONG,
}  # fmt: skip


def plain(table: str, word: str) -> str:
    """Return the plain English text of a word, to be translated; the word itself if there is none."""
    return TABLES[table].get(word, word)
