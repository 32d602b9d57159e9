"""What a person does in a day: actions, contexts, typed text, messages, and what was planted.

The plan knows no times. It is drawn from the person-day's own entropy, so it is the same for
whoever asks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from safehold.workforce import words
from safehold.workforce.people import Hand

CLICK: Final = 0
SCROLL: Final = 1
DRAG: Final = 2
KEYS: Final = 3
CHAT: Final = 4
AI: Final = 5
MEET: Final = 6

COST: Final = {
    CLICK: 29.0,
    SCROLL: 9.0,
    DRAG: 22.0,
    CHAT: 0.0,
    AI: 0.0,
    MEET: 0.0,
}  # events an action makes

FIELD_KINDS: Final = ("text", "password", "search", "code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What was in front.

    Args:
        app: Application id.
        name: Its name as shown.
        title: Window title.
        host: Host of the page, for a browser.
        action: Number of the first action in this context.
    """

    app: str
    name: str
    title: str
    host: str | None
    action: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A chat message or a turn with an assistant.

    Args:
        stream: ``chat`` or ``ai``.
        action: Number of the action that sends it.
        thread: Channel or conversation.
        kind: Channel kind, or role of the turn.
        text: What it says.
        people: Participants (chat), the sender first.
        reply: Message answered, for chat.
        turn: Number of the turn, for ai.
    """

    stream: str
    action: int
    thread: str
    kind: str
    text: str
    people: tuple[str, ...] = ()
    reply: str | None = None
    turn: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something said in a meeting, as a transcript has it.

    Args:
        action: Number of the action that is the meeting.
        meeting: The meeting.
        speaker: External id of who spoke.
        start: Milliseconds since the meeting began.
        end: Milliseconds since the meeting began.
        text: What was said.
        confidence: How sure the recogniser is, 0 to 1.
    """

    action: int
    meeting: str
    speaker: str
    start: int
    end: int
    text: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What an input method puts into a field.

    Args:
        first: First press that composes it.
        last: The press that accepts it.
        text: What comes into the field.
    """

    first: int
    last: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a planted value lies.

    Args:
        stream: Stream it lies in.
        kind: Class.
        value: The value.
        first: First press (key), or number of the message (chat, ai), of the context (focus), of
            what was said (speech) or of the odd label (metric).
        last: Last press; equal to ``first`` elsewhere.
        column: Column of the stream that holds it.
        erased: It was deleted again.
        retyped: It was typed again where it belongs.
        decoy: It only looks like its class.
        commit: Number of the commit that brings it, for what an input method composed.
    """

    stream: str
    kind: str
    value: str
    first: int
    last: int
    column: str
    erased: bool = False
    retyped: bool = False
    decoy: bool = False
    commit: int | None = None


@dataclass(slots=True, kw_only=True)
class Plan:
    """A day as it is being planned.

    Args:
        hand: How the person types.
        meeting_ms: How long each meeting lasts, by the number of its action.
        labels: Names of metrics that should never have been names.
    """

    hand: Hand
    kinds: list[int] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    contexts_of: list[int] = field(default_factory=list)
    fields: list[int] = field(default_factory=list)
    ops: bytearray = field(default_factory=bytearray)
    op_ends: list[int] = field(default_factory=list)
    task_starts: list[int] = field(default_factory=list)
    second_session: int = -1
    contexts: list[Context] = field(default_factory=list)
    chats: list[Message] = field(default_factory=list)
    turns: list[Message] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    meeting_ms: dict[int, int] = field(default_factory=dict)
    commits: list[Commit] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    cost: float = 0.0

    def add(self, kind: int, *, role: str = "", ops: bytes = b"", field_kind: int = 0) -> int:
        """Append an action and return its number."""
        self.kinds.append(kind)
        self.roles.append(role)
        self.contexts_of.append(len(self.contexts) - 1)
        self.fields.append(field_kind)
        self.ops += ops
        self.op_ends.append(len(self.ops))
        self.cost += COST[kind] if kind != KEYS else 2.05 * len(ops)
        return len(self.kinds) - 1

    def look_at(self, app: str, *, title: str | None = None, host: str | None = None) -> None:
        """Bring another window or page to the front."""
        self.contexts.append(
            Context(
                app=app,
                name=APP_NAMES[app],
                title=f"{title} - {APP_NAMES[app]}" if title else APP_NAMES[app],
                host=host,
                action=len(self.kinds),
            )
        )

    @property
    def app(self) -> str:
        """Return the application in front, empty before the first."""
        return self.contexts[-1].app if self.contexts else ""


APP_NAMES: Final = {
    "editor": "Editor",
    "spreadsheet": "Spreadsheet",
    "ticketing": "Ticketing",
    "crm": "CRM",
    "browser": "Browser",
    "mail": "Mail",
    "chat": "Chat",
    "assistant": "Assistant",
    "keepassxc": "KeePassXC",
    "meeting": "Meeting",
}

TEXTS: Final = {
    "prose": words.sentence,
    "short": words.phrase,
    "word": words.word,
    "search": words.word,
    "number": words.number,
    "formula": words.formula,
    "ask": words.question,
}
FIELD_OF: Final = {"search": 2, "formula": 3}
