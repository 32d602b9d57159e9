"""Every process of a cluster is killed between each two steps of an attempt; and a training pays once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.clusters import Shared
from tests.ray_desk import Axe, derived, far_away, features_here, killing, two_workers, uses
from tests.world import PURPOSE, World, found_world

from safehold.errors import BudgetSpentError

STEPS = ("placed", "claim", "piece", "last", "gone")
PARTS = (
    "ray::_Carrier",
    "raylet/raylet",
    "gcs_server",
    "safehold.cluster.driver",
    "safehold.app.opener",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return found_world(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    with two_workers(tmp_path_factory.mktemp("ray")) as made:
        yield made


@pytest.fixture
def far(made: World, workers: Shared, tmp_path: Path) -> Iterator[World]:
    with far_away(made, workers, tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def here(made: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return features_here(made, tmp_path_factory.mktemp("here"))


@pytest.mark.proof
@pytest.mark.parametrize("word", STEPS)
@pytest.mark.parametrize("what", PARTS)
def test_every_part_is_killed_at_every_step(
    far: World,
    workers: Shared,
    here: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    word: str,
) -> None:
    axe = Axe(workers.farm, word, killing(what))
    monkeypatch.setattr(workers.farm, "hear", axe)
    before, spent = far.desk.ledger.size, len(far.desk.trust.spent())
    far.call("feature", purpose=PURPOSE)
    assert axe.struck
    assert derived(far) == here
    assert uses(far, before) == [("access.intent", None), ("access.result", "ok")]
    assert len(far.desk.trust.spent()) == spent + 1


@pytest.mark.proof
@pytest.mark.parametrize("word", ["piece", "last"])
def test_a_training_whose_worker_is_killed_is_charged_once(
    far: World, workers: Shared, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    far.call("feature", purpose=PURPOSE)
    _, holder = far.pass_()
    axe = Axe(workers.farm, word, killing("ray::_Carrier"))
    monkeypatch.setattr(workers.farm, "hear", axe)
    before = far.desk.ledger.size
    answer: dict[str, Any] = far.call("train", **far.use(holder))
    assert axe.struck
    charges = [one for one in far.desk.trust.spent() if one.get("epsilon_micro")]
    assert len(charges) == 1
    assert [kind for kind, _ in uses(far, before)] == ["access.intent", "access.result"]
    assert answer["level"] == far.desk.workshop.level()
    assert [one["id"] for one in far.call("artifact.list")["artifacts"]] == [answer["artifact"]]
    # what was charged is all that this purpose has: a second charge would have been refused
    assert isinstance(far.train(far.pass_()[1]), BudgetSpentError)
