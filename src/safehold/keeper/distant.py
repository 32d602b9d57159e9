"""A line to a keeper on another machine, through its entrance: both ends show a certificate of their trust domain."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from safehold.access.identity import sign_in_message
from safehold.access.identity.spiffe import Bundle, read_peer, sign_with_pem
from safehold.canonical import b64, unb64
from safehold.clock import Clock, SystemClock
from safehold.errors import InvalidError, SignInError, UnavailableError, WentAwayError, revive
from safehold.keeper.client import Progress
from safehold.keeper.entrance import METHOD, PATH, READY, mutual
from safehold.keeper.signed import Line, Session, SignedLine
from safehold.ledger.web import split_bind
from safehold.signing import SigningKey

LARGEST: Final = 64 << 20  # bytes of an answer
PATIENCE_S: Final = 30.0  # for the connection; an answer may take as long as its work


class DistantLine:
    """A line on which nothing is proved but the workload's certificate; every call has a connection of its own.

    Args:
        at: ``host:port`` of the entrances; of several the first whose keeper leads is asked.
        server: The SPIFFE id that the entrance must have.
        bundle: Of the trust domain of both.
        certificate: Our certificate chain, a PEM file.
        key: Its key, a PEM file.
        clock: Time.

    Raises:
        InvalidError: Certificate and key cannot be used.
    """

    def __init__(
        self,
        *at: str,
        server: str,
        bundle: Bundle,
        certificate: Path,
        key: Path,
        clock: Clock | None = None,
    ) -> None:
        self._all = [split_bind(one) for one in at]
        self._chosen: tuple[str, int] | None = self._all[0] if len(self._all) == 1 else None
        self._server = server
        self._bundle = bundle
        self._certificate, self._key = certificate, key
        self._clock = clock or SystemClock()
        self._tls = mutual(
            ssl.PROTOCOL_TLS_CLIENT, bundle, certificate=str(certificate), key=str(key)
        )

    def call(
        self,
        verb: str,
        *,
        descriptors: Sequence[int] = (),
        progress: Progress | None = None,
        **arguments: Any,
    ) -> dict[str, Any]:
        """Ask for one thing and wait for the answer; see ``KeeperClient.call``.

        Args:
            verb: What to do.
            descriptors: None: a file is not handed over from afar.
            progress: Not told from afar.
            **arguments: The verb's arguments.

        Raises:
            SafeholdError: Whatever the keeper or its entrance refused.
            SignInError: What answers is not the entrance that was asked for.
            UnavailableError: Nothing answers.
        """
        del progress
        if descriptors:
            raise InvalidError("a file cannot be handed over from afar", rule="entrance.call")
        body = orjson.dumps({"verb": verb, "arguments": arguments})
        link = self._connect()
        try:
            link.sock.settimeout(None)
            link.request("POST", PATH, body, {"Content-Type": "application/json"})
            answer = link.getresponse()
            said = answer.read(LARGEST + 1)
        except (OSError, http.client.HTTPException) as error:
            self._forget()
            raise WentAwayError(
                "the entrance does not answer, or did not let us in: whether it was carried out is not known",
                rule="entrance.reachable",
                fix="see what is there, then ask again",
            ) from error
        finally:
            link.close()
        try:
            return _read(said)
        except UnavailableError:
            self._forget()  # its keeper may lead no longer
            raise

    def _forget(self) -> None:
        if len(self._all) > 1:
            self._chosen = None

    def _connect(self) -> http.client.HTTPSConnection:
        """Return a connection to the entrance whose keeper leads, which has shown who it is.

        Raises:
            SignInError: What answers is not the entrance that was asked for.
            UnavailableError: None answers; nothing was asked.
        """
        failed: Exception | None = None
        for at in [self._chosen] if self._chosen is not None else self._all:
            link = http.client.HTTPSConnection(*at, context=self._tls, timeout=PATIENCE_S)
            try:
                link.connect()
                self._check_server(link)
                if self._chosen is not None or self._leads(link):
                    self._chosen = at
                    return link
                link.close()
            except ssl.SSLCertVerificationError as error:
                link.close()
                raise SignInError(
                    "what answers is not of this trust domain", rule="entrance.server"
                ) from error
            except (OSError, http.client.HTTPException) as error:
                link.close()
                failed = error
            except BaseException:
                link.close()
                raise
        if self._chosen is not None and len(self._all) > 1:
            self._chosen = None
            return self._connect()
        raise UnavailableError(
            "no entrance answers whose keeper leads, or it did not let us in: nothing was asked",
            rule="entrance.reachable",
            fix="see whether the entrance and its keeper are there",
        ) from failed

    @staticmethod
    def _leads(link: http.client.HTTPSConnection) -> bool:
        link.request("GET", READY)
        answer = link.getresponse()
        answer.read(LARGEST)
        return answer.status == 200

    def _check_server(self, link: http.client.HTTPSConnection) -> None:
        shown = link.sock.getpeercert(binary_form=True)
        found = read_peer(shown or b"", self._bundle, now_us=self._clock.now_us())
        if found.name != self._server:
            raise SignInError(
                "another workload answers than the entrance that was asked for",
                rule="entrance.server",
            )

    def signed(self) -> SignedLine:
        """Return a line on which every call is signed in a session of this workload; it is opened when needed."""
        return SignedLine(self, sign_in=self._sign_in)

    def _sign_in(self, bare: Line) -> Session:
        session, question = SigningKey.generate(), str(bare.call("session.ask")["question"])
        message = sign_in_message(unb64(question), session.public)
        answer = bare.call(
            "session.open",
            method=METHOD,
            domain=self._bundle.domain,
            certificate=self._certificate.read_text("ascii"),
            proof=b64(sign_with_pem(self._key.read_bytes(), message)),
            key=session.public.text(),
            question=question,
        )
        return Session(str(answer["ticket"]), session)


def _read(said: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(said) if len(said) <= LARGEST else None
    except orjson.JSONDecodeError:
        message = None
    match message:
        case {"answer": dict(answer)}:
            return answer
        case {"error": dict(error)}:
            raise revive(error)
        case _:
            raise UnavailableError("the entrance answers in another way", rule="entrance.answer")
