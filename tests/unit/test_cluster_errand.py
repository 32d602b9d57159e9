"""An errand whose driver does what a hostile one would: it stops taking, floods, hides ends, or changes its worker."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from safehold.app.workers import add_worker, choose_workers, remove_worker, workshop_of
from safehold.cluster import farm as farm_module
from safehold.cluster.errand import Errand
from safehold.cluster.farm import MOST_HEARD, Cluster, Farm, Held, _Sink
from safehold.cluster.letter import Claim, Worker, keys_of, read_warrant
from safehold.cluster.line import LineError
from safehold.cluster.parcel import end, tell
from safehold.cluster.seal import BACK, Keys, TaskKey, fresh_secret
from safehold.errors import SafeholdError, UnavailableError
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.parts import seal_bytes
from safehold.settings import Home
from safehold.signing import SigningKey

KEEPER, WORKER = SigningKey.generate(), SigningKey.generate()
CLUSTER = Cluster(
    address="h:1", width=1, opener="/x/s", crew={"w": Worker(key=WORKER.public, level="E2")}
)


class Driven(Farm):
    """A farm without a process: what would be written to the driver is answered here, as its worker would."""

    def __init__(self, crew: Any = None) -> None:
        super().__init__(CLUSTER, home="home_x", keeper=KEEPER, program="0:test", enrolled=crew)
        self.told: list[str] = []
        self.stuck: threading.Event | None = None
        self.claims = True
        self.level = "E2"
        self.keys: Keys | None = None

    def hold(self, held: Held) -> None:
        with self._lock:
            self._held[held.run, held.number] = held

    def say(self, place: Mapping[str, Any], word: str, body: bytes = b"") -> None:
        self.hear({"say": word, "run": place["run"], "attempt": place["attempt"]}, body)

    def write(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        self.told.append(str(header["do"]))
        if self.stuck is not None:
            assert self.stuck.wait(20)
        if header["do"] == "go":
            self.say(header, "placed")
            if self.claims:
                self.claim(header)
        if header["do"] == "warrant":
            secret = read_warrant(body, self.signed, self.task, KEEPER.public)
            self.keys = keys_of(secret, home="home_x", run=header["run"], attempt=header["attempt"])
            self.work(header, self.keys)

    def claim(self, place: Mapping[str, Any]) -> None:
        self.task = TaskKey()
        self.signed = Claim(
            home="home_x", run=place["run"], attempt=place["attempt"], worker="w",
            key=self.task.public, level="E2", kernel="k", mechanisms=(), program="0:test",
        ).sign(WORKER)  # fmt: skip
        self.say(place, "claim", self.signed)

    def work(self, place: Mapping[str, Any], keys: Keys) -> None:
        told = tell({"level": self.level, "kernel": "k", "mechanisms": []})
        self.say(place, "piece", keys.seal(BACK, 0, told, last=False))
        self.say(place, "last", keys.seal(BACK, 1, end(None), last=True))
        self.say(place, "gone", keys.word("gone"))


@pytest.fixture
def inputs() -> Iterator[list[int]]:
    made = [seal_bytes(b"x" * 1000)]
    yield made
    os.close(made[0])


def errand(farm: Farm, inputs: list[int]) -> Errand:
    job = Job(recipe="job", spec=b"{}", inputs=tuple(inputs), limits=Limits(wall=9.0), least="E2")
    return Errand(farm, job, least="E2")


def test_a_worker_that_confines_as_it_claimed_is_believed(inputs: list[int]) -> None:
    one = errand(Driven(), inputs)
    assert one.ran().worker == "w"
    one.close()


def test_whoever_ends_an_errand_does_not_wait_for_a_driver_that_takes_nothing(
    inputs: list[int],
) -> None:
    """A stop ends one after the other; the first may not keep it from the rest."""
    farm = Driven()
    farm.stuck = threading.Event()
    one = errand(farm, inputs)
    while not farm.told:
        time.sleep(0.01)
    killer = threading.Thread(target=one.kill, daemon=True)
    killer.start()
    killer.join(30)
    waiting = killer.is_alive()
    farm.stuck.set()
    one.close()
    assert not waiting


class Hiding(Driven):
    """Hides the end of the sandbox, and hands one more piece on."""

    def work(self, place: Mapping[str, Any], keys: Keys) -> None:
        told = tell({"level": self.level, "kernel": "k", "mechanisms": []})
        self.piece = keys.seal(BACK, 0, told, last=False)
        self.warranted = dict(place)


def test_an_end_that_is_hidden_is_waited_for_as_long_as_the_tether_holds(
    inputs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farm_module, "TETHER_S", 0.5)
    monkeypatch.setattr(farm_module, "MARGIN_S", 0.1)
    farm = Hiding()
    one = errand(farm, inputs)
    while not hasattr(farm, "warranted"):
        time.sleep(0.01)
    one.kill()
    farm.say(farm.warranted, "piece", farm.piece)
    closer = threading.Thread(target=one.close, daemon=True)
    closer.start()
    closer.join(10)
    waiting = closer.is_alive()
    farm.lose()
    closer.join(10)
    assert not waiting, "an erasure would wait for ever"
    assert farm.told.count("end") >= 1


def test_a_sandbox_that_is_weaker_than_was_claimed_gives_no_result(inputs: list[int]) -> None:
    farm = Driven()
    farm.level = "E1"
    one = errand(farm, inputs)
    with pytest.raises(SafeholdError) as error:
        one.ran()
    assert error.value.rule == "cluster.level"
    one.close()


def test_an_attempt_that_nobody_claims_gives_its_place_back(
    inputs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safehold.cluster.errand.CLAIM_S", 0.05)
    farm = Driven()
    farm.claims = False
    one = errand(farm, inputs)
    with pytest.raises(SafeholdError):
        one.ran()
    one.close()
    assert farm.told.count("end") == farm.told.count("go") == 4
    assert "warrant" not in farm.told


def test_a_worker_whose_enrolment_was_taken_back_gets_no_key_from_a_keeper_that_runs(
    tmp_path: Path, inputs: list[int]
) -> None:
    home = Home.create(tmp_path / "home", synthetic=True)
    add_worker(home, "w", WORKER.public, level="E2")
    add_worker(home, "other", SigningKey.generate().public, level="E2")
    choose_workers(home, "head:6379")
    made = workshop_of(home, lambda: KEEPER)
    enrolled = made.farm.crew  # type: ignore[attr-defined]
    assert set(enrolled()) == {"w", "other"}
    remove_worker(home, "w")
    add_worker(home, "late", SigningKey.generate().public, level="E2")
    assert set(enrolled()) == {"other"}, (
        "and one that came later was not in what uses are decided at"
    )
    farm = Driven(enrolled)
    one = errand(farm, inputs)
    with pytest.raises(SafeholdError) as error:
        one.ran()
    assert error.value.rule == "cluster.worker"
    one.close()
    assert "warrant" not in farm.told


def test_a_driver_that_floods_fills_no_memory() -> None:
    farm = Driven()
    held = Held("run_x", 1, keys_of(fresh_secret(), home="home_x", run="run_x", attempt=1))
    farm.hold(held)
    for _ in range(10 * MOST_HEARD):
        farm.say(held.place, "piece", b"x")
    assert held.inbox.qsize() == MOST_HEARD
    farm.lose()
    found = [held.inbox.get_nowait() for _ in range(MOST_HEARD + 1)]
    assert found[-1] is None, "that it has gone is heard in any case"
    with pytest.raises(queue.Empty):
        held.inbox.get_nowait()


def test_a_driver_that_takes_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm_module, "STUCK_S", 0.3)
    with subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], stdin=subprocess.PIPE
    ) as process:
        with pytest.raises(OSError):
            _Sink(process).write(bytes(1 << 20))
        assert process.wait(10) == -9


def test_what_is_taken_slowly_arrives_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm_module, "STUCK_S", 5.0)
    script = (
        "import sys, time, hashlib\n"
        "state = hashlib.sha256()\n"
        "while data := sys.stdin.buffer.read(65536):\n"
        "    state.update(data); time.sleep(0.002)\n"
        "print(state.hexdigest())"
    )
    data = os.urandom(3 << 20)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        _Sink(process).write(memoryview(data))
        told, _ = process.communicate()
    from hashlib import sha256

    assert told.decode().strip() == sha256(data).hexdigest()


def test_the_driver_sees_no_file_of_the_home_and_nothing_of_its_outside(tmp_path: Path) -> None:
    """What comes out of a cluster is unpickled there, and may be anything."""
    home = Home.create(tmp_path / "home", synthetic=True)
    secret, beyond = home.path / "root.sealed", home.outside / "policy"
    for one in (secret, beyond):
        one.write_bytes(b"x")
    for ray in ("local:1", "head:6379"):
        add_worker(home, "w", WORKER.public, level="E2")
        with closing(workshop_of(home, lambda: KEEPER, ray=ray)) as made:
            farm = made.farm  # type: ignore[attr-defined]
            driver = object.__new__(farm_module._Driver)
            driver._farm, driver._cluster = farm, farm.cluster
            confined = driver._confine()
        assert confined, "bubblewrap is there"
        look = "import pathlib, sys; print([pathlib.Path(one).exists() for one in sys.argv[1:]])"
        for prefix, seen in ((confined, "[False, False]"), ([], "[True, True]")):
            told = subprocess.run(
                [*prefix, sys.executable, "-c", look, str(secret), str(beyond)],
                capture_output=True, check=True, text=True,
            )  # fmt: skip
            assert told.stdout.strip() == seen


def test_a_driver_that_takes_nothing_counts_as_gone_before_its_end_is_read():
    """Else every attempt would be made with it, and lost, before whoever reads from it sees its end."""

    def closed(*_: object) -> None:
        raise LineError("closed")

    farm = Farm.__new__(Farm)
    driver = farm._driver = SimpleNamespace(alive=True, line=SimpleNamespace(write=closed))
    with pytest.raises(UnavailableError):
        farm.write({"do": "end"})
    assert not driver.alive
