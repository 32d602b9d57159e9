"""A small company on one machine: home, board, people, and a keeper that is served on its socket.

It is made once (``found_world``) and copied for each test, so a test may break whatever it likes. The clock stands
still until a test moves it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from tests.seated import enact, founding, priced

from safehold import canonical
from safehold.access import Grant, Holder, approve, prove_device
from safehold.app.draft import draft_grant
from safehold.app.keeper import compose, found
from safehold.app.service import Service
from safehold.app.setup import first_roster, seat_keys
from safehold.app.workshop import SandboxWorkshop
from safehold.canonical import b64, unb64
from safehold.charter import Charter, Signature
from safehold.clock import DAY_US, SECOND_US, FixedClock, SystemClock, day_of
from safehold.errors import SafeholdError, UnavailableError
from safehold.keeper import wire
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import obtain_message, use_message
from safehold.sandbox.launch import Launcher
from safehold.settings import Home
from safehold.signing import SigningKey
from safehold.vault.kms import LocalRoot, open_sealed
from safehold.workforce import Spec, roster, truth

PEOPLE, DAYS, PACE, SEED = 70, 1, 200, 11
PURPOSE = "train_ui_agent"
PASSPHRASE = "correct horse, wrong battery"  # of homes that hold made-up people only
EVIDENCE = "evidence-canary-5bd1e7"
REASON = "reason-canary-90c2aa"


class RecordingWorkshop(SandboxWorkshop):
    """A workshop that remembers what was packed for a sandbox, and trains nothing."""

    def __init__(self) -> None:
        super().__init__(Launcher())
        self.packed: list[list[dict[str, Any]]] = []
        self.started: list[tuple[str, dict[str, Any]]] = []

    def pack(self, parts: Iterable[tuple[Mapping[str, Any], pa.Table]]) -> int:
        held = [(dict(header), table) for header, table in parts]
        self.packed.append([header for header, _ in held])
        return super().pack(held)

    def start(self, recipe: str, spec: Mapping[str, Any], inputs: Sequence[int], *, least: str):
        self.started.append((recipe, dict(spec)))
        if recipe == "train":
            raise UnavailableError("training is not part of this test", rule="test.train")
        return super().start(recipe, spec, inputs, least=least)

    @property
    def seen(self) -> set[str]:
        """Run-scoped names whose rows were packed for the last sandbox."""
        return {header["person"] for header in self.packed[-1]} if self.packed else set()


@dataclass
class World:
    """One company.

    Args:
        path: Folder that holds the home and its outside.
        home: The home.
        root: Its live root key.
        clock: The keeper's clock.
        seats: Keys of the board.
        workshop: Records what goes into sandboxes.
    """

    path: Path
    home: Home
    root: LocalRoot
    clock: FixedClock
    seats: dict[str, SigningKey]
    workshop: RecordingWorkshop
    service: Service | None = None
    _thread: threading.Thread | None = field(default=None)

    @property
    def client(self) -> KeeperClient:
        return KeeperClient(self.home.socket)

    @property
    def desk(self):
        assert self.service is not None
        return self.service.desk

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return self.client.call(verb, **arguments)

    def start(self) -> World:
        """Compose the keeper and serve it in a thread."""
        self.service = compose(self.home, self.root, clock=self.clock, workshop=self.workshop)
        self._thread = threading.Thread(target=self.service.serve, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End the keeper, as a shutdown does."""
        if self.service is not None:
            self.service.finish()
            self.service.desk.engine.dispose()
            self.service = None
            if self._thread is not None:
                self._thread.join(300)

    def restart(self) -> World:
        self.stop()
        return self.start()

    def later(self, *, seconds: float = 0, days: int = 0) -> None:
        self.clock.advance(round(seconds * SECOND_US) + days * DAY_US)

    def charter(self) -> Charter:
        return self.desk.trust.charter()

    def enact(self, charter: Charter, *, seats: Iterable[str] | None = None) -> dict[str, Any]:
        names = list(self.seats if seats is None else seats)
        return enact(
            self.call, self.desk.trust, charter, self.seats, names, at_us=self.clock.now_us()
        )

    def order(self, what: str, *seats: str, reason: str = REASON) -> dict[str, Any]:
        """Return an order of the board, signed by seats (all if none is named)."""
        text = canonical.encode(
            {
                "v": "safehold.order/1",
                "what": what,
                "home": self.home.id,
                "reason": reason,
                "at_us": self.clock.now_us(),
            }
        )
        return {
            "order": text.decode(),
            "signatures": [
                Signature(
                    seat=seat, value=self.seats[seat].sign(f"safehold.{what}.v1", text)
                ).to_json()
                for seat in seats or tuple(self.seats)
            ],
        }

    def grant(self, holder: SigningKey, **changes: Any) -> tuple[Grant, list[dict[str, Any]]]:
        """Return a grant and two approvals."""
        now = self.clock.now_us()
        asked = draft_grant(
            self.charter(),
            requester="ana",
            purpose=PURPOSE,
            reason=REASON,
            holder=holder,
            minutes=60,
        )
        today = day_of(now)
        asked = replace(
            asked,
            asked_us=now,
            expires_us=now + 3600 * SECOND_US,
            minutes=60,
            first_day=today - 40,
            last_day=today + 1,
        )
        asked = replace(asked, **changes)
        price = priced(self.call, asked)
        approvals = [
            approve(asked, price, seat, self.seats[seat], now_us=now).to_json()
            for seat in ("privacy", "legal")
        ]
        return asked, approvals

    def pass_(self, **changes: Any) -> tuple[str, Holder]:
        """Return the id of an enacted grant and its holder."""
        key = SigningKey.generate()
        grant, approvals = self.grant(key, **changes)
        answer = self.call("grant.enact", grant=grant.to_json(), approvals=approvals)
        return answer["grant"], Holder(answer["token"], key)

    def use(self, holder: Holder, **changes: Any) -> dict[str, Any]:
        """Return the arguments of a proper call of ``train``; ``changes`` spoil some."""
        nonce = unb64(self.call("nonce")["nonce"])
        purpose = changes.get("purpose", PURPOSE)
        return {
            "purpose": purpose,
            "token": holder.token,
            "nonce": b64(nonce),
            "proof": b64(holder.prove(nonce, use_message("train", purpose))),
        } | changes

    def train(self, holder: Holder, **changes: Any) -> SafeholdError:
        """Ask for training and return what stopped it; ``test.train`` means that it was let in."""
        try:
            self.call("train", **self.use(holder, **changes))
        except SafeholdError as error:
            return error
        raise AssertionError("nothing stopped it")

    def choose(self, person: str, choice: str, **more: Any) -> dict[str, Any]:
        return self.call("people.choose", person=person, choice=choice, **more)

    def add(self, person: str, device: SigningKey) -> dict[str, Any]:
        """Enrol a device for a person."""
        return self.call(
            "source.add", person=person, device=device.public.text(), evidence=EVIDENCE
        )

    def remove(self, person: str, device: SigningKey) -> dict[str, Any]:
        return self.call("source.remove", person=person, device=device.public.text())

    def ask(self, person: str, device: SigningKey, **changes: Any) -> dict[str, Any]:
        """Return the arguments of a proper call of ``lease.obtain``; ``changes`` spoil some."""
        nonce = unb64(self.call("nonce")["nonce"])
        return {
            "person": person,
            "device": device.public.text(),
            "nonce": b64(nonce),
            "proof": b64(prove_device(device, nonce, obtain_message(person))),
        } | changes

    def obtain(self, person: str, device: SigningKey, **changes: Any) -> dict[str, Any]:
        return self.call("lease.obtain", **self.ask(person, device, **changes))

    def person(self, external: str) -> str:
        return self.desk.people.find(external)

    def participants(self) -> list[str]:
        """Return the external ids of everybody whose blocks may be used now."""
        now = self.clock.now_us()
        places = self.charter().jurisdictions
        return sorted(
            one.external
            for one in self.desk.people.everybody().values()
            if one.streams and not one.paused(now) and one.jurisdiction in places
        )

    def held(self, kind: str = "telemetry") -> dict[str, int]:
        """Return how many unexpired blocks lie in the catalogue, by external id."""
        found: dict[str, int] = {}
        streams = ("key", "pointer", "chat", "ai", "focus", "feature")
        for block in self.desk.catalog.blocks(kind=kind, streams=streams, after_day=0):
            name = self.desk.people.standing(block.person).external
            found[name] = found.get(name, 0) + 1
        return found

    def leaf(self, index: int) -> dict[str, Any]:
        return next(leaf for _, leaf in self.desk.ledger.leaves(index, index + 1))

    def last(self) -> dict[str, Any]:
        return self.leaf(self.desk.ledger.size - 1)


