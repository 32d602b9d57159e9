"""Keys: one owner each, made once, found again, bound to their row."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.vaults import LABEL, TODAY, make_home, plain, rows

from safehold import canonical
from safehold.errors import ConflictError, InvalidError, MissingError, TamperedError
from safehold.vault import Label, Objects, keys, tables
from safehold.vault.keyring import KeyName, check_segment
from safehold.vault.kms import LocalRoot


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


def _key_rows(home) -> list:
    with home.engine.begin() as connection:
        return list(connection.execute(sa.select(tables.key)).all())


def test_rows_come_back_after_reopening(home):
    blocks = [plain(f"psn_{i}", table=rows(10 + i, seed=i)) for i in range(5)]
    sealed = home.vault.seal(blocks, segment="de")
    assert [block.person for block in sealed.blocks] == [block.person for block in blocks]
    back = list(home.open().read(sealed.blocks))
    for (record, table), block in zip(back, blocks, strict=True):
        assert record.person == block.person
        assert table.equals(block.table)
    ((_, part),) = home.vault.read(sealed.blocks[:1], columns=["x"])
    assert part.column_names == ["x"]


def test_blocks_of_many_objects_and_segments_are_read_in_one_go(home):
    sealed = [
        home.vault.seal([plain(f"psn_{i}", table=rows(seed=i)), plain("psn_x")], segment=segment)
        for i, segment in enumerate(("de", "us", "de"))
    ]
    wanted = [block for one in reversed(sealed) for block in one.blocks]
    back = dict(home.vault.read(wanted))
    assert len(back) == 6
    for i, one in enumerate(sealed):
        assert back[one.blocks[0]].equals(rows(seed=i))


def test_there_is_a_key_for_each_person_stream_and_expiry(home):
    later = replace(LABEL, expires=LABEL.expires + 1)
    home.vault.seal(
        [
            plain("psn_a"),
            plain("psn_a", window=TODAY - 1),
            plain("psn_a", stream="chat"),
            plain("psn_a", label=later),
            plain("psn_b"),
        ],
        segment="de",
    )
    named = {(row.owner, row.stream, row.period) for row in _key_rows(home) if row.kind == "person"}
    assert named == {
        ("psn_a", "key", LABEL.expires),
        ("psn_a", "chat", LABEL.expires),
        ("psn_a", "key", later.expires),
        ("psn_b", "key", LABEL.expires),
    }
    assert all(len(row.wrapped) == 40 for row in _key_rows(home))  # RFC 3394: 32 + 8


def test_person_keys_are_random_not_derived(tmp_path):
    """Two vaults with the same root give one person different keys."""
    root = LocalRoot.generate()
    made = []
    for name in ("one", "two"):
        home = make_home(tmp_path / name)
        vault = home.open(root=root, engine=_fresh(home))
        vault.seal([plain("psn_a")], segment="de")
        name_ = KeyName("person", "psn_a", "key", LABEL.expires)
        made.append(vault._lookup.one("de", name_, make=False))
    assert made[0] != made[1]


def _fresh(home):
    from safehold import db

    return db.open_engine(home.home / "fresh.db")


def test_threads_that_seal_the_same_new_person_agree_on_one_key(home):
    barrier = threading.Barrier(6)
    sealed, failures = [], []

    def work(number):
        try:
            barrier.wait()
            for window in range(3):
                block = plain("psn_new", window=TODAY - window, table=rows(seed=number))
                sealed.append((number, home.vault.seal([block], segment="new")))
                home.vault.subjects.key("psn_new")
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(sealed) == 18
    assert len([row for row in _key_rows(home) if row.owner == "psn_new"]) == 2
    for number, one in sealed:
        ((_, table),) = home.open().read(one.blocks)
        assert table.equals(rows(seed=number))


def test_sealing_and_reading_go_on_while_others_are_erased(home):
    kept = home.vault.seal([plain("psn_kept")], segment="de")
    home.vault.seal([plain(f"psn_{i}") for i in range(8)], segment="de")
    stop, failures, sealed = threading.Event(), [], []

    def read():
        try:
            while not stop.is_set():
                home.vault._keyring.forget()
                ((_, table),) = home.vault.read(kept.blocks)
                assert table.equals(rows())
        except Exception as error:
            failures.append(repr(error))

    def seal():
        number = 0
        try:
            while number == 0 or not stop.is_set():  # once, even if the others are faster
                number += 1
                block = plain(f"psn_new{number}", table=rows(seed=number))
                sealed.append((number, home.vault.seal([block], segment="de")))
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=read), threading.Thread(target=seal)]
    for thread in threads:
        thread.start()
    for i in range(8):
        home.vault.shred(person=f"psn_{i}")
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert sealed
    for number, one in sealed:
        ((_, table),) = home.vault.read(one.blocks)
        assert table.equals(rows(seed=number))


@pytest.mark.parametrize("state", ["gone", "overwritten"])
def test_a_reader_that_meets_an_ending_epoch_looks_again(home, monkeypatch, state):
    """Between its snapshot and its look at the secret, an erasure may have moved the segment on."""
    from safehold.vault.epoch import Epochs

    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    real, fired = Epochs.read, []

    def read(self, name):
        if not fired:
            fired.append(name)
            home.open().shred(person="psn_a")
            if state == "overwritten":
                (home.epochs / name).write_bytes(bytes(44))
        return real(self, name)

    vault = home.open()
    monkeypatch.setattr(Epochs, "read", read)
    monkeypatch.setattr("safehold.db.truncate_wal", lambda _engine: None)  # the reader waits within
    ((_, table),) = vault.read(sealed.blocks[1:])
    assert fired
    assert table.equals(rows())


def test_another_root_is_refused_at_the_door(home):
    with pytest.raises(TamperedError, match="root key is not the one"):
        home.open(root=LocalRoot.generate())


def test_a_segment_key_is_forgotten_after_minutes(home, monkeypatch):
    sealed = home.vault.seal([plain()], segment="de")
    calls = []
    real = LocalRoot.unwrap
    monkeypatch.setattr(
        LocalRoot, "unwrap", lambda self, *a, **k: calls.append(1) or real(self, *a, **k)
    )
    list(home.vault.read(sealed.blocks))
    assert not calls
    home.clock.advance(301_000_000)
    list(home.vault.read(sealed.blocks))
    assert len(calls) == 1


def test_a_wrapped_key_opens_in_its_row_alone():
    kek, raw = keys.new_key(), keys.new_key()
    name = KeyName("person", "psn_a", "key", 5)
    assert name.context("de") == canonical.encode(["de", *name]), "the format of old homes"
    wrapped = keys.wrap_row(kek, raw, context=name.context("de"))
    assert keys.unwrap_row(kek, wrapped, context=name.context("de")) == raw
    for other in (
        name._replace(kind="subject"),
        name._replace(owner="psn_b"),
        name._replace(stream="chat"),
        name._replace(period=6),
    ):
        with pytest.raises(TamperedError):
            keys.unwrap_row(kek, wrapped, context=other.context("de"))
    with pytest.raises(TamperedError):
        keys.unwrap_row(kek, wrapped, context=name.context("us"))
    with pytest.raises(TamperedError):
        keys.unwrap_row(keys.new_key(), wrapped, context=name.context("de"))
    with pytest.raises(TamperedError):
        keys.unwrap_row(kek, wrapped[:-1], context=name.context("de"))


def test_block_keys_differ_by_window_block_and_header():
    window = keys.window_key(b"p" * 32, window=1, label=b"l" * 32)
    made = [
        keys.block_keys(window, block_id=b"a" * 16, header=b"h"),
        keys.block_keys(window, block_id=b"b" * 16, header=b"h"),
        keys.block_keys(window, block_id=b"a" * 16, header=b"i"),
        keys.block_keys(
            keys.window_key(b"p" * 32, window=2, label=b"l" * 32), block_id=b"a" * 16, header=b"h"
        ),
    ]
    assert len({one.key for one in made}) == 4
    assert len({one.nonce for one in made}) == 4
    assert len({one.commitment for one in made}) == 4
    assert all(len(one.nonce) == 12 and len(one.commitment) == 32 for one in made)


def test_the_index_tag_of_a_person_differs_by_window():
    tags = {
        keys.person_tag(keys.window_key(b"p" * 32, window=day, label=b"l" * 32), "psn_a")
        for day in range(5)
    }
    assert len(tags) == 5


def test_subject_keys_are_lasting_and_of_one_person(home):
    key = home.vault.subjects.key("psn_a")
    assert len(key) == 32
    assert home.open().subjects.key("psn_a") == key
    assert home.vault.subjects.key("psn_b") != key


def test_secrets_are_kept_by_name(home):
    home.vault.seal_secret("log", b"seed" * 8)
    home.vault.seal_secret("lease", b"other")
    home.vault.seal_secret("lease", b"newer")
    again = home.open()
    assert again.open_secret("log") == b"seed" * 8
    assert again.open_secret("lease") == b"newer"
    assert b"seedseed" not in (home.home / "control.db").read_bytes()
    with pytest.raises(MissingError):
        again.open_secret("none")
    with pytest.raises(InvalidError):
        again.seal_secret("@vault", b"x")
    with home.engine.begin() as connection:
        lease = connection.execute(
            sa.select(tables.secret.c.sealed).where(tables.secret.c.name == "lease")
        ).scalar_one()
        connection.execute(
            sa.update(tables.secret).where(tables.secret.c.name == "log").values(sealed=lease)
        )
    with pytest.raises(TamperedError):
        again.open_secret("log")


def test_an_artifact_is_bound_to_its_record(home):
    record = home.vault.artifacts.seal("art_1", b"weights" * 500, label=LABEL, segment="de")
    assert home.open().artifacts.read(record) == b"weights" * 500
    data = bytearray(home.object_file(record.object).read_bytes())
    assert b"weights" not in data
    for lie in (
        replace(record, label=replace(LABEL, purposes=("spy",))),
        replace(record, length=record.length - 1),
        replace(record, sha256=b"\0" * 32),
    ):
        with pytest.raises(TamperedError):
            home.vault.artifacts.read(lie)
    with pytest.raises(InvalidError):
        home.vault.artifacts.read(replace(record, sha256=b""))
    with pytest.raises(ConflictError):
        home.vault.artifacts.seal("art_1", b"again", label=LABEL, segment="de")
    with pytest.raises(InvalidError):
        home.vault.artifacts.seal("art_2", b"", label=LABEL, segment="de")
    import hashlib

    for at in (0, 5, 21, 60, len(data) - 1):
        bad = bytearray(data)
        bad[at] ^= 1
        home.object_file(record.object).write_bytes(bad)
        with pytest.raises(TamperedError):
            home.vault.artifacts.read(record)
        with pytest.raises(TamperedError):
            home.vault.artifacts.read(replace(record, sha256=hashlib.sha256(bad).digest()))


@pytest.mark.parametrize(
    "change",
    [
        {"purposes": ()},
        {"purposes": ("b", "a")},
        {"purposes": ("a", "a")},
        {"purposes": ("",)},
        {"purposes": ("x" * 200,)},
        {"purposes": ("a\nb",)},
        {"jurisdiction": ""},
        {"expires": 0},
        {"expires": 2**31},
        {"charter": b""},
    ],
    ids=str,
)
def test_a_label_that_says_too_little_is_refused(change):
    given = {"purposes": ("a",), "jurisdiction": "DE", "expires": 5, "charter": b"c" * 32} | change
    with pytest.raises(InvalidError):
        Label(**given)


@pytest.mark.parametrize("name", ["", "a b", "-a", "../x", "a/b", "x" * 65, "\u00e4"])
def test_a_segment_has_a_plain_name(name):
    with pytest.raises(InvalidError):
        check_segment(name)


def test_segments_that_differ_in_case_have_keys_of_their_own(home):
    one, two = (home.vault.seal([plain()], segment=name) for name in ("EU-de", "eu-de"))
    assert len({row.segment for row in _key_rows(home)}) == 2
    for block in one.blocks:
        with pytest.raises(TamperedError):
            list(home.vault.read([replace(block, segment="eu-de")]))
    assert len(list(home.vault.read([*one.blocks, *two.blocks]))) == 2


def test_sealing_refuses_what_it_cannot_keep(home):
    for blocks, segment in (([], "de"), ([plain()], "@subjects"), ([plain()], "d e")):
        with pytest.raises(InvalidError):
            home.vault.seal(blocks, segment=segment)
    with pytest.raises(InvalidError):
        home.vault.seal([plain()], segment="de", generation=0)
    with pytest.raises(InvalidError):
        plain("")
    with pytest.raises(InvalidError):
        plain(window=-1)
    assert list(home.vault._objects.names()) == []


def test_an_object_is_durable_before_its_record_is_given_out(home, monkeypatch):
    from safehold.vault import durable

    synced = []
    real = durable.sync
    monkeypatch.setattr(durable, "sync", lambda path: synced.append(path) or real(path))
    sealed = home.vault.seal([plain()], segment="de")
    file = home.object_file(sealed.name)
    assert synced.index(file) < synced.index(file.parent)
    assert file.parent.parent in synced
    assert file.stat().st_mode & 0o777 == 0o600


def test_orphans_can_be_listed_and_removed(tmp_path):
    from safehold.vault.objects import new_name

    store = Objects(tmp_path / "objects")
    name = new_name()
    store.put(name, b"data")
    (tmp_path / "objects" / name[:2] / "left-over.tmp").write_bytes(b"")
    assert list(store.names()) == [name]
    store.delete(name)
    store.delete(name)
    assert list(store.names()) == []
    with pytest.raises(MissingError):
        store.get(name)
    with pytest.raises(MissingError):
        store.ranges(name, [(0, 1)])


def test_keys_of_many_windows_are_what_hkdf_and_hmac_say():
    import hmac

    person, label = b"p" * 32, b"l" * 32
    many = keys.WindowKeys(person)
    for window in (0, 1, 20_000):
        info = b"safehold/window/1" + window.to_bytes(8, "big") + label
        assert many.of(window, label) == keys.hkdf(person, salt=b"", info=info)
        assert many.of(window, label) == keys.window_key(person, window=window, label=label)
    for size in (0, 1, 55, 64, 200):
        data = bytes(range(size))
        assert keys.hmac_of(person, data) == hmac.digest(person, data, "sha256")
    for size in (0, 31, 33, 64, 65):
        with pytest.raises(InvalidError):
            keys.hmac_of(bytes(size), b"")
    assert "p" * 8 not in repr(many)
