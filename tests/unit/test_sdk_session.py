"""The SDK as its users meet it: asked, waited for, opened, run, on a real keeper behind its socket."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.portal_desk import Portal
from tests.served import F1, PURPOSE, REASON, TOP1, Served, copy_served, found_served
from tests.world import outside

import safehold
from safehold.clock import FixedClock, SystemClock
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    QuorumError,
    SafeholdError,
    SignInError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.client import KeeperClient
from safehold.sdk import Request, Session, Use
from safehold.sdk.place import Here
from safehold.sdk.table import TRAINED
from safehold.settings import Home
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("made")
    with outside(path):
        return found_served(path)


@pytest.fixture
def served(made, tmp_path: Path) -> Iterator[Served]:
    one = copy_served(made, tmp_path).start()
    yield one
    one.stop()


@pytest.fixture(params=["here", "portal"])
def session(served: Served, request: pytest.FixtureRequest) -> Iterator[Session]:
    """Yield a session of ana's: at the keeper's own socket, and by the API of a portal before it."""
    if request.param == "here":
        with safehold.connect(served.home, as_="ana") as one:
            yield one
        return
    key = SigningKey.generate()
    names = [f"key:{key.public.text()}"]
    served.bench.call(
        "principal.enrol", principal="ana", kind="human", role="data_scientist", names=names
    )
    portal = Portal(served)
    with portal.provider.running():
        portal.listen()
        try:
            with safehold.connect(portal.url, key=key) as one:
                yield one
        finally:
            portal.close()


def build_features(served: Served, session: Session, use: Use) -> dict[str, Any]:
    """Build features: whoever is known by their role does it at the pipeline's desk, and may not by their grant."""
    if isinstance(session._place, Here):
        return use.features().to_dicts()[0]
    assert refused(DeniedError, use.features().to_dicts).rule == "door.role"
    return served.bench.call("feature", purpose=PURPOSE)


here_alone = pytest.mark.parametrize("session", ["here"], indirect=True)


AHEAD_US = 3_600_000_000  # a clock that stands must not stand before the time of who asks


def ask(session: Session, **more: Any) -> Request:
    return session.request(PURPOSE, **{"reason": REASON} | more)


def approved(served: Served, session: Session, **more: Any) -> Request:
    request = ask(session, **more)
    served.agree(request.id)
    return request.wait(timeout=0)


def refused(kind: type[SafeholdError], act: Any) -> SafeholdError:
    with pytest.raises(kind) as caught:
        act()
    return caught.value


def test_naming_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, safehold\n"
        "assert 'connect' in dir(safehold)\n"
        "print(sorted({'pyarrow', 'numpy', 'sqlalchemy', 'asyncio', 'safehold.sdk'} & set(sys.modules)))\n"
        "safehold.connect\n"
        "print('pyarrow' in sys.modules, any(one in sys.modules for one in ('typer', 'rich')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "True False"]
    with pytest.raises(AttributeError):
        safehold.conect  # noqa: B018


def test_asked_approved_opened_trained(served: Served, session: Session) -> None:
    request = ask(session)
    assert request.state == "requested"
    (price,) = request.price.to_dicts()
    assert price["people"] == 53
    assert price["epsilon"] == 12.0, "three runs, each of which costs four"
    assert price["epsilon_left"] == 4.0
    served.agree(request.id)
    assert request.state == "requested", "a property asks nothing"
    assert request.wait().state == "approved"
    assert request.price.to_dicts() == [price]

    with request.open() as use:
        made = build_features(served, session, use)
        trained = use.train()
        assert served.trained() == 0, "nothing runs before it is read"
        assert trained.schema == TRAINED
        assert trained.__arrow_c_schema__() is not None
        assert (served.trained(), trained.state) == (0, "waiting")
        (figures,) = trained.to_dicts()
        assert trained.to_arrow().num_rows == sum(batch.num_rows for batch in trained) == 1
        assert served.trained() == 1, "it was asked once"
        assert use.runs_left == 2
    assert made["people"] == figures["people"] == 53
    assert (figures["top1"], figures["macro_f1"]) == (TOP1, F1)
    assert figures["models"] == [{"name": "private", "top1": TOP1, "macro_f1": F1, "private": True}]
    leaf = next(leaf for _, leaf in served.bench.desk.ledger.leaves(trained.entry))
    assert (leaf["k"], leaf["pub"]["outcome"]) == ("access.result", "ok")
    assert request.refresh().state == "open"
    assert request.standing.runs == 1
    assert request.standing.ends is not None


