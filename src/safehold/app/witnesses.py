"""Keep a witness, serve a log, and choose the witnesses of a home."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from safehold.app.charters import roster_of
from safehold.errors import InvalidError, MissingError, SafeholdError, UnavailableError
from safehold.keeper.panel import pinned_of
from safehold.ledger import Panel, Witness
from safehold.ledger.files import replace_file
from safehold.ledger.panel import Remote, policy_logs
from safehold.settings import Home

SIGN = (
    "have the board name these witnesses: safehold board witnesses; then start the keeper again. Until then those"
    " that it named count, and nobody is asked who is not among them"
)
EARLY = "nothing is recorded and nothing widened until the board names these witnesses: safehold board witnesses"
AGAIN = "start the keeper again"
NEXT = (
    f"{AGAIN}: until it has published a head under the new policy, verify and monitor say that"
    " the old one does not satisfy it; hand out the new policy after that"
)


def create(directory: Path, *, name: str, logs: Sequence[str]) -> dict[str, Any]:
    """Make a witness in a directory of its own."""
    return describe(Witness.create(directory, name=name, logs=logs))


def show(directory: Path) -> dict[str, Any]:
    """Return name, verifier keys and trusted logs of a witness."""
    return describe(open_witness(directory))


def open_witness(directory: Path) -> Witness:
    """Open a witness.

    Raises:
        MissingError: There is none in the directory.
    """
    if not (directory / "trust").is_file():
        raise MissingError(
            f"no witness lives in {directory.name}",
            rule="ledger.witness",
            fix="safehold ledger witness create",
        )
    return Witness(directory)


def describe(witness: Witness) -> dict[str, Any]:
    """Return what others need to know of a witness."""
    return {
        "name": witness.name,
        "vkeys": list(witness.vkeys),
        "logs": [key.text() for key in witness.logs()],
        "evidence": len(witness.evidence()),
    }


def run_witness(directory: Path, *, bind: str, prefix: str, tls: tuple[Path, Path] | None) -> None:
    """Answer logs and readers until a signal asks to finish."""
    web = _web()
    from safehold.ledger.witness_server import WitnessService

    service = WitnessService(open_witness(directory), prefix=prefix)
    _serve(web.WebServer(service, bind, tls=_tls(tls)), f"witness {directory.name}", prefix)


def run_log(directory: Path, *, bind: str, tls: tuple[Path, Path] | None) -> None:
    """Serve an exported log until a signal asks to finish."""
    web = _web()
    from safehold.ledger.static import StaticLog

    place = directory / "ledger" if (directory / "home.json").exists() else directory
    _serve(web.WebServer(StaticLog(place), bind, tls=_tls(tls)), f"log {directory.name}", "")


def local_witness(home: Home) -> Witness:
    """Return the home's own witness; it is made at first, before there is a log that it could watch."""
    if (home.witness / "trust").is_file():
        return Witness(home.witness)
    return Witness.create(home.witness, name=f"local-witness/{home.id}", logs=[])


def listing(home: Home) -> dict[str, Any]:
    """Return the witnesses of a home, what the charter promises beyond them, and what the board has not named yet."""
    panel = Panel.read(home.witnesses_file)
    drawn = drawn_up(home)
    return {
        "witnesses": _shown(panel),
        "quorum": panel.quorum or len(panel.remote) + 1,
        "strict": panel.strict,
        "named": pinned_of(panel, Witness(home.witness).vkeys) == roster_of(home).pinned,
        "drawn_up": None
        if drawn == panel
        else {"witnesses": _shown(drawn), "quorum": drawn.quorum or len(drawn.remote) + 1},
        "missing": unmet(home, panel),
        "limits": [
            "a witness that the operator of this home also runs only detects; only one that others keep can prevent"
        ],
    }


def _shown(panel: Panel) -> list[dict[str, str]]:
    return [
        {"name": "local", "where": "beside the home", "seat": ""},
        *({"name": one.name, "where": one.url, "seat": one.seat} for one in panel.remote),
    ]


