"""Asking a query: the file, the grant for it, the check on empty tables, the answer. The holder's side of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from safehold import ids
from safehold.access import Grant, Holder, Human, PeopleFilter
from safehold.access.code import SQL
from safehold.access.grant import MINUTE_US, WAIT_US
from safehold.app.charters import charter_in_force
from safehold.app.draft import ROLE, Limits
from safehold.app.grants import demand_pass
from safehold.app.requests import file_request, read_paper
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.clock import SystemClock, day_of
from safehold.enclave.database import Database
from safehold.enclave.sql import empty_tables, prepare
from safehold.errors import InvalidError
from safehold.keeper.client import KeeperClient, Progress
from safehold.keeper.messages import use_message
from safehold.keeper.recipes import QUERY_STAGE, QUERY_VERB
from safehold.keeper.signed import Line
from safehold.keeper.terms import sources_of
from safehold.privacy.query import Query, is_query, read_query, write_query
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.telemetry.schema import REST
from safehold.telemetry.stream import segment_name

# what tells people, devices and sessions apart; a query is about one person at a time and rarely needs it
UNASKED: Final = frozenset({"subject", "device", "policy", "event_id"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a request for queries asks for.

    Args:
        requester: Who asks.
        purpose: The one purpose.
        reason: Why.
        minutes: How long it may be used.
        query: The reviewed query; None for queries that nobody reviewed.
        role: Role of whoever asks.
        columns: As ``stream.column``; all but those in ``UNASKED`` where nothing is said.
        limits: The most it may come to.
    """

    requester: str
    purpose: str
    reason: str
    minutes: int
    query: Query | None = None
    role: str = ROLE
    columns: Sequence[str] = ()
    limits: Limits | None = None


def draft_query(charter: Charter, asked: Ask, *, holder: SigningKey, people: PeopleFilter) -> Grant:
    """Return a grant for one reviewed query, or for queries that nobody reviewed.

    Raises:
        InvalidError: The purpose has no telemetry, or how much may be spent is not said.
    """
    now = SystemClock().now_us()
    today = day_of(now)
    limits = asked.limits or Limits()
    columns = tuple(asked.columns) or tuple(
        f"{stream}.{name}"
        for stream in sorted(sources_of(charter, asked.purpose))
        for name in REST[stream].names
        if name not in UNASKED
    )
    streams = tuple(sorted({name.partition(".")[0] for name in columns}))
    if not streams:
        raise InvalidError("this purpose uses no telemetry", rule="sql.streams")
    epsilon = limits.epsilon_micro
    if epsilon is None:
        if asked.query is None:
            raise InvalidError(
                "queries that nobody reviewed need a limit", rule="sql.epsilon", fix="--epsilon"
            )
        epsilon = asked.query.template.epsilon_micro * limits.runs
    kept = max(charter.retention(stream) for stream in streams)
    return Grant(
        id=ids.new_id("grant"),
        requester=Human(id=asked.requester, role=asked.role),
        holder=holder.public,
        purpose=asked.purpose,
        segments=tuple(
            segment_name(place, stream)
            for place in sorted(charter.jurisdictions)
            for stream in streams
        ),
        streams=streams,
        columns=columns,
        stages=(QUERY_STAGE,),
        recipes=(SQL if asked.query is None else asked.query.name,),
        people=people.digest(),
        first_day=max(today - kept, 0),
        last_day=today + 1,
        asked_us=now,
        expires_us=now + WAIT_US + asked.minutes * MINUTE_US,
        minutes=asked.minutes,
        max_runs=limits.runs,
        max_rows=limits.rows,
        max_bytes=limits.out_bytes,
        max_per_hour=limits.per_hour,
        epsilon_micro=epsilon,
        reason=asked.reason,
        charter=charter.digest().hex(),
    )


def ask_query(
    client: KeeperClient, path: Path, file: Path, asked: Ask, *, holder: Path, people: PeopleFilter
) -> dict[str, Any]:
    """Draw up a request for a query, put it before the keeper, and write it to a new file."""
    if not holder.exists():
        SigningKey.generate().write(holder)
    charter = charter_in_force(Home.open(path))
    grant = draft_query(charter, asked, holder=SigningKey.read(holder), people=people)
    return file_request(client, file, grant, people)


def read_file(file: Path) -> Query:
    """Read a query file."""
    return read_query(file.read_text("utf-8"))


def compose_query(sql: str, settings: Mapping[str, Any]) -> str:
    """Return the text of a query file: as it is if it has a head, otherwise under the settings."""
    given = {name: value for name, value in settings.items() if value is not None}
    if sql.lstrip().startswith("-- /// safehold"):
        if given:
            raise InvalidError("a query file says itself what it releases", rule="cli.options")
        return sql
    return write_query(sql, given)


def check_query(text: str, columns: Mapping[str, Sequence[str]] | None = None) -> Query:
    """Return a query that would run, tried on empty tables here, where no row is: so errors may be told in full.

    Args:
        text: The query file.
        columns: Columns of each stream; all of every stream where nothing is said.

    Raises:
        InvalidError: It would not run.
    """
    query = read_query(text)
    known = columns or {stream: REST[stream].names for stream in REST}
    database = Database()
    try:
        prepare(database, query.sql, query.template, empty_tables(known))
    finally:
        database.close()
    return query


def columns_by_stream(grant: Grant) -> dict[str, list[str]]:
    """Return the columns that a grant has, by stream."""
    found: dict[str, list[str]] = {}
    for column in sorted(grant.columns):
        stream, _, name = column.partition(".")
        found.setdefault(stream, []).append(name)
    return found


def run_query(
    client: KeeperClient,
    path: Path,
    text: str,
    *,
    grant: Path,
    holder: Path | None,
    progress: Progress,
) -> dict[str, Any]:
    """Ask a query under a grant on paper, after a check here that costs nothing.

    Raises:
        InvalidError: The grant is for something else, or the query would not run.
        DeniedError: See the keeper's verb.
    """
    asked = read_paper(grant).grant
    if not any(map(is_query, asked.recipes)):
        raise InvalidError("this grant is not for queries", rule="sql.grant")
    check_query(text, columns_by_stream(asked))
    permit = demand_pass(client, path, purpose=asked.purpose, grant=grant, holder=holder)
    return use_query(client, asked, permit.holder, text, progress)


def use_query(
    client: Line, grant: Grant, holder: Holder, text: str, progress: Progress
) -> dict[str, Any]:
    """Ask a query with a capability."""
    query = read_query(text)
    nonce = unb64(client.call("nonce")["nonce"])
    return client.call(
        QUERY_VERB,
        progress=progress,
        purpose=grant.purpose,
        streams=list(grant.streams),
        recipe=query.name if query.name in grant.recipes else SQL,
        text=text,
        token=holder.token,
        nonce=b64(nonce),
        proof=b64(holder.prove(nonce, use_message(QUERY_VERB, grant.purpose))),
    )