def test_what_the_home_says_of_itself(served: Served, session: Session) -> None:
    request = approved(served, session, runs=2)
    with request.open() as use:
        build_features(served, session, use)
        artifact = use.train().to_dicts()[0]["artifact"]
    (purpose,) = session.purposes().to_dicts()
    assert (purpose["purpose"], purpose["epsilon"], purpose["approvers"]) == (PURPOSE, 4.0, 2)
    assert "agent" in purpose["plain"]
    assert purpose["minutes"] == 240
    (asked,) = session.requests().to_dicts()
    assert (asked["request"], asked["state"], asked["agreed"]) == (request.id, "enacted", 2)
    (grant,) = session.grants().to_dicts()
    assert (grant["id"], grant["runs"], grant["of"]) == (request.id, 1, 2)
    assert grant["expires"] == request.refresh().standing.ends
    (budget,) = session.budget().to_dicts()
    assert budget["epsilon_left"] < budget["epsilon"]
    kinds = {one["kind"]: one for one in session.datasets().to_dicts()}
    assert set(kinds) == {"source", "feature", "model"}
    assert kinds["model"]["parents"] == [kinds["feature"]["id"]]
    assert [one["id"] for one in session.artifacts().to_dicts()] == [artifact]
    assert session.gates().to_dicts() == []


@here_alone
def test_the_ledger_of_a_home_here_is_verified(served: Served, session: Session) -> None:
    (verified,) = session.ledger.verify().to_dicts()
    assert verified["verified"] is True
    assert verified["size"] == served.bench.desk.ledger.size


@pytest.mark.parametrize("session", ["portal"], indirect=True)
def test_what_a_portal_says_of_its_own_ledger_proves_nothing(session: Session) -> None:
    assert refused(UnavailableError, session.ledger.verify().to_dicts).rule == "rest.ledger"


@here_alone
def test_the_ledger_is_verified_here(served: Served, session: Session) -> None:
    assert session.ledger.verify().to_dicts()[0]["verified"]
    tile = next((served.home / "ledger").rglob("entries/**/*.p/*"), None) or next(
        one
        for one in (served.home / "ledger").rglob("*")
        if "entries" in str(one) and one.is_file()
    )
    tile.write_bytes(tile.read_bytes()[:-1] + b"\0")
    refused(TamperedError, session.ledger.verify().to_arrow)


def test_what_the_charter_cannot_give_is_explained_at_once(
    served: Served, session: Session
) -> None:
    longer = refused(DeniedError, lambda: ask(session, minutes=241))
    assert longer.rule == "grant.length"
    assert longer.entry is not None, "the refusal is in the ledger"
    assert refused(DeniedError, lambda: session.request("layoffs", reason=REASON)).rule == (
        "charter.purpose"
    )
    assert refused(DeniedError, lambda: ask(session, reason="-")).rule == "grant.reason"
    assert refused(InvalidError, lambda: ask(session, recipe="look")).rule == "request.recipe"
    assert refused(InvalidError, lambda: ask(session, epsilon=-1)).rule == "grant.shape"
    assert refused(InvalidError, lambda: ask(session, people={"names": ["bo"]})).rule == (
        "people.shape"
    )
    assert session.requests().to_dicts() == []
    with pytest.raises(TypeError, match="purpose"):
        session.request(reason=REASON)  # type: ignore[call-arg]


def test_a_request_is_as_narrow_as_it_was_asked(served: Served, session: Session) -> None:
    request = ask(
        session, epsilon=0.1234567, rows=500, runs=1, minutes=5, people={"jurisdictions": ["US-CA"]}
    )
    grant = served.bench.call("request.show", request=request.id)["grant"]
    assert (grant["epsilon_micro"], grant["max_rows"], grant["max_runs"]) == (123_456, 500, 1)
    assert (grant["minutes"], grant["reason"]) == (5, REASON)
    assert grant["requester"] == {
        "kind": "human", "id": "ana", "role": "data_scientist", "operator": ""
    }  # fmt: skip
    assert served.bench.call("request.show", request=request.id)["people"]["jurisdictions"] == [
        "US-CA"
    ]
    served.agree(request.id)
    with request.open() as use:
        build_features(served, session, use)
        # one run costs 4, of 0.12 that were asked for
        assert "epsilon" in str(refused(SafeholdError, use.train().to_arrow).rule)
    assert served.trained() == 0


