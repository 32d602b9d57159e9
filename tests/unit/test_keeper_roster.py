"""A roster of names goes to the sandbox of the source and nowhere else; the ledger can tell which one it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, batch, chunk, copy_bench, found_bench

from safehold.errors import InvalidError
from safehold.keeper.ports import Frame

NAMES = [{"given": "Wilhelmine", "family": "Zauberstab"}, {"name": "Ottokar Kesselflicker"}]
WORDS = (b"Zauberstab", b"zauberstab", b"Kesselflicker", b"kesselflicker")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = found_bench(tmp_path / "made")
    copy = copy_bench(made, tmp_path / "copy").start()
    yield copy
    copy.stop()


def take(
    bench: Bench, name: str, person: str = "ana", **more: Any
) -> tuple[dict[str, Any], list[Mapping[str, Any]]]:
    told: list[Mapping[str, Any]] = []

    def script(spec: Mapping[str, Any]) -> Iterator[Frame]:
        told.append(spec)
        yield batch(person, bench.today - 1)
        yield chunk(rows=2)

    bench.workshop.scripts["ingest"] = script
    file = bench.path / name
    file.write_text(name)
    with file.open("rb") as handle:
        answer = bench.call(
            "ingest", handle.fileno(), source={"kind": "file", "name": name}, **more
        )
    return answer, told


def test_the_names_are_told_to_the_sandbox_and_kept_nowhere(bench: Bench) -> None:
    _, (spec,) = take(bench, "a", roster=NAMES)
    assert spec["roster"] == NAMES
    _, (spec,) = take(bench, "b", "bo")
    assert "roster" not in spec
    bench.stop()
    for path in bench.path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [word for word in WORDS if word in data], path.name
    bench.start()


@pytest.mark.parametrize("roster", ["Zauberstab", {"name": "Zauberstab"}, [{"wage": "Zauberstab"}]])
def test_what_is_no_roster_is_refused_before_anything_runs(bench: Bench, roster: Any) -> None:
    with pytest.raises(InvalidError) as error:
        take(bench, "a", roster=roster)
    assert "Zauberstab" not in str(error.value)
    assert bench.blocks() == {}


def test_the_ledger_tells_which_roster_was_used(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[Any] = []
    log = bench.desk.trust.log_running

    def listening(entry: Any) -> Any:
        said.append(entry)
        return log(entry)

    monkeypatch.setattr(bench.desk.trust, "log_running", listening)
    take(bench, "a", roster=NAMES)
    take(bench, "b", "bo", roster=NAMES[:1])
    take(bench, "c", "cy")
    used = [entry.detail.get("roster") for entry in said if entry.detail.get("step") == "begin"]
    assert [None if one is None else one["people"] for one in used] == [2, 1, None]
    assert used[0]["digest"] != used[1]["digest"]
