"""The twin: a home of its own, made by the same code for made-up people, on which anything may be tried.

It lies in a folder with its outside, its seats and what unlocks it, so that it can be copied as a whole. Only a twin
can be served with guards off, and only for one process: see ``unguarded``.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from safehold import canonical, ids
from safehold.app.charters import keys_in
from safehold.app.custody import unlock
from safehold.app.demo import enrol_staff
from safehold.app.draft import Limits
from safehold.app.drill.terms import PURPOSE, demo_terms
from safehold.app.embedded import answers, keeper_environment
from safehold.app.grants import pass_with_seats
from safehold.app.keeper import open_desk
from safehold.app.permit import Pass
from safehold.app.setup import create
from safehold.app.signing_in import signed
from safehold.charter import Charter, sign
from safehold.clock import SystemClock, day_of
from safehold.errors import UnavailableError, revive
from safehold.keeper.client import KeeperClient
from safehold.keeper.desk import Desk
from safehold.keeper.signed import open_with_key
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.workforce import Spec, roster

MARK: Final = "drill-twin"  # file beside the witness: the hash of what the drill alone knows
PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed."""
        return json.loads(self.out)


@dataclass(slots=True)
class Twin:
    """A home that a drill made for itself.

    Args:
        folder: Holds ``home``, ``outside`` and ``seats``.
        spec: Its made-up people.
        secret: What only the drill that made it knows; it marks the twin.
        passphrase: Unlocks its root.
        done: What was done with it when it was made.
    """

    folder: Path
    spec: Spec
    secret: str
    passphrase: str
    done: dict[str, Any] = field(default_factory=dict)

    @property
    def seats(self) -> Path:
        """Folder of the seat keys."""
        return self.folder / "seats"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of whatever is started for it."""
        return {
            **keeper_environment(),
            "SAFEHOLD_OUTSIDE": str(self.folder / "outside"),
            "SAFEHOLD_HOME": str(self.folder / "home"),
            "TMPDIR": str(self.temporary),
        }

    @property
    def temporary(self) -> Path:
        """Where its processes put what they need for a moment; it is searched as well."""
        return self.folder / "tmp"

    @property
    def home(self) -> Home:
        """Its home."""
        with self.here():
            return Home.open(self.folder / "home")

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        """Open everything with the root, as somebody does it who has everything; no keeper may serve it meanwhile."""
        with self.here():
            desk = open_desk(
                self.home, unlock(self.home, {"passphrase": self.passphrase}), clock=SystemClock()
            )
            try:
                yield desk
            finally:
                desk.ledger.close()
                desk.engine.dispose()
                desk.vault.close()
                if desk.lead is not None:
                    desk.lead.close()

    @contextmanager
    def here(self) -> Iterator[None]:
        """Let homes be looked for outside where those of this twin are."""
        old = os.environ.get("SAFEHOLD_OUTSIDE")
        os.environ["SAFEHOLD_OUTSIDE"] = str(self.folder / "outside")
        try:
            yield
        finally:
            if old is None:
                del os.environ["SAFEHOLD_OUTSIDE"]
            else:
                os.environ["SAFEHOLD_OUTSIDE"] = old

    @contextmanager
    def keeper(self, *, off: Sequence[str] = ()) -> Iterator[KeeperClient]:
        """Serve it in a process of its own, and yield a line to it.

        Args:
            off: Functions of the drill that take guards away, as ``module:function``; none for the real keeper.
        """
        order: dict[str, Any] = {"secret": {"passphrase": self.passphrase}}
        module = "safehold.app.keeper"
        if off:
            module = "safehold.app.drill.unguarded"
            order |= {"off": list(off), "twin": self.secret}
        with serve(self, module, order):
            yield KeeperClient(self.home.socket)

    @contextmanager
    def watched(self) -> Iterator[KeeperClient]:
        """Serve it as a service is served, with a sentinel beside its keeper, and yield a line to it."""
        self.temporary.mkdir(exist_ok=True, mode=0o700)
        with (self.folder / "keeper.log").open("ab") as err:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "safehold",
                    "serve",
                    "--drill",
                    "off",
                    "--home",
                    str(self.home.path),
                ],
                env={**self.environment, "SAFEHOLD_PASSPHRASE": self.passphrase},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                start_new_session=True,
            )
        try:
            client = KeeperClient(self.home.socket)
            until = time.monotonic() + PATIENCE_S
            while not answers(client):
                if process.poll() is not None or time.monotonic() > until:
                    raise UnavailableError("the twin is not served", rule="drill.twin")
                time.sleep(0.1)
            yield client
        finally:
            process.send_signal(signal.SIGTERM)
            _end(process)

    def cli(self, *words: str | Path, timeout: float = 600) -> Done:
        """Run a command of the installed program on it."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "safehold", *map(str, words)],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env={**self.environment, "SAFEHOLD_PASSPHRASE": self.passphrase},
            stdin=subprocess.DEVNULL,
        )
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def copy(self, to: Path) -> Twin:
        """Return the same twin at another place; no keeper may serve it meanwhile."""
        shutil.copytree(self.folder, to)
        return Twin(to, self.spec, self.secret, self.passphrase, dict(self.done))

    def pass_(
        self, client: KeeperClient, *, recipe: str = "train", limits: Limits | None = None
    ) -> Pass:
        """Return a grant that its seats approved."""
        with self.here():
            return pass_with_seats(
                client, self.home, purpose=PURPOSE, seats=self.seats, recipe=recipe, limits=limits
            )

    def enrol(self, client: KeeperClient, name: str, *, role: str) -> KeeperClient:
        """Enrol a made-up person with a key, and return a line on which they have signed in."""
        key = SigningKey.generate()
        client.call(
            "principal.enrol",
            principal=name,
            kind="human",
            role=role,
            names=[f"key:{key.public.text()}"],
        )
        return sign_in(client, key)

    def enrol_agent(
        self, client: KeeperClient, name: str, *, operator: str, runs: int = 3
    ) -> tuple[KeeperClient, SigningKey]:
        """Enrol an agent of somebody, and return a line on which it has signed in, with its key."""
        key = SigningKey.generate()
        client.call(
            "agent.enrol",
            principal=name,
            operator=operator,
            names=[f"key:{key.public.text()}"],
            via="",
            policy={
                "purposes": [PURPOSE],
                "recipes": ["train"],
                "rows": 1_000_000_000,
                "bytes": 64_000_000,
                "runs": runs,
                "calls": 60,
            },
        )
        return sign_in(client, key), key


