"""The command line: noun, then verb; the same words as in the ledger, the API and the docs.

stdout is data, stderr everything else. Exit codes: 0 ok, 1 failed, 2 usage or bad input, 3 denied, 4 sign-in,
5 tampered, 6 unavailable, 130 interrupted. Typer makes every command of what it is given, and there are 240: so a
command line that begins with a noun is given that noun alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple, NoReturn

import typer

from safehold.cli.surface import guarded


class _Group(NamedTuple):
    """Where the commands of a noun are.

    Args:
        module: In this package.
        name: Of the group in it.
        more: Modules that add commands to it.
    """

    module: str
    name: str = "group"
    more: tuple[str, ...] = ()


_GROUPS: Final[Mapping[str, _Group]] = {
    "capacity": _Group("capacity"),
    "charter": _Group("charter"),
    "board": _Group("board"),
    "containment": _Group("containment"),
    "people": _Group("people", more=("rights",)),
    "me": _Group("me"),
    "paper": _Group("paper"),
    "rights": _Group("rights"),
    "source": _Group("source"),
    "dataset": _Group("dataset"),
    "dlp": _Group("dlp", more=("tagger",)),
    "request": _Group("request"),
    "principal": _Group("principal"),
    "agent": _Group("agent"),
    "mcp": _Group("agent", name="server"),
    "entrance": _Group("entrance"),
    "ingest": _Group("ingest"),
    "portal": _Group("portal"),
    "backup": _Group("backup"),
    "grant": _Group("grant"),
    "enclave": _Group("enclave"),
    "federate": _Group("federate"),
    "artifact": _Group("artifact"),
    "attack": _Group("attack"),
    "alert": _Group("alert", more=("watching", "alert_targets")),
    "join": _Group("join"),
    "audit": _Group("auditing"),
    "incident": _Group("incident", more=("incident_blast",)),
    "key": _Group("key"),
    "ledger": _Group("ledger"),
    "budget": _Group("artifact", name="budget"),
    "evidence": _Group("evidence"),
    "worker": _Group("worker"),
}
_ROOT: Final = ("home", "migrate", "principal", "drill", "job")  # whose commands have no noun


def build(word: str = "") -> typer.Typer:
    """Return the command line.

    Args:
        word: What it begins with. If that is a noun, or a command without one, the others are left out; else it is
            whole, as whoever asks for help or misspells a word needs it.
    """
    if word in _GROUPS:
        return _assemble([word], [])
    few = _assemble([], _ROOT)
    if any(word == one.name or word == _named(one.callback) for one in few.registered_commands):
        return few
    return _assemble(list(_GROUPS), _ROOT)


def _assemble(nouns: Sequence[str], loose: Sequence[str]) -> typer.Typer:
    root = typer.Typer(
        name="safehold",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Train AI on how people work, and prove that nothing else happened to the data.",
    )
    for noun in nouns:
        root.add_typer(_load(noun), name=noun)
    root.callback()(_options)
    for module in loose:
        _module(module).register(root)
    return root


def _load(noun: str) -> typer.Typer:
    place = _GROUPS[noun]
    group: typer.Typer = getattr(_module(place.module), place.name)
    for module in place.more:
        _module(module).register(group)
    return group


def _module(name: str) -> Any:
    return import_module(f"safehold.cli.{name}")


def _named(command: Any) -> str:
    return str(command.__name__).replace("_", "-")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            number = version("safehold")
        except PackageNotFoundError:  # run from its sources
            number = "(not installed)"
        typer.echo(f"safehold {number}")
        raise typer.Exit


def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version."),
    ] = False,
) -> None:
    """Train AI on how people work, and prove that nothing else happened to the data."""


def main() -> NoReturn:
    """Run the command line and exit with its code."""
    guarded(build(sys.argv[1] if len(sys.argv) > 1 else ""))
