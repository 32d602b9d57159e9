"""A small HTTP/1.1 server that a hostile or slow client cannot hold up.

It holds for every connection: a head of at most 16 KiB, a body of at most 128 KiB, a deadline from
the first byte of a request to its last and one for taking the answer, a bounded number of requests;
and over all of them a bounded number of connections, of one address and altogether, and of bytes
in bodies. When all places are taken, who waits gives way to who comes. Bytes are parsed by h11
(RFC 9112). Whatever a client sends, the server goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import h11

from safehold.errors import InvalidError, UnavailableError
from safehold.ledger.places import Place, Places

_LOG = logging.getLogger(__name__)
_PART = 65_536  # bytes read at once
_LINGER_S = 2.0  # how long what is left of a refused request is read, so that the answer arrives


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may take up.

    Args:
        head: Bytes of request line and headers.
        body: Bytes of a body.
        bodies: Bytes of all bodies that are held at once; 0 sets no bound but that of the connections.
        connections: Connections at once.
        each: Connections at once from one address (of IPv6: from one /64).
        requests: Requests on one connection.
        idle_s: Seconds a connection may say nothing.
        request_s: Seconds from the first byte of a request to its last.
        answer_s: Seconds a client may take to receive an answer.
        threads: Requests that are answered at once; more wait for their turn.
    """

    head: int = 16_384
    body: int = 131_072
    bodies: int = 0
    connections: int = 256
    each: int = 64
    requests: int = 1_000
    idle_s: float = 30.0
    request_s: float = 20.0
    answer_s: float = 60.0
    threads: int = 8


