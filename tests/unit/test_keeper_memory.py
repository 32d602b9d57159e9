"""Keys in memory: hidden, locked, wiped; not in dumps, tracebacks, logs or the environment."""

from __future__ import annotations

import ast
import ctypes
import faulthandler
import inspect
import io
import json
import logging
import os
import pickle
import pkgutil
import resource
import signal
import subprocess
import sys
import traceback
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import pytest
from tests.key_services import TOKEN, Transit
from tests.roots import CHEAP, WORDS

import safehold
from safehold.app.hardening import Hardening
from safehold.app.hardening import inspect as look
from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.keeper.level import level_of
from safehold.vault.guarded import LARGEST, Guarded, scrub
from safehold.vault.kms import Item, LocalRoot, create_sealed, reach

KEY = b"\x9d\x13key-canary-for-memory\xf1\xe2\x07\x88\x99\xaa\xbb\xcc\xdd"
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}


def test_a_guarded_secret_is_there_until_it_is_wiped() -> None:
    held = Guarded(KEY)
    assert bytes(held.view()) == KEY
    assert held.view().readonly
    assert repr(held) == str(held) == "Guarded(hidden)"
    with pytest.raises(TypeError):
        pickle.dumps(held)
    area = held._map
    held.wipe()
    assert area[:] == bytes(len(area))
    with pytest.raises(UnavailableError):
        held.view()
    held.wipe()


def test_it_is_wiped_when_its_last_user_lets_go() -> None:
    held = Guarded(KEY)
    area = held._map
    user = held
    del held
    assert area[: len(KEY)] == KEY
    assert bytes(user.view()) == KEY
    del user
    assert area[:] == bytes(len(area))


def test_what_does_not_fit_is_refused() -> None:
    for size in (0, LARGEST + 1):
        with pytest.raises(InvalidError):
            Guarded(bytes(size))
    assert len(Guarded(bytes(LARGEST)).view()) == LARGEST


def test_bytes_are_scrubbed_in_place() -> None:
    one, other = os.urandom(32), bytearray(os.urandom(32))
    scrub(one)
    scrub(other)
    assert one == bytes(32) == bytes(other)
    scrub(b"")
    scrub(b"x")
    assert bytes([120]) == b"x"


def test_a_page_of_a_key_is_locked_and_left_out_of_dumps() -> None:
    held = Guarded(KEY)
    here = ctypes.addressof(ctypes.c_char.from_buffer(held._map))
    flags: list[str] = []
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            low, high = (int(one, 16) for one in first.split("-"))
            inside = low <= here < high
        elif inside and line.startswith("VmFlags:"):
            flags = line.split()[1:]
    assert "dd" in flags  # madvise(2): do not include in a dump
    assert held.locked == ("lo" in flags)
    if look().locked != "none":
        assert held.locked


# the classes of these packages that hold bytes, and every class whose name says that it holds a key
PACKAGES = ("safehold.vault", "safehold.keeper", "safehold.signing", "safehold.access")
HARMLESS = {
    # bytes that are public or ciphertext: digests, sealed objects, wrapped keys
    "SealedBlock", "SealedObject", "SealedArtifact", "PlainBlock", "Label", "Header", "Item",
    "Provider",  # the address where an identity provider gives out tokens
}  # fmt: skip
KEYED = {
    "Guarded", "LocalRoot", "RemoteRoot", "CurrentRoot", "Keyring", "Sidecar", "Secrets", "Records",
    "Series", "BlockKeys", "Vault", "Minting", "SigningKey", "Holder", "TokenKek", "AwsKek", "TransitKek",
}  # fmt: skip


def _classes() -> dict[str, type]:
    found: dict[str, type] = {}
    for name in PACKAGES:
        package = import_module(name)
        modules = [package]
        if hasattr(package, "__path__"):
            modules += [
                import_module(one.name)
                for one in pkgutil.walk_packages(package.__path__, f"{name}.")
            ]
        for module in modules:
            for kind in vars(module).values():
                if inspect.isclass(kind) and kind.__module__.startswith(PACKAGES):
                    found[kind.__name__] = kind
    return found


@lru_cache
def _written(module: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {one.name: one for one in ast.walk(tree) if isinstance(one, ast.ClassDef)}


def _holds(kind: type) -> set[str]:
    """Return the names under which a class keeps something that sounds like a secret, from its source."""
    node = _written(kind.__module__)[kind.__name__]
    names: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store):
            names.add(one.attr)
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            names.add(one.target.id)
    words = {"key", "_key", "_raw", "_seed", "_seeds", "_pin", "_secret", "secret", "token", "seed"}
    words |= {"_derivation", "_carried", "_keks", "_held", "_given", "_root", "_roots", "private"}
    return names & words


