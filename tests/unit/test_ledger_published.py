"""Reading a published log over HTTP: bounded, and never taken for what it is not."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.forged_log import ForgedLog

from safehold.app.watch import watch_log
from safehold.errors import InvalidError, MissingError, TamperedError, UnavailableError
from safehold.ledger import published
from safehold.ledger.published import PublishedDirectory, PublishedSite, open_published

Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


class Site:
    """A web server that answers as a test says, and counts connections."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _: None
        self.asked: list[str] = []
        self.lines = 0
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                site.lines += 1
                super().setup()

            def do_GET(self) -> None:
                site.asked.append(self.path)
                site.answer(self)

            def log_message(self, *_arguments: Any) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_arguments: Any) -> None:
                pass  # a reader that hangs up is what some tests are about

        self.server = Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/acme"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def body(data: bytes, status: int = 200, *, length: int | None = None) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(data) if length is None else length))
        request.end_headers()
        request.wfile.write(data)
        if length is not None:
            request.close_connection = True

    return answer


def files(root: Path) -> Answer:
    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        file = root / request.path.removeprefix("/acme/")
        if file.is_file():
            body(file.read_bytes())(request)
        else:
            body(b"no such file\n", 404)(request)

    return answer


def test_a_monitor_reads_a_site_over_one_connection(tmp_path: Path, site: Site) -> None:
    log = ForgedLog(tmp_path)
    for _ in range(600):
        log.tell("ingest")
    log.publish()
    site.answer = files(log.directory)
    reader = PublishedSite(site.url)
    verdict = log.watch(reader)
    assert (verdict.read, verdict.exit_code) == (600, 0)
    assert site.lines == 1
    log.tell("ingest")
    log.publish()
    assert log.watch(reader).new == 1
    bundle = log.directory / "tile/entries/002.p/89"
    bundle.write_bytes(bundle.read_bytes()[:-1])
    assert log.rules(log=reader, folder="fresh") == [("monitor.bundle", 512)]
    reader.close()


