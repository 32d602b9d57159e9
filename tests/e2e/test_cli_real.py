"""The five real files through ``safehold run``: what each gave, a model over all of them, and flat memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.command_line import CHARTERS, Done, World

LIMIT = 2_000_000_000  # bytes, of the whole process tree
ROWS = {
    "aalto_keys": (292_535, 2),
    "balabit_mouse": (1_058_815, 0),
    "sapimouse": (746_569, 0),
    "irc_ubuntu": (150_000, 0),
    "miniwob_events": (302_580, 0),
}
EVIDENCE = ("--evidence", "published research data, agreed to by those who took part")


# a few thousand rows of each that begin with a session; of aalto those with the two wrong times
PARTS = {
    "aalto_keys": (31_000, 2_000),
    "balabit_mouse": (0, 3_000),
    "sapimouse": (0, 3_000),
    "irc_ubuntu": (0, 2_000),
    "miniwob_events": (0, 3_000),
}


def real_files(shared_data: Path) -> dict[str, Path]:
    return {name: shared_data / "telemetry" / f"{name}.parquet" for name in ROWS}


def run_all(
    root: Path, files: dict[str, Path], *, timeout: float = 240
) -> tuple[World, list[str | Path], Done]:
    """Enrol everybody in some files, take them in, and return the words for that and how it ended."""
    root.mkdir(exist_ok=True)
    world = World(root).init(CHARTERS / "demo.yaml")
    for path in files.values():
        enrolled = world.ask("people", "enrol", "--source", path, *EVIDENCE, timeout=timeout)
        assert enrolled["enrolled"] > 0
    words = ["run", *(word for path in files.values() for word in ("--source", path)), "--json"]
    done = world.measured(*words, timeout=timeout)
    assert done.code == 0, done.err
    print(f"taken in: peak {done.peak / 1e6:.0f} MB, {done.seconds:.0f} s")
    assert world.ask("ledger", "verify")["verified"] is True
    return world, words, done


def check_sources(result: Any, rows: dict[str, tuple[int, int]]) -> dict[str, Any]:
    """Hold what is said about each file against the number of its rows."""
    by_file = {one["file"].removesuffix(".parquet"): one for one in result["sources"]}
    for name, (count, refused) in rows.items():
        one = by_file[name]
        shown = {group: one[group] for group in ("taken", "masked", "dropped", "refused")}
        print(name, one["totals"], shown)
        totals = one["totals"]
        assert totals == {group: sum(one[group].values()) for group in totals}
        assert totals["taken"] > 0
        assert totals["refused"] == len(one["refusals"]) == refused
        # a row of aalto is a press and a release; of the others at most one event
        events = (count - refused) * (2 if name == "aalto_keys" else 1)
        assert totals["taken"] + totals["dropped"] == events
    assert by_file["aalto_keys"]["taken"].keys() == {"key"}
    assert by_file["balabit_mouse"]["taken"].keys() == {"pointer"}
    assert by_file["sapimouse"]["taken"].keys() == {"pointer"}
    assert by_file["irc_ubuntu"]["taken"].keys() == {"chat"}
    assert by_file["irc_ubuntu"]["masked"], "people wrote addresses and links"
    assert by_file["miniwob_events"]["taken"].keys() == {"key", "pointer"}
    assert result["status"]["counts"]["rows"] == sum(
        one["totals"]["taken"] for one in by_file.values()
    )
    assert result["verification"]["verified"] is True
    return by_file


@pytest.mark.real
def test_parts_of_the_five_real_files(tmp_path: Path, shared_data: Path) -> None:
    files = {}
    for name, path in real_files(shared_data).items():
        files[name] = tmp_path / path.name
        pq.write_table(pq.read_table(path).slice(*PARTS[name]), files[name])
    _, _, done = run_all(tmp_path / "world", files)
    by_file = check_sources(
        done.json, {name: (count, ROWS[name][1]) for name, (_, count) in PARTS.items()}
    )
    assert [one["rule"] for one in by_file["aalto_keys"]["refusals"]] == [
        "time.release_before_press"
    ] * 2
    assert done.peak < LIMIT


@pytest.mark.real
@pytest.mark.proof  # some minutes: all rows of everybody, and training over 24,000 people
def test_the_five_real_files_and_twice_as_much(tmp_path: Path, shared_data: Path) -> None:
    """Memory is the same at twice the input: of other people where a file names one per recording.

    What is trained over has to be held: a list of its blocks, and capped examples of everybody.
    """
    once, twice = real_files(shared_data), {}
    for name, path in once.items():
        twice[name] = tmp_path / path.name
        table = pq.read_table(path)
        pq.write_table(doubled(table), twice[name], row_group_size=50_000)
    taken, trained = [], []
    for times, files in ((1, once), (2, twice)):
        root = tmp_path / f"world-{times}"
        world, words, done = run_all(root, files, timeout=3_000)
        check_sources(
            done.json,
            {name: (count * times, refused * times) for name, (count, refused) in ROWS.items()},
        )
        taken.append(done.peak)
        done = world.measured(*words, "--seats", root / "seats", timeout=3_000)
        assert done.code == 0, done.err
        print(f"trained: peak {done.peak / 1e6:.0f} MB, {done.seconds:.0f} s")
        training = done.json["training"]
        print({name: training["metrics"][name] for name in ("people", "top1", "epsilon_pld")})
        assert training["people"] == done.json["status"]["counts"]["people"] > 20_000
        assert training["epsilon"] == 4.0
        assert training["metrics"]["epsilon_pld"] <= 4.0
        assert training["metrics"]["sampling_ppm"] < 100_000, "a round takes a part of the crowd"
        assert training["metrics"]["top1"] > 0.2, "and still there is something to learn"
        trained.append(done.peak)
    assert max(*taken, *trained) < LIMIT
    assert taken[1] <= taken[0] * 1.15
    assert trained[1] <= trained[0] * 1.5, "twice the blocks, and half as many people again"


@pytest.mark.real
def test_who_forgets_to_enrol_is_told(tmp_path: Path, shared_data: Path) -> None:
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    table = pq.read_table(shared_data / "telemetry" / "balabit_mouse.parquet").slice(0, 2_000)
    path = tmp_path / "mouse.parquet"
    pq.write_table(table, path)
    result = world.ask("run", "--source", path)
    (one,) = result["sources"]
    assert one["dropped"] == {"not_participating": 2_000}
    assert one["totals"].get("taken", 0) == 0
    assert world.counts()["objects"] == []
    plain = world.run("run", "--source", path)
    assert "not_participating" in plain.out
    assert "safehold people enrol" in plain.out
    # and having done what it says, the same file goes in
    world.run("people", "enrol", "--source", path, *EVIDENCE)
    (one,) = world.ask("run", "--source", path)["sources"]
    assert one["already"] is False
    assert one["totals"]["taken"] > 0
    (one,) = world.ask("run", "--source", path)["sources"]
    assert one["already"] is True
    assert world.ask("ledger", "verify")["verified"] is True


@pytest.mark.real
@pytest.mark.proof
@pytest.mark.parametrize("name", ["balabit_mouse", "miniwob_events"])
def test_twice_the_input_takes_the_same_memory(
    tmp_path: Path, shared_data: Path, name: str
) -> None:
    """The second half is the same recordings again, in sessions and of people of other names."""
    table = pq.read_table(shared_data / "telemetry" / f"{name}.parquet")
    once, twice = tmp_path / "once.parquet", tmp_path / "twice.parquet"
    pq.write_table(table, once, row_group_size=50_000)
    pq.write_table(doubled(table), twice, row_group_size=50_000)
    peaks = []
    for path in (once, twice):
        world = World(tmp_path / path.stem)
        world.root.mkdir()
        world.init(CHARTERS / "demo.yaml")
        world.run("people", "enrol", "--source", path, *EVIDENCE)
        done = world.measured("run", "--source", path, "--json", timeout=900)
        assert done.code == 0, done.err
        assert done.json["sources"][0]["totals"]["taken"] > 0
        peaks.append(done.peak)
        print(name, path.stem, f"peak {done.peak / 1e6:.0f} MB, {done.seconds:.0f} s")
    assert max(peaks) < LIMIT
    assert peaks[1] <= peaks[0] * 1.15


def doubled(table: pa.Table) -> pa.Table:
    """Return a table twice, the second time with other values in the column that names a recording."""
    for name in ("session", "demo", "participant", "file"):
        if name in table.column_names:
            at = table.schema.get_field_index(name)
            if not pa.types.is_integer(table.schema.field(at).type):
                column = table[name].cast(pa.string())
                table = table.set_column(at, name, column)
                other = pa.compute.binary_join_element_wise(column, "x", "")
            else:
                column = table[name]
                other = pa.compute.add(column, pa.compute.max(column).as_py() + 1)
            again = table.set_column(at, table.schema.field(at), other.cast(column.type))
            return pa.concat_tables([table, again])
    raise AssertionError("no column names the recording")
