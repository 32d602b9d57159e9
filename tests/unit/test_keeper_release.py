"""What is used was allowed when its intent became durable, and still is when it is opened."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.control_place import Control
from tests.keeper_desk import CROWD, PURPOSE, Bench, batch, chunk, copy_bench, found_bench, passed
from tests.seated import founding
from tests.world import raised

from safehold import canonical
from safehold.access import Holder, attenuate, mint
from safehold.charter import Charter
from safehold.clock import DAY_US
from safehold.dlp.feature import Feature
from safehold.errors import DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.keeper.ports import Frame
from safehold.signing import SigningKey

ALL = len(CROWD)
METRICS = {"type": "metrics", "top1": 0.5}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, control: Control) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("made"), people=CROWD, control=control).start()
    bench.take(*CROWD)
    bench.stop()
    return bench


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()

    def train(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        yield passed("metrics", values=METRICS)
        yield passed("model", body=b"weights")

    copy.workshop.scripts["train"] = train
    yield copy
    copy.stop()


def build(bench: Bench) -> dict[str, Any]:
    return bench.call("feature", purpose=PURPOSE)


def train(bench: Bench, holder: Any) -> dict[str, Any]:
    return bench.call("train", **bench.use(holder))


def test_a_run_ends_in_a_model_with_lineage(bench: Bench) -> None:
    assert build(bench)["people"] == ALL
    artifact = train(bench, bench.pass_())["artifact"]
    shown = bench.call("artifact.show", artifact=artifact)
    assert shown["verified"]
    assert bench.call("artifact.list")["artifacts"][0]["id"] == artifact
    card = shown["card"]
    assert (card["artifact"], card["sha256"]) == (artifact, shown["sha256"])
    assert card["data"]["streams"] == ["pointer"]
    assert card["attacks"] == []
    assert card["not_for"]
    assert shown["card_markdown"].startswith(f"# Model card: {artifact}\n")
    line = bench.call("dataset.lineage", dataset=artifact)["lineage"]
    assert [one["kind"] for one in line] == ["model", "feature", "source"]
    assert line[0]["label"]["streams"] == ["pointer"]
    bench.restart()
    assert bench.call("artifact.show", artifact=artifact)["sha256"] == shown["sha256"]


def test_a_recipe_that_tells_what_the_charter_masks_opens_nothing(bench: Bench) -> None:
    errors = Feature(name="corrected", sources=frozenset({"key.key"}))
    bench.desk.gatekeeper.features = lambda recipe, spec: (errors,)
    assert raised(lambda: build(bench)).rule == "dlp.lineage.errors"
    assert bench.workshop.packed == []
    del bench.desk.gatekeeper.features
    assert build(bench)["people"] == ALL


def test_the_figures_of_an_artifact_are_not_edited_or_swapped(bench: Bench) -> None:
    build(bench)
    holder = bench.pass_()
    train(bench, holder)
    with bench.desk.engine.begin() as connection:
        (row,) = connection.exec_driver_sql("SELECT id, record FROM artifact").all()
    assert b"weights" not in row.record
    assert b'"top1"' not in row.record  # six bytes: four could stand in ciphertext by chance
    with bench.desk.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE artifact SET id = 'art_other'")
    assert raised(lambda: bench.call("artifact.show", artifact="art_other")).code == "tampered"


def test_one_run_is_one_run_for_two_who_ask_at_once(bench: Bench) -> None:
    build(bench)
    tree = bench.charter().to_json()
    holder = bench.pass_(max_runs=1)
    uses = [bench.use(holder), bench.use(holder)]
    together = threading.Barrier(2)
    choose = bench.verbs.work._release.decision._choose
    ends: list[Any] = []

    def choosing(ask: Any) -> Any:
        return choose(ask)

    bench.verbs.work._release.decision._choose = choosing

    def ask(use: dict[str, Any]) -> None:
        together.wait(300)
        try:
            ends.append(bench.call("train", **use)["artifact"])
        except SafeholdError as error:
            ends.append(error.rule)

    threads = [threading.Thread(target=ask, args=(use,)) for use in uses]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(str(end)[:4] for end in ends) == ["art_", "gran"]
    assert bench.leaves().count("access.intent") == 2  # the build, and one run
    assert tree["version"] == bench.charter().version


def test_a_grant_that_was_revoked_or_used_up_meanwhile_gets_no_intent(bench: Bench) -> None:
    """The checks at admission are repeated in the step that appends the intent."""
    build(bench)
    holder = bench.pass_(max_runs=1)
    grants = bench.verbs.grants
    admit = grants.admit

    def slow(*arguments: Any) -> Any:
        admitted = admit(*arguments)
        name = bench.call("grant.list")["grants"][0]["id"]
        bench.call("grant.revoke", grant=name)
        return admitted

    grants.admit = slow
    size = bench.desk.ledger.size
    assert raised(lambda: train(bench, holder)).rule == "grant.revoked"
    assert "access.intent" not in bench.leaves(size)


def test_no_intent_follows_a_stop(bench: Bench) -> None:
    choose = bench.verbs.work._release.decision._choose

    def stopped(ask: Any) -> Any:
        chosen = choose(ask)
        bench.desk.trust.order("stop", bench.order("stop"))
        return chosen

    bench.verbs.work._release.decision._choose = stopped
    assert raised(lambda: build(bench)).rule == "oversight.stop"
    assert "access.intent" not in bench.leaves()


def test_a_stop_ends_what_runs(bench: Bench) -> None:
    def long(_spec: Mapping[str, Any]) -> Iterator[Frame]:
        bench.call("stop", **bench.order("stop"))
        yield passed("progress", values={"done": 1, "of": 2})

    bench.workshop.scripts["feature"] = long
    assert raised(lambda: build(bench)).rule == "oversight.stop"
    assert not bench.desk.jobs
    assert not bench.blocks("derived")


def test_a_choice_waits_for_no_decision_and_none_is_missed(bench: Bench) -> None:
    """Who withdraws between the intent and the opening is not opened; who does so later is not kept."""
    bench.workshop.during_pack = lambda: bench.call("people.choose", person="bo", choice="withdraw")
    answer = build(bench)
    assert answer["people"] == ALL - 1
    assert set(bench.blocks("derived")) == set(CROWD) - {"bo"}


def test_who_left_after_the_intent_is_not_opened(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = bench.verbs.work._release.decision.decide

    def leaving(*arguments: Any) -> Any:
        opening = decide(*arguments)
        bench.call("people.choose", person="bo", choice="pause")
        return opening

    monkeypatch.setattr(bench.verbs.work._release, "decide", leaving)
    assert build(bench)["people"] == ALL - 1
    assert len(bench.workshop.packed[-1]) == ALL - 1


def test_too_few_that_are_left_end_the_run(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    build(bench)
    holder = bench.pass_()
    decide = bench.verbs.work._release.decision.decide

    def leaving(*arguments: Any) -> Any:
        opening = decide(*arguments)
        for one in CROWD[:4]:
            bench.call("people.choose", person=one, choice="pause")
        return opening

    monkeypatch.setattr(bench.verbs.work._release, "decide", leaving)
    assert raised(lambda: train(bench, holder)).rule == "purpose.min_people"


def test_a_charter_that_changed_after_the_intent_ends_the_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = bench.verbs.work._release.decision.decide

    def changing(*arguments: Any) -> Any:
        opening = decide(*arguments)
        bench.enact(bench.changed())
        return opening

    monkeypatch.setattr(bench.verbs.work._release, "decide", changing)
    assert raised(lambda: build(bench)).rule == "charter.changed"


def shorter(charter: Charter, days: int) -> Charter:
    collect = tuple(replace(item, keep_days=days) for item in charter.collect)
    return replace(charter, version=charter.version + 1, collect=collect)


def test_a_shorter_retention_holds_for_what_was_sealed_before(bench: Bench) -> None:
    bench.clock.advance(4 * DAY_US)
    bench.enact(shorter(bench.charter(), 3))
    error = raised(lambda: build(bench))
    assert error.rule == "purpose.min_people"
    assert re.findall("[0-9]+", error.message) == ["1"], "what it takes, and not how many there are"
    assert bench.blocks() == dict.fromkeys(CROWD, 1), "their keys end later, their use now"


def test_features_end_with_the_shorter_retention(bench: Bench) -> None:
    bench.enact(shorter(bench.charter(), 3))
    build(bench)
    ends = {
        block.label.expires
        for block in bench.desk.catalog.blocks(kind="derived", streams=["feature"], after_day=0)
    }
    assert ends == {bench.today - 1 + 1 + 3}


def test_features_of_an_older_charter_are_not_trained_on(bench: Bench) -> None:
    build(bench)
    bench.enact(bench.changed())
    assert raised(lambda: train(bench, bench.pass_())).rule == "purpose.min_people"
    build(bench)
    assert train(bench, bench.pass_())["people"] == ALL


def test_who_comes_back_begins_anew(bench: Bench) -> None:
    bench.call("people.choose", person="bo", choice="withdraw")
    bench.call(
        "people.choose", person="bo", choice="consent", streams=["pointer"], evidence="again"
    )
    answer = build(bench)
    assert answer["people"] == ALL - 1
    assert answer["left_out"] == {"subjects": 1}, "of real people not which choice it was"
    bench.restart()
    bench.clock.advance(2 * DAY_US)
    bench.take("bo", name="later", first=100)
    assert build(bench)["people"] == ALL
    roll = bench.workshop.specs[-2][1]["people"]
    assert roll["bo"]["pauses"][0][0] == 0


def test_a_build_counts_whole_or_not_at_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = build(bench)["dataset"]
    with monkeypatch.context() as patch:
        patch.setattr(bench.desk.catalog.builds, "replace", _fail)
        with pytest.raises(ZeroDivisionError):
            build(bench)
    assert bench.blocks("derived") == dict.fromkeys(CROWD, 1)
    bench.restart()
    assert bench.blocks("derived") == dict.fromkeys(CROWD, 1)
    found = bench.desk.catalog.blocks(kind="derived", streams=["feature"], after_day=0)
    assert bench.desk.catalog.sources_of([block.block_id for block in found]) == [first]
    assert train(bench, bench.pass_())["people"] == ALL


def _fail(*_arguments: Any, **_more: Any) -> None:
    raise ZeroDivisionError


def test_a_narrowed_capability_covers_what_it_was_narrowed_to(bench: Bench) -> None:
    build(bench)
    holder = bench.pass_()
    public = bench.verbs.grants.minting.public
    good = replace_token(holder, attenuate(holder.token, public, segments=["us-ca.feature"]))
    assert train(bench, good)["people"] == ALL
    for narrower in ({"segments": ["us-wa.feature"]}, {"max_rows": 1}, {"recipes": ["other"]}):
        other = replace_token(holder, attenuate(holder.token, public, **narrower))
        assert isinstance(raised(lambda o=other: train(bench, o)), DeniedError)


# -- the days of a grant are days of telemetry, not the day on which features were built -----------


def test_a_grant_covers_every_day_that_features_came_from(bench: Bench) -> None:
    bench.take(*CROWD, days_ago=20, name="b", first=100)
    dataset = build(bench)["dataset"]
    oldest, newest = bench.today - 20, bench.today - 1
    for beyond in (
        {"first_day": oldest + 1},
        {"last_day": newest - 1},
        {"first_day": bench.today, "last_day": bench.today},  # the day of the build alone
    ):
        holder = bench.pass_(**beyond)
        assert raised(lambda holder=holder: train(bench, holder)).rule == "grant.days"
    artifact = train(bench, bench.pass_(first_day=oldest, last_day=newest))["artifact"]
    for one in (dataset, artifact):
        label = bench.desk.lineage.label(one)
        assert (label.first_day, label.last_day) == (oldest, newest)


def test_no_row_says_that_features_came_from_fewer_days(bench: Bench) -> None:
    narrow = build(bench)["dataset"]
    bench.take(*CROWD, days_ago=20, name="b", first=100)
    build(bench)
    with bench.desk.engine.begin() as connection:
        done = connection.exec_driver_sql(
            "UPDATE block SET source = ? WHERE kind = 'derived'", (narrow,)
        )
        assert done.rowcount
    holder = bench.pass_(first_day=bench.today - 1, last_day=bench.today)
    error = raised(lambda: train(bench, holder))
    assert isinstance(error, TamperedError)
    assert error.rule == "catalog.mac"
    # nor does a row that is changed between two looks at it
    with pytest.raises(TamperedError):
        bench.desk.catalog.sources_of(_ids(bench))


def _ids(bench: Bench) -> list[bytes]:
    with bench.desk.engine.begin() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM block").scalars())


def test_features_whose_days_are_no_longer_told_are_not_used(bench: Bench) -> None:
    build(bench)
    holder = bench.pass_()
    bench.desk.vault.shred(sidecar_before=2**31 - 1)
    assert raised(lambda: train(bench, holder)).rule == "label.days"


# -- the minting key alone opens nothing, and an id stands for one grant ---------------------------


def _minted(bench: Bench, key: SigningKey, **changes: Any) -> Holder:
    """A capability for the newest grant, changed, as who stole the minting key would make it."""
    name = bench.call("grant.list")["grants"][-1]["id"]
    approved = bench.verbs.grants._approve(bench.verbs.grants.records.record(name))
    forged = replace(approved, grant=replace(approved.grant, **changes))
    now = bench.clock.now_us()
    token = mint(forged, bench.verbs.grants.minting.seed, begun_us=now, now_us=now)
    return Holder(token, key)


def test_a_capability_for_another_holder_than_the_grant_s_is_refused(bench: Bench) -> None:
    build(bench)
    owner, thief = bench.pass_()._key, SigningKey.generate()
    assert train(bench, _minted(bench, owner))["people"] == ALL
    stolen = _minted(bench, thief, holder=thief.public)
    assert raised(lambda: train(bench, stolen)).rule == "grant.mismatch"


def test_a_capability_does_not_outlive_its_grant(bench: Bench) -> None:
    build(bench)
    owner = bench.pass_()._key
    bench.clock.advance(DAY_US // 24 + 1)
    late = _minted(bench, owner, expires_us=bench.clock.now_us() + DAY_US)
    assert raised(lambda: train(bench, late)).rule == "grant.expired"


def test_an_id_stands_for_one_grant(bench: Bench) -> None:
    bench.pass_(id="grant_0123456789abcdef")
    again = raised(lambda: bench.pass_(id="grant_0123456789abcdef", reason="for something else"))
    assert (again.code, again.rule) == ("conflict", "grant.id")


def replace_token(holder: Any, token: str) -> Any:
    return type(holder)(token, holder._key)


def test_a_filter_of_people_that_nobody_applies_is_refused(bench: Bench) -> None:
    build(bench)
    error = raised(lambda: train(bench, bench.pass_(people="ab" * 32)))
    assert error.rule == "approval.quorum"  # no seat was ever shown a price of it
    kinds = [bench.call("ledger.show", index=at) for at in range(bench.desk.ledger.size)]
    refused = [one["detail"]["rule"] for one in kinds if one["leaf"]["k"] == "refusal"]
    assert refused == ["grant.people", "approval.quorum"]


def test_who_asked_and_why_is_not_readable_in_the_database(bench: Bench) -> None:
    bench.pass_(reason="the reason of this test")
    bench.stop()
    assert not any(
        b"of this test" in file.read_bytes()
        for file in bench.home.path.rglob("*")
        if file.is_file()
    )
    bench.start()
    assert bench.call("grant.list")["grants"][0]["runs"] == 0


@pytest.mark.parametrize("purpose", [3, None, [], "x" * 200])
def test_a_purpose_is_a_word(bench: Bench, purpose: Any) -> None:
    assert isinstance(raised(lambda: bench.call("feature", purpose=purpose)), InvalidError)


def with_silo(what: str) -> Charter:
    """Return the demo's charter in which one kind of data never leaves HR."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    for item in tree["collect"]:
        if item["what"] == what:
            item["minimise"]["silo"] = "hr"
    return Charter.from_json(tree)