def test_a_denial_ends_the_wait_and_names_the_seat(served: Served, session: Session) -> None:
    request = ask(session)
    served.decide(request.id, "legal")
    served.decide(request.id, "privacy", "deny")
    error = refused(DeniedError, request.wait)
    assert error.rule == "approval.denied"
    assert "privacy" in error.message
    assert "legal" not in error.message
    assert request.state == "denied"
    assert refused(DeniedError, request.open).rule == "approval.denied"


def test_a_wait_sees_what_seats_say_meanwhile(served: Served, session: Session) -> None:
    request, seen = ask(session), []

    def watch(told: dict[str, Any]) -> None:
        seen.append((told["done"], told["of"], told["note"]))
        if len(seen) <= 2:
            served.decide(request.id, ("privacy", "legal")[len(seen) - 1])
        raise RuntimeError("a drawing broke")  # ends nothing

    assert request.wait(every=0.001, progress=watch) is request
    assert seen == [(0, 2, "requested"), (1, 2, "requested"), (2, 2, "approved")]


def test_a_wait_in_a_loop_lets_others_run(served: Served, session: Session) -> None:
    request, seen = ask(session), threading.Event()

    async def both() -> None:
        waiting = asyncio.create_task(
            request.wait_async(every=0.001, progress=lambda _told: seen.set())
        )
        await asyncio.to_thread(seen.wait)
        assert not waiting.done()
        served.agree(request.id)
        assert await waiting is request
        other = ask(session)
        served.decide(other.id, "legal", "deny")
        with pytest.raises(DeniedError):
            await other.wait_async()
        with pytest.raises(UnavailableError):
            await ask(session).wait_async(timeout=0)

    asyncio.run(both())
    assert request.state == "approved"


def test_a_wait_has_an_end_and_the_request_has_none(served: Served, session: Session) -> None:
    request = ask(session)
    served.decide(request.id, "legal")
    assert refused(UnavailableError, lambda: request.wait(timeout=0)).rule == "request.waiting"
    assert refused(QuorumError, request.open).rule == "approval.quorum"
    served.decide(request.id, "privacy")
    assert request.wait(timeout=0).state == "approved"


def test_a_request_that_nobody_decided_lapses(made, tmp_path: Path) -> None:
    served = copy_served(made, tmp_path)
    served.bench.clock = FixedClock(SystemClock().now_us() + AHEAD_US)
    served.start()
    try:
        with safehold.connect(served.home, as_="ana") as session:
            request = ask(session)
            served.bench.clock.advance(25 * 3600 * 1_000_000)
            assert refused(DeniedError, request.wait).rule == "request.expired"
            assert request.state == "lapsed"
    finally:
        served.stop()


def test_a_use_outlives_its_tokens_and_not_its_grant(made, tmp_path: Path) -> None:
    served = copy_served(made, tmp_path)
    served.bench.clock = FixedClock(SystemClock().now_us() + AHEAD_US)
    served.start()
    try:
        with safehold.connect(served.home, as_="ana") as session:
            request = approved(served, session, minutes=180)
            use = request.open()
            use.features().to_arrow()
            served.bench.clock.advance(
                100 * 60 * 1_000_000
            )  # a token of the charter lives 60 minutes
            assert use.train().to_dicts()[0]["people"] == 53
            served.bench.clock.advance(81 * 60 * 1_000_000)
            assert refused(DeniedError, use.train().to_arrow).rule in {
                "grant.closed", "capability.grant_ended"
            }  # fmt: skip
            assert served.trained() == 1
    finally:
        served.stop()


def test_a_revoked_grant_is_of_no_use(served: Served, session: Session) -> None:
    request = approved(served, session)
    with request.open() as use:
        build_features(served, session, use)
        served.bench.call("grant.revoke", grant=request.id)
        assert refused(DeniedError, use.train().to_arrow).rule == "grant.revoked"
    assert request.refresh().state == "revoked"
    assert refused(DeniedError, request.wait).rule == "grant.revoked"
    assert served.trained() == 0


def test_a_closed_use_runs_nothing_more(served: Served, session: Session) -> None:
    request = approved(served, session)
    with request.open() as use:
        build_features(served, session, use)
        kept = use.train()
    assert use.state == "closed"
    assert refused(ConflictError, kept.to_arrow).rule == "sdk.use"
    assert served.trained() == 0
    with request.open() as again:
        assert again.train().to_dicts()


