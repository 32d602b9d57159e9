"""Who is at the other end of a line: the house that was named, or nobody."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from tests.houses import (
    Authority,
)

from safehold.errors import (
    SafeholdError,
    SignInError,
    UnavailableError,
)
from safehold.federation.link import Credentials, answer, call


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def handshake(
    one: dict[str, str],
    two: dict[str, str],
    *,
    peer: str = "two",
    expected: str = "one",
    patience_s: float = 3.0,
) -> tuple[Any, Any]:
    """Let ``one`` call ``two``, which expects a name; return what each of them has."""
    found: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def listen() -> None:
            try:
                found.append(
                    answer(listener, Credentials(**two), peers=[expected], patience_s=patience_s)
                )
            except SafeholdError as error:
                found.append(error)

        thread = threading.Thread(target=listen)
        thread.start()
        had: Any
        try:
            had = call(
                ("127.0.0.1", listener.getsockname()[1]),
                Credentials(**one),
                peer=peer,
                patience_s=30,
            )
            had.settimeout(30)
        except SafeholdError as error:
            had = error
        thread.join()
    return had, found[0]


def hang_up(*lines: Any) -> None:
    for one in lines:
        for line in one.values() if isinstance(one, dict) else (one,):
            if not isinstance(line, Exception):
                line.close()


def test_two_houses_that_know_each_other_meet(authority: Authority) -> None:
    had, found = handshake(authority.issue("one"), authority.issue("two"), patience_s=30)
    assert had.version() == "TLSv1.3"
    assert set(found) == {"one"}
    hang_up(had, found)


def test_a_wrong_certificate_is_refused_at_either_end(authority: Authority) -> None:
    other = Authority("another authority")
    stranger = other.issue("one", trusts=authority.pem)
    had, found = handshake(stranger, authority.issue("two"))
    assert isinstance(
        found, UnavailableError
    )  # the stranger was hung up on; the house was not there
    hang_up(had)
    had, found = handshake(authority.issue("one"), other.issue("two"))
    assert isinstance(had, SignInError)
    assert isinstance(found, UnavailableError)


def test_a_good_certificate_of_another_house_is_refused_at_either_end(authority: Authority) -> None:
    had, found = handshake(authority.issue("three"), authority.issue("two"))
    assert isinstance(found, UnavailableError)
    hang_up(had)
    had, found = handshake(authority.issue("one"), authority.issue("three"))
    assert isinstance(had, SignInError)
    assert isinstance(found, UnavailableError)


def test_without_a_certificate_nobody_comes_in(authority: Authority) -> None:
    import ssl

    two = authority.issue("two")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: list[Any] = []

        def listen() -> None:
            try:
                found.append(answer(listener, Credentials(**two), peers=["one"], patience_s=1.0))
            except SafeholdError as error:
                found.append(error)

        thread = threading.Thread(target=listen)
        thread.start()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=authority.pem)
        with socket.create_connection(listener.getsockname()) as plain:
            try:
                with context.wrap_socket(plain, server_hostname="two") as line:
                    assert line.recv(1) == b""
            except OSError:
                pass
        thread.join()
    assert isinstance(found[0], UnavailableError)


def test_strangers_who_call_first_do_not_end_a_session(authority: Authority) -> None:
    stranger = Authority("another authority").issue("one", trusts=authority.pem)
    two, one = authority.issue("two"), authority.issue("one")
    found: list[Any] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        where = listener.getsockname()
        thread = threading.Thread(
            target=lambda: found.append(
                answer(listener, Credentials(**two), peers=["one"], patience_s=20)
            )
        )
        thread.start()
        with socket.create_connection(where) as noise:
            noise.sendall(b"GET / HTTP/1.0\r\n\r\n")
        hang_up(call(where, Credentials(**stranger), peer="two", patience_s=5))
        had = call(where, Credentials(**one), peer="two", patience_s=5)
        thread.join()
    assert set(found[0]) == {"one"}
    hang_up(had, found[0])