def test_what_was_made_from_a_silo_is_still_beside_it(tmp_path: Path) -> None:
    """Features are telemetry, whatever they came from; the intent of their build tells what that was."""
    bench = found_bench(tmp_path, people=CROWD, charter=with_silo("pointer")).start()
    bench.take(*CROWD)
    assert build(bench)["people"] == ALL  # HR's own data by itself is beside nothing
    size = bench.desk.ledger.size
    error = raised(lambda: train(bench, bench.pass_()))
    assert (error.rule, error.code) == ("charter.red_line.no-cross-join", "denied.red_line")
    assert "access.intent" not in bench.leaves(size)
    bench.stop()


def test_no_run_opens_telemetry_beside_a_silo_though_they_lie_in_segments_of_their_own(
    tmp_path: Path,
) -> None:
    bench = found_bench(tmp_path, people=CROWD, charter=with_silo("pointer")).start()
    window = bench.today - 1
    for number, stream in enumerate(("pointer", "key")):
        bench.ingest(
            *(batch(one, window, stream=stream) for one in CROWD),
            chunk(taken={stream: 2 * ALL}),
            name=f"s{number}",
        )
    reads = type(bench.desk.gatekeeper).reads
    assert {"pointer", "key"} <= reads(bench.desk.gatekeeper, "feature")
    packed = len(bench.workshop.packed)
    error = raised(lambda: build(bench))
    assert (error.rule, error.code) == ("charter.red_line.no-cross-join", "denied.red_line")
    assert len(bench.workshop.packed) == packed, "nothing was opened"
    bench.stop()
