"""Portal and keeper are killed while people write: what was acknowledged is there, and what is sent again has one effect."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.portal_load import Bearer, Yard, yard_at

from safehold.ids import random_bytes

WRITERS = ("p00", "p03", "p06")  # who operates


class Writer(threading.Thread):
    """Opens incidents one after the other, each under a key of its own, and sends each until it is answered."""

    def __init__(self, who: Bearer, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.who, self.ends = who, stop
        self.made: list[int] = []
        self.unknown = 0
        self.again = 0
        self.odd: Counter[str] = Counter()

    def run(self) -> None:
        while not self.ends.is_set():
            key = random_bytes(12).hex()
            self._one({"text": f"incident {key}"}, {"idempotency-key": key})
            time.sleep(0.6)  # a portal takes two changes a second from one session

    def _one(self, body: dict[str, str], headers: dict[str, str]) -> None:
        for _ in range(400):
            try:
                answer = self.who.http.post("/api/v1/incidents", json=body, headers=headers)
            except httpx.HTTPError:
                self.again += 1
                time.sleep(0.2)
                continue
            if answer.status_code == 201:
                self.made.append(answer.json()["incident"])
                return
            rule = answer.json()["rule"]
            if rule == "idempotency.unknown":
                self.unknown += 1
                return
            # whoever asks again and again while a slow machine starts a keeper meets the limit of a session too
            if rule not in {
                "keeper.reachable", "idempotency.running", "api.proof.time", "portal.rate.write",
            }:  # fmt: skip
                self.odd[f"{answer.status_code} {rule}"] += 1
                return
            self.again += 1
            time.sleep(0.2)
        self.odd["never answered"] += 1


def restarts(yard: Yard, kills: list[str], *, pause_s: float) -> None:
    with ExitStack() as open_:
        people = [yard.program(name) for name in WRITERS]
        for one in people:
            open_.callback(one.http.close)
        _restarts(yard, people, kills, pause_s)


def _restarts(yard: Yard, people: list[Bearer], kills: list[str], pause_s: float) -> None:
    before = len(people[0].http.get("/api/v1/incidents?limit=500").json()["incidents"])
    stop = threading.Event()
    writers = [Writer(who, stop) for who in people]
    for one in writers:
        one.start()
    time.sleep(pause_s)
    for which in kills:
        yard.kill(which)
        time.sleep(0.3)
        yard.start(which)
        time.sleep(pause_s)
    stop.set()
    for one in writers:
        one.join(120)
        assert not one.is_alive()
    made = [index for one in writers for index in one.made]
    unknown = sum(one.unknown for one in writers)
    assert sum((one.odd for one in writers), Counter()) == Counter()
    assert len(made) > len(kills)
    assert len(set(made)) == len(made), "two keys, and one effect"
    listed, path = [], "/api/v1/incidents?limit=500"
    while path:
        answer = people[0].http.get(path)
        listed += [one["incident"] for one in answer.json()["incidents"]]
        path = answer.headers.get("link", "").partition("<")[2].partition(">")[0]
    assert set(made) <= set(listed), "acknowledged, and not there"
    assert len(made) <= len(listed) - before <= len(made) + unknown, "one key, and two effects"
    assert sum(one.again for one in writers) > 0, "nothing was killed under them"


def test_a_restart_of_each_under_load_loses_nothing(tmp_path: Path) -> None:
    with yard_at(tmp_path) as yard:
        restarts(yard, ["portal", "keeper"], pause_s=1.5)
        # what was killed tore nothing of the journal, and its head is told when the portal ends in order
        yard.kill("portal", signal.SIGTERM)
        place = ("--state", tmp_path / "portal")
        told = yard.world.ask("portal", "journal", "--verify", *place)
        assert told["lines"] > 20
        assert len(yard.world.ask("portal", "journal", "-n", "5", *place)["lines"]) == 5


@pytest.mark.proof
def test_many_restarts_under_load_lose_nothing(tmp_path: Path) -> None:
    with yard_at(tmp_path) as yard:
        restarts(yard, ["portal", "keeper"] * 12, pause_s=3.0)
