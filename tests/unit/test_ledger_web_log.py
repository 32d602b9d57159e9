"""The static log over the web: a client written from the specification follows it, and it serves nothing else."""

from __future__ import annotations

import hashlib
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ledger_desk import START_US, Desk, entry
from tests.unit.test_ledger_witness import LOG
from tests.web_desk import ask

import safehold_verify as verifier
from safehold.clock import FixedClock
from safehold.ledger import Witness
from safehold.ledger.static import StaticLog
from safehold.ledger.tree import leaf_hash
from safehold.ledger.web import Request, Response, WebServer
from safehold.ledger.witness_server import WitnessService


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness.create(
        tmp_path / "w", name="dpo.example", logs=[LOG.vkey.text()], clock=FixedClock(START_US)
    )


@pytest.fixture
def url(witness: Witness) -> Iterator[str]:
    with WebServer(WitnessService(witness, prefix="/w"), "127.0.0.1:0").running() as url:
        yield url


class Follower:
    """A client written from tlog-tiles alone: it fetches what a checkpoint names and checks it all."""

    def __init__(self, url: str, keys: list[str]) -> None:
        self.url, self.keys = url, keys

    def get(self, path: str) -> bytes:
        status, headers, data = ask(self.url, "GET", path)
        assert status == 200, path
        if path == "/checkpoint":
            assert headers["content-type"] == "text/plain; charset=utf-8"
            assert headers["cache-control"] == "no-store"
        else:
            assert headers["content-type"] == "application/octet-stream"
            assert "immutable" in headers["cache-control"]
        return data

    def head(self) -> tuple[int, bytes]:
        note = verifier.open_note(self.get("/checkpoint"), self.keys)
        known = verifier.parse_checkpoint(note.text)
        return known.size, known.root

    def leaves(self, size: int) -> list[bytes]:
        found: list[bytes] = []
        for number in range(-(-size // 256)):
            width = min(256, size - number * 256)
            data, at = self.get(f"/tile/entries/{number:03d}" + self.part(width)), 0
            while at < len(data):
                end = at + 2 + int.from_bytes(data[at : at + 2], "big")
                found.append(data[at + 2 : end])
                at = end
            assert len(found) == number * 256 + width
            hashes = self.get(f"/tile/0/{number:03d}" + self.part(width))
            assert hashes == b"".join(
                hashlib.sha256(b"\0" + one).digest() for one in found[number * 256 :]
            )
        if size > 256:
            ups = self.get("/tile/1/000" + self.part(size // 256))
            for number in range(size // 256):
                assert ups[number * 32 : number * 32 + 32] == self.root(
                    [leaf_hash(one) for one in found[number * 256 : number * 256 + 256]]
                )
        return found

    @staticmethod
    def part(width: int) -> str:
        return "" if width == 256 else f".p/{width}"

    @staticmethod
    def root(hashes: list[bytes]) -> bytes:
        """RFC 6962 2.1, without a thought for speed."""
        if len(hashes) < 2:
            return hashes[0] if hashes else hashlib.sha256(b"").digest()
        half = 1 << ((len(hashes) - 1).bit_length() - 1)
        return hashlib.sha256(
            b"\1" + Follower.root(hashes[:half]) + Follower.root(hashes[half:])
        ).digest()


def test_a_foreign_client_follows_while_the_log_grows(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(40)])
        ledger.publish()
        with WebServer(StaticLog(desk.directory), "127.0.0.1:0").running() as url:
            follower = Follower(url, [desk.signer.vkey.text()])
            seen: list[bytes] = []
            for grow in (3, 200, 1, 20, 300):
                size, root = follower.head()
                ledger.append([entry(at) for at in range(grow)])
                ledger.publish()  # what the checkpoint above names is dropped from the export
                found = follower.leaves(size)
                assert Follower.root([leaf_hash(one) for one in found]) == root
                assert found[: len(seen)] == seen
                seen = found
            assert follower.head()[0] == ledger.size == 564


def test_the_static_log_serves_nothing_else(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(300)])
    secret = tmp_path / "secret"
    secret.write_bytes(b"not for you")
    (desk.directory / "tile" / "0" / "005").symlink_to(secret)
    (desk.directory / "tile" / "2").symlink_to(tmp_path)
    (desk.directory / "tile" / "3").mkdir()
    (desk.directory / "tile" / "3" / "000").mkdir()
    with WebServer(StaticLog(desk.directory), "127.0.0.1:0").running() as url:
        assert ask(url, "GET", "/tile/0/000")[0] == 200
        assert ask(url, "GET", "/tile/0/001.p/44")[0] == 200
        assert ask(url, "GET", "/tile/entries/001.p/7")[0] == 200
        for path in (
            "/",
            "/journal.db",
            "/journal.lock",
            "/.export/lock",
            "/tile",
            "/tile/",
            "/tile/0/000/",
            "/tile/0/005",
            "/tile/2/secret",
            "/tile/2/000",
            "/tile/3/000",
            "/tile/0/../../journal.db",
            "/tile/0/..%2f..%2fjournal.db",
            "//checkpoint",
            "/checkpoint?x",
            "/CHECKPOINT",
            "/tile/0/x000/000",
            "/tile/00/000",
            "/tile/0/0",
            "/tile/64/000",
            "/tile/0/000.p/256",
            "/tile/0/000.p/0",
            "/tile/0/001.p/45",
            "/tile/0/001",
            "/tile/0/x999/x999/x999/x999/x999/999",
            "/tile/entries/001.p/07",
        ):
            assert ask(url, "GET", path)[0] == 404, path
        assert ask(url, "POST", "/checkpoint", b"x")[0] == 405
    from safehold.errors import MissingError

    with pytest.raises(MissingError):
        StaticLog(tmp_path / "w")


def test_what_was_asked_before_the_end_is_answered():
    came = threading.Event()

    def slow(_request: Request) -> Response:
        came.set()
        time.sleep(0.3)
        return Response(status=200, body=b"still\n")

    server = WebServer(slow, "127.0.0.1:0")
    said: list[bytes] = []

    def ask() -> None:
        with urllib.request.urlopen(server.url, timeout=60) as page:  # noqa: S310
            said.append(page.read())

    asking = threading.Thread(target=ask)
    with server.running():
        asking.start()
        assert came.wait(60)
    asking.join(60)
    assert said == [b"still\n"]