def add(home: Home, one: Remote, *, at_once: bool = False) -> dict[str, Any]:
    """Add a witness to a home, and say whether it answers for the home's log."""
    answers = True
    try:
        one.open().head(origin_of(home))
    except UnavailableError:
        answers = False
    then = _keep(home, drawn_up(home).add(one), at_once=at_once)
    return {**listing(home), "answers": answers, "next": then}


def remove(home: Home, name: str, *, at_once: bool = False) -> dict[str, Any]:
    """Take a witness from a home."""
    then = _keep(home, drawn_up(home).remove(name), at_once=at_once)
    return {**listing(home), "next": then}


def require(
    home: Home, *, quorum: int | None, strict: bool | None, at_once: bool = False
) -> dict[str, Any]:
    """Set how many witnesses must cosign, and whether a release waits for them."""
    if (
        strict is not None
    ):  # the board names who says what time it is, and not how long a release waits
        replace(Panel.read(home.witnesses_file), strict=strict).write(home.witnesses_file)
    panel = drawn_up(home)
    if strict is not None:
        panel = replace(panel, strict=strict)
    if quorum is not None:
        panel = replace(panel, quorum=quorum)
    then = _keep(home, panel, at_once=at_once)
    return {**listing(home), "next": AGAIN if quorum is None else then}


def drawn_up(home: Home) -> Panel:
    """Return the list that the board has not named yet, or else the one in use."""
    if home.drawn_witnesses_file.exists():
        return Panel.read(home.drawn_witnesses_file)
    return Panel.read(home.witnesses_file)


def settle(home: Home) -> None:
    """Let a list that was drawn up take the place of the one in use once the board has named its witnesses.

    Who can write the roster's file gains nothing by it: the keeper compares both with the ledger before it serves.
    """
    if not home.drawn_witnesses_file.exists() or not home.roster_file.exists():
        return
    panel = Panel.read(home.drawn_witnesses_file)
    if pinned_of(panel, Witness(home.witness).vkeys) == roster_of(home).pinned:
        _put_in_use(home, panel)


def unmet(home: Home, panel: Panel) -> str | None:
    """Say what the charter in force promises about witnesses and this home does not have."""
    from safehold.app.charters import charter_in_force

    try:
        promised = charter_in_force(home).audit.witnesses
    except SafeholdError:
        return None  # no charter, no promise
    return panel.shortfall(least=promised.min, includes=promised.includes)


def origin_of(home: Home) -> str:
    """Return the name of a home's log."""
    return policy_logs(home.policy_file)[0].split("+", 1)[0]


def _keep(home: Home, panel: Panel, *, at_once: bool) -> str:
    """Write a list that the board has named, or that must count before it does; draw up any other. Say what follows."""
    panel.check()
    if pinned_of(panel, Witness(home.witness).vkeys) == roster_of(home).pinned:
        _put_in_use(home, panel)
        return NEXT
    panel.write(home.drawn_witnesses_file)
    if not at_once:
        return SIGN
    _put_in_use(home, panel, drawn=True)
    return f"{NEXT}; {EARLY}"


def _put_in_use(home: Home, panel: Panel, *, drawn: bool = False) -> None:
    """Write list and policy; the policy last, so that what is trusted is always in the list."""
    text = panel.policy(policy_logs(home.policy_file), Witness(home.witness).vkeys)
    panel.write(home.witnesses_file)
    replace_file(home.policy_file, text.encode())
    if not drawn:
        home.drawn_witnesses_file.unlink(missing_ok=True)


def _tls(files: tuple[Path, Path] | None) -> Any:
    return None if files is None else _web().tls_context(*map(str, files))


def _web() -> Any:
    try:
        from safehold.ledger import web
    except ImportError as error:
        raise UnavailableError(
            "what serves HTTP is not installed",
            rule="web.missing",
            fix="pip install 'safehold[serve]'",
        ) from error
    return web


def _serve(server: Any, what: str, prefix: str) -> None:
    def finish(_signal: int, _frame: FrameType | None) -> None:
        server.close()

    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, finish)
    sys.stderr.write(f"{what} listens on {server.url}{prefix}\n")
    sys.stderr.flush()
    server.serve()


def tls_files(certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Return certificate and key if both were given.

    Raises:
        InvalidError: Only one of them.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InvalidError("a certificate and its key go together", rule="web.tls")
    return certificate, key
