"""Keep a witness, serve a log, and choose the witnesses of a home."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from safehold.errors import InvalidError, MissingError, SafeholdError, UnavailableError
from safehold.ledger import Panel, Witness
from safehold.ledger.files import replace_file
from safehold.ledger.panel import Remote, policy_logs
from safehold.settings import Home

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


def listing(home: Home) -> dict[str, Any]:
    """Return the witnesses of a home, and what the charter promises beyond them."""
    panel = Panel.read(home.witnesses_file)
    return {
        "witnesses": [
            {"name": "local", "where": "beside the home", "seat": ""},
            *({"name": one.name, "where": one.url, "seat": one.seat} for one in panel.remote),
        ],
        "quorum": panel.quorum or len(panel.remote) + 1,
        "strict": panel.strict,
        "missing": unmet(home, panel),
        "limits": [
            "a witness that the operator of this home also runs only detects; only one that others keep can prevent"
        ],
    }


def add(home: Home, one: Remote) -> dict[str, Any]:
    """Add a witness to a home, and say whether it answers for the home's log."""
    answers = True
    try:
        one.open().head(origin_of(home))
    except UnavailableError:
        answers = False
    _keep(home, Panel.read(home.witnesses_file).add(one))
    return {**listing(home), "answers": answers, "next": NEXT}


def remove(home: Home, name: str) -> dict[str, Any]:
    """Take a witness from a home."""
    _keep(home, Panel.read(home.witnesses_file).remove(name))
    return {**listing(home), "next": NEXT}


def require(home: Home, *, quorum: int | None, strict: bool | None) -> dict[str, Any]:
    """Set how many witnesses must cosign, and whether a release waits for them."""
    panel = Panel.read(home.witnesses_file)
    if quorum is not None:
        panel = replace(panel, quorum=quorum)
    if strict is not None:
        panel = replace(panel, strict=strict)
    _keep(home, panel)
    return {**listing(home), "next": AGAIN if quorum is None else NEXT}


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


def _keep(home: Home, panel: Panel) -> None:
    """Write list and policy; the policy last, so that what is trusted is always in the list."""
    panel.check()
    text = panel.policy(policy_logs(home.policy_file), Witness(home.witness).vkeys)
    panel.write(home.witnesses_file)
    replace_file(home.policy_file, text.encode())


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
