"""Two keepers of one home, each with its own door, in one process; sandboxes are scripts of the test."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.keeper_desk import Bench, OpenGatekeeper, ScriptedWorkshop

from safehold.app.candidate import Candidate
from safehold.app.keeper import compose
from safehold.app.service import Service
from safehold.canonical import b64, unb64
from safehold.db import Lead
from safehold.errors import SafeholdError
from safehold.keeper.client import KeeperClient
from safehold.keeper.messages import use_message
from safehold.keeper.server import Server

PURPOSE = "train_ui_agent"


class Keeper:
    """One of them.

    Args:
        bench: A stopped bench; its clock and its root are shared.
        name: Its name.
    """

    def __init__(self, bench: Bench, name: str) -> None:
        self.bench, self.name = bench, name
        self.family: list[Keeper] = bench.__dict__.setdefault("family", [])
        self.family.append(self)
        self.workshop = ScriptedWorkshop()
        self.workshop.scripts = bench.workshop.scripts
        self.candidate = Candidate(
            bench.home, self._begin, name=name, watch_s=0.05, rest_s=0.2, patience_s=60
        )
        self.door = Server(bench.home.socket_of(name), self.candidate)
        self.client = KeeperClient(bench.home.socket_of(name))
        self._thread = threading.Thread(target=self.door.serve, daemon=True)
        self.began: list[Service] = []
        self.cheap = True  # otherwise one run costs the whole budget of its purpose

    def _begin(self, lead: Lead) -> Service:
        home, bench = self.bench.home, self.bench
        service = compose(home, bench.root, clock=bench.clock, workshop=self.workshop, lead=lead)
        service.desk.gatekeeper = OpenGatekeeper()
        release = service.verbs.work._release
        decide = release.decision.decide
        release.decision.decide = lambda ask, asker: decide(  # type: ignore[method-assign]
            replace(ask, price=(1, 1)) if self.cheap and ask.price != (0, 0) else ask, asker
        )
        self.began.append(service)
        return service

    def start(self) -> Keeper:
        self.candidate.start()
        self._thread.start()
        return self

    def stop(self) -> None:
        self.door.close()
        self.candidate.close()
        self._thread.join(300)

    @property
    def leads(self) -> bool:
        return self.candidate.leads

    def leader(self) -> Service:
        """Return what leads, here or there."""
        return next(one.candidate.service for one in self.family if one.candidate.service)

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        return self.client.call(verb, **arguments)

    def proof(self, holder: Any, nonce: bytes) -> dict[str, Any]:
        return {
            "purpose": PURPOSE,
            "token": holder.token,
            "nonce": b64(nonce),
            "proof": b64(holder.prove(nonce, use_message("train", PURPOSE))),
        }

    def nonce(self) -> bytes:
        return unb64(self.call("nonce")["nonce"])

    def train(self, holder: Any) -> dict[str, Any]:
        return self.call("train", **self.proof(holder, self.nonce()))

    def ended(self, holder: Any) -> str:
        """Ask for a run; return ``ok``, or the rule that refused it."""
        try:
            self.train(holder)
        except SafeholdError as error:
            return error.rule or error.code
        return "ok"


def eventually(true: Callable[[], bool], *, patience_s: float = 300) -> None:
    """Wait until something is so; it always becomes so unless something is broken."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.02)
