"""A line to a web server that is not trusted: where it may lead, and when it is cut.

It is HTTPS, or HTTP on this machine. One deadline holds from the handshake to the last byte: when
it is over the line is cut, however slowly bytes may drip.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

from safehold.errors import InvalidError

HEADERS: Final = {"Accept-Encoding": "identity"}


def split_url(url: str, *, what: str, rule: str, plain: bool = False) -> tuple[str, int, str, bool]:
    """Return host, port, path prefix and whether it is HTTPS.

    Args:
        url: The prefix of all paths.
        what: Whose it is, for the error.
        rule: The rule that an error names.
        plain: Let HTTP reach other machines as well.

    Raises:
        InvalidError: Another scheme, plain HTTP to another machine, or parts that do not belong.
    """
    wrong = InvalidError(f"not the URL of a {what}", rule=rule, fix="https://host/prefix")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
        host.encode("idna")  # or looking it up would fail in a way of its own
    except ValueError as error:
        raise wrong from error
    if (
        parts.scheme not in ("http", "https")
        or not host
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
        or not url.isascii()
        or not url.isprintable()
        or " " in url
    ):
        raise wrong
    if parts.scheme == "http" and not plain and not is_here(host):
        raise InvalidError(
            f"plain HTTP only reaches a {what} on this machine", rule=rule, fix="use https"
        )
    secure = parts.scheme == "https"
    return host, port or (443 if secure else 80), parts.path.rstrip("/"), secure


@contextmanager
def within(
    link: http.client.HTTPConnection,
    seconds: float,
    *,
    tls: ssl.SSLContext | None,
    patience_s: float,
) -> Iterator[None]:
    """Connect unless that is done already, and cut the line if the block outlasts its time.

    Args:
        link: The connection; its own timeout does not matter.
        seconds: For the handshake and the block.
        tls: How a certificate is verified; none for HTTP.
        patience_s: Seconds to wait for a connection, and for any single byte after that.
    """
    fresh = link.sock is None
    if fresh:
        link.sock = socket.create_connection((link.host, link.port), patience_s)
        if tls is not None:
            link.sock = tls.wrap_socket(
                link.sock, server_hostname=link.host, do_handshake_on_connect=False
            )
    end = threading.Timer(max(seconds, 0), _cut, (link.sock,))
    end.daemon = True
    end.start()
    try:
        if fresh and isinstance(link.sock, ssl.SSLSocket):
            link.sock.do_handshake()
        yield
    finally:
        end.cancel()


def is_here(host: str) -> bool:
    """Tell whether a host is this machine, by what it is called alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _cut(link: socket.socket) -> None:
    with contextlib.suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
