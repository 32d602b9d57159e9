"""Ray carries and cannot read, whatever is killed: one intent, one result, nothing twice, nothing readable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clusters import (
    Shared,
    family,
    find,
    folder_of_ray,
    rays,
    reach,
    scan_folder,
    scan_memory,
)
from tests.ingest_job import NOW_US, job
from tests.ray_desk import Axe, derived, far_away, features_here, killing, two_workers, uses
from tests.world import PURPOSE, World, spec_at

from safehold.app.workshop import SandboxWorkshop
from safehold.cluster import errand as errand_module
from safehold.cluster.letter import CLAIM
from safehold.cluster.seal import fresh_secret
from safehold.errors import SafeholdError
from safehold.sandbox.launch import Launcher
from safehold.sandbox.parts import seal_bytes
from safehold.signing import SigningKey

COMPANY = {"kind": "synthetic", "spec": spec_at(NOW_US).to_spec(), "first": 0, "count": 3}


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """Two workers, for all tests of this module."""
    with two_workers(tmp_path_factory.mktemp("ray")) as made:
        yield made


@pytest.fixture
def far(made_world: World, workers: Shared, tmp_path: Path) -> Iterator[World]:
    """A running company whose sandboxes run on the two workers."""
    with far_away(made_world, workers, tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def here(made_world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What features are without Ray."""
    return features_here(made_world, tmp_path_factory.mktemp("here"))


def test_features_are_the_same_on_two_workers_as_on_this_machine(
    far: World, here: dict[str, bytes]
) -> None:
    before = far.desk.ledger.size
    answer = far.call("feature", purpose=PURPOSE)
    assert derived(far) == here
    assert answer["level"] == far.desk.workshop.level()
    assert uses(far, before) == [("access.intent", None), ("access.result", "ok")]


STEPS = ("placed", "claim", "piece", "last")
SHORT = [
    ("ray::_Carrier", "claim"),
    ("ray::_Carrier", "piece"),
    ("raylet/raylet", "placed"),
    ("safehold.cluster.driver", "last"),
    ("safehold.app.opener", "piece"),
]


@pytest.mark.parametrize(("what", "word"), SHORT)
def test_whatever_is_killed_nothing_is_lost_and_nothing_counts_twice(
    far: World,
    workers: Shared,
    here: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    word: str,
) -> None:
    axe = Axe(workers.farm, word, killing(what))
    monkeypatch.setattr(workers.farm, "hear", axe)
    before, spent = far.desk.ledger.size, far.desk.trust.spent()
    far.call("feature", purpose=PURPOSE)
    assert axe.struck
    assert derived(far) == here
    assert uses(far, before) == [("access.intent", None), ("access.result", "ok")]
    assert len(far.desk.trust.spent()) == len(spent) + 1


MARK = b"planted-value-7f3c19"


