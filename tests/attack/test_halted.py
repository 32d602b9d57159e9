"""A keeper that was halted with a full queue, and a portal that breaks off."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.fernet import Fernet
from tests.world import raised

from safehold.canonical import b64
from safehold.clock import SystemClock
from safehold.errors import (
    ConflictError,
    SafeholdError,
    UnavailableError,
    WentAwayError,
    revive,
)
from safehold.keeper import relay, wire
from safehold.keeper.client import KeeperClient
from safehold.keeper.server import Server, require_silent
from safehold.keeper.signed import Session, SignedLine
from safehold.portal.api.jobs import Jobs
from safehold.portal.identity.cookie import Cookies
from safehold.portal.line import KeptClient
from safehold.sdk.rest import RestLine
from safehold.signing import SigningKey


@pytest.fixture
def halted(tmp_path: Path) -> Iterator[Path]:
    """Somebody who listens and takes nothing, with as many in the queue as fit."""
    path = tmp_path / "halted.sock"
    with ExitStack() as open_, socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen(0)
        while True:
            link = open_.enter_context(socket.socket(socket.AF_UNIX))
            link.setblocking(False)
            try:
                link.connect(str(path))
            except BlockingIOError:
                break
        yield path


@contextmanager
def serving(path: Path, **verbs: Any) -> Iterator[Server]:
    server = Server(path, verbs)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(60)


def test_nobody_waits_for_ever_for_room_in_a_queue(halted: Path) -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        wire.dial(halted, patience_s=0.2)
    assert 0.15 < time.monotonic() - began < 30


def test_a_connection_that_was_made_has_no_limit(tmp_path: Path) -> None:
    """What is asked may take hours; only the connecting may not."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "s"))
        door.listen(1)
        with wire.dial(tmp_path / "s", patience_s=0.2) as link:
            assert link.gettimeout() is None
            assert not any(link.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16))


def test_a_caller_hears_that_no_keeper_answers(
    halted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire.dial, "__kwdefaults__", {"patience_s": 0.2})
    error = raised(lambda: KeeperClient(halted).call("status"))
    assert (type(error), error.rule) == (UnavailableError, "keeper.reachable")


def test_what_is_handed_to_one_that_takes_nothing_was_not_begun(halted: Path) -> None:
    error = raised(lambda: relay.relay(halted, "status", {}, (), lambda _: None, probe_s=0.2))
    assert isinstance(error, relay.NotBegunError)


def test_one_that_takes_nothing_any_more_is_no_shut_door(halted: Path) -> None:
    """A shut door ends what it is at and is waited for; of a halted one nobody knows."""
    assert isinstance(raised(lambda: relay._probe(halted, patience_s=0.2)), WentAwayError)
    gone = raised(lambda: relay._probe(halted.with_name("gone"), patience_s=0.2))
    assert isinstance(gone, relay.NotBegunError)


def test_it_is_there_all_the_same(halted: Path) -> None:
    with pytest.raises(ConflictError, match="running already"):
        require_silent(halted)


def test_a_portal_asks_the_other_keeper(halted: Path, tmp_path: Path) -> None:
    with serving(
        tmp_path / "s", leads=lambda *_: {"leads": True}, status=lambda *_: {"home": "here"}
    ):
        line, began = KeptClient(halted, tmp_path / "s"), time.monotonic()
        assert line.call("status") == {"home": "here"}
        assert time.monotonic() - began < wire.CONNECT_S, "waited for the one that takes nothing"
        line.close()


@contextmanager
def portal(*, answers: int) -> Iterator[tuple[RestLine, list[str]]]:
    """Something that reads requests and breaks off, but for as many as it answers first with a refusal."""
    seen: list[str] = []

    class Broken(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen.append(self.headers.get("Idempotency-Key") or "")
            if len(seen) <= answers:
                body = b'{"code":"unavailable.went_away","rule":"keeper.reachable","detail":"-"}'
                self.send_response(503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            self.close_connection = True

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield RestLine(f"http://127.0.0.1:{server.server_port}", SigningKey.generate()), seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


def test_what_a_portal_took_and_never_answered_may_have_been_carried_out() -> None:
    with portal(answers=0) as (line, seen):
        more = {"Idempotency-Key": "k"}
        error = raised(lambda: line._proved("POST", "/api/v1/x", b"{}", more, None))
        asked = raised(lambda: line._proved("GET", "/api/v1/x", b"", {}, None))
    assert (type(error), error.rule, set(seen[:3])) == (WentAwayError, "keeper.reachable", {"k"})
    assert type(asked) is UnavailableError, "a question has no effect"
    # and what never came through was not
    assert (
        type(raised(lambda: line._proved("POST", "/api/v1/x", b"{}", more, None)))
        is UnavailableError
    )


def test_one_try_that_may_have_been_carried_out_is_not_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries: list[SafeholdError] = [WentAwayError("-"), UnavailableError("-"), UnavailableError("-")]
    line = RestLine("http://127.0.0.1:9", SigningKey.generate())

    def send(*_: Any) -> Any:
        raise tries.pop(0)

    monkeypatch.setattr(line, "_send", send)
    more = {"Idempotency-Key": "k"}
    error = raised(lambda: line._proved("POST", "/api/v1/x", b"{}", more, None))
    assert (type(error), tries) == (WentAwayError, [])


def test_a_portal_s_own_word_for_it_is_kept() -> None:
    with portal(answers=1) as (line, _):
        error = raised(lambda: line._checked(line._send("POST", "/api/v1/x", b"{}", {})))
    assert (type(error), error.rule) == (WentAwayError, "keeper.reachable")


def test_a_job_whose_portal_ended_may_have_been_carried_out() -> None:
    cookies = Cookies([Fernet.generate_key()])
    told = {"job": "job_1", "operation": "x", "state": "running", "problem": None}
    note = {"record": b64(cookies.wrap(orjson.dumps(told))), "lost": True}

    class Shared:
        name = staticmethod(lambda *parts: "/".join(parts))
        call = staticmethod(lambda *_, **__: {"notes": [note]})

    jobs = Jobs(Shared(), cookies, SystemClock())
    try:
        problem = jobs.tell("somebody", "job_1")["problem"]
    finally:
        jobs.close()
    assert isinstance(revive(problem), WentAwayError)
    assert problem["rule"] == "job.lost"


@pytest.mark.parametrize("what", ["nonce", "the call"])
def test_of_a_call_without_a_nonce_nothing_was_begun(what: str) -> None:
    class Broken:
        def call(self, verb: str, **_: Any) -> dict[str, Any]:
            if verb == "nonce" and what != "nonce":
                return {"nonce": b64(bytes(16))}
            raise WentAwayError("-", rule="entrance.reachable")

    session = Session("ticket", SigningKey.generate())
    line = SignedLine(Broken(), session)
    error = raised(lambda: line.call("status"))
    kind = UnavailableError if what == "nonce" else WentAwayError
    assert (type(error), error.rule) == (kind, "entrance.reachable")
