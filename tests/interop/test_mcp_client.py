"""The official client of the Model Context Protocol, over HTTP and over standard input and output."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from tests.agency import with_agents
from tests.keeper_desk import found_bench
from tests.mcp_client import Street

from safehold.keeper.signed import line_with_key
from safehold.mcp import stdio
from safehold.mcp.protocol import for_agent
from safehold.mcp.tools import Bench as ToolBench

httpx2 = pytest.importorskip("httpx2", reason="the official client is not installed")
mcp = pytest.importorskip("mcp", reason="the official client is not installed")


@pytest.fixture(scope="module")
def street(tmp_path_factory):
    bench = found_bench(tmp_path_factory.mktemp("official"), charter=with_agents()).start()
    street = Street(bench)
    with street.server.web.running():
        street.client.obtain()
        yield street
    bench.stop()


async def talk(session: Any, parent: str) -> None:
    hello = await session.initialize()
    assert hello.protocol_version == "2025-11-25"
    tools = (await session.list_tools()).tools
    assert [one.name for one in tools][:2] == ["describe_purposes", "request_grant"]
    said = await session.call_tool("describe_purposes", {})
    assert not said.is_error
    assert said.structured_content["ledger_entry"] > 0
    asked = await session.call_tool(
        "request_grant",
        {"parent": parent, "recipe": "train", "minutes": 5, "reason": "ticket 78"},
    )
    assert asked.structured_content["state"] == "open"
    refused = await session.call_tool("train", {"request": asked.structured_content["request"]})
    assert refused.is_error
    assert refused.structured_content["refused"]["rule"] == "approval.quorum"


def test_over_http(street: Street) -> None:
    client = street.client

    class Proving(httpx2.Auth):
        def auth_flow(self, request):
            request.headers["Authorization"] = f"DPoP {client.token}"
            request.headers["DPoP"] = client.proof(htm=request.method)
            yield request

    async def run() -> None:
        from mcp.client.streamable_http import streamable_http_client

        async with (
            httpx2.AsyncClient(auth=Proving()) as web,
            streamable_http_client(street.server.resource, http_client=web) as (read, write),
            mcp.ClientSession(read, write) as session,
        ):
            await talk(session, street.grant.id)

    asyncio.run(run())


def test_over_lines_of_text(street: Street) -> None:
    """What stands on the wire of standard input and output, without a process."""
    line = line_with_key(street.line, street.other.key)
    call = for_agent(ToolBench(line, street.other.key), "other")
    source = io.BytesIO(
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"show_budget"}}\n\n'
        + b"x" * 200_000
        + b'\n{"jsonrpc":"2.0","method":"notifications/initialized"}\n'
        b'{"jsonrpc":"2.0","id":2,"method":"ping"}\n'
    )
    sink = io.BytesIO()
    stdio.serve(source, sink, call)
    said = sink.getvalue().splitlines()
    assert len(said) == 3
    assert b'"ledger_entry"' in said[0]
    assert b"-32600" in said[1]
    assert said[2] == b'{"jsonrpc":"2.0","id":2,"result":{}}'
