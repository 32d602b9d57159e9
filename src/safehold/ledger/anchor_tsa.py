"""A time-stamp authority as an anchor (RFC 3161 over HTTP, section 3.4).

It learns the SHA-256 of a head and a random number. Its token is checked when it comes and can be
checked for ever: against certificates that were given beforehand, at the time that it states.
``openssl ts -verify -in X.receipt -data X.head -CAfile roots.pem`` checks the same.
"""

from __future__ import annotations

import http.client
import ssl
from datetime import UTC
from urllib.parse import urlsplit

from cryptography import x509
from rfc3161_client import VerificationError, VerifierBuilder, decode_timestamp_response

from safehold import ids
from safehold.errors import InvalidError, TamperedError, UnavailableError

TIMEOUT = 20.0  # seconds
LARGEST_RECEIPT = 65_536  # bytes

_SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
# the parts of a TimeStampReq (RFC 3161 section 2.4.1): version 1, SHA-256 without parameters,
# certReq true; a nonce of eight bytes whose first bits are 01: positive, and of one length
_LEAD = bytes.fromhex("30430201013031300d060960864801650304020105000420")
_NONCE, _END = bytes.fromhex("0208"), bytes.fromhex("0101ff")


class TimeStampAuthority:
    """An authority and the certificates that its own must lead to.

    Args:
        url: Where requests are posted, ``http`` or ``https``; the token is signed either way.
        roots: Trusted certificates, PEM.
    """

    def __init__(self, url: str, roots: bytes) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidError("not the URL of a time-stamp authority", rule="anchor.url")
        self._url = parts
        try:
            self._roots = x509.load_pem_x509_certificates(roots)
        except ValueError as error:
            raise InvalidError("no certificates in PEM form", rule="anchor.roots") from error

    def anchor(self, digest: bytes) -> bytes:
        """Return the authority's answer for a digest, checked; see ``Anchor``."""
        nonce = bytes([ids.random_bytes(1)[0] & 0x7F | 0x40]) + ids.random_bytes(7)
        receipt = self._post(_LEAD + digest + _NONCE + nonce + _END)
        self._check(digest, receipt, nonce=int.from_bytes(nonce, "big"))
        return receipt

    def verify(self, digest: bytes, receipt: bytes) -> int:
        """Return the time that the authority states; see ``Anchor``."""
        return self._check(digest, receipt, nonce=None)

    def _check(self, digest: bytes, receipt: bytes, *, nonce: int | None) -> int:
        try:
            answer = decode_timestamp_response(receipt)
            VerifierBuilder(roots=list(self._roots), nonce=nonce).build().verify(answer, digest)
            info = answer.tst_info
            if info.message_imprint.hash_algorithm != _SHA256:
                raise TamperedError("a time stamp over another hash", rule="anchor.token")
            return int(info.gen_time.replace(tzinfo=UTC).timestamp())
        except (VerificationError, ValueError, AssertionError) as error:
            raise TamperedError(
                "not a time stamp of a trusted authority for this head", rule="anchor.token"
            ) from error

    def _post(self, request: bytes) -> bytes:
        host, port = self._url.hostname or "", self._url.port
        line: http.client.HTTPConnection
        if self._url.scheme == "https":
            line = http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT, context=ssl.create_default_context()
            )
        else:
            line = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        try:
            headers = {"Content-Type": "application/timestamp-query"}
            line.request("POST", path, body=request, headers=headers)
            answer = line.getresponse()
            data = answer.read(LARGEST_RECEIPT + 1)
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                "the time-stamp authority cannot be reached", rule="anchor.reach"
            ) from error
        finally:
            line.close()
        if answer.status != 200 or len(data) > LARGEST_RECEIPT:
            raise UnavailableError(
                f"the time-stamp authority answers {answer.status}", rule="anchor.reach"
            )
        return data
