"""A bucket is trusted with nothing: what it keeps is noise, what it says is checked, and when it is away nothing is half done."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import obstore
import pytest
from tests.keeper_desk import PEOPLE, Bench, copy_bench, found_bench, rest_table
from tests.seaweed import SECRET, Door, Weed
from tests.stores import FarBucket
from tests.vaults import make_home, opens, plain
from tests.world import outside, raised

from safehold.app.objects import choose_bucket, objects_of
from safehold.app.setup import create
from safehold.clock import DAY_US
from safehold.errors import ConflictError, InvalidError, MissingError, UnavailableError
from safehold.telemetry.schema import REST
from safehold.vault import Bucket, Place
from safehold.vault.objects import new_name


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("bucket"))


@pytest.fixture
def door(weed: Weed) -> Iterator[Door]:
    opened = Door(weed)
    yield opened
    opened.close()


@pytest.fixture
def bench(made: Bench, weed: Weed, door: Door, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path)
    with outside(copy.path):
        choose_bucket(copy.home, _through(weed, door))
    yield copy.start()
    copy.stop()


def _through(weed: Weed, door: Door) -> str:
    return weed.url(weed.bucket(), weed.prefix()).replace(weed.endpoint, door.endpoint)


def test_what_a_bucket_keeps_of_the_deleted_is_noise_after_an_erasure(
    weed: Weed, tmp_path: Path
) -> None:
    """Versions and object lock on: nobody can remove the bytes, and nobody can open them."""
    store = FarBucket(weed, keeping=True)
    home = make_home(tmp_path, store=store)
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    copy = home.copy_home("backup")
    whole = store.read(sealed.name)
    assert opens(home.open(copy), sealed.blocks[0])
    home.vault.shred(person="psn_a")
    assert home.vault.remove([sealed.name]) == 0
    with pytest.raises(MissingError):
        home.vault._objects.get(sealed.name)
    assert whole in store.everything(), "the bucket keeps every byte"
    status, _ = weed.call("DELETE", f"/{store.bucket}/{store.prefix}/home_test/{sealed.name}")
    assert status == 204
    assert whole in store.everything()
    store.write(sealed.name, whole)  # the operator puts the old version back, as the newest
    assert not opens(home.vault, sealed.blocks[0])
    assert opens(home.vault, sealed.blocks[1]), "she is gone, he is not"
    restored = home.open(
        copy
    )  # with the whole key database of before, the live root, the live epochs
    assert not any(opens(restored, block) for block in sealed.blocks)


def test_rows_of_every_stream_come_back(weed: Weed, tmp_path: Path) -> None:
    home = make_home(tmp_path, store=FarBucket(weed))
    tables = {stream: rest_table(stream, 5) for stream in REST}
    blocks = [plain(stream=stream, table=table) for stream, table in tables.items()]
    sealed = home.vault.seal(blocks, segment="de")
    for block, back in home.vault.read(sealed.blocks):
        assert back.to_pylist() == tables[block.stream].to_pylist()
    assert home.vault.check(sealed.name, root=sealed.root, size=sealed.size, segment="de") == len(
        REST
    )


def test_an_answer_that_was_lost_is_no_conflict(weed: Weed, door: Door) -> None:
    bucket = Bucket(Place.parse(_through(weed, door)), home="home_test")
    name = new_name()
    door.swallow = b"PUT "
    bucket.put(name, b"whole")  # stored, not heard of, sent again, refused as taken
    assert door.swallow == b"", "an answer was lost"
    assert bucket.get(name) == b"whole"
    with pytest.raises(ConflictError):
        bucket.put(name, b"other")
    assert bucket.get(name) == b"whole"


@pytest.mark.parametrize("how", ["put", "get", "ranges", "delete", "names", "prove"])
def test_a_store_that_is_away_says_so(weed: Weed, door: Door, how: str) -> None:
    bucket = Bucket(Place.parse(_through(weed, door)), home="home_test")
    name = new_name()
    bucket.put(name, b"whole")
    door.shut = True
    calls: dict[str, Callable[[], object]] = {
        "put": lambda: bucket.put(new_name(), b"x"),
        "get": lambda: bucket.get(name),
        "ranges": lambda: bucket.ranges(name, [(0, 2)]),
        "delete": lambda: bucket.delete(name),
        "names": lambda: list(bucket.names()),
        "prove": bucket.prove,
    }
    error = raised(calls[how])
    assert isinstance(error, UnavailableError), "away is not tampered, and not missing"
    assert error.rule == "object.store"
    door.shut = False
    assert bucket.get(name) == b"whole"


def test_a_keeper_works_on_without_its_bucket_and_takes_nothing_in(
    bench: Bench, door: Door
) -> None:
    bench.take(name="before")
    before = bench.blocks()
    door.shut = True
    error = raised(lambda: bench.take(name="after", first=2))
    assert isinstance(error, UnavailableError)
    assert error.rule == "object.store"
    assert bench.blocks() == before, "nothing half done"
    bench.call("people.choose", person="bo", choice="pause")
    assert bench.call("people.erase", person="ana", evidence="a letter")["keys"]
    bench.restart()  # a start does not wait for the bucket either
    assert set(bench.blocks()) == {"bo", "cy"}
    door.shut = False
    bench.take("cy", name="after", first=2)
    assert bench.blocks() == {"bo": 1, "cy": 2}


def test_what_a_crash_left_goes_after_a_day_and_what_counts_stays(bench: Bench) -> None:
    """Another keeper may be about to make known what it has just stored, so a day is waited."""
    bench.take("ana", name="kept")
    (kept,) = bench.desk.catalog.objects()
    bucket = objects_of(bench.home)
    bucket.put(new_name(), b"stored by a keeper that was killed before it made this known")
    bench.restart()
    assert len(set(bucket.names())) == 2
    bench.clock.advance(DAY_US + DAY_US // 24)
    bench.call("dataset.sweep")
    assert set(bucket.names()) == {kept}


def test_no_home_takes_the_objects_of_another_for_left_over(weed: Weed) -> None:
    bucket, prefix = weed.bucket(), weed.prefix()
    one, other = (weed.objects(bucket, prefix, home=home) for home in ("home_a", "home_b"))
    name = new_name()
    one.put(name, b"whole")
    assert list(one.names()) == [name]
    assert list(other.names()) == []


def test_a_store_that_replaces_objects_is_not_used(
    weed: Weed, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = weed.objects(weed.bucket(), weed.prefix())
    bucket.prove()
    assert list(bucket.names()) == [], "nothing of the trial is left"
    real = obstore.put

    def careless(*given: Any, mode: str, **more: Any) -> Any:
        return real(*given, mode="overwrite", **more)

    monkeypatch.setattr(obstore, "put", careless)
    with pytest.raises(UnavailableError, match="replaces"):
        bucket.prove()


@pytest.mark.parametrize(
    "url",
    [
        "s3://KEY:hunter22@bucket/p",
        "s3://bucket/p?access_key_id=hunter22",
        "s3://bucket/p?secret_access_key=hunter22",
        "s3://bucket/p?endpoint=https://user:hunter22@host",
        "s3://bucket/p?endpoint=http://store.example",  # no plain HTTP beyond this machine
        "s3://bucket/p?endpoint=https://host/hunter22",
        "s3://bucket/p?region=a&region=b",
        "s3://bucket/p?profile=x&identity=machine",
        "s3://bucket/p?identity=hunter22",
        "s3://bucket/../p",
        "s3://bucket/p#hunter22",
        "s3://b",
        "https://bucket/p",
        "file:///tmp",
        "s3://bucket:99999/p",
    ],
)
def test_a_url_holds_a_place_and_nothing_else(url: str) -> None:
    error = raised(lambda: Place.parse(url))
    assert isinstance(error, InvalidError)
    assert "hunter22" not in json.dumps(error.payload())
    assert error.__context__ is None or "hunter22" not in str(error.__context__)


def test_a_place_is_read_as_it_is_written() -> None:
    assert Place.parse("s3://bucket/a/b/?endpoint=https://s3.example:9000&region=eu-1") == Place(
        bucket="bucket", prefix="a/b/", endpoint="https://s3.example:9000", region="eu-1"
    )
    assert Place.parse("s3://bucket?identity=machine").profile == ""


def test_credentials_that_others_may_read_are_not_used(
    weed: Weed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text(weed.credentials.read_text())
    file.chmod(0o640)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    place = Place.parse(weed.url(weed.bucket(), weed.prefix()))
    error = raised(lambda: Bucket(place, home="home_test"))
    assert (type(error), error.rule) == (UnavailableError, "object.credentials")
    file.chmod(0o600)
    Bucket(place, home="home_test").prove()
    file.unlink()
    error = raised(lambda: Bucket(place, home="home_test"))
    assert (type(error), error.rule) == (UnavailableError, "object.credentials")


def test_refused_credentials_are_told_from_a_store_that_is_away(
    weed: Weed, caplog: pytest.LogCaptureFixture
) -> None:
    """And nothing secret is in what is said or logged."""
    caplog.set_level(logging.DEBUG)
    url = weed.url(weed.bucket(), weed.prefix())
    stranger = Bucket(Place.parse(url + "&profile=stranger"), home="home_test")
    error = raised(lambda: stranger.put(new_name(), b"x"))
    assert (type(error), error.rule) == (UnavailableError, "object.credentials")
    good = Bucket(Place.parse(url), home="home_test")
    good.prove()
    said = caplog.text + repr(good) + repr(stranger) + json.dumps(error.payload())
    assert SECRET not in said
    assert weed.endpoint not in said


def test_everybody_stays_readable_in_a_bucket(bench: Bench) -> None:
    bench.take()
    bench.restart()
    for block, table in bench.desk.vault.read(
        bench.desk.catalog.blocks(kind="telemetry", streams=["pointer"], after_day=bench.today)
    ):
        assert table.num_rows == block.rows
    assert set(bench.blocks()) == set(PEOPLE)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda url: url.replace("s3://", "s3://user:" + SECRET + "@"), "object.url"),
        (lambda url: url + "&profile=stranger", "object.credentials"),
        (lambda url: url + "&profile=nobody", "object.credentials"),
        (lambda url: url.replace("127.0.0.1:", "127.0.0.1:1"), "object.url"),
        (lambda url: url[: url.rindex(":")] + ":9&region=eu-1", "object.store"),
    ],
)
def test_no_home_is_made_where_its_bucket_does_not_serve(
    weed: Weed, tmp_path: Path, change: Callable[[str], str], rule: str
) -> None:
    url = change(weed.url(weed.bucket(), weed.prefix()))
    with outside(tmp_path):
        error = raised(
            lambda: create(
                tmp_path / "home", seats=tmp_path / "seats", passphrase=SECRET, objects_url=url
            )
        )
    assert error.rule == rule
    assert SECRET not in json.dumps(error.payload())
    assert not (tmp_path / "home").exists(), "nothing is left half made"
    assert not list((tmp_path / "outside").glob("home_*"))
