"""Messages between the keeper and its callers: JSON over a Unix socket, descriptors beside it.

One message is a length (u32, big-endian) and a JSON object. File descriptors travel with the length, by
``SCM_RIGHTS``; the object says how many.
"""

from __future__ import annotations

import os
import socket
import struct
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import orjson

from safehold.errors import InvalidError, SafeholdError, UnavailableError

LARGEST = 64 << 20  # bytes of one message
MOST_DESCRIPTORS = 16
LONGEST_ADDRESS = 107  # bytes: sun_path of unix(7) without its closing zero
CONNECT_S = 30.0  # how long a keeper whose queue is full is waited for
_TIMEVAL = struct.Struct("@ll")
_LENGTH = struct.Struct(">I")


@contextmanager
def address(path: Path) -> Iterator[str]:
    """Yield what a socket is bound or connected to by; a path too long for that goes by its open folder."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def dial(path: Path, *, patience_s: float = CONNECT_S) -> socket.socket:
    """Return a connection to whoever listens at a socket; it has no time limit of its own.

    A process that was halted still listens, until its queue is full; after that connect(2) waits for as long as
    SO_SNDTIMEO says (unix(7)), and for ever by default.

    Args:
        path: The socket.
        patience_s: How long to wait for room in its queue.

    Raises:
        TimeoutError: There was none in that time.
        OSError: Nobody listens there.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        seconds, rest = divmod(max(patience_s, 0.001), 1.0)
        link.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(int(seconds), int(rest * 1e6))
        )
        with address(path) as at:
            link.connect(at)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(0, 0))
    except BlockingIOError:
        link.close()
        raise TimeoutError("its queue is full, and it takes nothing from it") from None
    except BaseException:
        link.close()
        raise
    return link


def send(link: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()) -> None:
    """Send one message and its descriptors."""
    body = orjson.dumps({**message, "descriptors": len(descriptors)})
    if len(body) > LARGEST:
        raise InvalidError("message too large", rule="keeper.message")
    head = _LENGTH.pack(len(body))
    if descriptors:
        socket.send_fds(link, [head], list(descriptors))
    else:
        link.sendall(head)
    link.sendall(body)


def receive(link: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next message and its descriptors, or None when the other side has gone.

    Raises:
        InvalidError: The bytes are no message.
        UnavailableError: The other side went away in the middle of one.
    """
    # not socket.recv_fds: it ignores its flags, and what came would be inherited by a child
    head, beside, _flags, _address = link.recvmsg(
        4, socket.CMSG_LEN(MOST_DESCRIPTORS * array("i").itemsize), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array("i")
    for level, kind, data in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[: len(data) - len(data) % descriptors.itemsize])
    try:
        if not head:
            return None
        message = _body(link, head + _exactly(link, 4 - len(head)))
        if message.pop("descriptors", None) != len(descriptors):
            _refuse("not a message")
    except BaseException:
        close_all(descriptors)
        raise
    return message, list(descriptors)


def receive_answer(link: socket.socket) -> dict[str, Any]:
    """Return the next message of one who was asked; what it hands over beside it is closed.

    Raises:
        OSError: It went away, in the midst of a message too, or what came is none: nobody can say what it did.
    """
    try:
        received = receive(link)
    except SafeholdError as error:
        raise ConnectionAbortedError from error
    if received is None:
        raise ConnectionResetError
    message, strangers = received
    close_all(strangers)
    return message


def close_all(descriptors: Sequence[int]) -> None:
    """Close descriptors that nobody will use."""
    for descriptor in descriptors:
        os.close(descriptor)


def _body(link: socket.socket, head: bytes) -> dict[str, Any]:
    (length,) = _LENGTH.unpack(head)
    if length > LARGEST:
        _refuse("message too large")
    try:
        message = orjson.loads(_exactly(link, length))
    except orjson.JSONDecodeError as error:
        raise InvalidError("not a message", rule="keeper.message") from error
    if not isinstance(message, dict):
        _refuse("not a message")
    return message


def _refuse(why: str) -> NoReturn:
    raise InvalidError(why, rule="keeper.message")


def _exactly(link: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = link.recv(min(count - len(data), 1 << 20))
        if not piece:
            raise UnavailableError("the connection broke", rule="keeper.message")
        data += piece
    return bytes(data)