def given(secrets: list[bytes]) -> dict[str, bytes]:
    """Return what must stand nowhere: what was planted, and the secrets of all attempts."""
    return {"planted": MARK, **{f"secret {at}": one for at, one in enumerate(secrets)}}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The secrets of all attempts, as they are made."""
    made: list[bytes] = []

    def fresh() -> bytes:
        made.append(fresh_secret())
        return made[-1]

    monkeypatch.setattr(errand_module, "fresh_secret", fresh)
    return made


def test_no_process_of_ray_and_no_file_of_its_holds_a_value_or_a_key(
    workers: Shared, secrets: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory of every process but the opener, the store, spilled objects and logs: while it is there, and after."""
    seen: dict[str, set[str]] = {}
    looked: list[str] = []
    spilled = 0

    def look() -> None:
        nonlocal spilled
        wanted = given(secrets)
        for pid, line in rays().items():
            if "safehold.app.opener" not in line:
                looked.append(line)
                seen[line] = seen.get(line, set()) | scan_memory(pid, wanted)
        seen["files"], size = scan_folder(folder_of_ray(), wanted)
        spilled = max(spilled, size)

    first = Axe(workers.farm, "claim", look)
    monkeypatch.setattr(workers.farm, "hear", first)
    second = Axe(workers.farm, "last", look)
    monkeypatch.setattr(workers.farm, "hear", second)
    # more than the store holds, so that some of it goes to disk
    memory = seal_bytes(MARK * ((88 << 20) // len(MARK)))
    try:
        with (
            workers.start(
                "ingest", job({"kind": "file", "name": "a"}), [memory], least="E1"
            ) as one,
            pytest.raises(SafeholdError) as error,
        ):
            list(one.frames())
    finally:
        os.close(memory)
    assert first.struck
    assert second.struck
    assert MARK.decode() not in str(error.value)
    assert secrets
    if (
        len(secrets) > 1
    ):  # a look holds the line up, so a slow machine may lose an attempt: each has a key
        look()
    assert sum("ray::" in line for line in looked) > 3, "carriers and agents were looked into"
    assert any("raylet" in line for line in looked)
    assert any("cluster.driver" in line for line in looked)
    assert spilled > 8 << 20, "and what went to disk"
    assert not {line: what for line, what in seen.items() if what}
    assert "planted" in scan_memory(os.getpid(), {"planted": MARK, "none": os.urandom(16)}), (
        "a control"
    )


def test_a_second_copy_of_an_attempt_gets_no_key(
    workers: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray, or whoever plays Ray, runs a task twice: one of them is answered."""
    told: list[str] = []
    write, hear = workers.farm.write, workers.farm.hear

    def twice(header: dict[str, Any], body: bytes) -> None:
        hear(header, body)
        if header.get("say") == "claim":
            hear(header, body)

    def record(header: dict[str, Any], body: bytes = b"") -> None:
        told.append(header["do"])
        write(header, body)

    monkeypatch.setattr(workers.farm, "hear", twice)
    monkeypatch.setattr(workers.farm, "write", record)
    with workers.start("ingest", job(COMPANY), [], least="E1") as one:
        assert [frame.header["type"] for frame in one.frames()][-1] == "done"
    assert told.count("warrant") == 1


def test_a_claim_of_nobody_is_not_answered_and_a_true_one_is(
    workers: Shared, secrets: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hear, stranger = workers.farm.hear, SigningKey.generate()
    forged: list[bytes] = []

    def forge(header: dict[str, Any], body: bytes) -> None:
        if header.get("say") == "claim" and not forged:
            forged.append(body)
            body = body[:-64] + stranger.sign(CLAIM, body[:-64])
        hear(header, body)

    monkeypatch.setattr(workers.farm, "hear", forge)
    with workers.start("ingest", job(COMPANY), [], least="E1") as one:
        assert [frame.header["type"] for frame in one.frames()][-1] == "done"
        assert "ray-attempt:2" in one.mechanisms
    assert len(secrets) == 2, "and the first secret was given to nobody"


def test_what_ray_changes_on_the_way_is_noticed(
    workers: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear = workers.farm.hear

    def change(header: dict[str, Any], body: bytes) -> None:
        if header.get("say") == "piece":
            body = body[:-1] + bytes([body[-1] ^ 1])
        hear(header, body)

    monkeypatch.setattr(workers.farm, "hear", change)
    with workers.start("ingest", job(COMPANY), [], least="E1") as one:
        with pytest.raises(SafeholdError) as error:
            list(one.frames())
        assert error.value.rule == "cluster.piece"


def test_a_job_that_is_ended_is_gone_everywhere_before_its_end_is_reported(
    workers: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An erasure waits for exactly this."""
    slow = {
        "kind": "synthetic",
        "spec": spec_at(NOW_US).to_spec() | {"people": 400, "pace": 50_000},
    }
    with workers.start("ingest", job(slow), [], least="E1") as one:
        opener = reach(lambda: find("safehold.app.opener"))[0]
        reach(lambda: family(opener))
        one.kill()
        with pytest.raises(SafeholdError) as error:
            list(one.frames())
        assert error.value.rule == "sandbox.stopped"
    assert not family(opener)


@pytest.mark.parametrize("kind", ["ingest"])
def test_frames_are_the_same_bytes_as_without_ray(workers: Shared, kind: str) -> None:
    def frames(workshop: SandboxWorkshop) -> list[tuple[dict[str, Any], bytes]]:
        with workshop.start(kind, job(COMPANY), [], least="E1") as one:
            return [(frame.header, bytes(frame.body)) for frame in one.frames()]

    assert frames(workers) == frames(SandboxWorkshop(Launcher()))
