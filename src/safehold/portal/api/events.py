"""Live views: what changed of what somebody may see, as Server-Sent Events (WHATWG HTML, section 9.2).

A stream asks the keeper as whoever opened it, again and again, and tells what is new. Nothing is kept for it: the id
of an event holds the marks of what was told last, so whoever comes back with ``Last-Event-ID`` is told what changed
meanwhile and nothing else, by this process or another one. There is no queue to fill: while the reader does not read,
nothing is asked, and what it is told then is how things stand then.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

import orjson
from starlette.concurrency import run_in_threadpool

from safehold.access.identity.jose import b64url, unb64url
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError, SafeholdError, SignInError
from safehold.portal.api.endpoint import JOBS
from safehold.portal.api.jobs import Jobs
from safehold.portal.api.visitor import ApiVisit
from safehold.portal.health import HEALTH, Health
from safehold.portal.rate import TooManyError

EVERY_S: Final = 2.0
HEARTBEAT_S: Final = 15.0
MOST_STREAMS: Final = 64
MOST_EACH: Final = 4
STREAMS: Final = "api.streams"  # on the shelf of a site
_MARK: Final = 6  # bytes of a mark


def _alerts(visit: ApiVisit) -> Any:
    return visit.line.call("alert.list", open=True, limit=100)


def _incidents(visit: ApiVisit) -> Any:
    return visit.line.call("incident.list")


def _milestones(visit: ApiVisit) -> Any:
    return visit.line.call("milestones")


def _head(visit: ApiVisit) -> Any:
    said = visit.line.call("status")
    return {
        "ledger": said["ledger"],
        "stopped": said["stopped"],
        "charter": said["charter"],
        "drift": said["drift"],
    }


def _grants(visit: ApiVisit) -> Any:
    return visit.line.call("grant.list")


def _jobs(visit: ApiVisit) -> Any:
    visit.line.call(
        "session.show"
    )  # jobs rest with the portal: whether the session holds the keeper says
    jobs: Jobs = visit.site.shelf[JOBS]
    return jobs.listing(visit.somebody().principal)


TOPICS: Final[Mapping[str, Callable[[ApiVisit], Any]]] = {
    "alerts": _alerts,
    "incidents": _incidents,
    "milestones": _milestones,
    "head": _head,
    "grants": _grants,
    "jobs": _jobs,
}


class Streams:
    """Counts the streams that are open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}

    def take(self, who: str) -> None:
        """Count one more.

        Raises:
            TooManyError: There are too many.
        """
        with self._lock:
            if sum(self._open.values()) >= MOST_STREAMS or self._open.get(who, 0) >= MOST_EACH:
                raise TooManyError(
                    "too many live views", rule="portal.rate.events", fix="close one"
                )
            self._open[who] = self._open.get(who, 0) + 1

    def give_back(self, who: str) -> None:
        """Count one less."""
        with self._lock:
            self._open[who] -= 1
            if not self._open[who]:
                del self._open[who]


def topics_of(text: str) -> tuple[str, ...]:
    """Return the topics that a query names; all where it names none.

    Raises:
        InvalidError: There is no such topic.
    """
    named = tuple(sorted({one.strip() for one in text.split(",") if one.strip()})) or tuple(TOPICS)
    if not set(named) <= set(TOPICS):
        raise InvalidError(
            "no such topic", field="topics", rule="portal.input", fix=", ".join(TOPICS)
        )
    return named


async def stream(
    visit: ApiVisit, topics: tuple[str, ...], last: str, *, every_s: float = EVERY_S
) -> AsyncIterator[bytes]:
    """Yield events as long as the session lasts.

    Args:
        visit: Who reads.
        topics: About what.
        last: The id of the last event that the reader got; empty for a new one.
        every_s: Seconds between two looks.

    Yields:
        Bytes of the stream; a comment where nothing happened for a while.
    """
    streams: Streams = visit.site.shelf[STREAMS]
    health: Health = visit.site.shelf[HEALTH]
    who = visit.somebody()
    streams.take(who.principal)
    marks, quiet, asked = read_id(last), 0.0, list(topics)
    try:
        yield b"retry: 3000\n\n"
        while visit.site.clock.now_us() // SECOND_US < who.until_s:
            for topic in tuple(asked):
                said, over, refused = await run_in_threadpool(_look, visit, topic)
                if refused:
                    asked.remove(
                        topic
                    )  # each refusal is an entry of the ledger: it is not asked for again
                body = orjson.dumps(said)
                mark = hashlib.sha256(body).digest()[:_MARK]
                if marks.get(topic) != mark:
                    marks[topic], quiet = mark, 0.0
                    yield event(topic, body, write_id(marks))
                if over:
                    yield b"event: over\ndata: {}\n\n"
                    return
            if (
                health.leaving
            ):  # whoever reads comes back with the id of its last event, to another portal
                return
            await asyncio.sleep(every_s)
            quiet += every_s
            if quiet >= HEARTBEAT_S:
                quiet = 0.0
                yield b": still here\n\n"
        yield b"event: over\ndata: {}\n\n"
    finally:
        streams.give_back(who.principal)


def event(topic: str, body: bytes, name: str) -> bytes:
    """Return one event as it goes over the wire; JSON holds no line breaks."""
    return b"id: " + name.encode() + b"\nevent: " + topic.encode() + b"\ndata: " + body + b"\n\n"


def write_id(marks: Mapping[str, bytes]) -> str:
    """Return the id of an event: what was told last, of each topic."""
    names = list(TOPICS)
    return b64url(
        b"".join(bytes([names.index(topic)]) + mark for topic, mark in sorted(marks.items()))
    )


def read_id(text: str) -> dict[str, bytes]:
    """Return what an id says was told; nothing if it is none of ours."""
    names = list(TOPICS)
    try:
        data = unb64url(text[:400])
    except ValueError:
        return {}
    step = _MARK + 1
    if len(data) % step:
        return {}
    return {
        names[data[at]]: data[at + 1 : at + step]
        for at in range(0, len(data), step)
        if data[at] < len(names)
    }


def _look(visit: ApiVisit, topic: str) -> tuple[Any, bool, bool]:
    """Return how a topic stands, whether the session has ended, and whether it may not be looked at."""
    try:
        return TOPICS[topic](visit), False, False
    except SignInError:
        return {"refused": "signed out"}, True, True
    except SafeholdError as error:
        # they are told once, and the other topics go on
        return {"refused": error.rule or error.code}, False, isinstance(error, DeniedError)
