"""TLS 1.3 between houses, both ends proved by certificates that the other house named.

The key of a house's end is read out of memory and never out of a flag. Which house is at the other end is told by the
DNS name in its certificate, checked on both ends; which authorities may sign it is told by whoever starts a session.
"""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from safehold.errors import InvalidError, SignInError, UnavailableError

HANDSHAKE_S: Final = 30.0
RETRY_S: Final = 0.2  # between two calls to a house that does not listen yet
MOST_CALLS: Final = 64  # strangers among them


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one end proves itself with, and whom it believes.

    Args:
        certificate: Its chain, PEM.
        key: Its key, PEM.
        authorities: Who may sign the certificate at the other end, PEM.
    """

    certificate: str
    key: str
    authorities: str

    def context(self, *, server: bool) -> ssl.SSLContext:
        """Return what speaks TLS 1.3 and nothing older, to nobody without a certificate.

        Raises:
            InvalidError: Certificate, key or authorities are none, or do not fit.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED
        memory = os.memfd_create("credentials", os.MFD_CLOEXEC)
        try:
            os.write(memory, f"{self.certificate}\n{self.key}".encode())
            context.load_cert_chain(f"/proc/self/fd/{memory}")
            context.load_verify_locations(cadata=self.authorities)
        except (ssl.SSLError, ValueError, OSError) as error:
            raise InvalidError(
                "certificate, key or authorities do not hold together",
                rule="join.credentials",
                fix="PEM files: the chain, its key without a passphrase, and who signs the other house",
            ) from error
        finally:
            os.close(memory)
        return context


def call(
    address: tuple[str, int], credentials: Credentials, *, peer: str, patience_s: float
) -> ssl.SSLSocket:
    """Return a line to a named house that listens, or is about to.

    Args:
        address: Host and port.
        credentials: Of this end.
        peer: The DNS name that the certificate there must have.
        patience_s: How long it may take until somebody listens.

    Raises:
        SignInError: Whoever listens is not that house.
        UnavailableError: Nobody listens in time.
    """
    context = credentials.context(server=False)
    link = _connect(address, patience_s)
    try:
        return context.wrap_socket(link, server_hostname=peer)
    except ssl.SSLError as error:
        link.close()
        raise _stranger() from error
    except OSError as error:
        link.close()
        raise UnavailableError("the other house went away", rule="join.peer") from error


def _connect(address: tuple[str, int], patience_s: float) -> socket.socket:
    end = time.monotonic() + patience_s
    while True:
        try:
            return socket.create_connection(address, timeout=min(HANDSHAKE_S, patience_s))
        except OSError as error:
            if time.monotonic() > end:
                raise UnavailableError(
                    "nobody listens there", rule="join.peer", fix="start the other house first"
                ) from error
            time.sleep(RETRY_S)


def answer(
    listener: socket.socket,
    credentials: Credentials,
    *,
    peers: Collection[str],
    patience_s: float,
) -> dict[str, ssl.SSLSocket]:
    """Return a line to each of some houses that call; whoever else calls is hung up on and changes nothing.

    Args:
        listener: A listening socket.
        credentials: Of this end.
        peers: The DNS name that must be in each one's certificate.
        patience_s: How long it may take until all have called.

    Raises:
        UnavailableError: Not all of them called in time, or too many strangers did.
    """
    context, end = credentials.context(server=True), time.monotonic() + patience_s
    found: dict[str, ssl.SSLSocket] = {}
    for _ in range(MOST_CALLS):
        if len(found) == len(peers):
            return found
        listener.settimeout(max(0.001, end - time.monotonic()))
        try:
            link, _address = listener.accept()
        except OSError:
            break
        link.settimeout(min(HANDSHAKE_S, max(0.001, end - time.monotonic())))
        try:
            secured = context.wrap_socket(link, server_side=True)
        except OSError:  # of TLS as well: a stranger
            link.close()
            continue
        name = next(iter(names_in(secured) & (frozenset(peers) - found.keys())), None)
        if name is None:
            secured.close()
        else:
            found[name] = secured
    if len(found) == len(peers):
        return found
    for one in found.values():
        one.close()
    raise UnavailableError(
        "the other house did not call", rule="join.peer", fix="start again on both sides"
    )


def names_in(secured: ssl.SSLSocket) -> frozenset[str]:
    """Return the DNS names in the certificate at the other end."""
    told: Any = (secured.getpeercert() or {}).get("subjectAltName", ())
    return frozenset(str(value) for kind, value in told if kind == "DNS")


def print_of(secured: ssl.SSLSocket) -> str:
    """Return the SHA-256 of the certificate at the other end, hex."""
    return sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()


def _stranger() -> SignInError:
    return SignInError(
        "whoever is at the other end is not the house that was named",
        rule="join.certificate",
        fix="exchange certificates on a way you trust: --peer-ca, --peer",
    )
