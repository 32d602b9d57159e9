"""A witness asked over the web: believed by its key alone, given up in time, and reached over verified TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.ledger_desk import ORIGIN, START_US
from tests.unit.test_ledger_witness import LOG, head, proof
from tests.web_desk import SLOW, certificate

from safehold.clock import FixedClock
from safehold.errors import InvalidError, UnavailableError
from safehold.ledger import Witness
from safehold.ledger.note import open_note
from safehold.ledger.vkey import VKey
from safehold.ledger.web import Response, WebServer, tls_context
from safehold.ledger.witness import SIZE_TYPE
from safehold.ledger.witness_client import HttpWitness, check_url
from safehold.ledger.witness_server import WitnessService


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness.create(
        tmp_path / "w", name="dpo.example", logs=[LOG.vkey.text()], clock=FixedClock(START_US)
    )


@pytest.fixture
def url(witness: Witness) -> Iterator[str]:
    with WebServer(WitnessService(witness, prefix="/w"), "127.0.0.1:0").running() as url:
        yield url


def client(url: str, witness: Witness, **changes: Any) -> HttpWitness:
    return HttpWitness(url, **{"vkeys": witness.vkeys, "timeout_s": 300, **changes})


def test_the_client_is_a_witness_like_the_local_one(url: str, witness: Witness) -> None:
    far = client(f"{url}/w", witness)
    assert (far.name, far.vkey) == (witness.name, witness.vkey)
    assert far.head(ORIGIN) is None
    answer = far.add_checkpoint(0, [], head(3))
    assert answer.status == 200
    _, held = open_note(head(3) + answer.body, [VKey.parse(one) for one in witness.vkeys])
    assert set(held.values()) == {START_US // 1_000_000}
    assert far.head(ORIGIN) == witness.head(ORIGIN)
    assert (far.add_checkpoint(0, [], head(5)).status, far.add_checkpoint(0, [], head(5)).body) == (
        409,
        b"3\n",
    )
    assert far.add_checkpoint(3, [], head(5)).status == 422
    only_one = client(f"{url}/w", witness, vkeys=[witness.vkey])
    answer = only_one.add_checkpoint(3, proof(3, 5), head(5))
    assert answer.body.count(b"\n") == 1  # lines of keys that are not pinned are left out


def test_another_witness_in_its_place_is_not_believed(
    url: str, witness: Witness, tmp_path: Path
) -> None:
    other = Witness.create(tmp_path / "x", name=witness.name, logs=[LOG.vkey.text()])
    far = client(f"{url}/w", witness, vkeys=other.vkeys)
    with pytest.raises(UnavailableError, match="pinned key"):
        far.add_checkpoint(0, [], head(3))
    with pytest.raises(UnavailableError, match="pinned key"):
        far.head(ORIGIN)


def body(data: bytes, status: int = 200, kind: str = "text/plain") -> Response:
    return Response(status=status, body=data, kind=kind)


def test_strange_answers_are_unavailable(witness: Witness) -> None:
    witness.add_checkpoint(0, [], head(3))
    right = witness.head(ORIGIN) or b""
    swapped = witness.add_checkpoint(3, proof(3, 5), head(5)).body  # cosigns another head
    says = [body(b"")]

    with WebServer(lambda _request: says[0], "127.0.0.1:0").running() as url:
        far = client(url, witness)
        for strange in (
            body(b""),
            body(b"x" * 300_000),
            body("— dpo.example AAAAAAA=\n".encode()),
            body(swapped),
            body(right, status=301),
            body(b"", status=204),
            body(b"3\n", status=409),  # not the content type
            body(b"03\n", status=409, kind=SIZE_TYPE),
            body(b"\xff", status=409, kind=SIZE_TYPE),
            body(b"", status=500),
        ):
            says[0] = strange
            with pytest.raises(UnavailableError):
                far.add_checkpoint(0, [], head(3))
        for strange in (
            body(b""),
            body(right, status=301),
            body(right.replace(b"\n3\n", b"\n4\n")),
        ):
            says[0] = strange
            with pytest.raises(UnavailableError):
                far.head(ORIGIN)
        says[0] = body(right)
        assert far.head(ORIGIN) == right
        with pytest.raises(UnavailableError, match="another log"):
            far.head("example.com/other")


def test_a_witness_that_drips_is_given_up(witness: Witness) -> None:
    """Each byte comes in time, the whole never: the deadline is over the whole."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            link, _ = listener.accept()
            with link:
                while not ended.wait(SLOW / 10):
                    try:
                        link.sendall(b"HTTP/1.1 200 OK\r\n"[:1])
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        far = client(f"http://127.0.0.1:{listener.getsockname()[1]}", witness, timeout_s=SLOW)
        with pytest.raises(UnavailableError):
            far.head(ORIGIN)
        ended.set()
        thread.join()


def test_nothing_there_is_unavailable(witness: Witness) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError):
            WebServer(lambda _request: Response(status=200), f"127.0.0.1:{port}")
    with socket.socket() as deaf:  # keeps its port, and nobody listens
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(UnavailableError):
            client(f"http://127.0.0.1:{deaf.getsockname()[1]}", witness).head(ORIGIN)


def test_certificates_are_verified(witness: Witness, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path, "localhost")
    service = WitnessService(witness)
    with WebServer(service, "127.0.0.1:0", tls=tls_context(str(chain), str(key))).running() as url:
        here = url.replace("127.0.0.1", "localhost")
        with pytest.raises(UnavailableError):
            client(here, witness).head(ORIGIN)  # nobody vouches for it
        trusting = ssl.create_default_context(cafile=str(chain))
        assert client(here, witness, tls=trusting).add_checkpoint(0, [], head(3)).status == 200
        with pytest.raises(UnavailableError):
            client(url, witness, tls=trusting).head(ORIGIN)  # another host's certificate
    with pytest.raises(InvalidError):
        tls_context(str(key), str(key))


def test_urls_and_keys_of_a_witness(witness: Witness) -> None:
    assert check_url("https://w.example/a/") == ("w.example", 443, "/a", True)
    assert check_url("http://[::1]:81") == ("::1", 81, "", False)
    for wrong in (
        "http://w.example",
        "ftp://x",
        "https://",
        "https://u@x",
        "https://x/?q",
        "https://x/#f",
        "https://x:y",
        "w.example",
        "https://x/\r\nA: b",
    ):
        with pytest.raises(InvalidError):
            check_url(wrong)
    for keys in ([], [LOG.vkey.text()], [witness.vkey, LOG.lattice.text()]):
        with pytest.raises(InvalidError):
            HttpWitness("https://x", vkeys=keys)
    for wrong in ("7380", "x:", ":1", "x:99999", "x:-1"):
        with pytest.raises(InvalidError):
            WebServer(lambda _request: Response(status=200), wrong)