def test_every_class_that_keeps_a_key_hides_it() -> None:
    """A new class with a field that sounds like a secret fails here until its ``repr`` is its own."""
    bare: dict[str, set[str]] = {}
    seen = _classes()
    for name, kind in seen.items():
        if name in HARMLESS or getattr(kind, "_is_protocol", False):
            continue
        held = _holds(kind)
        dataclass_repr = "__repr__" in vars(kind) and getattr(kind.__repr__, "__wrapped__", None)
        if held and dataclass_repr:
            shown = {one for one, field in kind.__dataclass_fields__.items() if field.repr}  # type: ignore[attr-defined]
            if held & shown:
                bare[name] = held & shown
    assert seen.keys() >= KEYED
    allowed = {
        # a public key, the name of a verifier, or an idempotency key
        name
        for name, fields in bare.items()
        if not fields - {"key"} and name not in KEYED
    }
    assert {name: bare[name] for name in bare.keys() - allowed} == {}


def test_the_repr_of_what_holds_keys_says_nothing(tmp_path: Path) -> None:
    root = create_sealed(tmp_path / "root", WORDS, cost=CHEAP)
    from tests.vaults import make_home, plain

    from safehold.signing import SigningKey
    from safehold.vault import Records, keys

    home = make_home(tmp_path / "v", root=root)
    home.vault.seal([plain("psn_a")], segment="de")
    sign = SigningKey.generate()
    things = [
        root, home.vault, home.vault._keyring, home.vault._secrets, home.vault.sidecar, home.vault._root,
        Records(root), keys.Series(KEY), sign, home.vault._keyring._keks["de"][1],
        keys.BlockKeys(key=KEY, nonce=KEY[:12], commitment=KEY),
    ]  # fmt: skip
    secrets = [root.secret(), KEY, sign.seed(), bytes(home.vault._keyring._keks["de"][1].view())]
    for thing in things:
        for text in (repr(thing), str(thing), f"{thing!r:>5}", repr([thing])):
            for secret in secrets:
                assert secret.hex() not in text
                assert repr(secret)[2:-1] not in text


def test_an_error_in_unwrapping_shows_no_key() -> None:
    """What is written when it goes wrong, traceback and log included, holds neither key nor token."""
    root = LocalRoot(KEY)
    wrapped = root.wrap(b"s" * 32, context=b"c")
    transit = Transit()
    kek = reach("hcvault", transit.where("r"), TOKEN, make=True)
    transit.answer = (500, json.dumps({"errors": [f"bad token {TOKEN}"]}).encode())
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    said = ""
    try:
        for act in (
            lambda: root.unwrap(wrapped, context=b"other"),
            lambda: kek.unwrap_many([Item(b"vault:v1:AAAA", b"c")]),
        ):
            try:
                act()
            except (TamperedError, UnavailableError) as error:
                said += "".join(traceback.format_exception(error))
                said += repr(error) + repr(error.payload()) + repr(error.__cause__)
                logging.getLogger("keeper").exception("failed")
    finally:
        logging.getLogger().removeHandler(handler)
        transit.close()
        kek.close()
    said += log.getvalue()
    assert "TamperedError" in said
    assert "UnavailableError" in said
    for secret in (TOKEN, KEY.hex(), repr(KEY)[2:-1], repr(root.derive("x"))[2:-1]):
        assert secret not in said


CHILD = """
import os, sys
from pathlib import Path
from safehold.vault.kms import open_sealed
folder = Path(sys.argv[1])
root = open_sealed(folder / "root", (folder / "words").read_text())
wrapped = root.wrap(b"s" * 32, context=b"c")
root.unwrap(wrapped, context=b"c")
root.derive("lookup")
print("open", flush=True)
sys.stdin.readline()
root.close()
del root, wrapped
print("closed", flush=True)
sys.stdin.readline()
"""


def _memory(pid: int) -> bytes:
    """Return everything that a process has in memory, as a debugger sees it."""
    found = bytearray()
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if "r" not in rights or "[v" in line:
                continue
            low, high = (int(one, 16) for one in span.split("-"))
            try:
                memory.seek(low)
                found += memory.read(high - low)
            except (OSError, ValueError):
                continue
    return bytes(found)


