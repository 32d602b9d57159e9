"""Many devices ask the front at the same time: it asks the keeper for all of them, and each is told of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.lease_desk import Device
from tests.stream_desk import Faulty, front

from safehold.access.lease import read_lease
from safehold.errors import SafeholdError, UnavailableError
from safehold.ingest.network.line import HttpLine
from safehold.signing import SigningKey, VerifyKey

MANY = 40  # more than the nonces of one call
PEOPLE = tuple(f"p{number}" for number in range(MANY))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("front"), people=PEOPLE)


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    one = copy_bench(made, tmp_path).start()
    yield one
    one.stop()


class Held(Faulty):
    """A line whose first call for nonces waits until so many requests of the front wait behind it."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench)
        self.go = threading.Event()
        self.sizes: list[int] = []
        self.strange = False

    def call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        if verb == "nonce" and not self.asked:
            assert self.go.wait(60)
        answer = super().call(verb, **arguments)
        if verb == "lease.obtain-many":
            self.sizes.append(len(arguments["asked"]))
            if self.strange:
                answer["answers"] = answer["answers"][1:]
        return answer


class Crowd:
    """Devices that ask over HTTP, each from a thread of its own."""

    def __init__(self, url: str, devices: Sequence[Device], bench: Bench) -> None:
        self.told: dict[str, dict[str, Any] | SafeholdError] = {}
        self._threads = [
            threading.Thread(target=self._ask, args=(url, one, bench), daemon=True)
            for one in devices
        ]

    def _ask(self, url: str, device: Device, bench: Bench) -> None:
        tries = iter(range(3))

        def again(_seconds: float) -> None:
            """Ask again a few times, as a busy machine may need."""
            if next(tries, None) is None:
                raise UnavailableError("waited enough", rule="test.waited")

        line = HttpLine(url, person=device.person, device=device.key, clock=bench.clock, sleep=again)  # fmt: skip
        try:
            self.told[device.person] = line.ask()
        except SafeholdError as error:
            self.told[device.person] = error
        finally:
            line.close()

    def start(self) -> None:
        for one in self._threads:
            one.start()

    def end(self) -> dict[str, dict[str, Any] | SafeholdError]:
        for one in self._threads:
            one.join(120)
        return self.told


def asked_together(
    bench: Bench, devices: Sequence[Device], *, strange: bool = False
) -> tuple[dict[str, dict[str, Any] | SafeholdError], Held]:
    """Have devices ask at the same time, and return what each was told."""
    line = Held(bench)
    line.strange = strange
    with front(bench, line=line, a_minute=0) as (url, made, _):
        crowd = Crowd(url, devices, bench)
        crowd.start()
        for _ in range(100):  # well within the patience of who waits
            if len(made._nonces._queue) >= len(devices) - 1:
                break
            line.go.wait(0.1)
        line.go.set()
        return crowd.end(), line


def test_each_of_many_gets_its_own_lease_in_few_calls(bench: Bench) -> None:
    devices = [Device(one, SigningKey.generate()).enrol(bench) for one in PEOPLE]
    size = bench.desk.ledger.size
    told, line = asked_together(bench, devices)
    for device in devices:
        said = told[device.person]
        assert isinstance(said, dict), said
        lease = read_lease(said["lease"].encode(), keeper=VerifyKey.from_text(said["keeper"]))
        assert (lease.person, lease.device) == (device.person, device.public)
        assert set(said["rules"]) == set(lease.streams)
    assert sum(line.sizes) >= MANY
    assert max(line.sizes) > 1
    assert len(line.sizes) <= MANY / 2
    kinds = [leaf["k"] for _, leaf in bench.desk.ledger.leaves(size)]
    assert kinds.count("lease") <= MANY / 2
    assert kinds.count("choice") == MANY, "of first leases"


def test_one_that_may_not_holds_nobody_up(bench: Bench) -> None:
    devices = [Device(one, SigningKey.generate()).enrol(bench) for one in PEOPLE[:6]]
    alien = Device(PEOPLE[6], SigningKey.generate())
    bench.call("people.choose", person=PEOPLE[0], choice="pause")
    told, line = asked_together(bench, [*devices, alien])
    assert max(line.sizes) > 1
    wrong = {one: said.rule for one, said in told.items() if isinstance(said, SafeholdError)}
    assert wrong == {PEOPLE[0]: "subjects.paused", alien.person: "lease.device"}


def test_answers_for_others_are_told_to_nobody(bench: Bench) -> None:
    """A keeper that answers for fewer than asked: nobody can say whose an answer is."""
    devices = [Device(one, SigningKey.generate()).enrol(bench) for one in PEOPLE[:5]]
    told, line = asked_together(bench, devices, strange=True)
    assert max(line.sizes) > 1
    assert all(isinstance(one, UnavailableError) for one in told.values()), told
