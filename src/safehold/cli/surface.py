"""What all commands share: options, output, progress and how an error is shown."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from safehold.clock import date_of
from safehold.errors import InvalidError, SafeholdError, place_of

if TYPE_CHECKING:
    from safehold.app.profile import Places
    from safehold.keeper.client import KeeperClient, Progress
    from safehold.settings import Home

HomeOption = Annotated[
    Path,
    typer.Option("--home", envvar="SAFEHOLD_HOME", help="The home directory.", show_default=True),
]
Seat = Annotated[str, typer.Option(help="Your seat on the board.")]
Key = Annotated[Path, typer.Option(help="Your seat's key file.")]
HolderOption = Annotated[Path | None, typer.Option(help="The key of the grant's holder.")]
GrantSeatsOption = Annotated[
    Path | None,
    typer.Option(help="Folder of seat keys: sign the grant with them. For trying out only."),
]
DatabaseOption = Annotated[
    str | None,
    typer.Option(
        help="PostgreSQL for both databases of a server profile: postgresql://user@host/database, without a password."
    ),
]
SettingsOption = Annotated[
    Path | None,
    typer.Option(help="TOML that names the places of a server profile: database, objects."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
DEFAULT_HOME = Path("safehold-home")
DAYS = frozenset({"expires"})  # figures that are a number of days since 1970-01-01
INTERRUPTED = 130
MOST_SECRET = 64 << 10  # characters


def guarded(root: typer.Typer) -> NoReturn:
    """Run the command line; show errors of ours in words and exit with their code."""
    try:
        code = root(standalone_mode=False)
    except SafeholdError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _interrupted()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - a traceback may hold what a variable held
        _show_other(error)
    if code == INTERRUPTED:  # how typer passes on an interruption
        _interrupted()
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> NoReturn:
    if _wants_json():
        show_error(SafeholdError("interrupted", rule="cli.interrupted", fix="run it again"))
    else:
        sys.stderr.write("interrupted\n")
    sys.exit(INTERRUPTED)


def _show_other(error: Exception) -> NoReturn:
    """Show what is not an error of ours: wrong usage, an interruption, or a fault of the program.

    The text of a foreign exception may quote data, and so may a traceback; only its kind and the place in our
    source are shown.
    """
    if isinstance(error, typer.Abort):  # an interruption while it asks for something
        _interrupted()
    show = getattr(error, "show", None)
    if show is None:
        fault = SafeholdError(
            f"a fault in Safehold itself: {type(error).__name__} at {place_of(error)}",
            rule="cli.fault",
            fix="report this line; `safehold doctor` tells whether the machine is the cause",
        )
        show_error(fault)
        sys.exit(fault.exit_code)
    if _wants_json():
        words = getattr(error, "format_message", lambda: "wrong usage")()
        show_error(InvalidError(words, rule="cli.usage", fix="add --help to see how it is used"))
    else:
        show()
    sys.exit(getattr(error, "exit_code", 2))


def _wants_json() -> bool:
    return "--json" in sys.argv


def show_error(error: SafeholdError) -> None:
    """Write an error to stderr; as JSON where the command was asked for JSON."""
    if _wants_json():
        import orjson

        sys.stderr.write(orjson.dumps({"error": error.payload()}).decode() + "\n")
        return
    lines = [f"error[{error.code}]: {error.message}"]
    lines += [
        f"{name}: {value}"
        for name, value in (("rule", error.rule), ("fix", error.fix), ("entry", error.entry))
        if value is not None
    ]
    sys.stderr.write("\n".join(lines) + "\n")


def put(value: Any, *, as_json: bool) -> None:
    """Write a result to stdout."""
    if as_json:
        import orjson

        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() + "\n")
        return
    for line in _lines(value, 0):
        sys.stdout.write(line + "\n")


def say(text: str) -> None:
    """Write a remark to stderr."""
    sys.stderr.write(text + "\n")


def secret_of(home: Home) -> dict[str, Any] | None:
    """Find what opens the root, or ask for it when somebody is there."""
    from safehold.app.secret import find_secret

    if (found := find_secret(home)) is not None:
        return found
    if sys.stdin.isatty() and sys.stderr.isatty():
        elsewhere = _is_elsewhere(home)
        asked = "PIN, token or credentials" if elsewhere else "Passphrase"
        answer: str = typer.prompt(asked, hide_input=True, err=True)
        return {"unlock" if elsewhere else "passphrase": answer}
    return None


def unlocking(name: str) -> str:
    """Return the PIN, token, credentials or passphrase in a file that its owner alone can read; ``-``: standard input.

    Raises:
        InvalidError: Others can read the file, or it holds nothing.
    """
    from safehold.app.secret import check_unlocking, read_unlocking

    if name == "-":
        return check_unlocking(sys.stdin.read(MOST_SECRET).strip())
    return read_unlocking(existing(Path(name)))


def root_elsewhere(address: str | None, unlock: str | None, *, make: bool) -> dict[str, Any] | None:
    """Return the order for a root elsewhere, or None if no address was given.

    Raises:
        InvalidError: One of address and unlocking file without the other.
    """
    if address is None and unlock is None:
        return None
    if address is None or unlock is None:
        raise InvalidError(
            "a root elsewhere has an address and what unlocks it",
            rule="cli.root",
            fix="give --root ADDRESS and --unlock FILE",
        )
    return {"place": address, "unlock": unlocking(unlock), "make": make}


def _is_elsewhere(home: Home) -> bool:
    from safehold.vault.kms import where_of

    return where_of(home.root_file) is not None


@contextmanager
def keeper(path: Path, *, bare: bool = False) -> Iterator[KeeperClient]:
    """Yield a line to the keeper of a home, as whoever signed in on this machine unless it is to be bare."""
    from safehold.app.embedded import connect
    from safehold.settings import Home

    home = Home.open(path)
    with connect(home, secret_of(home)) as client:
        if bare or not home.session_file.exists():
            yield client
            return
        from safehold.app.signing_in import session_of, signed

        session = session_of(home)
        yield client if session is None else signed(client, session)


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Yield a function that is told how far the work is, and draws it on stderr."""
    if quiet or not sys.stderr.isatty():
        yield lambda _message: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=False,
    ) as bar:
        task = bar.add_task(title, total=None, note="")

        def show(message: dict[str, Any]) -> None:
            if "of" in message:
                bar.update(task, completed=message["done"], total=message["of"])
            if "title" in message:
                bar.update(task, description=message["title"])
            if "rows" in message:
                bar.update(task, note=f"{message['rows']:,} events")
            if "note" in message:
                bar.update(task, note=message["note"])

        yield show
        bar.update(task, total=1, completed=1)