def sign_in(client: KeeperClient, key: SigningKey) -> KeeperClient:
    """Return a line on which whoever holds a key has signed in."""
    session, _answer = open_with_key(client, key)
    return signed(client, session)


@contextmanager
def serve(twin: Twin, module: str, order: Mapping[str, Any]) -> Iterator[subprocess.Popen[bytes]]:
    """Start a keeper of a twin, wait until it is ready, and end it afterwards.

    Raises:
        SafeholdError: It does not start, as it says itself.
    """
    twin.temporary.mkdir(exist_ok=True, mode=0o700)
    log = twin.folder / "keeper.log"
    with log.open("ab") as err:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, str(twin.folder / "home")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=err,
            env=twin.environment,
            start_new_session=True,
        )
    try:
        if process.stdin is None or process.stdout is None:
            raise UnavailableError("the keeper has no pipes", rule="keeper.start")
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(orjson.dumps(order) + b"\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise UnavailableError("the twin's keeper did not start", rule="drill.twin")
        message: dict[str, Any] = orjson.loads(line)
        if "error" in message:
            raise revive(message["error"])
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def make_twin(
    folder: Path,
    *,
    people: int,
    days: int,
    seed: int,
    full: bool = True,
    synthetic: bool = True,
    charter: Charter | None = None,
) -> Twin:
    """Make a twin.

    Args:
        folder: Where; it must not exist.
        people: How many made-up people.
        days: How many days, the last one yesterday.
        seed: Seed of the made-up people.
        full: Take their days in and build features; else its people are only enrolled.
        synthetic: Say so in the home; one that does not say so is held to what homes of real people are held to.
        charter: Its charter; the demo's with the terms of a twin where nothing is said.
    """
    folder.mkdir(mode=0o700)
    spec = Spec(
        people=people, days=days, seed=seed, start_day=day_of(SystemClock().now_us()) - days
    )
    twin = Twin(
        folder, spec, canonical.b64(ids.random_bytes(24)), canonical.b64(ids.random_bytes(24))
    )
    with twin.here():
        create(folder / "home", seats=twin.seats, synthetic=synthetic, passphrase=twin.passphrase)
    (twin.home.outside / MARK).write_text(mark_of(twin.secret), "ascii")
    chosen = charter or demo_terms().charter
    with twin.keeper() as client:
        client.call(
            "charter.enact",
            charter=chosen.to_json(),
            signatures=[
                sign(chosen, seat, key, home=twin.home.id).to_json()
                for seat, key in keys_in(twin.seats).items()
            ],
        )
        enrol_staff(client, roster(spec))
        if full:
            twin.done["ingest"] = take_in(client, spec)
            for one in roster(spec):
                if one.withdraws and one.consent:
                    client.call("people.choose", person=one.id, choice="withdraw")
            twin.done["feature"] = client.call("feature", purpose=PURPOSE)
        client.call("ledger.publish")
    return twin


def train(twin: Twin) -> None:
    """Let a model be trained in a twin, under a grant of its seats; that spends its whole privacy budget."""
    with twin.keeper() as client:
        permit = twin.pass_(client)
        twin.done["train"] = permit.train(client, PURPOSE, lambda _: None)
        client.call("ledger.publish")


def mark_of(secret: str) -> str:
    """Return what marks a twin: the hash of a secret that its drill keeps."""
    return sha256(b"safehold/drill-twin/1" + secret.encode()).hexdigest()


def take_in(client: KeeperClient, spec: Spec, *, first: int = 0, count: int = 0) -> dict[str, Any]:
    """Take in the days of some people of a made-up company, all of them unless it is said which."""
    source = {
        "kind": "synthetic",
        "spec": spec.to_spec(),
        "first": first,
        "count": count or spec.people,
    }
    return client.call("ingest", source=source)


__all__ = [
    "MARK", "PURPOSE", "Done", "Twin", "make_twin", "mark_of", "serve", "sign_in",
    "take_in", "train",
]  # fmt: skip
