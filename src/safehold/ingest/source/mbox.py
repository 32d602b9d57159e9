"""Mail in mbox form (RFC 4155): who wrote to whom, when, and the plain words of it.

A message is parsed by the standard library's legacy policy, in which a header is a text and nothing more. Attachments
and HTML are never read: of an attachment only its name is kept, for the scan; a mail of HTML alone has no text. A
subject is the words of whoever began, so that of an answer is left out. Headers: RFC 5322; encoded words: RFC 2047.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from email import policy
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any, Final

from safehold.clock import SECOND_US
from safehold.ingest.limits import Limits
from safehold.ingest.shape import Lookup
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.quoted import without_quoted
from safehold.ingest.source.record import Document

_LONGEST_HEADER: Final = 1 << 16
_MOST_PARTS: Final = 64
_MOST_HEADERS: Final = 1_000
_ANSWER: Final = re.compile(
    r"\s*(?:re|aw|sv|antw|fwd?|wg|tr|rv|r)\s*(?:\[\d+\])?\s*:", re.IGNORECASE
)
_ADDRESSED: Final = ("to", "cc", "bcc", "resent-to", "resent-cc")
# others are none of text at all (zlib, hex), or take time that grows with the square (punycode, idna)
_CHARSETS: Final = re.compile(
    r"(?:utf-?8(?:-sig)?|(?:us-)?ascii|latin-?1|iso-?8859-?\d{1,2}|cp\d{3,4}|windows-125\d|koi8-[ru]"
    r"|gb(?:2312|k|18030)|big5|shift_jis|euc-(?:jp|kr)|iso-2022-(?:jp|kr)|utf-?(?:7|16(?:le|be)?|32))",
    re.IGNORECASE,
)


class Mailbox:
    """Messages of an mbox file.

    Args:
        reader: The open file.
        name: Its name.
        limits: What it may ask for.
    """

    def __init__(self, reader: FileReader, *, name: str, limits: Limits) -> None:
        self.size = reader.size
        self.names: list[str] = []
        self.pictures = 0
        self._reader = reader
        self._name = name
        self._limits = limits

    def table(self, lookup: Lookup) -> Any:
        """Return nothing: a mailbox holds no table of words."""
        del lookup

    def documents(self) -> Iterator[Document | str]:
        """Yield one document a message; a text is the rule that one of them broke."""
        for data in self._messages():
            if data is None:
                yield "source.size"
                continue
            found = read_message(data)
            yield found if isinstance(found, str) else Document(found, {"@file": self._name})

    def _messages(self) -> Iterator[bytes | None]:
        """Yield each message; None for one that is larger than the limit."""
        held: list[bytes] = []
        size, blank, began = 0, True, False
        for line in self._reader.lines(self._limits.line_bytes):
            if line is None:
                yield None
                return
            if blank and line.startswith(b"From "):
                if began:
                    yield b"\n".join(held) if size <= self._limits.document_bytes else None
                held, size, began = [], 0, True
                blank = False
                continue
            blank = not line.strip()
            size += len(line) + 1
            if size <= self._limits.document_bytes:
                held.append(line[1:] if line.startswith(b">From ") else line)
            else:
                held = []
            began = True
        if began:
            yield b"\n".join(held) if size <= self._limits.document_bytes else None


def read_message(data: bytes) -> dict[str, Any] | str:
    """Return what is kept of one message, or the rule that it breaks."""
    head = data.partition(b"\n\n")[0]
    if head.count(b"\n") > _MOST_HEADERS or data.lower().count(b"boundary") > _MOST_PARTS:
        return "source.mail"
    try:
        message = BytesParser(policy=policy.compat32).parsebytes(data)
        return _read(message)
    except (
        MessageError,
        HeaderParseError,
        RecursionError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        IndexError,
        OverflowError,
        AssertionError,
        NotImplementedError,
    ):  # fmt: skip - what the standard library's parser is known to raise on hostile mail
        return "source.mail"


def _read(message: Message) -> dict[str, Any] | str:
    senders = _addresses(message, ("from",))
    others = _addresses(message, _ADDRESSED)
    if senders is None or len(senders) != 1:
        return "mail.sender"
    date = _plain(message, "date")
    try:
        moment = parsedate_to_datetime(date)
        at = round(
            moment.timestamp() * SECOND_US
        )  # without a zone: that of the machine, which is UTC
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return "mail.date"
    told = _ids(_plain(message, "message-id"))
    before = [*_ids(_plain(message, "references")), *_ids(_plain(message, "in-reply-to"))]
    text = _body(message)
    if text is None:
        return "mail.charset"
    subject = _decoded(message, "subject")
    if subject and not before and not _ANSWER.match(subject):
        text = f"{subject}\n{text}"
    names = [name for part in message.walk() if (name := _file_name(part)) is not None]
    people = (
        sorted({*senders, *others}) if others else None
    )  # nobody named: anybody may have read it
    return {
        "from": senders[0],
        "participants": people,
        "kind": "dm" if people is not None and len(people) == 2 else "private",
        "id": told[0] if told else None,
        "reply_to": before[-1] if before else None,
        "thread": before[0] if before else (told[0] if told else None),
        "t": at,
        "text": text,
        "attachments": min(len(names), 255),
        "names": names,
    }


def _plain(message: Message, name: str) -> str:
    value = str(message.get(name, ""))
    return value if len(value) <= _LONGEST_HEADER else ""


def _addresses(message: Message, names: tuple[str, ...]) -> list[str] | None:
    """Return the addresses of some headers, lower case; None when they do not all tell one."""
    values = [str(value) for name in names for value in message.get_all(name, [])]
    if sum(map(len, values)) > _LONGEST_HEADER:
        return None
    found = []
    for _, address in getaddresses(values):
        if "@" not in address:  # also a group that hides its members: "undisclosed-recipients:;"
            return None
        found.append(address.strip().lower())
    return list(dict.fromkeys(found))


def _ids(value: str) -> list[str]:
    return re.findall(r"<([^<>\s]{1,500})>", value)


def _charset(name: str | None) -> str | None:
    wanted = (name or "utf-8").strip().strip("\"'")
    if not _CHARSETS.fullmatch(wanted):
        return None
    try:
        return codecs.lookup(wanted).name
    except LookupError:
        return None


def _decoded(message: Message, name: str) -> str:
    """Return an unstructured header; nothing when its words cannot be read."""
    parts = []
    for piece, charset in decode_header(_plain(message, name)):
        if isinstance(piece, str):
            parts.append(piece)
            continue
        codec = _charset(charset or "ascii")
        if codec is None:
            return ""
        parts.append(piece.decode(codec, "replace"))
    return " ".join("".join(parts).split())


def _body(message: Message) -> str | None:
    """Return the first plain text that is no attachment; None when it cannot be read."""
    for part in message.walk():
        if part.is_multipart() or part.get_content_type() != "text/plain":
            continue
        if _file_name(part) is not None or part.get_content_disposition() == "attachment":
            continue
        codec = _charset(part.get_content_charset())
        payload = part.get_payload(decode=True)
        if codec is None or not isinstance(payload, bytes):
            return None
        try:
            return without_quoted(payload.decode(codec).replace("\r\n", "\n"))
        except UnicodeDecodeError:
            return None
    return ""


def _file_name(part: Message) -> str | None:
    name = part.get_filename()
    if name is None:
        return None
    found = []
    for piece, charset in decode_header(str(name)[:1024]):
        codec = _charset(charset or "ascii")
        found.append(
            piece if isinstance(piece, str) else piece.decode(codec or "latin-1", "replace")
        )
    return "".join(found)
