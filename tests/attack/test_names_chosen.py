"""Which names are masked is the operator's choice, and no secret one: the ledger, the lease and the sandbox name it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.ingest_job import as_jsonl, chat_row, key_rows
from tests.keeper_desk import chunk
from tests.source_desk import Desk

from safehold.access import prove_device
from safehold.access.lease import Lease
from safehold.app.collection import KeeperLine
from safehold.canonical import b64, unb64
from safehold.clock import DAY_US
from safehold.dlp import Rules
from safehold.errors import DeniedError, InvalidError, TamperedError, UnavailableError
from safehold.ingest import recipe
from safehold.ingest.collector import Collector
from safehold.keeper.leases import Leases
from safehold.keeper.messages import obtain_message
from safehold.keeper.names import choose_names, chosen_names
from safehold.signing import SigningKey, VerifyKey

NAME = "Nowakowska"
DEVICE = SigningKey(b"d" * 32)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    made = Desk(tmp_path_factory.mktemp("names") / "home")
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _nobody_chose(desk: Desk) -> Iterator[None]:
    yield
    desk.bench.desk.home.names_file.unlink(missing_ok=True)


def take(desk: Desk, session: str) -> list[Any]:
    """Take a chat in, and return what is said of it in the ledger."""
    row = chat_row(
        text=f"ask Katarzyna {NAME} about it", session=session, msg=session,
        participants=["ann"], t=(desk.bench.today - 1) * DAY_US + 3_600_000_000,
    )  # fmt: skip
    path = desk.bench.path.parent / f"{session}.jsonl"
    path.write_bytes(as_jsonl([row | {"stream": "chat"}]))
    size = desk.bench.desk.ledger.size
    answer = desk.take(path, "canonical")
    assert answer["tally"]["taken"] == {"chat": 1}
    ledger = desk.bench.desk.ledger
    said = [ledger.detail(at) for at, leaf in ledger.leaves(size) if leaf["k"] == "ingest"]
    return [one["detail"] for one in said]


def test_a_name_on_no_list_rests_masked_with_the_tagger_and_not_without(desk: Desk) -> None:
    plain = take(desk, "one")
    assert any(NAME in str(value) for value in desk.cells())
    before = sum(NAME in str(value) for value in desk.cells())
    choose_names(desk.bench.desk.home, "ner")
    tagged = take(desk, "two")
    assert sum(NAME in str(value) for value in desk.cells()) == before
    assert any("[PERSON]" in str(value) for value in desk.cells())
    # and the ledger says so, from the first leaf to the chunk
    assert [plain[0]["names"], tagged[0]["names"]] == ["roster", "ner"]
    assert plain[0]["rules"] == plain[1]["rules"]
    assert tagged[0]["rules"] == tagged[1]["rules"]
    assert plain[0]["rules"] != tagged[0]["rules"]


def test_what_is_chosen_and_not_there_is_refused_and_not_replaced(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose_names(desk.bench.desk.home, "ner")

    def gone() -> None:
        raise FileNotFoundError

    monkeypatch.setattr("safehold.dlp.named.load_model", gone)
    before = len(desk.cells())
    with pytest.raises(UnavailableError) as refused:
        take(desk, "three")
    assert refused.value.rule == "dlp.names"
    assert len(desk.cells()) == before
    with pytest.raises(UnavailableError) as refused:
        obtain(desk)
    assert refused.value.rule == "dlp.names"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"names":"none","v":"safehold-names/1"}', b'{"names":"ner"}', b"\xff"]
)
def test_a_choice_that_says_nothing_known_is_no_choice_for_less(desk: Desk, data: bytes) -> None:
    desk.bench.desk.home.names_file.write_bytes(data)
    with pytest.raises(TamperedError):
        chosen_names(desk.bench.desk.home)
    with pytest.raises((TamperedError, DeniedError)):
        take(desk, "four")


@pytest.mark.parametrize("late", [False, True])
def test_what_was_recorded_under_another_choice_is_not_taken_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """Not even if the choice is made when the lease was looked at already."""
    bench = desk.bench
    device = SigningKey(bytes([100 + late]) * 32)
    bench.call("source.add", person="ann", device=device.public.text(), evidence="a form")
    line = KeeperLine(bench, person="ann", device=device)
    first = line.ask()
    assert {spec["names"] for spec in first["rules"].values()} == {"roster"}
    collector = Collector(
        line,
        person="ann",
        device=device,
        keeper=VerifyKey.from_text(first["keeper"]),
        rules={stream: Rules.from_spec(spec) for stream, spec in first["rules"].items()},
        clock=bench.clock,
    )

    def record(number: int) -> None:
        row = key_rows("a")[0]
        row |= {"t": bench.clock.now_us(), "mono": number * 1_000, "seq": number}
        collector.feed(as_jsonl([row | {"stream": "key"}]))
        collector.flush()

    bench.workshop.scripts["ingest"] = lambda _spec: iter([chunk()])  # whatever comes in is taken
    record(0)
    assert collector.counters.sealed == {"key": 1}
    if late:
        agreed = Leases._require_agreement

        def then_chosen(leases: Leases, lease: Lease) -> None:
            agreed(leases, lease)
            choose_names(bench.desk.home, "ner")

        monkeypatch.setattr(Leases, "_require_agreement", then_chosen)
    else:
        choose_names(bench.desk.home, "ner")
    record(1)
    assert collector.counters.sealed == {"key": 1}
    assert collector.counters.discarded == 1
    record(2)  # the next lease is for rules this recorder does not have
    assert collector.counters.not_recorded == 1


def test_a_sandbox_with_another_model_than_the_keepers_takes_nothing_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger names the model the keeper saw; one that was put in its place meanwhile is refused."""
    choose_names(desk.bench.desk.home, "ner")
    run = recipe.main

    def replaced(*given: Any) -> None:
        with monkeypatch.context() as inner:
            inner.setattr("safehold.dlp.named.model_version", lambda: "00" * 32)
            run(*given)

    monkeypatch.setattr(recipe, "main", replaced)
    before = len(desk.cells())
    with pytest.raises(InvalidError) as refused:
        take(desk, "five")
    assert refused.value.rule == "dlp.version"
    assert len(desk.cells()) == before


def obtain(desk: Desk) -> dict[str, Any]:
    nonce = unb64(desk.bench.call("nonce")["nonce"])
    return desk.bench.call(
        "lease.obtain", person="ann", device=DEVICE.public.text(), nonce=b64(nonce),
        proof=b64(prove_device(DEVICE, nonce, obtain_message("ann"))),
    )  # fmt: skip