@dataclass(frozen=True, slots=True)
class Request:
    """One request, whole; names of headers in small letters, in the order they came.

    ``peer`` is the certificate that the client showed and proved (DER), where the server asks for one; ``host`` is
    the address that it came from.
    """

    method: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    peer: bytes = b""
    host: str = ""

    def header(self, name: str) -> str | None:
        """Return a header that was given exactly once."""
        found = [value for known, value in self.headers if known == name]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One answer: status, body, content type, how long it may be kept, what asks for a token (RFC 9110).

    ``retry_s`` says in how many seconds to ask again.
    """

    status: int
    body: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    cache: str = "no-store"
    allow: str = ""
    challenge: str = ""
    retry_s: int = 0


Handler = Callable[[Request], Response]


class WebServer:
    """Answer requests until it is closed; listens from the moment it is made.

    Args:
        handler: Called in one of a few threads.
        bind: ``host:port``; port 0 takes a free one.
        tls: What makes it HTTPS.
        limits: What one client may take up.

    Raises:
        InvalidError: Not ``host:port``.
        UnavailableError: The address cannot be had.
    """

    def __init__(
        self,
        handler: Handler,
        bind: str,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._handler, self._tls, self._limits = handler, tls, limits or Limits()
        self._socket = _listen(bind)
        self._places = Places(connections=self._limits.connections, each=self._limits.each)
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._pool = ThreadPoolExecutor(self._limits.threads, thread_name_prefix="web")
        self._bytes = 0  # of bodies that are held
        self._asked: set[asyncio.Event] = set()  # one for each request that is being answered

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._socket.getsockname()[:2]
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    def serve(self) -> None:
        """Answer until ``close`` is called from another thread or a signal handler."""
        try:
            asyncio.run(self._serve())
        finally:
            self._pool.shutdown()
            self._socket.close()

    def close(self) -> None:
        """Take no more requests."""
        self._ended.set()
        loop, stop = self._loop, self._stop
        if loop is not None and stop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(stop.set)

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """Serve in a thread for the length of a block, and yield the address."""
        thread = threading.Thread(target=self.serve, name="web-server")
        thread.start()
        try:
            yield self.url
        finally:
            self.close()
            thread.join()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tasks: set[asyncio.Task[None]] = set()

        def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._welcome(reader, writer))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        server = await asyncio.start_server(begin, sock=self._socket, limit=_PART)
        try:
            if not self._ended.is_set():
                await self._stop.wait()
        finally:
            server.close()
            with contextlib.suppress(TimeoutError):  # what was asked before the end is answered
                async with asyncio.timeout(_LINGER_S):
                    await asyncio.gather(*(one.wait() for one in self._asked))
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer, task = writer.get_extra_info("peername"), asyncio.current_task()
        place = None
        try:
            if peer is None or task is None:
                return
            place = self._places.take(str(peer[0]), task.cancel)
            if place is None:
                return
            if self._tls is not None:  # here, so that who never greets is counted too
                patience = self._limits.request_s
                await writer.start_tls(self._tls, ssl_handshake_timeout=patience)
            await self._talk(reader, writer, place)
        except (OSError, TimeoutError, h11.LocalProtocolError):
            pass  # gone, or too slow
        except Exception as error:  # noqa: BLE001 - one connection must not end the others
            _LOG.error("a connection failed: %s", type(error).__name__)
        finally:
            if place is not None:
                self._places.free(place)
                self._let_go(place)
            writer.transport.abort()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: Place
    ) -> None:
        writer.transport.set_write_buffer_limits(0)  # so that drain means it was taken
        link = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head)
        for _ in range(self._limits.requests):
            try:
                request = await self._receive(link, reader, writer, place)
            except h11.RemoteProtocolError as error:
                hint = error.error_status_hint
                await self._refuse(link, reader, writer, hint if 400 <= hint < 500 else 400)
                return
            except _TooLargeError:
                await self._refuse(link, reader, writer, 413)
                return
            except _FullError:
                self._let_go(place)
                await self._refuse(link, reader, writer, 503)
                return
            if request is None:
                return
            place.answering = True  # and taking the answer is waiting again
            answered = asyncio.Event()
            self._asked.add(answered)
            try:
                response = await self._answer(request)
                place.answering, place.since = False, time.monotonic()
                await self._send(link, writer, response, bare=request.method == "HEAD")
            finally:
                self._asked.discard(answered)
                answered.set()
                self._let_go(place)
            if link.our_state is not h11.DONE or link.their_state is not h11.DONE:
                await self._part(reader, writer)
                return
            link.start_next_cycle()

    async def _receive(
        self,
        link: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        place: Place,
    ) -> Request | None:
        """Return the next request, or nothing if the client has ended."""
        if not link.trailing_data[0]:
            async with asyncio.timeout(self._limits.idle_s):
                link.receive_data(await reader.read(_PART))
        async with asyncio.timeout(self._limits.request_s):
            head: h11.Request | None = None
            body = bytearray()
            while True:
                event = link.next_event()
                if event is h11.NEED_DATA:
                    if link.they_are_waiting_for_100_continue:
                        go = h11.InformationalResponse(status_code=100, headers=[])
                        writer.write(link.send(go))
                        await writer.drain()
                    link.receive_data(await reader.read(_PART))
                elif isinstance(event, h11.Request):
                    head = event
                elif isinstance(event, h11.Data):
                    body += event.data
                    place.bytes += len(event.data)
                    self._bytes += len(event.data)
                    if len(body) > self._limits.body:
                        raise _TooLargeError
                    if self._limits.bodies and self._bytes > self._limits.bodies:
                        raise _FullError
                elif isinstance(event, h11.EndOfMessage) and head is not None:
                    target = head.target.decode("ascii", "replace")
                    return Request(
                        head.method.decode("ascii", "replace"),
                        target,
                        bytes(body),
                        tuple(
                            (name.decode(), value.decode("latin-1")) for name, value in head.headers
                        ),
                        peer=_peer(writer),
                        host=str(writer.get_extra_info("peername")[0]),
                    )
                else:
                    return None

    def _let_go(self, place: Place) -> None:
        """Count the body of a connection's request no longer."""
        self._bytes -= place.bytes
        place.bytes = 0

    async def _answer(self, request: Request) -> Response:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._pool, self._handler, request)
        except Exception as error:  # noqa: BLE001 - its text may say too much to a stranger
            _LOG.error("a request failed: %s", type(error).__name__)
            return Response(status=500, body=b"internal error\n")

    async def _send(
        self,
        link: h11.Connection,
        writer: asyncio.StreamWriter,
        response: Response,
        *,
        bare: bool,
        last: bool = False,
    ) -> None:
        headers = [
            ("content-type", response.kind),
            ("content-length", str(len(response.body))),
            ("cache-control", response.cache),
            ("x-content-type-options", "nosniff"),
        ]
        headers += [("allow", response.allow)] if response.allow else []
        headers += [("www-authenticate", response.challenge)] if response.challenge else []
        headers += [("retry-after", str(response.retry_s))] if response.retry_s else []
        headers += [("connection", "close")] if last else []
        parts = [link.send(h11.Response(status_code=response.status, headers=headers))]
        if response.body and not bare:
            parts.append(link.send(h11.Data(data=response.body)))
        parts.append(link.send(h11.EndOfMessage()))
        async with asyncio.timeout(self._limits.answer_s):
            writer.write(b"".join(part for part in parts if part))
            await writer.drain()

    async def _refuse(
        self,
        link: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        status: int,
    ) -> None:
        if link.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            why = b"malformed or too large\n" if status < 500 else b"so much comes at once\n"
            said = Response(status=status, body=why, retry_s=2 if status == 503 else 0)
            await self._send(link, writer, said, bare=False, last=True)
            await self._part(reader, writer)

    async def _part(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Say that nothing follows, and read a little of what is still under way."""
        if writer.can_write_eof():
            writer.write_eof()
        left = self._limits.body
        async with asyncio.timeout(_LINGER_S):
            while left > 0 and (data := await reader.read(_PART)):
                left -= len(data)


class _TooLargeError(Exception):
    pass


class _FullError(Exception):
    pass


def _peer(writer: asyncio.StreamWriter) -> bytes:
    """Return the certificate of the client, which the handshake has verified; nothing if none was asked for."""
    link = writer.get_extra_info("ssl_object")
    return (link.getpeercert(binary_form=True) or b"") if link is not None else b""


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return what serves HTTPS with a certificate chain and its key (PEM files).

    Raises:
        InvalidError: They cannot be read or do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidError(
            "certificate and key cannot be used",
            rule="web.tls",
            fix="give a PEM chain and the PEM key that belongs to it",
        ) from error
    return context


def split_bind(bind: str) -> tuple[str, int]:
    """Return host and port of ``host:port``.

    Raises:
        InvalidError: It is written differently.
    """
    host, colon, port = bind.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdecimal() or int(port) > 65_535:
        raise InvalidError("not host:port", rule="web.bind", fix="--bind 127.0.0.1:7380")
    return host, int(port)


def _listen(bind: str) -> socket.socket:
    host, port = split_bind(bind)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise UnavailableError(
            "this address cannot be listened on", rule="web.bind", fix="choose another --bind"
        ) from error
