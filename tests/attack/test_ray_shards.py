"""A shard on a Ray worker: it is lost and asked again, and what it says is read by nobody on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.clusters import Shared, folder_of_ray, rays, scan_folder, scan_memory
from tests.ray_desk import Axe, killing, two_workers
from tests.unit.test_enclave_train import SHAPE, WORDS, parts

from safehold.app.workshop import SandboxWorkshop
from safehold.errors import SafeholdError
from safehold.keeper.ports import Talker
from safehold.sandbox.job import TALKERS, Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import pack_parts

COUNT, MOST = 6, 16
SPEC = WORDS.to_spec()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with two_workers(tmp_path_factory.mktemp("ray")) as made:
        yield made


@pytest.fixture(scope="module")
def memory() -> Iterator[int]:
    made = pack_parts(parts(COUNT))
    yield made
    os.close(made)


def talk(shard: Talker, weights: np.ndarray[Any, Any], *, rounds: int = 2) -> list[bytes]:
    """Ask what a lead asks, and return all answers."""
    found = [
        bytes(shard.ask({"type": "ask", "number": 0, "do": "lengths"}, b"", remember=False).body)
    ]
    lengths = np.frombuffer(found[0], "<i8")
    places = np.full((COUNT, MOST), -1, "<i4")
    for row, length in zip(places, lengths, strict=True):
        row[: min(length, MOST)] = np.arange(min(length, MOST))
    asked = {"type": "ask", "number": 1, "do": "places", "most": MOST}
    found.append(bytes(shard.ask(asked, places.tobytes(), remember=True).body))
    for number in range(2, 2 + rounds):
        seats = np.array([0, 2, 3, -1], "<i4")
        asked = {"type": "ask", "number": number, "do": "sum", "bound": 0.1}
        answer = shard.ask(asked, weights.tobytes() + seats.tobytes(), remember=False)
        assert answer.header == {"type": "answer", "number": number}
        found.append(bytes(answer.body))
    return found


@pytest.fixture(scope="module")
def weights() -> np.ndarray[Any, Any]:
    return np.random.default_rng(3).normal(size=SHAPE.parameters)


@pytest.fixture(scope="module")
def here(memory: int, weights: np.ndarray[Any, Any]) -> list[bytes]:
    """What a shard in a sandbox of this machine answers."""
    with SandboxWorkshop(Launcher()).talk("train.shard", SPEC, [memory], least="E1") as shard:
        return talk(shard, weights)


# of what a shard sends: 1 what confines it, 2 lengths, 3 that it has the places, 4 and 5 sums
WHEN = [
    ("ray::_Carrier", "piece", 4),
    ("safehold.app.opener", "piece", 2),
]


@pytest.mark.parametrize(("what", "word", "nth"), WHEN)
def test_a_shard_that_is_killed_is_asked_again_and_answers_the_same_bits(
    workers: Shared,
    memory: int,
    weights: np.ndarray[Any, Any],
    here: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    word: str,
    nth: int,
) -> None:
    axe = Axe(workers.farm, word, killing(what), nth=nth)
    monkeypatch.setattr(workers.farm, "hear", axe)
    with workers.talk("train.shard", SPEC, [memory], least="E1") as shard:
        assert talk(shard, weights) == here
        told = shard.mechanisms
    assert axe.struck
    # an opener that was killed may still be taken for alive by the next attempt
    assert {"ray-attempt:2", "ray-attempt:3"} & set(told)


def test_neither_weights_nor_sums_stand_anywhere_in_ray(
    workers: Shared,
    memory: int,
    weights: np.ndarray[Any, Any],
    here: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sums = np.frombuffer(here[-1], "<f8")
    at = int(np.flatnonzero(sums)[0])
    wanted = {"weights": weights[:4].tobytes(), "sums": sums[at : at + 4].tobytes()}
    seen: dict[str, set[str]] = {}

    def look() -> None:
        for pid, line in rays().items():
            if "safehold.app.opener" not in line:
                seen[line] = seen.get(line, set()) | scan_memory(pid, wanted)
        seen["files"] = scan_folder(folder_of_ray(), wanted)[0]

    monkeypatch.setattr(workers.farm, "hear", Axe(workers.farm, "piece", look, nth=5))
    with workers.talk("train.shard", SPEC, [memory], least="E1") as shard:
        assert talk(shard, weights) == here
    assert any("ray::" in line for line in seen)
    assert not {line: what for line, what in seen.items() if what}
    assert "weights" in scan_memory(os.getpid(), wanted), "a control"


def test_what_ray_changes_of_a_question_ends_the_attempt(
    workers: Shared, memory: int, weights: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = workers.farm.write

    def change(header: dict[str, Any], body: bytes = b"") -> None:
        if header["do"] == "ask":
            body = body[:-1] + bytes([body[-1] ^ 1])
        write(header, body)

    monkeypatch.setattr(workers.farm, "write", change)
    with (
        workers.talk("train.shard", SPEC, [memory], least="E1") as shard,
        pytest.raises(SafeholdError) as error,
    ):
        talk(shard, weights)
    assert error.value.rule in {"cluster.lost", "sandbox.stopped"}


def test_a_shard_that_is_ended_is_gone_before_its_end_is_reported(
    workers: Shared, memory: int, weights: np.ndarray[Any, Any]
) -> None:
    with workers.talk("train.shard", SPEC, [memory], least="E1") as shard:
        talk(shard, weights, rounds=1)
        shard.kill()
        with pytest.raises(SafeholdError) as error:
            talk(shard, weights, rounds=1)
        assert error.value.rule == "sandbox.stopped"


def test_only_parts_of_a_training_are_told_anything_while_they_run() -> None:
    assert {"train.lead", "train.shard"} == TALKERS
    job = Job(recipe="feature", limits=Limits(), least="E0", talks=True)
    with pytest.raises(SafeholdError) as error:
        Launcher().start(job)
    assert error.value.rule == "sandbox.talks"