def spec_at(now_us: int) -> Spec:
    """Return the company's people: yesterday's work of a small workforce."""
    return Spec(people=PEOPLE, days=DAYS, seed=SEED, pace=PACE, start_day=day_of(now_us) - DAYS)


def found_world(path: Path) -> World:
    """Make a company whose people were enrolled and whose yesterday was taken in."""
    with outside(path):
        keys = seat_keys(path / "seats")
        home = Home.create(path / "home", synthetic=True)
        board = first_roster(home, keys, now_us=SystemClock().now_us())
        root, _ = found(
            home, {"passphrase": PASSPHRASE}, canonical.encode(board.to_json()), board.digest()
        )
    now = SystemClock().now_us()
    world = World(path, home, root, FixedClock(now), keys, RecordingWorkshop()).start()
    try:
        world.enact(founding())
        spec = spec_at(now)
        world.call(
            "people.enrol",
            people=[
                {
                    "person": one.id,
                    "jurisdiction": one.jurisdiction,
                    "streams": sorted(one.consent),
                    "pauses": [list(pause) for pause in one.pauses],
                }
                for one in roster(spec)
            ],
            evidence=EVIDENCE,
        )
        world.call("ingest", source={"kind": "synthetic", "spec": spec.to_spec()})
    finally:
        world.stop()
    return world


