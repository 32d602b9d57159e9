"""Agents from the command line: enrolled, delegated to, and served."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from safehold.access import Grant, PeopleFilter, Price
from safehold.app.requests import Paper, write
from safehold.clock import SystemClock
from safehold.errors import InvalidError
from safehold.keeper.client import KeeperClient
from safehold.keeper.signed import SignedLine, line_with_key
from safehold.mcp.http import AgentServer
from safehold.mcp.protocol import for_agent
from safehold.mcp.stdio import serve as serve_lines
from safehold.mcp.tools import Bench
from safehold.signing import SigningKey


def name_of_key(file: Path) -> str:
    """Return the name that a key is enrolled by; the key is made if the file does not exist."""
    if not file.exists():
        SigningKey.generate().write(file)
    return f"key:{SigningKey.read(file).public.text()}"


def delegate(
    client: KeeperClient,
    file: Path,
    *,
    key: SigningKey,
    parent: str,
    recipe: str,
    minutes: int,
    reason: str,
) -> dict[str, Any]:
    """Ask, as an agent, for a grant below one of its operator's or another agent's; people decide on the file.

    Raises:
        DeniedError: What stands above it has ended, or the agent's policy has nothing of it.
    """
    if file.exists():
        raise InvalidError("this file exists", file=file.name, rule="request.file")
    line: SignedLine = line_with_key(client, key)
    drafted = line.call(
        "agent.draft",
        parent=parent,
        recipe=recipe,
        minutes=minutes,
        reason=reason,
        holder=key.public.text(),
    )
    answer = line.call("request.new", grant=drafted["grant"], people=drafted["people"])
    write(
        file,
        Paper(
            grant=Grant.from_json(drafted["grant"]),
            people=PeopleFilter.from_json(drafted["people"]),
            price=Price.from_json(answer["price"]),
        ),
    )
    return {**answer, "file": file.name}


def serve_stdio(client: KeeperClient, key: SigningKey) -> None:
    """Serve one agent on standard input and output, as itself, until the input ends.

    Raises:
        SignInError: Nobody is enrolled with this key.
    """
    line = line_with_key(client, key)
    agent = str(line.call("session.show")["principal"])
    serve_lines(sys.stdin.buffer, sys.stdout.buffer, for_agent(Bench(line, key), agent))


def agent_server(client: KeeperClient, key: SigningKey, *, bind: str) -> AgentServer:
    """Return a server for the agents that come through a workload, not yet serving.

    Raises:
        SignInError: Nobody is enrolled with this key.
        InvalidError: An address that others could reach.
    """
    line = line_with_key(client, key)
    line.call("session.show")
    asked = client.call("session.ask")
    return AgentServer(
        line,
        Bench(line, key),
        bind=bind,
        issuer=str(asked["audience"]),
        key=asked["token_key"],
        clock=SystemClock(),
    )
