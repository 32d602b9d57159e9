"""Receivers of findings in the process of a test: syslog over TLS, mail with STARTTLS, HTTP; each keeps what it got."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from tests.web_desk import certificate

from safehold.ledger.web import Request, Response, WebServer


def tls_of(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Return the certificate that vouches for localhost, and the server's side of it."""
    chain, key = certificate(folder, "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    return chain, context


@contextlib.contextmanager
def listening(serve) -> Iterator[int]:
    """Call ``serve`` with each connection, one after the other, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def loop() -> None:
            while not ended.is_set():
                try:
                    link, _ = server.accept()
                except TimeoutError:
                    continue
                link.settimeout(5)
                with contextlib.suppress(OSError), link:
                    serve(link)

        thread = threading.Thread(target=loop)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            ended.set()
            thread.join()


@contextlib.contextmanager
def syslog_receiver(
    context: ssl.SSLContext, got: list[bytes], *, rude: bool = False
) -> Iterator[int]:
    """Take framed messages (RFC 5425); if ``rude``, reset the line without reading."""

    def serve(link: socket.socket) -> None:
        with context.wrap_socket(link, server_side=True) as secure:
            if rude:
                time.sleep(0.2)  # what was sent is here by now, and nobody reads it
                secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                return
            stream, data = secure.makefile("rb"), b""
            while part := stream.read(4096):
                data += part
            while data:
                length, _, rest = data.partition(b" ")
                got.append(rest[: int(length)])
                data = rest[int(length) :]
            secure.unwrap()

    with listening(serve) as port:
        yield port


@contextlib.contextmanager
def mail_receiver(context: ssl.SSLContext | None, got: list[dict[str, object]]) -> Iterator[int]:
    """Speak enough SMTP to take a message; offers STARTTLS if there is a context."""

    def converse(link: socket.socket, *, secure: bool = False) -> None:
        letter: dict[str, object] = {}
        with link.makefile("rwb") as stream:

            def say(text: str) -> None:
                stream.write(text.encode() + b"\r\n")
                stream.flush()

            if not secure:
                say("220 here")
            while line := stream.readline().decode().strip():
                word = line.split(" ")[0].upper()
                if word == "EHLO":
                    say("250-here" if context and not secure else "250 here")
                    if context and not secure:
                        say("250 STARTTLS")
                elif word == "STARTTLS" and context:
                    say("220 go on")
                    with context.wrap_socket(link, server_side=True) as inner:
                        converse(inner, secure=True)
                    return
                elif word == "DATA":
                    say("354 go on")
                    body = b"".join(iter(stream.readline, b".\r\n"))
                    got.append({**letter, "body": body.decode(), "secure": secure})
                    say("250 taken")
                elif word == "QUIT":
                    say("221 bye")
                    return
                else:
                    letter[word] = line
                    say("250 yes")

    with listening(converse) as port:
        yield port


@contextlib.contextmanager
def web_receiver(
    got: list[Request],
    *,
    tls: ssl.SSLContext | None = None,
    status=lambda: 200,
    body: bytes = b"{}",
) -> Iterator[str]:
    """Take requests, and answer each with what ``status`` says."""

    def handler(request: Request) -> Response:
        code = status()
        if code == 200:
            got.append(request)
        return Response(status=code, body=body, kind="application/json")

    with WebServer(handler, "127.0.0.1:0", tls=tls).running() as url:
        yield url.replace("127.0.0.1", "localhost") if tls else url
