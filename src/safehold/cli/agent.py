"""``safehold agent``: programs that act for a person; ``safehold mcp``: how they are served."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import (
    DEFAULT_HOME,
    HomeOption,
    JsonOption,
    existing,
    keeper,
    put,
    say,
)

group = typer.Typer(no_args_is_help=True, help="Agents: enrol, list, suspend, delegate.")
server = typer.Typer(
    no_args_is_help=True, help="The server through which agents reach this home (MCP)."
)

Name = Annotated[str, typer.Argument(help="The agent's id.")]


@group.command()
def enrol(
    agent: Name,
    *,
    operator: Annotated[str, typer.Option(help="The person it acts for.")],
    key: Annotated[Path, typer.Option(help="The agent's key file; made if it does not exist.")],
    purpose: Annotated[list[str], typer.Option(help="A purpose it may ask for.")],
    recipe: Annotated[
        list[str], typer.Option(help="A recipe it may run: train, reidentify, feature.")
    ],
    rows: Annotated[int, typer.Option(help="Most rows of a grant of its own.")] = 1_000_000,
    out_bytes: Annotated[int, typer.Option(help="Most bytes out of one.")] = 10_000_000,
    runs: Annotated[int, typer.Option(help="Most runs of one.")] = 3,
    calls: Annotated[int, typer.Option(help="Most tool calls in a minute.")] = 30,
    via: Annotated[str, typer.Option(help="The workload of the server it comes through.")] = "",
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Enrol an agent for a person, with the most that it may ever ask for. That opens nothing."""
    from safehold.app.agents import name_of_key

    policy = {
        "purposes": purpose,
        "recipes": recipe,
        "rows": rows,
        "bytes": out_bytes,
        "runs": runs,
        "calls": calls,
    }
    with keeper(home) as client:
        put(
            client.call(
                "agent.enrol",
                principal=agent,
                operator=operator,
                names=[name_of_key(key)],
                via=via,
                policy=policy,
            ),
            as_json=as_json,
        )


@group.command(name="list")
def listing(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """List the agents, for whom each acts, and what each may ask for at most."""
    with keeper(home) as client:
        put(client.call("agent.list"), as_json=as_json)


@group.command()
def suspend(agent: Name, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Suspend an agent at once."""
    with keeper(home) as client:
        put(client.call("agent.suspend", agent=agent), as_json=as_json)


@group.command()
def delegate(
    file: Annotated[Path, typer.Argument(help="New file for the request; seats decide on it.")],
    *,
    key: Annotated[Path, typer.Option(help="The agent's key file.")],
    parent: Annotated[
        str, typer.Option(help="Grant it stands under: its operator's, or another agent's.")
    ],
    recipe: Annotated[str, typer.Option(help="The recipe.")] = "train",
    minutes: Annotated[int, typer.Option(help="How long it may be used.")] = 15,
    reason: Annotated[str, typer.Option(help="Why, in a sentence; a ticket number.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Ask, as an agent, for the part of a grant that its own policy allows; people decide, as on any request."""
    from safehold.app.agents import delegate as ask
    from safehold.signing import SigningKey

    with keeper(home, bare=True) as client:
        put(
            ask(
                client,
                file,
                key=SigningKey.read(existing(key)),
                parent=parent,
                recipe=recipe,
                minutes=minutes,
                reason=reason,
            ),
            as_json=as_json,
        )


@server.command()
def serve(
    *,
    key: Annotated[
        Path, typer.Option(help="With --stdio the agent's key file, else the workload's.")
    ],
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Serve one agent on standard input and output.")
    ] = False,
    bind: Annotated[str, typer.Option(help="Address on this machine.")] = "127.0.0.1:7400",
    home: HomeOption = DEFAULT_HOME,
) -> None:
    """Serve agents in the foreground, until interrupted or until the input ends."""
    from safehold.app.agents import agent_server, serve_stdio
    from safehold.signing import SigningKey

    secret = SigningKey.read(existing(key))
    with keeper(home, bare=True) as client:
        if stdio:
            serve_stdio(client, secret)
            return
        made = agent_server(client, secret, bind=bind)
        say(f"agents are served at {made.resource}")
        made.web.serve()
