"""A witness that is reached over HTTP (C2SP tlog-witness), with the interface of the local one.

Nothing it says is believed without a signature of the pinned key, except a refusal, which only ever
stops. One request has one deadline, an answer has a largest size, and no redirect is followed.
"""

from __future__ import annotations

import hashlib
import http.client
import ssl
from collections.abc import Sequence
from typing import Final

from safehold.canonical import b64
from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.ledger.checkpoint import Checkpoint, parse_decimal
from safehold.ledger.line import HEADERS, split_url, within
from safehold.ledger.note import line_of, open_note, text_of
from safehold.ledger.vkey import TIMED, VKey
from safehold.ledger.witness import SIZE_TYPE, Answer

LARGEST: Final = 262_144  # bytes of an answer
PATIENCE_S: Final = 5.0
_SAID = (200, 400, 403, 404, 409, 422)


class HttpWitness:
    """A witness behind a URL.

    Args:
        url: Its prefix; ``https``, or ``http`` on this machine.
        vkeys: Its verifier keys that are pinned; the first one goes into the policy.
        timeout_s: Seconds for one request, from the connection to the last byte.
        tls: How its certificate is verified; the system's authorities if absent.

    Raises:
        InvalidError: Not such a URL, or keys that cannot cosign or are not one name's.
    """

    def __init__(
        self,
        url: str,
        *,
        vkeys: Sequence[str],
        timeout_s: float = PATIENCE_S,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._host, self._port, self._prefix, secure = check_url(url)
        self._keys = [VKey.parse(text) for text in vkeys]
        if (
            not self._keys
            or len({key.name for key in self._keys}) != 1
            or any(key.algorithm not in TIMED for key in self._keys)
        ):
            raise InvalidError("not the keys of a witness", rule="ledger.witness.vkey")
        self._timeout = timeout_s
        self._tls = (tls or ssl.create_default_context()) if secure else None

    @property
    def name(self) -> str:
        """Its name in cosignatures."""
        return self._keys[0].name

    @property
    def vkey(self) -> str:
        """The verifier key that is pinned in the policy."""
        return self._keys[0].text()

    def head(self, origin: str) -> bytes | None:
        """Return the last checkpoint of a log that it cosigned, if it ever cosigned one.

        Raises:
            UnavailableError: It cannot be asked, or what answers there is not this witness.
        """
        mark = hashlib.sha256(origin.encode()).hexdigest()
        status, _, note = self._ask("GET", f"/{mark}/checkpoint", b"")
        if status == 404:
            return None
        if status != 200:
            raise self._strange(f"answers with status {status}")
        text = self._check(note)
        if Checkpoint.parse(text).origin != origin:
            raise self._strange("shows another log's checkpoint")
        return note

    def add_checkpoint(self, old: int, proof: Sequence[bytes], note: bytes) -> Answer:
        """Ask for cosignatures; of a 200 only lines of the pinned keys are kept, all verified.

        Raises:
            UnavailableError: It cannot be asked, or what answers there is not this witness.
        """
        lines = [f"old {old}", *map(b64, proof), ""]
        body = "\n".join(lines).encode() + b"\n" + note
        status, kind, said = self._ask("POST", "/add-checkpoint", body)
        if status not in _SAID:
            raise self._strange(f"answers with status {status}")
        if status == 409:
            try:
                parse_decimal(said.decode("ascii").removesuffix("\n"))
            except (InvalidError, UnicodeDecodeError) as error:
                raise self._strange("answers without its size") from error
            if kind != SIZE_TYPE:
                raise self._strange("answers without its size")
        if status == 200:
            text = text_of(note)
            self._check(text + b"\n" + said, text)
            whole = text + b"\n" + said
            said = b"".join(line_of(text, whole, key) for key in self._keys)
        return Answer(status, said)

    def _check(self, note: bytes, wanted: bytes | None = None) -> bytes:
        """Return the text of a note that every pinned key has cosigned, at some time."""
        try:
            text, held = open_note(note, self._keys)
        except (InvalidError, TamperedError) as error:
            raise self._strange("does not sign with the pinned key") from error
        if len(held) != len(self._keys) or not all(held.values()):
            raise self._strange("does not sign with every pinned key")
        if wanted is not None and text != wanted:
            raise self._strange("signs another text")
        return text

    def _ask(self, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
        link = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        try:
            with within(link, self._timeout, tls=self._tls, patience_s=self._timeout):
                said = {"Connection": "close", **HEADERS}
                link.request(method, self._prefix + path, body=body or None, headers=said)
                answer = link.getresponse()
                data = answer.read(LARGEST + 1)
                if len(data) > LARGEST:
                    raise self._strange("answers at too great length")
                kind = answer.headers.get("content-type", "")
                return answer.status, kind, data
        except (OSError, http.client.HTTPException) as error:
            raise UnavailableError(
                f"witness {self.name} cannot be reached",
                rule="ledger.witness",
                fix="start it, or ask whoever keeps it",
            ) from error
        finally:
            link.close()

    def _strange(self, what: str) -> UnavailableError:
        return UnavailableError(
            f"witness {self.name} {what}",
            rule="ledger.witness.answer",
            fix="check its URL and its verifier key with whoever keeps it",
        )


def check_url(url: str) -> tuple[str, int, str, bool]:
    """Return host, port, path prefix and whether it is HTTPS.

    Raises:
        InvalidError: It is not where a witness may be.
    """
    return split_url(url, what="witness", rule="ledger.witness.url")
