"""What comes over the wire: malformed frames, unknown verbs, descriptors that bring nothing, another user."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.world import World, dial, raised

from safehold.errors import InvalidError, WentAwayError, revive
from safehold.keeper import wire
from safehold.keeper.client import LEADS, PATIENCE_S, KeeperClient
from safehold.keeper.relay import relay
from safehold.portal.line import KeptClient


def _frames() -> dict[str, bytes]:
    def frame(value: Any) -> bytes:
        body = json.dumps(value).encode()
        return struct.pack(">I", len(body)) + body

    deep: Any = b"[" * 100_000
    return {
        "nothing": b"",
        "half a length": b"\0\0",
        "too long": struct.pack(">I", wire.LARGEST + 1) + b"x" * 100,
        "longest length, then silence": struct.pack(">I", wire.LARGEST),
        "no JSON": struct.pack(">I", 4) + b"nope",
        "no object": frame([1, 2]),
        "no count of descriptors": frame({"verb": "status", "arguments": {}}),
        "descriptors that did not come": frame(
            {"verb": "ingest", "arguments": {"source": {"kind": "file"}}, "descriptors": 1}
        ),
        "deep": struct.pack(">I", len(deep)) + deep,
        "not UTF-8": struct.pack(">I", 2) + b"\xff\xfe",
    }


@pytest.mark.parametrize("name", sorted(_frames()))
def test_a_malformed_frame_gets_nothing_and_ends_nothing(world: World, name: str) -> None:
    with dial(world.home) as link:
        link.sendall(_frames()[name])
        link.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):  # closed before everything was read
            assert link.recv(1 << 16) == b""
    assert world.call("hello")["home"] == world.home.id


def test_an_unknown_verb_or_shape_is_refused(world: World) -> None:
    for message in (
        {"verb": "vault.read", "arguments": {}},
        {"verb": "__class__", "arguments": {}},
        {"verb": ["status"], "arguments": {}},
        {"verb": "status", "arguments": []},
        {"verb": "status"},
        {},
    ):
        with dial(world.home) as link:
            wire.send(link, message)
            answer, _ = wire.receive(link) or ({}, [])
            assert answer["error"]["code"] == "invalid"


def test_descriptors_of_the_caller_s_own_get_it_nothing(world: World, tmp_path: Path) -> None:
    """A directory, a pipe, the key database, the root file, too many: no row comes in or out."""
    before = world.call("status")["counts"]
    source = {"kind": "file", "name": "x", "format": "jsonl", "mapping": {}}
    reading, writing = os.pipe()
    empty = tempfile.TemporaryFile()  # noqa: SIM115 - closed below with the others
    handles = [
        os.open(tmp_path, os.O_RDONLY),
        reading,
        os.open("/dev/zero", os.O_RDONLY),
        os.open(world.home.control, os.O_RDONLY),
        os.open(world.home.root_file, os.O_RDONLY),
        empty.fileno(),
    ]
    try:
        for handle in handles:
            error = raised(
                lambda handle=handle: world.client.call(
                    "ingest", descriptors=[handle], source=source
                )
            )
            assert isinstance(error, InvalidError), repr(error)
        error = raised(
            lambda: world.client.call("ingest", descriptors=[empty.fileno()] * 2, source=source)
        )
        assert error.rule == "ingest.source"
        # a verb that takes none closes what it is given
        world.client.call("hello", descriptors=[reading])
    finally:
        for handle in (*handles[:-1], writing):
            os.close(handle)
        empty.close()
    assert world.call("status")["counts"] == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_another_user_gets_nothing(world: World) -> None:
    """Even when the file system lets somebody through to the socket, the keeper does not answer."""
    world.home.socket.chmod(0o777)
    for folder in world.home.socket.parents:
        if folder == Path("/tmp"):
            break
        folder.chmod(folder.stat().st_mode | 0o055)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # no return from here: the child must never reach pytest
        said = b"?"
        try:
            os.chdir(world.home.socket.parent)
            os.setgid(65534)
            os.setuid(65534)
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.settimeout(300)
            link.connect(world.home.socket.name)
            body = b'{"verb":"hello","arguments":{},"descriptors":0}'
            link.sendall(struct.pack(">I", len(body)) + body)
            said = b"got " + link.recv(1 << 16)
        except ConnectionError:
            said = b"got "  # closed in our face
        except OSError as error:
            said = type(error).__name__.encode()
        finally:
            os.write(writing, said)
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"got "


@contextlib.contextmanager
def _answering(path: Path, answer: bytes) -> Iterator[None]:
    """Somebody who takes one message, says so many bytes and hangs up."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen(1)

        def serve() -> None:
            link, _ = door.accept()
            with link:
                assert wire.receive(link) is not None
                link.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(60)


@pytest.mark.parametrize("by", ["caller", "standby"])
@pytest.mark.parametrize(
    "name", ["nothing", "half a length", "too long", "no JSON", "no object", "no count of descriptors"]
)  # fmt: skip
def test_of_a_call_that_is_not_answered_in_full_nobody_says_that_it_was_not_begun(
    tmp_path: Path, by: str, name: str
) -> None:
    path = tmp_path / "keeper.sock"
    with _answering(path, _frames()[name]):
        error = raised(
            (lambda: KeeperClient(path).call("status"))
            if by == "caller"
            else (lambda: relay(path, "status", {}, (), lambda _: None))
        )
    assert isinstance(error, WentAwayError)
    assert error.rule == ("keeper.reachable" if by == "caller" else "keeper.relay")
    assert error.fix
    # one that stands by hands it to its own caller, who has to hear the same
    assert isinstance(revive(error.payload()), WentAwayError)


def _slow_to_say(path: Path, heard: list[str]) -> socket.socket:
    """A keeper that is slow to say whether it leads, and answers each thing with what it was asked."""
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen(8)

    def converse(link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            while (received := wire.receive(link)) is not None:
                verb = received[0]["verb"]
                heard.append(verb)
                if verb == LEADS:
                    time.sleep(PATIENCE_S + 0.5)
                wire.send(link, {"answer": {"leads": True} if verb == LEADS else {"to": verb}})

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = door.accept()
                threading.Thread(target=converse, args=(link,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return door


def test_the_late_answer_to_one_question_is_not_taken_for_that_to_the_next(tmp_path: Path) -> None:
    """Else each visitor of a portal would hear what the one before asked for."""
    heard: list[str] = []
    with _slow_to_say(tmp_path / "keeper.sock", heard):
        line = KeptClient(tmp_path / "gone.sock", tmp_path / "keeper.sock")
        answers = [line.call(f"verb-{number}") for number in range(3)]
        time.sleep(1.0)  # until the late answer would be there
        answers += [line.call(f"verb-{number}") for number in range(3, 6)]
        line.close()
    assert answers == [{"to": f"verb-{number}"} for number in range(6)]
    assert LEADS in heard


def test_what_is_under_way_behind_a_shut_door_is_not_begun_again(tmp_path: Path) -> None:
    """A leading keeper that ends in order shuts its door first and answers what it is at."""
    path, done = tmp_path / "keeper.sock", []
    door = socket.socket(socket.AF_UNIX)
    door.bind(str(path))
    door.listen(1)

    def serve() -> None:
        link, _ = door.accept()
        with link:
            received = wire.receive(link)
            door.close()
            path.unlink()
            time.sleep(1.0)  # several times as long as it is waited for without a look
            done.append(received)
            wire.send(link, {"answer": {"done": True}})

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    assert relay(path, "status", {}, (), lambda _: None, probe_s=0.2) == {"done": True}
    thread.join(60)
    assert len(done) == 1
