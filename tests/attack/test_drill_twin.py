"""Scenarios of the drill that play in a twin: each holds, its lake does not, its control turns red; a broken home is red."""

from __future__ import annotations

import importlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest
from tests.command_line import World

from safehold.app.drill import run
from safehold.app.drill.asking import OPENING, Asker
from safehold.app.drill.cases.s01_any_employee import OPERATING
from safehold.app.drill.outsider import close_everything, look_in, open_everything
from safehold.app.drill.place import SMALL, Place, Size
from safehold.app.drill.run import Order, check_order, run_drill, words
from safehold.app.drill.scan import Scanner, read_answer, tables_in
from safehold.app.drill.twin import Twin, make_twin
from safehold.app.drill.unguarded import require_twin, take_away
from safehold.assurance.drill.result import Try
from safehold.assurance.drill.scenario import BY_ID, SCENARIOS
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home

SHORT = ("S02",)
LONG = ("S01", "S03", "S04", "S05", "S14", "S15", "S16", "S17", "S18", "S25")
SEED = Size().seed


def reachable_folder() -> Path:
    """Return a folder that other accounts may pass through, as the folder of a drill is; those of pytest are closed."""
    folder = Path(tempfile.mkdtemp(prefix="safehold-drill-test-"))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def reachable() -> Iterator[Path]:
    folder = reachable_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    """A twin of eight people whose day was taken in."""
    folder = tmp_path_factory.mktemp("drill")
    return make_twin(folder / "twin", people=SMALL, days=1, seed=SEED)


@pytest.fixture
def place(small: Twin, reachable: Path) -> Place:
    """A drill whose deployment and whose twins are the small one."""
    one = Place(
        home=small.home,
        client=KeeperClient(small.home.socket),
        scratch=reachable,
        size=Size(people=SMALL),
        quick=True,
    )
    one.__dict__["fed_twin"] = one.__dict__["full_twin"] = small
    return one


@pytest.fixture(scope="module")
def whole() -> Iterator[Place]:
    """A drill as large as a real one, on a deployment that a keeper serves."""
    scratch = reachable_folder()
    deployment = make_twin(scratch / "deployment", people=SMALL, days=1, seed=SEED + 1)
    with deployment.keeper() as client:
        yield Place(home=deployment.home, client=client, scratch=scratch, quick=True)
    shutil.rmtree(scratch)


def case_of(scenario: str) -> ModuleType:
    return importlib.import_module(f"safehold.app.drill.cases.{BY_ID[scenario].module}")


def tried(scenario: str, place: Place) -> None:
    case, known = case_of(scenario), BY_ID[scenario]
    held = Try(found=case.attempt(place))
    assert held.state(known) == "held", held.to_json(known)
    lake = Try(found=case.lake(place))
    assert lake.state(known) == "broken", "a lake that exposes nothing proves nothing"
    control = Try(found=case.control(place))
    assert control.state(known) == "broken", control.to_json(known)


def test_a_repair_that_was_taken_back_is_red_within_one_run(place: Place) -> None:
    """Its control, with everything resumed all the same, is among the longer ones."""
    known, case = BY_ID["S04"], case_of("S04")
    held = Try(found=case.attempt(place))
    assert held.state(known) == "held", held.to_json(known)


@pytest.mark.parametrize("scenario", SHORT)
def test_it_holds_and_without_its_guards_it_does_not(scenario: str, place: Place) -> None:
    tried(scenario, place)


@pytest.mark.proof
@pytest.mark.parametrize("scenario", LONG)
def test_the_longer_ones_hold_and_without_their_guards_do_not(scenario: str, whole: Place) -> None:
    tried(scenario, whole)


@pytest.mark.proof
@pytest.mark.parametrize("level", ["K2", "K4"])
@pytest.mark.parametrize("scenario", ["S02", "S14", "S15", "S25"])
def test_a_keeper_with_an_account_of_its_own_holds_as_well(
    scenario: str, level: str, whole: Place
) -> None:
    found = Try(found=case_of(scenario).at_level(whole, level))
    assert found.state(BY_ID[scenario]) == "held", found.to_json(BY_ID[scenario])


