"""Where the parts of a home shall lie: read from one place, without a secret, and proved before anything is made."""

from __future__ import annotations

import socket
import struct
import threading
from pathlib import Path

import psycopg
import pytest
from tests.postgres import Server
from tests.seaweed import Weed

from safehold.app.profile import Places, prove, server_places
from safehold.app.setup import create
from safehold.db.place import schema_of
from safehold.errors import InvalidError, SafeholdError, UnavailableError

URL = "postgresql:///x?host=/run/none&user=me"
BUCKET = "s3://bucket/prefix?endpoint=http://127.0.0.1:9"


def test_flags_come_before_the_file_and_the_file_before_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFEHOLD_DATABASE_URL", "postgresql://environment")
    monkeypatch.setenv("SAFEHOLD_OBJECTS_URL", "s3://environment")
    assert server_places() == Places(
        control="postgresql://environment",
        journal="postgresql://environment",
        objects="s3://environment",
    )
    file = tmp_path / "server.toml"
    file.write_text('database = "postgresql://file"\njournal = "postgresql://journal"\n')
    found = server_places(settings=file, given={"objects": "s3://flag", "database": None})
    assert found.control == "postgresql://file"
    assert found.journal == "postgresql://journal"
    assert found.objects == "s3://flag"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('database = "postgresql://x"', "profile.places"),
        ('datebase = "postgresql://x"', "profile.settings"),
        ("database = 5", "profile.settings"),
        ("database = ", "profile.settings"),
    ],
)
def test_a_settings_file_holds_places_and_nothing_else(
    tmp_path: Path, text: str, rule: str
) -> None:
    file = tmp_path / "server.toml"
    file.write_text(text)
    with pytest.raises(InvalidError) as refused:
        server_places(settings=file)
    assert refused.value.rule == rule


@pytest.mark.parametrize(
    "wrong",
    [
        {"control": "postgresql://me:canary@h/x"},
        {"journal": "postgresql://me:canary@h/x"},
        {"objects": "s3://bucket/x?secret=canary"},
    ],
)
def test_a_secret_is_refused_and_nothing_is_made(tmp_path: Path, wrong: dict[str, str]) -> None:
    home = tmp_path / "home"
    names = {"control": "control_url", "journal": "ledger_url", "objects": "objects_url"}
    with pytest.raises(InvalidError) as refused:
        create(
            home,
            seats=tmp_path / "seats",
            passphrase="of the tests",
            **{names[part]: url for part, url in wrong.items()},
        )
    assert "canary" not in str(refused.value.payload())
    assert not home.exists()
    assert not (tmp_path / "seats").exists()


def test_the_profile_is_what_the_places_are() -> None:
    assert Places().profile == "embedded"
    assert Places(control=URL).profile == "mixed"
    assert Places(control=URL, journal=URL, objects=BUCKET).profile == "server"


@pytest.mark.parametrize("part", ["control", "journal"])
def test_a_database_is_proved(postgres: Server, part: str) -> None:
    url = postgres.url(postgres.new_database())
    found = prove(Places(**{part: url}), origin="a/b/audit")[part]
    assert found["durable"] is True
    assert found["version"].startswith("1")
    with postgres.setting("fsync", "off"), pytest.raises(UnavailableError) as refused:
        prove(Places(**{part: url}), origin="a/b/audit")
    assert refused.value.rule in {"db.durable", "ledger.durable"}
    with postgres.admin() as base:
        base.execute("DROP ROLE IF EXISTS nobody_much")
        base.execute("CREATE ROLE nobody_much LOGIN")
    name = url.split("/")[3].split("?")[0]
    with pytest.raises(UnavailableError) as refused:
        prove(Places(**{part: postgres.url(name, "nobody_much")}), origin="a/b/audit")
    assert refused.value.rule == "profile.rights"


def test_what_lies_there_already_is_found(postgres: Server) -> None:
    name = postgres.new_database()
    with postgres.admin(name) as base:
        base.execute(f"CREATE SCHEMA moved_{schema_of('a/b/audit')}".encode())
    with pytest.raises(SafeholdError) as refused:
        prove(Places(control=postgres.url(name)), origin="a/b/audit")
    assert refused.value.rule == "profile.there"


def test_a_bucket_is_proved(weed: Weed) -> None:
    for keeping in (False, True):
        url = weed.url(weed.bucket(keeping=keeping), weed.prefix())
        found = prove(Places(objects=url), origin="a/b/audit")["objects"]
        assert found == {"conditional": True, "versioned": keeping}


class Pooler:
    """Hands on what it is told, and gives its clients a number of its own, as poolers do."""

    def __init__(self, target: Path, folder: Path) -> None:
        self._target, self.path = target, folder
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / ".s.PGSQL.5432"))
        self._door.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(str(self._target))
            threading.Thread(target=self._carry, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._carry, args=(far, near, True), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, target: socket.socket, renumber: bool) -> None:
        with source, target:
            try:
                while data := source.recv(1 << 20):
                    if renumber and (at := data.find(b"K\0\0\0\x0c")) >= 0:
                        data = data[: at + 5] + struct.pack(">i", 7) + data[at + 9 :]
                    target.sendall(data)
            except OSError:
                pass


@pytest.mark.parametrize("part", ["control", "journal"])
def test_a_pooler_is_refused(postgres: Server, tmp_path: Path, part: str) -> None:
    pooler = Pooler(postgres.path / ".s.PGSQL.5432", tmp_path)
    name = postgres.new_database()
    url = f"postgresql:///{name}?host={tmp_path}&user=postgres"
    with psycopg.connect(url) as base:
        assert base.info.backend_pid == 7
    with pytest.raises(UnavailableError) as refused:
        prove(Places(**{part: url}), origin="a/b/audit")
    assert refused.value.rule == "db.pooled"
    pooler.close()


def test_a_home_that_cannot_be_finished_leaves_no_schema(
    postgres: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safehold.app import setup

    name = postgres.new_database()
    url = postgres.url(name)
    real = setup.start

    def break_off(home, order):  # type: ignore[no-untyped-def]
        with real(home, order):
            pass
        raise KeyboardInterrupt

    monkeypatch.setattr(setup, "start", break_off)
    with pytest.raises(KeyboardInterrupt):
        create(
            tmp_path / "home",
            seats=tmp_path / "seats",
            passphrase="of the tests",
            ledger_url=url,
            control_url=url,
        )
    with postgres.admin(name) as base:
        query = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^(control|ledger|moved)_'"
        assert base.execute(query).fetchall() == []
    assert not (tmp_path / "home").exists()
