"""One company for all attacks; each gets a copy of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.keeper_desk import Bench, copy_bench
from tests.stream_desk import Device, Line, begin, found_stream
from tests.voices import Voice, enrol, found_voices
from tests.world import World, copy_world, found_world, outside

from safehold.keeper.intake import Intake
from safehold.signing import SigningKey

if TYPE_CHECKING:
    from tests.nats import Nats

    from safehold.ingest.network.broker import Broker


@pytest.fixture(scope="session")
def made_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return found_world(tmp_path_factory.mktemp("made"))


@pytest.fixture
def world(made_world: World, tmp_path: Path) -> Iterator[World]:
    """A running company with data in it."""
    copy = copy_world(made_world, tmp_path).start()
    yield copy
    copy.stop()


@pytest.fixture
def collectors_are_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a made-up home takes in no collector has its own test; here they are to be tried out."""
    monkeypatch.setattr(Intake, "check_home", lambda *_: None)


@pytest.fixture
def somebody(world: World) -> str:
    """A participant with rows."""
    held = world.held()
    return next(one for one in world.participants() if held.get(one, 0) >= 3)


@pytest.fixture
def twin(made_world: World, tmp_path: Path) -> Iterator[World]:
    """The same company, copied once more: what somebody does with a stolen home and its root."""
    (tmp_path / "twin").mkdir()
    copy = copy_world(made_world, tmp_path / "twin")
    with outside(copy.path):
        yield copy.start()
    copy.stop()


@pytest.fixture(scope="session")
def made_stream(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A home whose people have devices that hand envelopes in."""
    return found_stream(tmp_path_factory.mktemp("stream"))


@pytest.fixture
def stream_bench(made_stream: Bench, tmp_path: Path) -> Iterator[Bench]:
    one = begin(copy_bench(made_stream, tmp_path))
    yield one
    one.stop()


@pytest.fixture
def device(stream_bench: Bench) -> Device:
    """A device of Ana's."""
    return Device(Line(stream_bench), stream_bench)


@pytest.fixture
def broker(nats_server: Nats) -> Iterator[Broker]:
    """A queue of its own, with short limits."""
    from tests.queue_desk import SHORT

    from safehold.ingest.network.broker import Broker

    one = Broker(nats_server.place(), limits=SHORT)
    one.prepare()
    yield one
    one.close()


@pytest.fixture(scope="session")
def made_voices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, dict[str, SigningKey]]:
    """A home of real people of whom two have keys of their own; nobody has chosen anything."""
    bench = found_voices(tmp_path_factory.mktemp("voices")).start()
    keys = {name: one.key for name, one in enrol(bench, "ana", "bo").items()}
    bench.stop()
    return bench, keys


@pytest.fixture
def voices_bench(
    made_voices: tuple[Bench, dict[str, SigningKey]], tmp_path: Path
) -> Iterator[Bench]:
    with outside(tmp_path):
        one = copy_bench(made_voices[0], tmp_path).start()
        yield one
        one.stop()


@pytest.fixture
def ana(voices_bench: Bench, made_voices: tuple[Bench, dict[str, SigningKey]]) -> Voice:
    """Somebody who has a key."""
    return Voice(voices_bench, "ana", made_voices[1]["ana"])
