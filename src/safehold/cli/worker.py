"""``safehold worker``: where sandboxes run besides this machine, and what opens their work there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safehold.cli.surface import DEFAULT_HOME, HomeOption, JsonOption, existing, put, say

group = typer.Typer(
    no_args_is_help=True,
    help="Workers: sandboxes on other machines, scheduled by Ray, which cannot read what it carries.",
)

Name = Annotated[str, typer.Argument(help="The worker's name.")]
SocketOption = Annotated[
    str | None, typer.Option("--socket", help="Path of the opener's socket on every worker.")
]


@group.command(name="list")
def list_(*, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Show where sandboxes run, and which workers are enrolled."""
    from safehold.app.workers import read_workers
    from safehold.settings import Home

    put(read_workers(Home.open(home)).to_json(), as_json=as_json)


@group.command()
def use(
    ray: Annotated[
        str, typer.Argument(help="local:N, host:port of a cluster's head, or none: this machine.")
    ],
    *,
    workers: Annotated[
        int | None, typer.Option(help="With host:port: how many sandboxes run side by side.")
    ] = None,
    socket: SocketOption = None,
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Say where sandboxes run, from the keeper's next start on."""
    from safehold.app.workers import choose_workers
    from safehold.settings import Home

    chosen = choose_workers(
        Home.open(home), "" if ray == "none" else ray, width=workers, socket=socket
    )
    put(chosen.to_json(), as_json=as_json)


@group.command()
def new(
    key: Annotated[Path, typer.Argument(help="The key file to make; its public half goes beside.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Make a worker's identity, on the worker; its public half is what an operator enrols."""
    from safehold.signing import SigningKey

    made = SigningKey.generate()
    made.write(key)
    public = key.with_name(key.name + ".pub")
    public.write_text(made.public.text() + "\n", "ascii")
    put({"key": str(key), "public": str(public)}, as_json=as_json)


@group.command()
def add(
    name: Name,
    key: Annotated[Path, typer.Argument(help="File with the public half of its identity.")],
    *,
    level: Annotated[str, typer.Option(help="The least assurance level that it must reach.")],
    home: HomeOption = DEFAULT_HOME,
    as_json: JsonOption = False,
) -> None:
    """Enrol a worker: data may be opened on it, in a sandbox, attempt by attempt."""
    from safehold.app.sources import read_public
    from safehold.app.workers import add_worker
    from safehold.settings import Home

    made = add_worker(Home.open(home), name, read_public(existing(key)), level=level)
    put(made.to_json(), as_json=as_json)


@group.command()
def remove(name: Name, *, home: HomeOption = DEFAULT_HOME, as_json: JsonOption = False) -> None:
    """Take a worker's enrolment back: from now on no attempt is opened there."""
    from safehold.app.workers import remove_worker
    from safehold.settings import Home

    put(remove_worker(Home.open(home), name).to_json(), as_json=as_json)


@group.command()
def serve(
    name: Name,
    *,
    key: Annotated[Path, typer.Option(help="Its identity: the file that `worker new` made.")],
    keeper_key: Annotated[
        Path, typer.Option("--keeper", help="File with the keeper's public key: keeper.pub.")
    ],
    house: Annotated[str, typer.Option("--of", help="Id of the home that it works for.")],
    socket: Annotated[
        Path, typer.Option(help="Its socket, in a folder that nobody else may write to.")
    ] = Path("/run/safehold/opener.sock"),
    carrier: Annotated[
        list[str] | None,
        typer.Option(help="Account that Ray's workers run as, if it is another one; repeatable."),
    ] = None,
) -> None:
    """Open what a keeper sends to this worker, in sandboxes, until interrupted; Ray only carries it."""
    from safehold.app.hardening import bound_heaps

    bound_heaps()  # before what follows loads Arrow, and whatever starts threads

    from pwd import getpwnam

    from safehold.app.opener import open_for, run
    from safehold.app.sources import read_public
    from safehold.errors import MissingError
    from safehold.signing import SigningKey

    try:
        carriers = frozenset(getpwnam(one).pw_uid for one in carrier or ())
    except KeyError as error:
        raise MissingError("no such account", rule="cluster.carrier") from error
    opener = open_for(
        home=house,
        name=name,
        key=SigningKey.read(existing(key)),
        keeper=read_public(existing(keeper_key)),
        path=socket,
        carriers=carriers,
    )
    run(opener, ready=lambda: say(f"worker {name} is ready"))