def test_a_plain_file_in_the_store_makes_the_theft_red(
    place: Place, small: Twin, tmp_path: Path
) -> None:
    twin = small.copy(tmp_path / "spoiled")
    table = pa.table({"person": [place.names[0]], "text": [place.values[0]]})
    with (
        pa.OSFile(str(twin.home.objects / "left-over"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        writer.write_table(table)
    place.home = twin.home
    place.planted = pa.table(
        {"person": [place.names[0]], "value": [place.values[0]], "decoy": [False]}
    )
    found = Try(found=case_of("S02").attempt(place))
    assert found.state(BY_ID["S02"]) == "broken"
    assert found.found is not None
    whole = found.found.whole
    assert (whole.records, whole.canaries, whole.people) == (1, 1, 1)


def test_open_files_are_red_although_nothing_can_be_read_in_them(
    place: Place, small: Twin, reachable: Path
) -> None:
    twin = small.copy(reachable / "open")
    assert look_in(twin.home, place.scanner).wrong == ()
    open_everything(twin)
    seen = look_in(twin.home, place.scanner)
    assert seen.wrong
    assert (seen.records, seen.canaries) == (0, 0)
    close_everything(twin)
    assert look_in(twin.home, place.scanner).wrong == ()


def test_only_a_twin_is_served_without_its_guards(small: Twin, tmp_path: Path) -> None:
    require_twin(small.home, small.secret)
    for secret in ("", small.secret + "x"):
        with pytest.raises(DeniedError):
            require_twin(small.home, secret)
    world = World(tmp_path).init()
    other = Home(world.home, "home_x", tmp_path / "outside", synthetic=True)
    with pytest.raises(DeniedError):
        require_twin(other, small.secret)
    order = {"secret": {"passphrase": world.passphrase}, "twin": small.secret, "off": []}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "safehold.app.drill.unguarded", str(world.home)],
        input=json.dumps(order) + "\n",
        capture_output=True,
        text=True,
        check=False,
        env=world.environment,
        timeout=120,
    )
    assert json.loads(done.stdout)["error"]["rule"] == "drill.twin"


@pytest.mark.parametrize(
    "name",
    [
        "safehold.keeper.door:Door.check",
        "os:without_system",
        "safehold.app.drill.guards:replace",
        "safehold.app.drill.twin:make_twin",
    ],
)
def test_only_functions_of_the_drill_take_guards_away(name: str) -> None:
    with pytest.raises(DeniedError):
        take_away([name])


def test_a_scanner_finds_what_lies_in_the_open_in_every_spelling(tmp_path: Path) -> None:
    scanner = Scanner(["hunter2-canary"], ["emp-00007"])
    for number, data in enumerate(
        (b"x hunter2-canary", "hunter2-canary".encode("utf-16-le"), b"nothing", b"emp-00007")
    ):
        (tmp_path / str(number)).write_bytes(data)
    seen = scanner.look([tmp_path])
    assert (seen.values, seen.names, seen.files) == ({"hunter2-canary"}, {"emp-00007"}, 4)
    sink = pa.BufferOutputStream()
    table = pa.table({"a": [1, 2, 3]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    inner = b"front" + sink.getvalue().to_pybytes() + b"back"
    assert [one.num_rows for one in tables_in(inner)] == [3]
    assert list(tables_in(bytes(1000) + b"\xff" * 1000)) == []


def test_whoever_asks_for_everything_is_refused_for_who_they_are_and_not_for_how_they_ask(
    small: Twin, tmp_path: Path
) -> None:
    twin = small.copy(tmp_path / "asked")
    with twin.keeper() as client:
        haul = Asker((), ()).ask(client, OPENING - OPERATING, nonces=client, looks=False)
    # a model that is there, a signed step of a federation: nobody can make those up
    assert haul.unreached == {"attack.model", "federate.step"}
    assert haul.denied == len(OPENING - OPERATING) - 2
    assert haul.exposure().told["unreached"] == sorted(haul.unreached)


def test_what_a_person_is_told_is_read_and_not_looked_up_by_its_names() -> None:
    scanner = Scanner(["4111 1111 1111 1111"], ["emp-00001", "emp-00002"])
    plain = read_answer({"artifact": "art_1", "loss": [0.4, 0.2], "epochs": [{"loss": 1}]}, scanner)
    assert (plain.people, plain.records, plain.canaries) == (0, 0, 0)
    named = read_answer({"extra": {"who": "emp-00001", "said": "4111 1111 1111 1111"}}, scanner)
    assert (named.people, named.records, named.canaries) == (1, 1, 1)
    assert read_answer({"table": [[0.1, 0.2], [0.3, 0.4]]}, scanner).records == 2


def test_what_is_left_out_is_listed_and_not_recorded(
    small: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Line:
        told: dict | None = None
        begun: dict | None = None

        def call(self, verb: str, **arguments):
            if verb == "drill.begin":
                self.begun = arguments
                return {"run": "drill_0123456789"}
            assert verb == "drill.record"
            self.told = arguments
            return {}

    line = Line()
    check_order((), ())
    with pytest.raises(InvalidError):
        check_order(("S26",), ())
    with pytest.raises(InvalidError):
        check_order((), ("K9",))
    assert words(" S01, ,S02") == ("S01", "S02")
    order = Order(only=("S20",), levels=(), size=Size(people=SMALL), quick=True)
    monkeypatch.setattr(run, "find_case", lambda _one: ModuleType("empty"))  # it fails itself
    report = run_drill(small.home, line, order, lambda _: None)
    assert [one.scenario.id for one in report.results] == [one.id for one in SCENARIOS]
    assert {one.status for one in report.results} == {"could not run"}
    assert line.told is not None
    assert {one["scenario"] for one in line.told["results"]} == {"S20"}
    assert line.begun is not None
    assert (line.begun["scenarios"], line.told["run"]) == (["S20"], "drill_0123456789")
    assert "failed itself" in report.results[19].reason
