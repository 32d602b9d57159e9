"""A collector's way to the keeper by HTTP: asks again, with growing and uneven pauses, for as long as its lease lasts.

The same envelope is sent again until it is known what became of it; the keeper stores it once. If that is not known
when time is over, the collector keeps the sealed envelope and asks before it records anything else.
"""

from __future__ import annotations

import contextlib
import http.client
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from safehold.access import prove_device
from safehold.access.lease import DOMAIN as LEASE_DOMAIN
from safehold.access.record import open_record
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US, Clock, SystemClock
from safehold.errors import DeniedError, SafeholdError, UnavailableError, revive
from safehold.ingest.network.answer import KIND, Answer, join_envelopes
from safehold.ingest.network.front import ENVELOPES, JSON, LEASES, MARKS, NONCES
from safehold.ingest.network.pace import wait_before
from safehold.keeper.messages import obtain_message
from safehold.ledger.line import HEADERS, split_url, within
from safehold.signing import SigningKey, VerifyKey

LARGEST_ANSWER: Final = 4 << 20
PATIENCE_S: Final = 20.0  # to connect, and for any single byte
REQUEST_S: Final = 120.0  # for one request and its answer
BEFORE_S: Final = 60.0  # how long a nonce, a lease or a mark is asked for before it is given up


class _BusyError(UnavailableError):
    """The server asks to come again.

    Args:
        after_s: In how many seconds, at least.
        rule: Why.
    """

    def __init__(self, after_s: float, rule: str) -> None:
        super().__init__("come again later", rule=rule)
        self.after_s = after_s


class HttpLine:
    """One device's line.

    Args:
        url: Of the front.
        person: Whose events.
        device: The device's key.
        tls: How the front's certificate is verified; the system's authorities without.
        clock: The time.
        sleep: Waits.
    """

    def __init__(
        self,
        url: str,
        *,
        person: str,
        device: SigningKey,
        tls: ssl.SSLContext | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._host, self._port, self._prefix, secure = split_url(
            url, what="front", rule="ingest.url"
        )
        self._tls = (tls or ssl.create_default_context()) if secure else None
        self._person = person
        self._key = device
        self._device = device.public.text()
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._until_us = 0  # of the newest lease
        self._link: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()
        self.retried = 0

    @property
    def until_us(self) -> int:
        """When the newest lease is over; 0 if there was none."""
        return self._until_us

    def ask(self) -> dict[str, Any]:
        """Return a signed lease with the rules that it names, or raise why there is none."""
        end_us = self._clock.now_us() + round(BEFORE_S * SECOND_US)

        def once() -> dict[str, Any]:  # a nonce is good once, so an attempt begins with a new one
            nonce = unb64(str(self._post(NONCES, b"{}")["nonce"]))
            proof = prove_device(self._key, nonce, obtain_message(self._person))
            return self._post(
                LEASES,
                orjson.dumps(
                    {
                        "person": self._person,
                        "device": self._device,
                        "nonce": b64(nonce),
                        "proof": b64(proof),
                    }
                ),
            )

        said = self._again(once, end_us)
        with contextlib.suppress(SafeholdError):  # whether it holds is the collector's to see
            keeper = VerifyKey.from_text(str(said["keeper"]))
            lease = open_record(str(said["lease"]).encode(), domain=LEASE_DOMAIN, key=keeper)
            self._until_us = int(lease["until_us"])
        return said

    def obtain(self) -> bytes:
        """Return a signed lease, or raise why there is none."""
        return str(self.ask()["lease"]).encode()

    def submit(self, envelope: bytes) -> None:
        """Hand in an envelope; until the lease is over it is sent again until it is known what became of it.

        Raises:
            DeniedError: It is refused for good.
            UnavailableError: What became of it is not known.
        """
        now = self._clock.now_us()
        self._again(lambda: self._submit(envelope), max(self._until_us, now + 5 * SECOND_US))

    def _submit(self, envelope: bytes) -> dict[str, Any]:
        said = self._post(ENVELOPES, join_envelopes([envelope]), kind=KIND)
        match said:
            case {"answers": [one]}:
                answer = Answer.read(one)
            case _:
                raise UnavailableError("not an answer of a front", rule="ingest.answer")
        if not answer.final:
            raise _BusyError(0.0, answer.rule)
        answer.require_taken()
        return {}

    def say(self, mark: bytes) -> None:
        """Tell the keeper, signed, how far the device has counted."""
        body = orjson.dumps({"mark": mark.decode(), "person": self._person, "device": self._device})
        end_us = self._clock.now_us() + round(BEFORE_S * SECOND_US)
        self._again(lambda: self._post(MARKS, body), end_us)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def _again(self, once: Callable[[], dict[str, Any]], end_us: int) -> dict[str, Any]:
        """Return what is answered, asked again until a moment.

        Raises:
            UnavailableError: It was not answered by then.
        """
        attempt = 0
        while True:
            try:
                return once()
            except UnavailableError as error:
                asked = error.after_s if isinstance(error, _BusyError) else 0.0
                rule = error.rule
            attempt += 1
            self.retried += 1
            wait_s = wait_before(attempt, asked_s=asked)
            if self._clock.now_us() + round(wait_s * SECOND_US) >= end_us:
                raise UnavailableError(
                    "it was not answered in time: what became of it is not known",
                    rule=rule or "ingest.answer",
                )
            self._sleep(wait_s)

    def _post(self, path: str, body: bytes, *, kind: str = JSON) -> dict[str, Any]:
        with self._lock:
            try:
                status, retry, said = self._exchange(path, body, kind)
            except ssl.SSLCertVerificationError as error:
                self.close()
                raise DeniedError(
                    "what answers is not the front that was asked for", rule="ingest.certificate"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                self.close()
                raise UnavailableError(
                    "the front does not answer", rule="ingest.reachable"
                ) from error
        try:
            value = orjson.loads(said)
        except orjson.JSONDecodeError:
            value = None
        if status == 429 or status >= 500:
            raise _BusyError(float(retry) if retry.isdecimal() else 0.0, "ingest.busy")
        match value:
            case {"error": dict(refused)}:
                raise revive(refused)
            case dict() if status == 200:
                return value
            case _:
                raise UnavailableError("not an answer of a front", rule="ingest.answer")

    def _exchange(self, path: str, body: bytes, kind: str) -> tuple[int, str, bytes]:
        fresh = self._link is None
        if self._link is None:
            self._link = http.client.HTTPConnection(self._host, self._port)
        link = self._link
        try:
            with within(link, REQUEST_S, tls=self._tls, patience_s=PATIENCE_S):
                link.request("POST", self._prefix + path, body, {**HEADERS, "Content-Type": kind})
                answer = link.getresponse()
                said = answer.read(LARGEST_ANSWER + 1)
        except (OSError, http.client.HTTPException):
            self.close()
            if fresh:
                raise
            # a kept connection was closed meanwhile: what is asked here may be asked twice
            return self._exchange(path, body, kind)
        if len(said) > LARGEST_ANSWER:
            self.close()
            raise http.client.HTTPException
        return answer.status, answer.getheader("Retry-After") or "", said
