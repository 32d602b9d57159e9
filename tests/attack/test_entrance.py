"""Workloads on other machines: nobody gets through the entrance but who the certificate of the connection says."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from tests.identities import human, workload
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.mcp_client import BenchLine
from tests.svids import Authority, Svid

from safehold.access.identity import Bundle
from safehold.clock import SystemClock
from safehold.errors import (
    DeniedError,
    InvalidError,
    SafeholdError,
    UnavailableError,
    WentAwayError,
)
from safehold.keeper.distant import DistantLine
from safehold.keeper.entrance import Entrance
from safehold.keeper.relay import RELAYED
from safehold.keeper.signed import SignedLine, line_with_key

DOMAIN = "house.example"
GATE = f"spiffe://{DOMAIN}/entrance"
INGEST = f"spiffe://{DOMAIN}/ingest"
OTHER = f"spiffe://{DOMAIN}/other"


@dataclass
class Yard:
    """A keeper, its entrance, and workloads that hold certificates."""

    bench: Bench
    house: Authority
    folder: Path
    line: BenchLine
    server: Entrance
    url: str = ""
    made: int = field(default=0)

    def files(self, svid: Svid) -> tuple[Path, Path]:
        self.made += 1
        certificate, key = (self.folder / f"{self.made}.{kind}" for kind in ("crt", "key"))
        certificate.write_text(svid.pem)
        key.write_bytes(pem_of(svid))
        return certificate, key

    def dial(
        self, svid: Svid, *, server: str = GATE, authority: Authority | None = None
    ) -> DistantLine:
        certificate, key = self.files(svid)
        bundle = Bundle.read(DOMAIN, (authority or self.house).bundle())
        at = self.url.removeprefix("https://")
        return DistantLine(at, server=server, bundle=bundle, certificate=certificate, key=key)

    def refusals(self) -> list[str]:
        ledger = self.bench.desk.ledger
        found = [ledger.detail(at) for at, leaf in ledger.leaves(0) if leaf["k"] == "refusal"]
        return [one["detail"]["rule"] for one in found if one["actor"] == "gate"]


def pem_of(svid: Svid) -> bytes:
    return svid.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("entrance"))


@pytest.fixture
def yard(made, tmp_path) -> Iterator[Yard]:
    bench = copy_bench(made, tmp_path / "bench").start()
    bench.clock.advance(max(0, SystemClock().now_us() - bench.clock.now_us()))
    house = Authority(DOMAIN, datetime.now(UTC))
    bench.call("principal.bundle", domain=DOMAIN, bundle=house.bundle())
    for name, spiffe in (("ingest", INGEST), ("other", OTHER)):
        bench.call(
            "principal.enrol", principal=name, kind="workload", role="engineer", names=[spiffe]
        )
    gate = workload(bench.call, "gate")
    line = BenchLine(bench)
    folder = tmp_path / "certificates"
    folder.mkdir()
    one = Yard(bench, house, folder, line, None)
    certificate, key = one.files(house.svid(GATE))
    one.server = Entrance(
        line,
        line_with_key(line, gate.key),
        bundle=Bundle.read(DOMAIN, house.bundle()),
        bind="127.0.0.1:0",
        certificate=str(certificate),
        key=str(key),
        clock=bench.clock,
    )
    with one.server.web.running() as url:
        one.url = url
        yield one
    bench.stop()


def refused(rule: str, act, *args, **kwargs) -> SafeholdError:
    with pytest.raises(SafeholdError) as caught:
        act(*args, **kwargs)
    assert caught.value.rule == rule
    return caught.value


def test_a_workload_signs_in_and_asks_as_itself(yard):
    line = yard.dial(yard.house.svid(INGEST)).signed()
    assert line.call("session.show") == {
        "principal": "ingest",
        "kind": "workload",
        "role": "engineer",
        "identity": INGEST,
    }
    assert line.call("status")
    # what the register and the charter say of it holds here as anywhere
    assert refused("door.workload", line.call, "people.count").__class__ is DeniedError


def test_what_a_local_caller_may_ask_is_not_asked_from_afar(yard):
    bare = yard.dial(yard.house.svid(INGEST))
    assert bare.call("hello")
    for verb in (
        "status",
        "stop",
        "principal.list",
        "people.erase",
        "tool.call",
        "alive",
        RELAYED + "status",
        "",
    ):
        refused("entrance.session", bare.call, verb)
    sent = len(yard.line.sent)
    refused("session.ended", bare.call, "principal.list", caller={"ticket": "made up"})
    refused("entrance.session", bare.call, "principal.list", caller=None)
    assert not any("principal.list" in one for one in yard.line.sent[sent:]), (
        "the keeper was not asked"
    )
    assert yard.refusals().count("entrance.session") >= 1


def test_no_keeper_comes_in_from_afar_even_in_a_session(yard):
    line = yard.dial(yard.house.svid(INGEST)).signed()
    assert line.call("session.show")
    sent = len(yard.line.sent)
    for verb in ("alive", "status", "people.erase"):
        refused("entrance.relayed", line.call, RELAYED + verb)
    assert not any(RELAYED in one for one in yard.line.sent[sent:]), "the keeper was asked"


def test_a_stolen_session_is_worth_nothing_without_the_certificate(yard):
    mine, theirs = yard.dial(yard.house.svid(INGEST)), yard.dial(yard.house.svid(OTHER))
    signed = mine.signed()
    signed.call("session.show")
    stolen = signed._session
    assert SignedLine(mine, stolen).call("session.show")
    refused("entrance.session", SignedLine(theirs, stolen).call, "session.show")
    # nor one that was opened elsewhere: at the keeper's own socket, by somebody with more rights
    ana = human(yard.bench.call, "ana")
    caller = ana.proof("session.show", {})
    refused("session.ended", theirs.call, "session.show", caller=caller)
    # and the same workload with a new certificate goes on
    renewed = yard.dial(yard.house.svid(INGEST))
    assert SignedLine(renewed, stolen).call("session.show")


def test_nobody_signs_in_as_somebody_else(yard):
    svid, other = yard.house.svid(INGEST), yard.house.svid(OTHER)
    mine = yard.dial(svid)
    theirs = yard.dial(other)
    sent: dict[str, object] = {}

    class Tap:
        def call(self, verb, **arguments):
            if verb == "session.open":
                sent.update(arguments)
                raise InterruptedError
            return theirs.call(verb, **arguments)

    with pytest.raises(InterruptedError):
        theirs._sign_in(Tap())
    refused("entrance.certificate", mine.call, "session.open", **sent)
    refused("entrance.method", mine.call, "session.open", **(sent | {"method": "key"}))
    refused("entrance.method", mine.call, "session.open", **(sent | {"method": "jwt-svid"}))
    assert theirs.call("session.open", **sent)["principal"] == "other"


def test_who_holds_no_certificate_of_the_domain_does_not_get_in(yard):
    stranger = Authority(DOMAIN, datetime.now(UTC))  # the same name, another key
    asked = len(yard.line.sent)
    with pytest.raises(UnavailableError):
        yard.dial(stranger.svid(INGEST)).call("hello")
    now = yard.house.now
    for svid in (
        yard.house.svid(INGEST, ends=timedelta(minutes=-1)),
        yard.house.svid(INGEST, begins=timedelta(minutes=5)),
    ):
        assert now is not None
        with pytest.raises(UnavailableError):
            yard.dial(svid).call("hello")
    for svid, rule in (
        (yard.house.svid("spiffe://elsewhere.example/ingest"), "spiffe.domain"),
        (yard.house.svid(INGEST, OTHER), "spiffe.id"),
        (yard.house.svid(INGEST, ca=True), "spiffe.use"),
        (yard.house.svid(INGEST, signs=False), "spiffe.use"),
    ):
        try:
            refused(rule, yard.dial(svid).call, "hello")
        except UnavailableError:  # some libraries refuse such a one in the handshake already
            continue
    host, _, port = yard.url.removeprefix("https://").partition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), 10) as plain,
        pytest.raises(OSError),
        context.wrap_socket(plain) as link,
    ):
        # in TLS 1.3 a client learns only now that it lacks a certificate
        link.sendall(b"POST /call HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        if not link.recv(1):
            raise ConnectionResetError
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.load_cert_chain(*map(str, yard.files(yard.house.svid(INGEST))))
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError), socket.create_connection((host, int(port)), 10) as plain:
        old.wrap_socket(plain)
    assert not any('"hello"' in one for one in yard.line.sent[asked:]), "the keeper was asked"


def test_a_workload_knows_whom_it_asks(yard):
    svid = yard.house.svid(INGEST)
    refused("entrance.server", yard.dial(svid, server=OTHER).call, "hello")
    refused(
        "entrance.server",
        yard.dial(svid, authority=Authority(DOMAIN, datetime.now(UTC))).call,
        "hello",
    )


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"verb":1,"arguments":{}}', b'{"verb":"hello","arguments":[]}', b'{"verb":"hello"',
     b'{"verb":"hello","arguments":{},"more":1}', b'{"verb":"hello","arguments":{"descriptors":[1]}}',
     b'{"verb":"hello","arguments":{"verb":"stop"}}', b'{"verb":"hello","arguments":{"self":1}}'],
)  # fmt: skip
def test_what_is_no_call_is_refused(yard, body):
    line = yard.dial(yard.house.svid(INGEST))
    import http.client

    link = http.client.HTTPSConnection(*line._all[0], context=line._tls, timeout=10)
    link.request("POST", "/call", body)
    answer = link.getresponse()
    assert answer.status == 409
    assert b"entrance.call" in answer.read()
    link.request("GET", "/call")
    assert link.getresponse().status == 404
    link.close()
    with pytest.raises(InvalidError):
        line.call("hello", descriptors=[1])


def test_a_session_that_was_forgotten_is_opened_again(yard, monkeypatch):
    monkeypatch.setattr("safehold.keeper.entrance.MOST_SESSIONS", 1)
    mine, theirs = (
        yard.dial(yard.house.svid(INGEST)).signed(),
        yard.dial(yard.house.svid(OTHER)).signed(),
    )
    assert mine.call("session.show")["principal"] == "ingest"
    assert theirs.call("session.show")["principal"] == "other"
    refused("session.ended", SignedLine(mine._line, mine._session).call, "session.show")
    assert mine.call("session.show")["principal"] == "ingest", "it signs in again by itself"


def test_a_suspended_workload_is_out_at_once(yard):
    line = yard.dial(yard.house.svid(INGEST)).signed()
    assert line.call("session.show")
    yard.bench.call("principal.suspend", principal="ingest")
    with pytest.raises(DeniedError):
        line.call("session.show")


def test_of_several_entrances_the_one_whose_keeper_leads_is_asked(yard, tmp_path):
    svid = yard.house.svid(GATE)
    certificate, key = yard.files(svid)
    led = {"first": True, "second": False}
    entrances = {
        name: Entrance(
            yard.line,
            yard.server._own,
            bundle=Bundle.read(DOMAIN, yard.house.bundle()),
            bind="127.0.0.1:0",
            certificate=str(certificate),
            key=str(key),
            clock=yard.bench.clock,
            leads=lambda name=name: led[name],
        )
        for name in led
    }
    heard = []
    for name, one in entrances.items():
        answer = one.web._handler

        def note(request, name=name, answer=answer):
            if request.method == "POST":
                heard.append(name)
            return answer(request)

        one.web._handler = note
    mine, mine_key = yard.files(yard.house.svid(INGEST))
    bundle = Bundle.read(DOMAIN, yard.house.bundle())
    with entrances["first"].web.running() as first, entrances["second"].web.running() as second:
        at = [url.removeprefix("https://") for url in (second, first)]
        line = DistantLine(*at, server=GATE, bundle=bundle, certificate=mine, key=mine_key).signed()
        assert line.call("session.show")["principal"] == "ingest"
        assert set(heard) == {"first"}
        led.update(first=False, second=True)
        # an entrance that is there goes on; one that says its keeper went sends us to the other
        entrances["first"]._line = Gone()
        refused("keeper.reachable", line.call, "status")
        heard.clear()
        assert line.call("session.show")["principal"] == "ingest"
        assert set(heard) == {"second"}
        led.update(second=False)
        entrances["second"]._line = Gone()
        refused("keeper.reachable", line.call, "status")
        error = refused("entrance.reachable", line.call, "status")
        assert "nothing was asked" in error.message


def test_what_an_entrance_took_and_did_not_answer_may_have_been_carried_out(yard, monkeypatch):
    line = yard.dial(yard.house.svid(INGEST))
    assert line.call("nonce")["nonce"]

    def broken(*_):
        raise ConnectionResetError

    monkeypatch.setattr(http.client.HTTPSConnection, "getresponse", broken)
    assert isinstance(refused("entrance.reachable", line.call, "nonce"), WentAwayError)


def test_an_entrance_tells_a_balancer_whether_a_keeper_leads_and_nothing_else(yard):
    from safehold.ledger.web import Request

    ask = yard.server.health
    assert ask(Request("GET", "/health/ready", b"")).status == 200
    yard.server._leads = lambda: False
    assert ask(Request("GET", "/health/ready", b"")).status == 503
    assert ask(Request("GET", "/health/live", b"")).status == 200
    for method, path in (("POST", "/health/ready"), ("GET", "/call"), ("POST", "/call")):
        assert ask(Request(method, path, b"{}")).status == 404


class Gone:
    """The line to a keeper that has gone."""

    def call(self, verb, **_):
        from safehold.errors import UnavailableError

        raise UnavailableError("no keeper answers", rule="keeper.reachable")