def copy_world(made: World, path: Path) -> World:
    """Return a copy of a stopped company in another folder; it is not started."""
    copy_home(made.path, path)
    with outside(path):
        home = Home.open(path / "home")
    return World(
        path,
        home,
        made.root,
        FixedClock(made.clock.at_us),
        made.seats,
        RecordingWorkshop(),
    )


def copy_home(made: Path, path: Path) -> Path:
    """Copy a home that nobody has open, with what lies outside it, into a folder; return the folder."""
    for name in ("home", "outside"):
        shutil.copytree(made / name, path / name)
    return path


@contextmanager
def outside(path: Path) -> Iterator[None]:
    """Let homes find their outside beside them."""
    old = os.environ.get("SAFEHOLD_OUTSIDE")
    os.environ["SAFEHOLD_OUTSIDE"] = str(path / "outside")
    try:
        yield
    finally:
        if old is None:
            del os.environ["SAFEHOLD_OUTSIDE"]
        else:
            os.environ["SAFEHOLD_OUTSIDE"] = old


def planted(now_us: int) -> set[str]:
    """Return every planted value that is long enough not to occur by chance."""
    table = truth(spec_at(now_us))
    return {
        value
        for value, decoy in zip(table["value"].to_pylist(), table["decoy"].to_pylist(), strict=True)
        if not decoy and len(value) >= 6
    }


def shows(text: str, value: str) -> bool:
    """Return whether a text shows a value; a number must stand for itself, not in the digits of a digest."""
    if not value.isdigit():
        return value in text
    return re.search(rf"(?<![0-9a-f]){value}(?![0-9a-f])", text) is not None


def raised(act: Callable[[], Any]) -> SafeholdError:
    """Return the error that an act raises."""
    try:
        act()
    except SafeholdError as error:
        return error
    raise AssertionError("nothing was refused")


def dial(home: Home) -> socket.socket:
    """Return a bare connection to the keeper's socket."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(300)
    with wire.address(home.socket) as address:
        link.connect(address)
    return link


__all__ = [
    "EVIDENCE",
    "PASSPHRASE",
    "PURPOSE",
    "REASON",
    "RecordingWorkshop",
    "World",
    "copy_world",
    "dial",
    "found_world",
    "open_sealed",
    "outside",
    "planted",
    "raised",
    "spec_at",
]
