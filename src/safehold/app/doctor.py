"""Look at this machine and this home, and say what is missing, wrong or limited."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safehold.dlp.named import admit_names
from safehold.errors import SafeholdError
from safehold.keeper.names import chosen_names
from safehold.settings import Home

LEAST_FREE = 1 << 30  # bytes on the disk of the home
FULL = ("E3", "E4")
MANY_OBJECTS = 1000  # of which one page of a bucket tells
WARN_DAYS = 30  # before a roster expires
REMEDIES = {
    "namespaces": (
        "let users make namespaces: sysctl kernel.unprivileged_userns_clone=1 (Debian), "
        "kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu); a container needs them from its host"
    ),
    "landlock": "a kernel with Landlock (6.2 or newer), and landlock in its lsm= list",
    "seccomp": "a kernel with CONFIG_SECCOMP_FILTER",
}


def probe_sandbox() -> dict[str, Any]:
    """Try each mechanism of isolation and report the level."""
    from safehold.sandbox.gvisor import find_gvisor
    from safehold.sandbox.launch import Launcher

    probe = Launcher().probe
    return {
        "level": probe.level,
        "kernel": probe.kernel,
        "gvisor": find_gvisor(),
        "mechanisms": list(probe.mechanisms),
        "real_data": "allowed up to the charter's least level"
        if probe.level != "E0"
        else "refused",
    }


def examine(path: Path) -> dict[str, Any]:
    """Run every check; a failed one says what to do."""
    checks: list[dict[str, Any]] = []

    def check(name: str, run: Callable[[], str]) -> None:
        try:
            checks.append({"check": name, "ok": True, "found": run()})
        except SafeholdError as error:
            checks.append({"check": name, "ok": False, "found": error.message, "fix": error.fix})
        except OSError as error:
            checks.append({"check": name, "ok": False, "found": type(error).__name__, "fix": None})

    check("python", lambda: ".".join(map(str, sys.version_info[:3])))
    check("sandbox", _sandbox)
    check("training", _training)
    check("compiled", _compiled)
    if (path / "home.json").exists() or path.exists():
        check("home", lambda: Home.open(path).id)
        check("outside", lambda: _outside(Home.open(path)))
        check("root", lambda: _root(Home.open(path)))
        check("memory", _memory)
        check("disk", lambda: _disk(path))
        check("ledger", lambda: _ledger(path))
        check("charter", lambda: _charter(path))
        check("board", lambda: _board(Home.open(path)))
        check("witnesses", lambda: _witnesses(Home.open(path)))
        check("names", lambda: admit_names(chosen_names(Home.open(path))))
        check("keeper", lambda: _keeper(Home.open(path)))
        check("requests", lambda: _requests(Home.open(path)))
        check("profile", lambda: _profile(Home.open(path)))
        check("objects", lambda: _objects(Home.open(path)))
        check("deadlines", lambda: _deadlines(Home.open(path)))
        check("audit", lambda: _audit(Home.open(path)))
    else:
        checks.append(
            {"check": "home", "ok": True, "found": "there is no home here yet: safehold init"}
        )
    return {"ok": all(item["ok"] for item in checks), "checks": checks}


def _sandbox() -> str:
    probe = probe_sandbox()
    level = probe["level"]
    if level in FULL:
        return f"level {level}"
    lacking = sorted({"namespaces", "seccomp"} - set(probe["mechanisms"]))
    if not any(name.startswith("landlock") for name in probe["mechanisms"]):
        lacking.append("landlock")
    raise SafeholdError(
        f"level {level}, without {', '.join(lacking)}: "
        + ("real data is refused" if level == "E0" else "more sensitive real data is refused"),
        fix="; ".join(REMEDIES[name] for name in lacking if name in REMEDIES)
        or "see docs/reference/sandbox.md",
    )


def _compiled() -> str:
    from safehold.ledger import press
    from safehold.vault import sidecar

    if press.COMPILED and sidecar.COMPILED:
        return "the ledger's inner loops"
    some = {
        (True, False): "the ledger's hashing, not its sealing",
        (False, True): "the ledger's sealing, not its hashing",
    }.get((press.COMPILED, sidecar.COMPILED), "nothing")
    return (
        f"{some}: the ledger is right and slower; with gcc, python3-dev and libssl-dev, "
        "installing Safehold again compiles it"
    )


def _training() -> str:
    missing = [
        name
        for name in ("jax", "optax", "dp_accounting", "safetensors", "scipy")
        if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise SafeholdError(
            f"not installed: {', '.join(missing)}", fix="pip install 'safehold[train]'"
        )
    return "installed"


def _outside(home: Home) -> str:
    if home.outside.stat().st_mode & 0o066:  # passing through to the socket may be allowed
        raise SafeholdError(
            "others may look into the outside directory", fix=f"chmod 700 {home.outside.name}"
        )
    if os.path.commonpath([home.path, home.outside]) == str(home.path):
        raise SafeholdError(
            "the outside lies inside the home", fix="set SAFEHOLD_OUTSIDE to another place"
        )
    return "apart from the home, private"


def _root(home: Home) -> str:
    """Say how the root is kept. Whether a key elsewhere answers is told when it is unlocked, not before."""
    from safehold.app.custody import pinned
    from safehold.vault.kms.reach import NEEDS
    from safehold.vault.kms.sealed import read_record

    record = read_record(home.root_file)
    kind, where = str(record.get("kind")), record.get("where")
    if home.root_file.stat().st_mode & 0o077:
        raise SafeholdError("others may read the root file", fix=f"chmod 600 {home.root_file.name}")
    if home.next_root_file.exists():
        raise SafeholdError(
            "a change of the root was cut short",
            fix="start the keeper: it finishes it, with what opens the new root or the old",
        )
    if where is None:
        return f"kept by {kind}"
    if (kind, where) not in pinned(home):
        raise SafeholdError(
            "the root file names a place that is not pinned outside the home",
            fix="put back the root file, or the outside directory that belongs to it",
        )
    if importlib.util.find_spec(NEEDS[kind]) is None:
        raise SafeholdError(f"keys in {kind} need more packages", fix="pip install 'safehold[kms]'")
    if kind == "pkcs11" and not Path(where["module"]).exists():
        raise SafeholdError("the PKCS#11 module is not there", fix="install the token's library")
    return f"kept in {kind}"


def _memory() -> str:
    from safehold.app.hardening import inspect

    if inspect().locked == "none":
        raise SafeholdError(
            "no memory can be locked, so keys may reach swap",
            fix="raise the limit of locked memory (ulimit -l), or use encrypted swap or none",
        )
    return "keys can be kept out of swap"


def _disk(path: Path) -> str:
    free = shutil.disk_usage(path).free
    if free < LEAST_FREE:
        raise SafeholdError(f"{free >> 20} MiB free", fix="make room: a full disk stops the ledger")
    return f"{free >> 30} GiB free"


def _ledger(path: Path) -> str:
    from safehold.app.verification import verify_home

    return f"{verify_home(path)['size']} entries, verified"


def _charter(path: Path) -> str:
    from safehold.app.charters import charter_in_force

    charter = charter_in_force(Home.open(path))
    return f"{charter.id} version {charter.version}"


def _board(home: Home) -> str:
    from safehold.app.charters import roster_of
    from safehold.clock import DAY_US, SECOND_US, SystemClock

    roster = roster_of(home)
    days = (roster.expires_s * SECOND_US - SystemClock().now_us()) // DAY_US
    if days < WARN_DAYS:
        raise SafeholdError(
            f"roster version {roster.version} expires in {days} days"
            if days >= 0
            else f"roster version {roster.version} has expired: nothing can be widened or resumed",
            fix="safehold board renew",
        )
    return f"roster version {roster.version}, {days} days until it expires"


def _witnesses(home: Home) -> str:
    from safehold.app.witnesses import listing, unmet
    from safehold.ledger import Panel

    panel = Panel.read(home.witnesses_file)
    missing = unmet(home, panel)
    if not listing(home)["named"]:
        raise SafeholdError(
            "the list of witnesses is not the one that the board named",
            fix="safehold ledger witness list, then safehold board witnesses",
        )
    if missing is None:
        return f"local and {len(panel.remote)} outside"
    if home.synthetic:
        return f"{missing}: the charter promises more; a home for made-up people may go on"
    raise SafeholdError(
        f"{missing}, and the charter promises that", fix="safehold ledger witness add"
    )


def _told(home: Home) -> dict[str, Any] | None:
    """Return what a keeper that runs says of itself, or nothing if none runs."""
    from safehold.app.embedded import answers
    from safehold.keeper.client import KeeperClient

    client = KeeperClient(*home.sockets)
    return client.call("status") if answers(client) else None


def _keeper(home: Home) -> str:
    from safehold.app.embedded import answers
    from safehold.keeper.client import KeeperClient

    return "running" if answers(KeeperClient(*home.sockets)) else "not running; started when needed"


def _requests(home: Home) -> str:
    """Say whether somebody has waited for an answer longer than the law allows; only a running keeper knows."""
    status = _told(home)
    if status is None:
        return "known to a running keeper: safehold rights list"
    clock = status["requests"]
    if clock["overdue"]:
        raise SafeholdError(
            f"{clock['overdue']} of {clock['open']} requests of people are overdue",
            rule="rights.overdue",
            fix="safehold rights list",
        )
    return f"{clock['open']} wait for an answer, none is late"


def _objects(home: Home) -> str:
    from safehold.app.objects import objects_of

    objects = objects_of(home)
    count = sum(1 for _ in zip(range(MANY_OBJECTS), objects.names(), strict=False))
    where = "a bucket" if home.objects_url_file.exists() else "a folder of the home"
    return f"{count}{' or more' if count == MANY_OBJECTS else ''} in {where}, which answers"


def _profile(home: Home) -> str:
    """Say where each part lies, and whether a move was left half done."""
    from safehold.app.control import require_restored, require_unmoved
    from safehold.app.profile import examine as examine_places

    require_unmoved(home)
    require_restored(home)
    left = "; what a move left behind is kept: safehold migrate --remove-old"
    return examine_places(home) + (left if home.left_file.exists() else "")


def _deadlines(home: Home) -> str:
    status = _told(home)
    if status is None:
        return "not known: no keeper runs; each one looks when it starts"
    owed = status["owed"]
    late = [one for one in owed if one["overdue"]]
    if late:
        names = ", ".join(f"{one['what']} {one.get('request', '')}".strip() for one in late)
        raise SafeholdError(
            f"overdue: {names}",
            rule="subjects.overdue",
            fix="safehold people erase again, which carries on; safehold dataset sweep",
        )
    return f"{len(owed)} under way, none overdue"


def _audit(home: Home) -> str:
    """Say whether the independent audit is past due, and whether findings are; only a running keeper knows."""
    status = _told(home)
    if status is None:
        return "known to a running keeper: safehold audit due"
    held = status["audit"]
    late = held["overdue_findings"]
    if held["step"] != "in_time" or late:
        told = held["told"] if held["step"] != "in_time" else []
        raise SafeholdError(
            "; ".join([*told, *([f"{late} findings are open past their day"] if late else [])]),
            rule="audit.overdue",
            fix="safehold audit list; to engage an auditor: safehold audit engage",
        )
    return f"{held['told'][0]}; {held['open_findings']} findings are open"