def test_what_is_not_there_or_no_answer(site: Site) -> None:
    reader = PublishedSite(site.url)
    for status, kind in ((404, MissingError), (410, MissingError), (500, UnavailableError)):
        site.answer = body(b"", status)
        with pytest.raises(kind):
            reader.read("checkpoint", 10)

    def moved(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", "/elsewhere")
        request.send_header("Content-Length", "0")
        request.end_headers()

    site.answer = moved
    with pytest.raises(UnavailableError, match="302"):
        reader.read("checkpoint", 10)
    assert "/elsewhere" not in site.asked
    reader.close()


def test_a_file_is_cut_off_at_its_largest_size(site: Site) -> None:
    reader = PublishedSite(site.url)
    site.answer = body(b"x" * 11)
    with pytest.raises(TamperedError, match="too long"):
        reader.read("checkpoint", 10)

    def endless(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        try:
            while True:
                request.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        except OSError:
            request.close_connection = True

    site.answer = endless
    with pytest.raises(TamperedError, match="too long"):
        reader.read("checkpoint", 100_000)
    site.answer = body(b"fine")
    assert reader.read("checkpoint", 10) == b"fine", "the next answer is not the rest of the last"
    reader.close()


def test_a_file_that_breaks_off(site: Site) -> None:
    reader = PublishedSite(site.url)
    site.answer = body(b"half", length=8)
    with pytest.raises(UnavailableError):
        reader.read("checkpoint", 10)
    reader.close()


def test_a_server_that_never_ends_its_answer(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "TIMEOUT", 0.3)
    done = threading.Event()

    def silent(request: http.server.BaseHTTPRequestHandler) -> None:
        done.wait(600)
        request.close_connection = True

    site.answer = silent
    reader = PublishedSite(site.url)
    with pytest.raises(UnavailableError):
        reader.read("checkpoint", 10)
    done.set()
    reader.close()


def test_a_server_that_drips(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time; all of them together do not."""
    monkeypatch.setattr(published, "DEADLINE", 0.0)
    site.answer = body(b"slow")
    reader = PublishedSite(site.url)
    with pytest.raises(UnavailableError, match="too long"):
        reader.read("checkpoint", 10)
    reader.close()


def drip(start: bytes, piece: bytes) -> Answer:
    """Send something, and then a piece again and again, each of them well in time."""

    def answer(request: http.server.BaseHTTPRequestHandler) -> None:
        request.close_connection = True
        try:
            request.wfile.write(start)
            for _ in range(600):
                request.wfile.write(piece)
                time.sleep(0.02)
        except OSError:
            pass  # it was cut

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"HTTP/1.1 404 Not Found\r\nX: ", b"x"),
        drip(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),  # ends where the line ends
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
        drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    ],
    ids=["head", "interim", "missing", "body", "chunk", "trailer"],
)
def test_whatever_drips_has_one_deadline(
    site: Site, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(published, "DEADLINE", 0.3)
    site.answer = answer
    reader = PublishedSite(site.url)
    with pytest.raises(UnavailableError, match="too long"):
        reader.read("checkpoint", 100_000)
    reader.close()
    assert len(site.asked) == 1, "no second try after the deadline"


def test_a_handshake_has_the_same_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record of TLS that was announced long comes byte by byte."""
    monkeypatch.setattr(published, "DEADLINE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            link, _ = server.accept()
            with link:
                try:
                    link.sendall(b"\x16\x03\x03\x40\x00")
                    for _ in range(600):
                        link.sendall(b"\x02")
                        time.sleep(0.02)
                except OSError:
                    pass

        thread = threading.Thread(target=greet)
        thread.start()
        reader = PublishedSite(f"https://127.0.0.1:{server.getsockname()[1]}/acme")
        with pytest.raises(UnavailableError, match="too long"):
            reader.read("checkpoint", 10)
        thread.join()


def test_a_kept_connection_that_has_ended_is_made_again(site: Site) -> None:
    reader = PublishedSite(site.url)

    def once(request: http.server.BaseHTTPRequestHandler) -> None:
        body(b"fine")(request)
        request.close_connection = True  # without saying so

    site.answer = once
    assert reader.read("checkpoint", 10) == b"fine"
    assert reader.read("checkpoint", 10) == b"fine"
    assert site.lines == 2
    reader.close()


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x/y",
        "http:///y",
        "file:///etc",
        "https://x/?q=1",
        "https://x/#y",
        "https://a:b@x/",
        "https://x:port/",
        "https://x/a b",
        "https://a..b/",
    ],
)
def test_what_is_no_url_of_a_log(url: str) -> None:
    with pytest.raises(InvalidError):
        PublishedSite(url, plain=True)


def test_plain_http_stays_on_this_machine_unless_it_is_asked_for(tmp_path: Path) -> None:
    for url in ("http://log.example/acme", "http://10.0.0.1/", "http://127.0.0.1.example/"):
        with pytest.raises(InvalidError, match="plain HTTP"):
            open_published(url)
        assert isinstance(open_published(url, plain=True), PublishedSite)
        assert isinstance(open_published(url.replace("http", "https")), PublishedSite)
    for url in ("http://127.0.0.1:81/", "http://[::1]/", "http://localhost/a"):
        assert isinstance(open_published(url), PublishedSite)
    log = ForgedLog(tmp_path)
    policy = tmp_path / "policy"
    policy.write_text(log.policy, "utf-8")
    more = {"policy": policy, "directory": tmp_path / "state"}
    with pytest.raises(InvalidError, match="plain HTTP"):
        watch_log("http://0.0.0.0:1/acme", **more)
    with pytest.raises(UnavailableError):
        watch_log("http://0.0.0.0:1/acme", **more, plain=True)


def test_a_place_is_a_site_or_a_directory(tmp_path: Path) -> None:
    assert isinstance(open_published("https://example.com/log"), PublishedSite)
    assert isinstance(open_published(str(tmp_path)), PublishedDirectory)