def places_of(
    profile: str,
    *,
    settings: Path | None,
    database: str | None,
    journal: str | None,
    control: str | None,
    objects: str | None,
) -> Places:
    """Return where the parts of a home shall lie.

    Raises:
        InvalidError: There is no such profile, or it is told of places it does not have, or of too few.
    """
    from safehold.app.profile import PROFILES, Places, server_places

    if profile == "server":
        given = {"database": database, "journal": journal, "control": control, "objects": objects}
        return server_places(settings=settings, given=given)
    if profile not in PROFILES or database is not None or settings is not None:
        raise InvalidError(
            "--database and --settings go with the profile server"
            if profile in PROFILES
            else "no such profile",
            rule="profile.name",
            fix=f"--profile, or --to: {' or '.join(PROFILES)}",
        )
    return Places(journal=journal, control=control, objects=objects)


def existing(path: Path) -> Path:
    """Return a path that must exist."""
    if not path.exists():
        raise InvalidError(
            "no such file", file=path.name, rule="cli.file", fix="look at the path and the name"
        )
    return path


def _lines(value: Any, depth: int) -> Iterator[str]:
    pad = "  " * depth
    if isinstance(value, Mapping):
        for key, item in value.items():
            if _deep(item):
                yield f"{pad}{key}:"
                yield from _lines(item, depth + 1)
            else:
                yield f"{pad}{_named(key, item)}"
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, Mapping) and any(_deep(one) for one in item.values()):
                first, *rest = _lines(item, depth + 1)
                yield f"{pad}- {first.strip()}"
                yield from rest
            elif isinstance(item, Mapping):
                yield f"{pad}- " + ", ".join(_named(key, one) for key, one in item.items())
            else:
                yield f"{pad}- {', '.join(map(_word, item)) if _deep(item) else _word(item)}"
    else:
        yield pad + _word(value)


def _deep(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple) and bool(value)


def _named(key: Any, value: Any) -> str:
    """Return one figure for people: moments and days as dates, lengths of time in words; JSON has them as numbers."""
    name, _, unit = str(key).rpartition("_")
    if name and unit in UNITS and (value is None or type(value) is int):
        return f"{name}: {'-' if value is None else UNITS[unit](value)}"
    if key in DAYS and type(value) is int and value > 0:
        return f"{key}: {date_of(value)}"
    return f"{key}: {_word(value)}"


def length(seconds: int) -> str:
    """Return a length of time in the largest unit that it is a whole number of."""
    for size, unit in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds and seconds % size == 0:
            count = seconds // size
            return f"{count:,} {unit}{'' if count == 1 else 's'}"
    return f"{seconds:,} second{'' if seconds == 1 else 's'}"


def moment(at_us: int) -> str:
    """Return a moment in microseconds since 1970 as a date and a time of day, in UTC."""
    return f"{datetime.fromtimestamp(at_us / 1e6, UTC):%Y-%m-%d %H:%M:%S} UTC"


UNITS = {  # the end of a figure's name, and how people read it
    "us": lambda value: moment(value) if value > 0 else f"{value:,}",
    "ms": lambda value: moment(value * 1000) if value > 0 else f"{value:,}",
    "s": length,
}


def _word(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple | dict) and not value:
        return "-"
    return str(value)
