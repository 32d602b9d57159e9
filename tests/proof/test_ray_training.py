"""One training over two Ray workers, of which parts are killed on the way: one charge, one answer to each question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.clusters import Shared
from tests.ray_desk import Axe, far_away, killing, two_workers, uses
from tests.world import PURPOSE, World, found_world

from safehold.app.workshop import SandboxJob
from safehold.errors import BudgetSpentError, SafeholdError

ROUNDS = 40
# of two shards each round: 2 pieces say what confines them, 4 are lengths and places, the rest are sums
KILLS = [
    ("ray::_Carrier", "piece", 3),
    ("ray::_Carrier", "piece", 40),
    ("raylet/raylet", "piece", 7),
    ("gcs_server", "piece", 41),
    ("safehold.cluster.driver", "piece", 60),
    ("safehold.app.opener", "piece", 50),
    ("safehold.app.opener", "claim", 2),
]


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


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[int, int]]:
    """How often the lead was given an answer, by question and shard."""
    seen: Counter[tuple[int, int]] = Counter()
    tell = SandboxJob.tell

    def record(self: SandboxJob, header: Mapping[str, Any], body: bytes) -> None:
        seen[header["number"], header["shard"]] += 1
        tell(self, header, body)

    monkeypatch.setattr(SandboxJob, "tell", record)
    return seen


@pytest.mark.proof
@pytest.mark.parametrize(("what", "word", "nth"), KILLS)
def test_a_training_over_two_workers_loses_nothing_and_is_charged_once(
    far: World,
    workers: Shared,
    told: Counter[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    word: str,
    nth: int,
) -> None:
    far.call("feature", purpose=PURPOSE)
    _, holder = far.pass_()
    axe = Axe(workers.farm, word, killing(what), nth=nth)
    monkeypatch.setattr(workers.farm, "hear", axe)
    before = far.desk.ledger.size
    answer: dict[str, Any] = far.call("train", **far.use(holder, workers=2))
    assert axe.struck
    assert set(told) == {(number, shard) for number in range(ROUNDS + 2) for shard in (0, 1)}
    assert set(told.values()) == {1}, "the noise of a round has met one sum"
    assert len([one for one in far.desk.trust.spent() if one.get("epsilon_micro")]) == 1
    assert uses(far, before) == [("access.intent", None), ("access.result", "ok")]
    assert [one["id"] for one in far.call("artifact.list")["artifacts"]] == [answer["artifact"]]
    assert answer["level"] == far.desk.workshop.level()
    assert isinstance(far.train(far.pass_()[1]), BudgetSpentError)


@pytest.mark.proof
def test_without_any_worker_left_the_training_ends_and_nothing_of_it_leaves(
    far: World, workers: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.call("feature", purpose=PURPOSE)
    _, holder = far.pass_()

    class Always(Axe):
        def __call__(self, header: dict[str, Any], body: bytes) -> None:
            super().__call__(header, body)
            self.struck = False
            self._left = 1

    monkeypatch.setattr(
        workers.farm, "hear", Always(workers.farm, "claim", killing("ray::_Carrier"))
    )
    before = far.desk.ledger.size
    with pytest.raises(SafeholdError) as error:
        far.call("train", **far.use(holder, workers=2))
    assert error.value.rule == "cluster.lost"
    assert uses(far, before)[0] == ("access.intent", None)
    assert uses(far, before)[1][1] != "ok"
    assert not far.call("artifact.list")["artifacts"]
    assert len([one for one in far.desk.trust.spent() if one.get("epsilon_micro")]) == 1