def test_the_root_key_is_in_memory_while_open_and_not_after(tmp_path: Path) -> None:
    made = create_sealed(tmp_path / "root", WORDS, cost=CHEAP)
    key = made.secret()
    (tmp_path / "words").write_text(WORDS)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert child.stdin
    assert child.stdout
    try:
        assert child.stdout.readline() == b"open\n"
        try:
            before = _memory(child.pid)
        except PermissionError:
            pytest.skip("this system lets nobody look into a child's memory")
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"closed\n"
        after = _memory(child.pid)
    finally:
        child.communicate(timeout=60)
    assert before.count(key) == 1, "once, where it is guarded"
    assert after.count(key) == 0
    assert len(after) > 1 << 20


DYING = """
import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
if sys.argv[1] == "hard":
    from safehold.app.hardening import harden
    harden()
os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.mark.parametrize("how", ["soft", "hard"])
def test_a_keeper_that_dies_leaves_no_core(tmp_path: Path, how: str) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] != resource.RLIM_INFINITY and os.getuid():
        pytest.skip("this user may write no core dumps at all")
    child = subprocess.Popen(
        [sys.executable, "-c", DYING, how], cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.DEVNULL
    )
    _, status = os.waitpid(child.pid, 0)
    child.returncode = 0
    assert os.WTERMSIG(status) == signal.SIGSEGV
    if how == "hard":
        assert not os.WCOREDUMP(status)
        assert not list(tmp_path.iterdir())
    elif not os.WCOREDUMP(status):
        pytest.skip("this system writes no core dumps at all, so nothing was shown")


HARD = """
import json, sys
from pathlib import Path
from safehold.app.hardening import harden
found = harden()
status = {line.split(":")[0]: line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if ":" in line and len(line.split()) > 1}
ballast = [bytearray(1 << 20) for _ in range(64)]
print(json.dumps({"locked": found.locked, "kib": int(status["VmLck"]), "undumped": found.undumped, "fault": __import__("faulthandler").is_enabled()}))
"""


def test_memory_is_locked_where_no_limit_can_hurt() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HARD], check=True, capture_output=True, env=ENVIRONMENT
    )
    found = json.loads(done.stdout)
    assert found["undumped"]
    assert found["locked"] in {"all", "keys", "none"}
    assert (found["locked"] == "all") == (found["kib"] > 1024)
    assert not found["fault"], "nothing prints where it was when it dies"


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
import os
from safehold.app.hardening import harden
from safehold.vault.guarded import Guarded
open("/proc/self/status", encoding="ascii", errors="replace").read()  # loads what cannot be read later
os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(harden().locked, Guarded(b"k").locked)
"""


def test_without_the_right_to_lock_it_says_so_and_goes_on() -> None:
    if os.getuid():
        pytest.skip("only root can give its rights away")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED], check=True, capture_output=True, env=ENVIRONMENT
    )
    assert done.stdout == b"none False\n"


CLEARED = """
import os
from pathlib import Path
from safehold.app.hardening import clear_environment
assert b"passphrase-canary" in Path("/proc/self/environ").read_bytes()
clear_environment("SAFEHOLD_PASSPHRASE", "NOT_SET_AT_ALL")
assert "SAFEHOLD_PASSPHRASE" not in os.environ
assert b"passphrase-canary" not in Path("/proc/self/environ").read_bytes()
"""


def test_a_served_keeper_has_no_passphrase_in_its_environment() -> None:
    environment = ENVIRONMENT | {"SAFEHOLD_PASSPHRASE": "passphrase-canary"}
    subprocess.run([sys.executable, "-c", CLEARED], check=True, env=environment)


def test_no_fault_handler_is_switched_on() -> None:
    source = Path(safehold.__file__).parent
    assert not [one for one in source.rglob("*.py") if "faulthandler" in one.read_text()]
    assert faulthandler  # what it prints are frames without values; pytest has its own


@pytest.mark.parametrize(
    ("root", "own", "witnessed", "level"),
    [
        ("passphrase", False, True, "K1"),
        ("pkcs11", False, True, "K1"),
        ("shares", False, True, "K1"),
        ("passphrase", True, True, "K2"),
        ("shares", True, False, "K2"),
        ("pkcs11", True, False, "K3"),
        ("aws-kms", True, True, "K3"),
        ("hcvault", True, False, "K3"),
        ("shares", True, True, "K4"),
    ],
)
def test_a_level_claims_only_what_is_there(root, own, witnessed, level) -> None:
    found = level_of(root=root, own_user=own, witnessed=witnessed)
    assert found.name == level
    said = found.payload()
    assert said["means"]
    assert bool(said["lacks"]) == (not own or not witnessed or root == "passphrase")


@pytest.mark.parametrize("locked", ["all", "keys", "none"])
def test_a_report_says_what_keeps_memory(locked) -> None:
    said = Hardening(undumped=True, locked=locked).payload()
    assert said["core_dumps"] == "off"
    assert "best effort" in said["wiping"]
