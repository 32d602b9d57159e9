"""NATS JetStream, the one file that speaks it: a stream that keeps what it is given until we say it was stored.

The stream refuses when it is full (``discard=new``), knows a message again by its id, keeps it on disk, and hands it
out until it was acknowledged. nats-py is asynchronous: it runs in a thread of its own, and callers wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext, api
from nats.js.errors import APIError, NotFoundError

from safehold.errors import ConflictError, InvalidError, UnavailableError
from safehold.ingest.network.queue import ANSWER_TO, MESSAGE_ID, FullError, Limits, Place

T = TypeVar("T")
CALL_S: Final = 10.0
DURABLE: Final = "keeper"
FULL: Final = frozenset(
    {10047, 10077, 10076, 10054, 10023}
)  # no room: bytes, messages, store, size, memory


class _Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="broker")
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], *, timeout_s: float = CALL_S) -> T:
        """Return what comes of some work.

        Raises:
            UnavailableError: The server is away, or refuses us.
            FullError: It has no room.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(timeout_s)
        except APIError as error:
            if error.err_code in FULL:
                raise FullError("the queue is full", rule="queue.full") from error
            raise UnavailableError("the queue refused", rule="queue.refused") from error
        except ssl.SSLError as error:
            raise UnavailableError(
                "the server of the queue does not prove itself", rule="queue.tls"
            ) from error
        except (NatsError, OSError, TimeoutError) as error:
            raise UnavailableError("the queue does not answer", rule="queue.reachable") from error
        finally:
            future.cancel()

    def soon(self, call: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Have something done; what comes of it does not matter: it is done again if it was lost."""

        async def quietly() -> None:
            with contextlib.suppress(NatsError, OSError):
                await call()

        asyncio.run_coroutine_threadsafe(quietly(), self._loop)

    def close(self) -> None:
        """End it, and what still runs in it."""

        async def end() -> None:
            rest = asyncio.all_tasks() - {asyncio.current_task()}
            for one in rest:
                one.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(CALL_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_S)
        self._loop.close()


class _Client(Client):
    """A client that says nothing where a server, or whoever stands before it, wants no TLS at a ``tls:`` address.

    nats-py takes the server's word for whether there is TLS, and that word comes before it.
    """

    async def _process_info(
        self,
        info: dict[str, Any],
        initial_connection: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        server = self._current_server
        secure = server is None or server.uri.scheme != "nats"
        if initial_connection and secure and info.get("tls_required") is not True:
            raise NatsError("nats: the server wants no TLS")
        await super()._process_info(info, initial_connection=initial_connection)


class Broker:
    """A connection to a queue; it is made again by itself when it breaks.

    Args:
        place: Where the queue is.
        limits: Of the queue.

    Raises:
        UnavailableError: It cannot be reached.
    """

    def __init__(self, place: Place, *, limits: Limits | None = None) -> None:
        self.place = place
        self.limits = limits or Limits()
        self._loop = _Loop()
        self._pulled: JetStreamContext.PullSubscription | None = None
        try:
            self._link: Client = self._loop.run(self._connect())
        except BaseException:
            self._loop.close()
            raise
        self._stream = self._link.jetstream(timeout=CALL_S)

    async def _connect(self) -> Client:
        place = self.place
        tls = None
        if place.url.startswith("tls:"):
            tls = ssl.create_default_context(cafile=place.authority)
            tls.minimum_version = ssl.TLSVersion.TLSv1_2
            if place.certificate is not None and place.key is not None:
                tls.load_cert_chain(place.certificate, place.key)

        async def quiet(_error: Exception) -> None:
            """Say nothing: what failed shows in the call that waited for it."""

        client = _Client()
        await client.connect(
            place.url,
            tls=tls,
            error_cb=quiet,
            connect_timeout=int(CALL_S / 2),
            reconnect_time_wait=1,
            max_reconnect_attempts=-1 if self._was_there() else 1,
            pending_size=64 << 20,
            inbox_prefix=f"_INBOX.{place.name}",
        )
        return client

    def _was_there(self) -> bool:
        return hasattr(self, "_link")

    # the queue itself

    def prepare(self) -> None:
        """Make the queue if it is not there.

        Raises:
            ConflictError: There is another of this name, which would drop what it was given.
        """
        place, limits = self.place, self.limits
        wanted = api.StreamConfig(
            name=place.stream,
            subjects=[place.subject],
            retention=api.RetentionPolicy.WORK_QUEUE,
            discard=api.DiscardPolicy.NEW,
            storage=api.StorageType.FILE,
            max_bytes=limits.bytes,
            max_msg_size=limits.message,
            max_age=limits.age_s,
            duplicate_window=limits.same_s,
        )
        consumer = api.ConsumerConfig(
            durable_name=DURABLE,
            ack_policy=api.AckPolicy.EXPLICIT,
            ack_wait=limits.wait_s,
            max_deliver=limits.deliveries,
            max_ack_pending=limits.pending,
        )
        try:
            found = self._loop.run(self._info())
            if found is None:
                found = self._loop.run(self._stream.add_stream(wanted)).config
        except UnavailableError as error:
            if error.rule != "queue.refused":
                raise
            raise ConflictError(
                "there is another queue of this name", rule="queue.stream"
            ) from error
        if (found.retention, found.discard) != (wanted.retention, wanted.discard):
            raise ConflictError(
                "a queue of this name drops what it was given",
                rule="queue.stream",
                fix="give it another name",
            )
        self._loop.run(self._stream.add_consumer(place.stream, consumer))
        self._pulled = self._loop.run(
            self._stream.pull_subscribe_bind(consumer=DURABLE, stream=place.stream)
        )

    async def _info(self) -> api.StreamConfig | None:
        try:
            return (await self._stream.stream_info(self.place.stream)).config
        except NotFoundError:
            return None

    def waiting(self) -> int:
        """Return how many messages are in the queue."""
        return self._loop.run(self._stream.stream_info(self.place.stream)).state.messages

    # the consumer's end

    def pull(self, most: int, wait_s: float) -> Sequence[Taken]:
        """Return what is there, or nothing after a while.

        Raises:
            UnavailableError: The queue is away.
        """
        if self._pulled is None:
            raise InvalidError("a queue is prepared first", rule="queue.prepare")
        try:
            found = self._loop.run(
                self._pulled.fetch(most, timeout=wait_s), timeout_s=wait_s + CALL_S
            )
        except UnavailableError as error:
            if isinstance(error.__cause__, TimeoutError) and self._link.is_connected:
                return []
            raise
        return [Taken(one, self._loop) for one in found]

    def answer(self, token: str, data: bytes) -> None:
        """Tell a sender; whether they hear it is not known."""
        subject = self.place.answers(token)
        self._loop.soon(lambda: self._link.publish(subject, data))

    # the sender's end

    def publish(self, data: bytes, *, name: str, token: str) -> None:
        """Put a message into the queue; returns when the queue has it on disk, or had it before.

        Raises:
            FullError: It has no room.
            UnavailableError: It does not answer; whether it has the message is not known.
        """
        headers = {MESSAGE_ID: name, ANSWER_TO: token}
        self._loop.run(self._stream.publish(self.place.subject, data, headers=headers))

    def listen(self, token: str) -> Listener:
        """Hear what is answered to a word of ours."""
        heard: queue.Queue[bytes] = queue.Queue(10_000)

        async def hear(message: Msg) -> None:
            with contextlib.suppress(queue.Full):
                heard.put_nowait(message.data)

        subject = self.place.answers(token)
        self._loop.run(self._link.subscribe(subject, cb=hear))
        self._loop.run(self._link.flush())
        return Listener(heard)

    def close(self) -> None:
        """Leave; what was not acknowledged is handed out again."""
        with contextlib.suppress(UnavailableError):
            self._loop.run(self._link.flush(timeout=2))
        with contextlib.suppress(UnavailableError):
            self._loop.run(self._link.close())
        self._loop.close()


class Taken:
    """One message that is ours until we say what became of it."""

    def __init__(self, message: Msg, loop: _Loop) -> None:
        self._message, self._loop = message, loop
        self.data: bytes = message.data
        self.headers: Mapping[str, str] = dict(message.headers or {})
        self.times: int = message.metadata.num_delivered

    def done(self) -> None:
        """Take it out of the queue: it was answered for good."""
        self._loop.soon(self._message.ack)

    def later(self, after_s: float) -> None:
        """Have it handed out again."""
        self._loop.soon(lambda: self._message.nak(delay=after_s))

    def working(self) -> None:
        """Say that we are still at it."""
        self._loop.soon(self._message.in_progress)


class Listener:
    """What is answered to a sender."""

    def __init__(self, heard: queue.Queue[bytes]) -> None:
        self._heard = heard

    def next(self, wait_s: float) -> dict[str, Any] | None:
        """Return the next answer, or nothing after a while."""
        try:
            said = json.loads(self._heard.get(timeout=max(wait_s, 0)))
        except (queue.Empty, ValueError):
            return None
        return said if isinstance(said, dict) else None
