"""Two keepers serve one home at once: nothing is spent twice, and what one is told holds in the other."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.containing import contain
from tests.control_place import Control, on_postgres  # noqa: F401 - a fixture
from tests.keeper_desk import CROWD, Bench, copy_bench, found_bench, passed, script_training
from tests.pair import Keeper, eventually
from tests.watching import Post
from tests.world import raised

from safehold.app.service import Service
from safehold.db.lead import FileLead
from safehold.errors import ConflictError, UnavailableError
from safehold.keeper.ports import Frame
from safehold.keeper.relay import NotBegunError, relay
from safehold.ledger.store import hold_directory


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, control: Control) -> Bench:
    control.journal = True  # all that two keepers share beside files
    bench = found_bench(tmp_path_factory.mktemp("made"), people=CROWD, control=control).start()
    bench.take(*CROWD)
    bench.call("feature", purpose="train_ui_agent")
    bench.stop()
    return bench


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Bench:
    copy = copy_bench(made, tmp_path)
    script_training(copy)
    return copy


@pytest.fixture
def pair(bench: Bench) -> Iterator[tuple[Keeper, Keeper]]:
    """One that leads, and one that stands by."""
    one, two = Keeper(bench, "").start(), Keeper(bench, "b").start()
    assert (one.leads, two.leads) == (True, False)
    yield one, two
    two.stop()
    one.stop()


def grant(bench: Bench, keeper: Keeper, **changes: Any) -> Any:
    """Return the holder of a grant that was enacted through a keeper."""
    bench.service = keeper.leader()  # of which the bench reads the charter
    bench.call = keeper.call  # type: ignore[method-assign]
    try:
        return bench.pass_(**changes)
    finally:
        bench.service = None
        del bench.call  # type: ignore[method-assign]


def leaves(keeper: Keeper, start: int = 0) -> list[tuple[int, dict[str, Any]]]:
    assert keeper.candidate.service is not None
    return list(keeper.candidate.service.desk.ledger.leaves(start))


def race(pair: tuple[Keeper, Keeper], holder: Any, callers: int = 8) -> list[str]:
    """Let callers ask both keepers at the same moment, and return how each of them fared."""
    together, ends = threading.Barrier(callers), []

    def ask(keeper: Keeper) -> None:
        together.wait(300)
        ends.append(keeper.ended(holder))

    threads = [threading.Thread(target=ask, args=(pair[at % 2],)) for at in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    return ends


def test_a_grant_is_not_spent_twice_by_asking_both(
    bench: Bench, pair: tuple[Keeper, Keeper]
) -> None:
    one, _ = pair
    ends = race(pair, grant(bench, one, max_runs=3))
    assert ends.count("ok") == 3
    assert set(ends) <= {"ok", "grant.runs", "grant.closed"}
    ((entry, _),) = [one for one in leaves(one) if one[1]["k"] == "grant"]
    uses = [leaf["k"] for _, leaf in leaves(one) if leaf.get("ref") == entry]
    assert uses.count("access.intent") == 3


def test_a_budget_is_not_spent_twice_by_asking_both(
    bench: Bench, pair: tuple[Keeper, Keeper]
) -> None:
    one, two = pair
    one.cheap = two.cheap = False
    ends = race(pair, grant(bench, one, max_runs=8))
    assert sorted(ends) == ["ok", *["privacy.budget"] * 7]


def test_a_nonce_counts_once_for_both(bench: Bench, pair: tuple[Keeper, Keeper]) -> None:
    one, two = pair
    holder = grant(bench, two)
    nonce = one.nonce()
    two.call("train", **two.proof(holder, nonce))
    for keeper in pair:
        again = keeper.proof(holder, nonce)
        assert raised(lambda: keeper.call("train", **again)).rule == "capability.nonce"  # noqa: B023


def test_a_stop_and_a_revocation_hold_in_the_other_at_once(
    bench: Bench, pair: tuple[Keeper, Keeper]
) -> None:
    one, two = pair
    for teller, other in (pair, (two, one)):
        holder = grant(bench, teller)
        assert other.ended(holder) == "ok"
        name = teller.call("grant.list")["grants"][-1]["id"]
        teller.call("grant.revoke", grant=name)
        assert other.ended(holder) == "grant.revoked"
    holder = grant(bench, one)
    two.call("stop", **bench.order("stop", "privacy"))
    assert one.ended(holder) == "oversight.stop"
    one.call("resume", **bench.order("resume"))
    assert two.ended(holder) == "ok"


def test_descriptors_and_progress_pass_through(bench: Bench, pair: tuple[Keeper, Keeper]) -> None:
    _, two = pair
    said: list[dict[str, Any]] = []
    file = bench.path / "empty"
    file.write_text("")
    bench.workshop.scripts["ingest"] = lambda _spec: iter(())
    with file.open("rb") as handle:
        two.client.call(
            "ingest",
            descriptors=[handle.fileno()],
            progress=said.append,
            source={"kind": "file", "name": "empty"},
        )


def test_whoever_stands_by_answers_nothing_itself(pair: tuple[Keeper, Keeper]) -> None:
    """So two that both stand by do not send a request to and fro."""
    _, two = pair
    asked = lambda: relay(  # noqa: E731
        two.candidate._socket, "status", {}, (), lambda _: None
    )
    assert isinstance(raised(asked), NotBegunError)


def test_the_other_takes_over_and_a_run_that_was_cut_off_is_lost(
    bench: Bench, pair: tuple[Keeper, Keeper]
) -> None:
    one, two = pair
    holder, inside, go_on = grant(bench, one), threading.Event(), threading.Event()

    def train(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        inside.set()
        assert go_on.wait(300)
        yield passed("model", body=b"weights")

    bench.workshop.scripts["train"] = train
    ends: list[str] = []
    runs = threading.Thread(target=lambda: ends.append(two.ended(holder)))
    runs.start()
    assert inside.wait(300)
    cut_off(bench, one)
    eventually(lambda: len(one.began) + len(two.began) > 1 and (one.leads or two.leads))
    go_on.set()
    runs.join(300)
    assert len(ends) == 1
    assert ends[0] != "ok", "whoever was cut off brings nothing to an end"
    leader = one if one.leads else two
    intents = [at for at, leaf in leaves(leader) if leaf["k"] == "access.intent"]
    results = [leaf for _, leaf in leaves(leader) if leaf.get("ref") == intents[-1]]
    assert [leaf["pub"]["outcome"] for leaf in results] == ["lost"]
    script_training(bench)
    fresh = grant(bench, leader)
    assert [keeper.ended(fresh) for keeper in pair] == ["ok", "ok"]


def test_who_was_cut_off_opens_no_key_and_changes_no_row(
    bench: Bench, pair: tuple[Keeper, Keeper]
) -> None:
    """However late it wakes up: the number of who leads now is read within each of its transactions."""
    one, _ = pair
    former = one.began[0].desk
    blocks = list(former.catalog.blocks(kind="telemetry", streams=("pointer",), after_day=0))
    assert next(former.vault.read(blocks[:1])) is not None
    cut_off(bench, one)
    eventually(lambda: sum(len(keeper.began) for keeper in pair) > 1)
    for act in (
        lambda: next(former.vault.read(blocks[:1])),
        lambda: former.vault.seal_secret("x", b"y"),
        lambda: former.people.change(former.people.find(CROWD[0]), lambda standing: standing),
    ):
        error = raised(act)
        assert isinstance(error, UnavailableError)
        assert error.rule == "keeper.lead"
    former.engine.dispose()


@pytest.fixture
def embedded(bench: Bench) -> Iterator[Bench]:
    """A keeper that holds the ledger and not the right to lead: one that leaves, or that a command has started."""
    bench.start()
    assert bench.service is not None
    if (lead := bench.service.desk.lead) is not None:
        lead.close()
    yield bench
    if bench.service is not None:
        bench.stop()


def test_whoever_starts_while_the_leader_is_leaving_waits_for_it(embedded: Bench) -> None:
    """The lock of the ledger goes a moment after the right to lead, so the two may meet."""
    late = Keeper(embedded, "b")
    start = threading.Thread(target=late.start)
    start.start()
    try:
        start.join(1.0)
        assert start.is_alive()
        assert not late.leads
        embedded.stop()
        eventually(lambda: late.leads)
    finally:
        start.join(300)
        late.stop()


def test_whoever_finds_another_kind_of_keeper_says_so_and_changes_nothing(embedded: Bench) -> None:
    assert embedded.service is not None
    engine = embedded.service.desk.engine
    with engine.connect() as connection:
        before = connection.exec_driver_sql("SELECT number FROM lead").all()
        connection.rollback()
        late = Keeper(embedded, "b")
        late.candidate._patience_s = 0.3
        try:
            error = raised(late.candidate.start)
            assert isinstance(error, ConflictError)
            assert error.rule == "ledger.lock"
            assert connection.exec_driver_sql("SELECT number FROM lead").all() == before
        finally:
            connection.rollback()
            late.door.close()


def test_whoever_stands_by_beside_another_kind_of_keeper_says_so(embedded: Bench) -> None:
    two = Keeper(embedded, "b")
    candidate = two.candidate
    candidate._patience_s = 0.3
    candidate._thread = threading.Thread(target=candidate._go_on, args=(None,), daemon=True)
    candidate._thread.start()
    two._thread.start()
    try:
        eventually(lambda: candidate._trouble is not None)
        assert raised(lambda: two.call("status")).rule == "ledger.lock"
        embedded.stop()
        eventually(lambda: two.leads)
        assert candidate._trouble is None
    finally:
        two.stop()


def broken(_: object) -> Any:
    raise ValueError("what a row held")


def full(*_: object) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("at", "how", "said"),
    [("_begin", broken, "ValueError"), ("replace_file", full, "No space left")],
)
def test_what_breaks_while_a_keeper_starts_is_unavailable_and_lets_others_lead(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, at: str, how: Any, said: str
) -> None:
    """With the exit code after which a supervisor starts it again, and no word of a row."""
    keeper, other = Keeper(bench, "b"), Keeper(bench, "")
    with monkeypatch.context() as patch:
        if at == "_begin":
            patch.setattr(keeper.candidate, at, how)
        else:
            patch.setattr(f"safehold.app.candidate.{at}", how)
        error = raised(keeper.candidate.start)
    try:
        assert isinstance(error, UnavailableError)
        assert error.exit_code == 6
        assert said in str(error)
        assert "what a row held" not in str(error)
        assert error.__suppress_context__
        other.start()
        assert other.leads
    finally:
        other.stop()
        keeper.door.close()


def test_what_goes_beside_a_leader_and_breaks_ends_no_standing_by(bench: Bench) -> None:
    keeper = Keeper(bench, "b")
    tries: list[Service] = []

    def accompany(service: Service) -> Callable[[], None]:
        tries.append(service)
        if len(tries) < 3:
            full()
        return lambda: None

    keeper.candidate.accompany = accompany
    keeper.start()
    try:
        eventually(lambda: len(tries) == 3 and keeper.leads)
        assert all(one.desk.lead is not None for one in tries)
        assert raised(tries[0].desk.lead.check).rule == "keeper.lead"  # type: ignore[union-attr]
    finally:
        keeper.stop()


@pytest.mark.parametrize("hold", [hold_directory, lambda place: FileLead(place / "lead")])
def test_a_place_without_locks_is_not_taken_for_one_that_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hold: Callable[[Path], object]
) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none)
    assert isinstance(raised(lambda: hold(tmp_path)), UnavailableError)


def test_what_is_contained_alerted_and_open_is_so_for_the_one_that_takes_over(
    bench: Bench, pair: tuple[Keeper, Keeper]
) -> None:
    one, two = pair
    holder = grant(bench, one)
    bench.service = one.leader()
    bench.call = two.call  # type: ignore[method-assign] - by way of the one that stands by
    try:
        raised(lambda: two.call("train", token="none", proof="", nonce="", purpose=""))
        refused = [at for at, leaf in leaves(one) if leaf["k"] == "refusal"]
        alert = Post(bench).call(
            "alert.raise",
            principal="caller",
            signal="denied_burst",
            severity=3,
            sentence="an attempt was refused",
            events=refused[-1:],
            t_us=bench.clock.now_us(),
        )["alert"]
        opened = two.call("incident.open", text="somebody knocks", severity=2, alert=alert)
        incident = opened["incident"]
        held = contain(bench, "segment", "us-ca.pointer", "security", of=incident)["entry"]
    finally:
        bench.service = None
        del bench.call  # type: ignore[method-assign]
    ask = ("containment.list", "alert.list", "incident.list")
    before = [two.call(verb) for verb in ask]
    shown = two.call("incident.show", incident=incident)
    cut_off(bench, one)
    eventually(lambda: len(one.began) + len(two.began) > 1 and (one.leads or two.leads))
    for keeper in pair:
        assert [keeper.call(verb) for verb in ask] == before
        assert keeper.ended(holder) == "containment.segment"
        told = keeper.call("incident.show", incident=incident)
        assert told["containments"] == shown["containments"]
        assert told["steps"] == shown["steps"]
        status = keeper.call("status")
        assert status["contained"] == [{"what": "segment", "count": 1, "names": ["us-ca.pointer"]}]
        assert [(one["severity"], one["count"]) for one in status["incidents"]] == [(2, 1)]
        assert status["sentinel"]["alerts"]["open"] == 1
    assert [one["entry"] for one in before[0]["containments"]] == [held]


def cut_off(bench: Bench, keeper: Keeper) -> None:
    """End the database session of the one that leads, as a network does; its process goes on."""
    server = bench.control.server
    assert server is not None
    assert keeper.candidate.service is not None
    session = keeper.candidate.service.desk.lead._session
    with server.admin() as link:
        link.execute("SELECT pg_terminate_backend(%s, 60000)", (session.info.backend_pid,))