def test_what_was_refused_is_not_run_again_by_reading_it_again(
    served: Served, session: Session
) -> None:
    request = approved(served, session)
    with request.open() as use:
        build_features(served, session, use)
        use.train().to_arrow()
        twice = use.train()
        first = refused(DeniedError, twice.to_arrow)
        size = served.bench.desk.ledger.size
        second = refused(DeniedError, twice.to_dicts)
        assert first.payload() == second.payload()
        assert first is not second
        assert served.bench.desk.ledger.size == size
        assert (twice.state, twice.entry) == ("refused", first.entry)


@here_alone
def test_the_holders_key_is_what_opens(served: Served, session: Session, tmp_path: Path) -> None:
    file = tmp_path / "holder.key"
    with safehold.connect(served.home, as_="ana", holder=file) as mine:
        request = approved(served, mine)
    assert file.stat().st_mode & 0o777 == 0o600
    stranger = session.find(request.id)
    assert stranger.state == "approved"
    assert refused(SignInError, stranger.open).rule == "capability.holder"
    with (
        safehold.connect(served.home, holder=str(file)) as again,
        again.find(request.id).open() as use,
    ):
        assert use.features().to_dicts()
    assert refused(MissingError, lambda: session.find("grant_none")).rule == "request.missing"


@here_alone
def test_a_lost_keeper_fails_closed_and_the_request_opens_again(
    served: Served, session: Session
) -> None:
    request = approved(served, session)
    use = request.open()
    use.features().to_arrow()
    lost, later = use.train(), use.train()
    served.stop()
    for act in (lost.to_arrow, request.open, request.refresh, session.grants().to_arrow):
        error = refused(UnavailableError, act)
        assert error.rule == "keeper.reachable"
        assert "reconnect" in str(error.fix)
    assert use.state == "lost"
    served.start()
    # the use is over, whatever came of its run; nothing goes on by itself
    assert refused(UnavailableError, lost.to_arrow).rule == "keeper.reachable"
    assert refused(ConflictError, later.to_arrow).rule == "sdk.use"
    assert served.trained() == 0
    assert session.reconnect().state == "open"
    with request.open() as again:
        assert again.train().to_dicts()[0]["people"] == 53


@pytest.mark.parametrize("answer", [b"", b"\0\0", b"\0\0\0\x40{"])
def test_a_keeper_that_breaks_off_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    place = tmp_path / "keeper.sock"
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(place))
    door.listen(1)

    def break_off() -> None:
        link, _ = door.accept()
        link.recv(4)  # and leaves the rest unread, so that the connection is reset
        link.sendall(answer)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        link.close()

    thread = threading.Thread(target=break_off)
    thread.start()
    error = refused(UnavailableError, lambda: KeeperClient(place).call("hello"))
    thread.join()
    door.close()
    assert error.rule == "keeper.reachable"


def test_nothing_of_it_is_pickled_or_copied(served: Served, session: Session) -> None:
    request = approved(served, session)
    use = request.open()
    for one in (session, request, use, use.train(), session.ledger, session.grants()):
        for act in (pickle.dumps, copy.copy, copy.deepcopy):
            assert refused(DeniedError, lambda act=act, one=one: act(one)).rule == "sdk.pickle"


@here_alone
def test_the_charter_that_counts_is_the_keepers(served: Served, session: Session) -> None:
    file = served.home / "charter.json"
    file.write_bytes(file.read_bytes().replace(b"Teach a software agent", b"Teach no such agent"))
    for act in (session.purposes().to_arrow, lambda: ask(session)):
        assert refused(TamperedError, act).rule == "charter.in_force"


def test_a_passphrase_that_was_given_as_text_is_not_kept(served: Served) -> None:
    with safehold.connect(served.home, passphrase="canary-3391") as session:
        assert session._secret.tell() is None
    with safehold.connect(served.home, passphrase=lambda: "canary-3391") as session:
        assert callable(session._secret.tell())


def test_a_home_without_a_keeper_says_what_is_missing(made, tmp_path: Path) -> None:
    served = copy_served(made, tmp_path)
    assert refused(UnavailableError, lambda: safehold.connect(served.home)).rule == "keeper.locked"
    assert refused(MissingError, lambda: safehold.connect(tmp_path / "none")).rule == "home.exists"

    def broken() -> str:
        raise RuntimeError("canary-4411")

    error = refused(UnavailableError, lambda: safehold.connect(served.home, passphrase=broken))
    assert error.rule == "sdk.passphrase"
    assert "canary" not in error.message
    assert Home.open(served.home).socket.exists() is False
