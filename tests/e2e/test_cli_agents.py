"""An agent's way through the command line: enrolled, delegated to, served, ended; and somebody who signed out."""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World, command, eventually
from tests.oidc_provider import CLIENT, Provider

mcp = pytest.importorskip("mcp", reason="the official client is not installed")
ROLE = (
    "  agent: {do: [run_approved_recipe], stages: [training], may_delegate: false,"
    " grant: {max: 30m, token: 15m, approvers: 2}}\n"
)


@pytest.fixture
def world(tmp_path: Path) -> World:
    charter = tmp_path / "charter.yaml"
    text = (CHARTERS / "demo.yaml").read_text("utf-8")
    charter.write_text(text.replace("who_may:\n", f"who_may:\n{ROLE}", 1))
    return World(tmp_path).init(charter)


def test_an_agent_and_its_operator(world: World) -> None:
    with Provider().running() as provider, serving(world):
        world.ask("principal", "provider", provider.issuer, "--client-id", CLIENT)
        world.ask("principal", "enrol", "ana", "--role", "engineer", "--name",
                  f"oidc:{provider.issuer}#sub-ana")  # fmt: skip
        world.ask("principal", "identify")
        assert world.refuse("people", "list", code=4)["rule"] == "door.identified"
        sign_in(world)
        assert world.ask("principal", "show")["role"] == "engineer"
        key = world.root / "helper.key"
        world.ask("agent", "enrol", "helper", "--operator", "ana", "--key", key,
                  "--purpose", "train_ui_agent", "--recipe", "train")  # fmt: skip
        refused = world.refuse("agent", "delegate", world.root / "r.json", "--key", key,
                               "--parent", "grant_none", "--reason", "ticket 7", code=1)  # fmt: skip
        assert refused["rule"] == "grant.missing"
        said = asyncio.run(ask_tools(world, key))
        assert said["ledger_entry"] > 0
        world.ask("sign-out", "--off")
        assert world.refuse("people", "list", code=4)["rule"] == "door.identified"
    world.run("ledger", "verify")


@contextmanager
def serving(world: World) -> Iterator[None]:
    process = subprocess.Popen(
        command(("serve",)), env=world.environment, stderr=subprocess.DEVNULL
    )
    try:
        eventually(lambda: any((world.root / "outside").glob("home_*/keeper.sock")))
        yield
    finally:
        process.terminate()
        process.wait(60)


def sign_in(world: World) -> None:
    """Sign in at the provider: the address is printed, and a browser follows where it leads."""
    with subprocess.Popen(
        command(("sign-in",)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=world.environment,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "sign in at this address:\n"
        address = process.stderr.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=60) as page:  # noqa: S310
            assert b"signed in" in page.read()
        end = threading.Timer(60, process.kill)
        end.start()
        assert process.wait() == 0
        end.cancel()
        assert process.stdout is not None
        assert "principal: ana" in process.stdout.read()


async def ask_tools(world: World, key: Path) -> dict:
    from mcp.client.stdio import StdioServerParameters, stdio_client

    words = command(("mcp", "serve", "--stdio", "--key", str(key)))
    server = StdioServerParameters(command=words[0], args=words[1:], env=world.environment)
    with Path(os.devnull).open("w") as nowhere:  # noqa: ASYNC230
        async with (
            stdio_client(server, errlog=nowhere) as (read, write),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            assert len((await session.list_tools()).tools) == 8
            found = await session.call_tool("describe_purposes", {})
            return found.structured_content
