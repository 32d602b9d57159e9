"""For any order of chunks and any choices: the register says the same after it was opened again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safehold.catalog import Catalog, Extent
from safehold.db import migrate, open_engine
from safehold.errors import ConflictError, TamperedError
from safehold.subjects import People, Standing
from safehold.vault import Label, Records, SealedBlock, SealedObject
from safehold.vault.kms import LocalRoot

FAST = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
KEY = b"k" * 32
ROOT = LocalRoot.generate()
SEALER = Records(ROOT, "catalog")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    engine = open_engine(tmp_path_factory.mktemp("db") / "control.db")
    migrate(engine)
    yield engine
    engine.dispose()


def wipe(engine: Any) -> None:
    with engine.begin() as connection:
        for table in ("block", "object", "extent", "chunk", "source", "person"):
            connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608 - names of our own


def sealed(number: int, expires: int) -> SealedObject:
    block = SealedBlock(
        block_id=number.to_bytes(16, "big"),
        person=f"psn_{number % 3}",
        stream="key",
        segment="us-ca.key",
        window=expires - 1,
        object=f"obj{number}",
        offset=0,
        length=10,
        rows=number,
        generation=1,
        sequence=0,
        sha256=bytes(32),
        label=Label(purposes=("a",), jurisdiction="US-CA", expires=expires, charter=bytes(32)),
    )
    return SealedObject(name=f"obj{number}", root=bytes(32), size=10, blocks=(block,))


@FAST
@given(st.lists(st.integers(0, 6), max_size=12), st.integers(1, 9))
def test_a_chunk_counts_once_and_a_source_whole(engine: Any, numbers: list[int], day: int) -> None:
    wipe(engine)
    catalog = Catalog(engine, key=KEY, sealer=SEALER)
    catalog.begin("s", now_us=5)
    done: set[int] = set()
    for number in numbers:
        extent = Extent(origin=bytes(16), stream="key", first=number * 10, last=number * 10 + 9)
        act = lambda n=number, e=extent, catalog=catalog: catalog.commit_chunk(  # noqa: E731
            "s", n, tally={"taken": {"key": 1}}, objects=[sealed(n, n + 1)], extents=[e]
        )
        if number in done:
            with pytest.raises(ConflictError):
                act()
        else:
            act()
            done.add(number)
        catalog = Catalog(engine, key=KEY, sealer=SEALER)
        state = catalog.begin("s", now_us=99)
        assert (state.done, state.begun_us) == (done, 5)
        assert state.tally == {"taken": {"key": len(done)}}
    assert not catalog.blocks(kind="telemetry", streams=["key"], after_day=0)
    catalog.finish("s", {"taken": {"key": len(done)}})
    assert [name for name, _ in catalog.unnoted()] == ["s"]
    assert len(catalog.blocks(kind="telemetry", streams=["key"], after_day=0)) == len(done)
    gone = {f"obj{number}" for number in done if number + 1 <= day}
    assert set(catalog.expire(day)) == gone
    assert catalog.objects() == {f"obj{number}" for number in done} - gone


def test_an_edited_row_is_refused_and_names_do_not_match_by_wildcard(engine: Any) -> None:
    wipe(engine)
    catalog = Catalog(engine, key=KEY, sealer=SEALER)
    catalog.builds.add("train_ui:1", [sealed(1, 9)])
    catalog.builds.add("trainXui:1", [sealed(2, 9)])
    assert catalog.builds.replace("trainXui", keep="trainXui:1") == []
    assert catalog.builds.replace("train_ui", keep="train_ui:2") == ["obj1"]
    assert catalog.objects() == {"obj2"}
    assert len(catalog.blocks(kind="derived", streams=["key"], after_day=0)) == 1
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE block SET person = 'psn_0'")
    with pytest.raises(TamperedError):
        catalog.blocks(kind="derived", streams=["key"], after_day=0)


CHOICE = st.sampled_from(["pause", "resume", "withdraw", "consent"])


@FAST
@given(st.lists(st.tuples(st.integers(0, 2), CHOICE), max_size=12))
def test_a_register_of_people_opens_as_it_was(engine: Any, choices: list[Any]) -> None:
    wipe(engine)

    def opened() -> People:
        return People(engine, sealer=Records(ROOT), lookup_key=KEY)

    people = opened()
    names = people.enrol(Standing(external=f"p{n}", jurisdiction="US-CA") for n in range(3))
    for at, (who, choice) in enumerate(choices, 1):

        def how(one: Standing, at: int = at, choice: str = choice) -> Standing:
            if choice == "consent":
                return one.consent(["key"], at_us=at, evidence="e")
            return getattr(one, choice)(at_us=at)

        people.change(names[who], how)
    assert opened().everybody() == people.everybody()
    with pytest.raises(ConflictError):
        people.enrol([Standing(external="p0", jurisdiction="US-CA")])


def test_a_row_of_another_version_or_person_does_not_open(engine: Any, tmp_path: Path) -> None:
    wipe(engine)
    people = People(engine, sealer=Records(ROOT), lookup_key=KEY)
    people.enrol(Standing(external=f"p{n}", jurisdiction="US-CA") for n in range(2))
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE person SET version = 2")
    with pytest.raises(TamperedError):
        People(engine, sealer=Records(ROOT), lookup_key=KEY)
