"""A keeper with guards taken away, for the control runs of a drill; it serves nothing but a twin.

There is no switch in the product that turns a guard off. This process replaces functions in its own memory, named by
the scenario whose guards they are, and then is the keeper. It refuses every home that is not marked as a twin with a
secret that comes with the order, and every home for real people: a twin in the form of one is known by its charter.
"""

from __future__ import annotations

import hmac
import importlib
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson

from safehold import canonical
from safehold.app import keeper
from safehold.app.drill.twin import MARK, mark_of
from safehold.errors import DeniedError, SafeholdError
from safehold.settings import Home

COMPANY: Final = (
    "drill.company"  # id of the charter of a twin in the form of a home for real people
)
CASES: Final = "safehold.app.drill."  # whence a guard may be taken away


def replace(name: str, function: Any) -> None:
    """Put a function in place of another in this process: ``package.module:Class.method``."""
    module, _, path = name.partition(":")
    holder: Any = importlib.import_module(module)
    *way, last = path.split(".")
    for step in way:
        holder = getattr(holder, step)
    getattr(holder, last)  # a guard that has another name by now must not be taken for taken away
    setattr(holder, last, function)


def original(name: str) -> Any:
    """Return the function of a name, as ``replace`` takes it."""
    module, _, path = name.partition(":")
    holder: Any = importlib.import_module(module)
    for step in path.split("."):
        holder = getattr(holder, step)
    return holder


def require_twin(home: Home, secret: str) -> None:
    """Pass if a home is a twin that was made by whoever knows the secret.

    Raises:
        DeniedError: It is not, or it is for real people and no drill wrote its charter.
    """
    file = home.outside / MARK
    marked = file.read_text("ascii") if file.is_file() else ""
    if not (
        (home.synthetic or _is_company(home))
        and secret
        and hmac.compare_digest(marked, mark_of(secret))
    ):
        raise DeniedError("only a twin is served without its guards", rule="drill.twin")


def _is_company(home: Home) -> bool:
    """Whether a home in the form of one for real people says by its signed charter that a drill made it."""
    try:
        return bool(canonical.decode(home.charter_file.read_bytes())["charter"]["id"] == COMPANY)
    except (OSError, SafeholdError, KeyError, TypeError):
        return False


def take_away(names: list[str]) -> None:
    """Take guards away.

    Raises:
        DeniedError: One of them is not a function of the drill.
    """
    for name in names:
        module, _, function = name.partition(":")
        if not module.startswith(CASES) or not function.startswith("without_"):
            raise DeniedError("only the drill takes guards away", rule="drill.guard")
        found: Callable[[], None] = getattr(importlib.import_module(module), function)
        found()


def main(arguments: list[str]) -> int:
    """Run as a process of its own: the order is the keeper's, with what is taken away and the secret of the twin."""
    order = orjson.loads(sys.stdin.buffer.readline())
    try:
        require_twin(Home.open(Path(arguments[0])), str(order.pop("twin", "")))
        take_away([str(one) for one in order.pop("off", [])])
    except SafeholdError as error:
        sys.stdout.buffer.write(orjson.dumps({"error": error.payload()}) + b"\n")
        sys.stdout.buffer.flush()
        return error.exit_code
    rest = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(orjson.dumps(order) + b"\n"))
    try:
        return keeper.main(arguments)
    finally:
        sys.stdin = rest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
