"""Twins whose keeper is kept as at a level, K1 to K4; what a level needs and this machine has not is said."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from safehold.app.drill import abroad
from safehold.app.drill.elsewhere import witnessed
from safehold.app.drill.place import Place
from safehold.app.drill.twin import Twin
from safehold.errors import UnavailableError
from safehold.keeper.client import KeeperClient

READY_S: Final = 120
PIN: Final = "48151623"
LABEL: Final = "drill"
MODULES: Final = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


@contextmanager
def served(place: Place, level: str, *, fed: bool = False) -> Iterator[tuple[Twin, KeeperClient]]:
    """Yield a twin that a keeper of a level serves, and a line to it.

    Raises:
        UnavailableError: This machine cannot have a keeper of that level.
    """
    if level == "K1":
        with place.served(level, fed=fed) as found:
            yield found
        return
    twin = place.twin(level, fed=fed)
    with contextlib.ExitStack() as stack:
        secret = {"SAFEHOLD_PASSPHRASE": twin.passphrase}
        if level == "K3":
            secret = stack.enter_context(_in_a_token(twin))
        elif level == "K4":
            secret = stack.enter_context(witnessed(twin))
        client = stack.enter_context(_under_an_account(twin, secret))
        reached = str(client.call("hello")["level"])
        if reached != level:
            raise UnavailableError(f"the keeper reached {reached} only", rule="drill.unable")
        yield twin, client


@contextmanager
def kept(place: Place, level: str) -> Iterator[Twin]:
    """Yield a twin that was served by a keeper of a level.

    Raises:
        UnavailableError: This machine cannot have a keeper of that level.
    """
    with served(place, level) as (twin, _client):
        pass
    yield twin


@contextmanager
def _under_an_account(twin: Twin, secret: dict[str, str]) -> Iterator[KeeperClient]:
    """Serve a twin under a user id that none of its callers has."""
    who = abroad.somebody_else()
    program, needed = abroad.interpreter(who.pw_uid)
    home = twin.home
    twin.folder.chmod(0o711)
    (twin.folder / "outside").chmod(0o711)
    process = subprocess.Popen(
        [program, "-P", "-m", "safehold", "serve", "--as", who.pw_name, "--home", str(home.path)],
        env={
            **{name: text for name, text in twin.environment.items() if name != "TMPDIR"},
            **dict(needed),
            **secret,
        },
        cwd="/",
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        if process.stderr is None:
            raise UnavailableError("the keeper has no pipes", rule="keeper.start")
        said = process.stderr.readline()
        if "is ready" not in said:
            raise UnavailableError(
                f"no keeper starts under another account: {said.strip()[:120]}", rule="drill.unable"
            )
        yield KeeperClient(home.socket)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(READY_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()


@contextmanager
def _in_a_token(twin: Twin) -> Iterator[dict[str, str]]:
    """Move the root of a twin into a token of SoftHSM that is made for it."""
    program = shutil.which("softhsm2-util")
    module = next((one for one in MODULES if Path(one).exists()), None)
    if program is None or module is None:
        raise UnavailableError(
            "no PKCS#11 token here: SoftHSM is not installed", rule="drill.unable"
        )
    folder = Path(tempfile.mkdtemp(prefix="safehold-token-"))
    try:
        tokens, conf, pin = folder / "tokens", folder / "softhsm2.conf", folder / "pin"
        tokens.mkdir()
        conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n", "ascii")
        pin.touch(mode=0o600)
        pin.write_text(PIN + "\n", "ascii")
        environment = {"SOFTHSM2_CONF": str(conf), "SAFEHOLD_UNLOCK_FILE": str(pin)}
        old = os.environ.get("SOFTHSM2_CONF")
        os.environ["SOFTHSM2_CONF"] = str(conf)
        try:
            _init_token(program)
            address = f"pkcs11:token={LABEL};object=root?module-path={module}"
            moved = twin.cli(
                "key", "rotate", "--root", address, "--unlock", pin, "--make-key", "--json"
            )
        finally:
            if old is None:
                del os.environ["SOFTHSM2_CONF"]
            else:
                os.environ["SOFTHSM2_CONF"] = old
        if moved.code != 0:
            raise UnavailableError("the root did not go into the token", rule="drill.unable")
        who = abroad.somebody_else()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, who.pw_uid, who.pw_gid)
        yield environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _init_token(program: str) -> None:
    done = subprocess.run(
        [program, "--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", PIN],
        capture_output=True,
        check=False,
    )
    if done.returncode != 0:
        raise UnavailableError("a token could not be made", rule="drill.unable")


__all__ = ["kept", "served"]
