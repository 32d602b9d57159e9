"""A raw client with everything in order: a valid grant, token, nonce and proof. It gets no key and no row."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.world import PURPOSE, World, dial, planted, raised, shows

from safehold.access import Holder
from safehold.canonical import b64
from safehold.errors import DeniedError, QuorumError, SafeholdError, SignInError, UnavailableError
from safehold.keeper import wire
from safehold.keeper.messages import use_message
from safehold.keeper.verbs import Verbs
from safehold.signing import SigningKey

SPOILED: tuple[Any, ...] = (
    None,
    "",
    "../../../etc/passwd",
    "' OR 1=1 --",
    -1,
    2**62,
    1e308,
    [],
    ["key"] * 1000,
    {"$ne": None},
    {"kind": "file", "name": "/etc/passwd", "format": "jsonl"},
    {"kind": "leased"},
    {"kind": "synthetic", "spec": {"people": -1}},
    "\0\ud7ff\n",
    "A" * 70_000,
)


@pytest.fixture
def holder(world: World) -> Holder:
    world.call("feature", purpose=PURPOSE)
    return world.pass_()[1]


def _arguments(world: World, holder: Holder) -> dict[str, Any]:
    """Return something for every argument that any verb knows."""
    somebody = world.participants()[0]
    grant = world.call("grant.list")["grants"][0]["id"]
    return {
        **world.use(holder),
        "person": somebody,
        "people": [],
        "evidence": "evidence",
        "choice": "resume",
        "streams": ["key"],
        "index": 3,
        "dataset": PURPOSE,
        "artifact": "art_x",
        "grant": grant,
        "approvals": [],
        "charter": {},
        "signatures": [],
        "order": "{}",
        "envelope": b64(b"x"),
        "device": SigningKey.generate().public.text(),
        "mark": "{}",
        "source": {"kind": "file", "name": "x", "format": "jsonl", "mapping": {}},
    }


class Noted(dict[str, Any]):
    """Arguments that note which of them a verb reads; a verb that takes them all at once reads all."""

    def __init__(self, given: dict[str, Any]) -> None:
        super().__init__(given)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[str]:
        self.read |= super().keys()
        return super().__iter__()

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)

    def keys(self) -> Any:
        self.read |= super().keys()
        return super().keys()

    def items(self) -> Any:
        self.read |= super().keys()
        return super().items()


def _read(world: World, verb: str, good: dict[str, Any]) -> list[str]:
    """Return which of these arguments a verb reads; to spoil another changes nothing it sees."""
    assert world.service is not None
    noted = Noted(good)
    with suppress(SafeholdError, KeyError):
        world.service.verbs.table()[verb](noted, (), lambda _: None)
    return sorted(noted.read)


def _missing(world: World, verb: str, good: dict[str, Any]) -> dict[str, Any]:
    """Return something for what a verb reads and nobody thought of above."""
    fillers: dict[str, Any] = {}
    while missing := set(_read(world, verb, good | fillers)) - good.keys() - fillers.keys():
        fillers |= {name: {} for name in missing}
    return fillers


def _secrets(world: World) -> dict[str, bytes]:
    """Return byte strings that no answer may hold, in no spelling, by what they are."""
    vault = world.desk.vault
    people = [str(name) for name in world.desk.people.everybody()]
    secrets = {
        f"derived {name}": vault.derive(name)
        for name in (
            "agent-token",
            "capability-mint",
            "catalog-mac",
            "lease-signing",
            "lookup",
            "provenance",
            "session-mint",
            "pseudonym/wire",
            "pseudonym/us-ca.key",
        )
    }
    secrets["log signing seed"] = vault.open_secret("ledger-signing-seed")
    secrets |= {f"subject key {at}": key for at, key in enumerate(vault.subjects.keys(people))}
    return secrets


def _spellings(secret: bytes) -> tuple[str, ...]:
    plain = base64.b64encode(secret).decode().rstrip("=")
    return (plain, plain.replace("+", "-").replace("/", "_"), secret.hex())


def test_no_verb_answers_with_a_key_a_row_or_a_value(world: World, holder: Holder) -> None:
    secrets = {
        spelling: what for what, key in _secrets(world).items() for spelling in _spellings(key)
    }
    values = planted(world.clock.now_us())
    others = {one.external for one in world.desk.people.everybody().values()}
    somebody = world.participants()[0]
    calls = answered = 0
    for verb in Verbs(world.desk).table():
        fillers = _missing(world, verb, _arguments(world, holder))
        read = _read(world, verb, _arguments(world, holder) | fillers)
        good = _arguments(world, holder) | fillers
        tries: list[dict[str, Any]] = [good, {}]
        tries += [good | {name: spoiled} for name in read for spoiled in SPOILED[::4]]
        tries += [dict.fromkeys(good, spoiled) for spoiled in SPOILED]
        for arguments in tries:
            calls += 1
            try:
                said = json.dumps(world.call(verb, **arguments))
                answered += 1
            except UnavailableError as error:
                assert error.rule != "keeper.reachable", f"{verb} ended the keeper"
                said = json.dumps(error.payload())
            except SafeholdError as error:
                assert error.rule != "keeper.internal", f"{verb}: {error.message}"
                said = json.dumps(error.payload())
            assert not [what for spelling, what in secrets.items() if spelling in said], verb
            assert not [one for one in values if shows(said, one)], f"{verb} showed a planted value"
            shown = {one for one in others if one in said}
            assert shown <= {somebody}, f"{verb} named somebody else"
    assert calls > 1000
    assert answered > 20  # the loop is not all refusals


def test_every_leaf_that_can_be_shown_names_nobody(world: World, holder: Holder) -> None:
    others = {one.external for one in world.desk.people.everybody().values()}
    values = planted(world.clock.now_us())
    size = world.desk.ledger.size
    assert size > 10
    for index in range(size):
        said = json.dumps(world.call("ledger.show", index=index))
        assert not [one for one in others | values if shows(said, one)]


def test_a_proper_use_ends_in_counters(world: World) -> None:
    answer = world.call("feature", purpose=PURPOSE)
    assert set(answer) == {"dataset", "people", "rows", "left_out", "level", "entry"}
    assert isinstance(answer["rows"], int)


def test_a_raw_client_gets_no_descriptor_back(world: World, holder: Holder) -> None:
    with dial(world.home) as link:
        for verb, arguments in (
            ("feature", {"purpose": PURPOSE}),
            ("train", world.use(holder)),
            ("status", {}),
        ):
            wire.send(link, {"verb": verb, "arguments": arguments})
            while True:
                data, descriptors, _flags, _ = socket.recv_fds(link, 1 << 20, 16)
                assert not descriptors
                if b'"answer"' in data or b'"error"' in data:
                    break


# -- capabilities: replayed, stolen, spoiled ------------------------------------------------------


def _refused(world: World, error: SafeholdError, kind: type[SafeholdError], rule: str) -> None:
    """Check that a refusal names its rule and its entry, and that the entry is a refusal."""
    assert isinstance(error, kind), repr(error)
    assert error.rule == rule
    assert error.entry is not None, "the refusal names no entry of the ledger"
    shown = world.call("ledger.show", index=error.entry)
    assert shown["leaf"]["k"] == "refusal"
    assert shown["detail"]["rule"] == rule


def test_a_nonce_counts_once(world: World, holder: Holder) -> None:
    use = world.use(holder)
    assert raised(lambda: world.call("train", **use)).rule == "test.train"
    _refused(world, raised(lambda: world.call("train", **use)), SignInError, "capability.nonce")


def test_a_nonce_of_the_client_s_own_is_refused(world: World, holder: Holder) -> None:
    nonce = b"n" * 32
    error = world.train(
        holder,
        nonce=b64(nonce),
        proof=b64(holder.prove(nonce, use_message("train", PURPOSE))),
    )
    _refused(world, error, SignInError, "capability.nonce")


def test_an_old_nonce_is_refused(world: World, holder: Holder) -> None:
    use = world.use(holder)
    world.later(seconds=61)
    _refused(world, raised(lambda: world.call("train", **use)), SignInError, "capability.nonce")


def test_a_stolen_token_is_worth_nothing(world: World, holder: Holder) -> None:
    thief = Holder(holder.token, SigningKey.generate())
    error = world.train(thief)
    assert isinstance(error, SignInError)
    _refused(world, error, SignInError, str(error.rule))


def test_a_proof_for_one_purpose_is_none_for_another(world: World, holder: Holder) -> None:
    use = world.use(holder) | {"purpose": "secure_the_pipeline"}
    error = raised(lambda: world.call("train", **use))
    assert isinstance(error, SignInError)
    _refused(world, error, SignInError, str(error.rule))


def test_another_purpose_is_refused(world: World, holder: Holder) -> None:
    error = world.train(holder, purpose="secure_the_pipeline")
    assert isinstance(error, DeniedError)
    _refused(world, error, DeniedError, str(error.rule))


def test_a_revoked_grant_is_refused(world: World) -> None:
    world.call("feature", purpose=PURPOSE)
    name, holder = world.pass_()
    world.call("grant.revoke", grant=name)
    _refused(world, world.train(holder), DeniedError, "grant.revoked")


def test_a_used_up_grant_is_refused(world: World) -> None:
    world.call("feature", purpose=PURPOSE)
    _, holder = world.pass_(max_runs=1)
    assert world.train(holder).rule == "test.train"
    _refused(world, world.train(holder), DeniedError, "grant.runs")


def test_a_grant_ends(world: World) -> None:
    world.call("feature", purpose=PURPOSE)
    now = world.clock.now_us()
    _, holder = world.pass_(expires_us=now + 600_000_000)
    world.later(seconds=601)
    error = world.train(holder)
    assert isinstance(error, DeniedError | SignInError)
    _refused(world, error, type(error), str(error.rule))


def test_a_token_ends_after_an_hour_at_most(world: World) -> None:
    world.call("feature", purpose=PURPOSE)
    now = world.clock.now_us()
    _, holder = world.pass_(expires_us=now + 3 * 3_600_000_000)
    world.later(seconds=3601)
    error = world.train(holder)
    assert isinstance(error, DeniedError | SignInError)
    _refused(world, error, type(error), str(error.rule))


def test_a_grant_without_enough_approvals_is_not_enacted(world: World) -> None:
    key = SigningKey.generate()
    grant, approvals = world.grant(key)
    before = world.desk.ledger.size
    for given in ([], approvals[:1], [approvals[0], approvals[0]]):
        error = raised(
            lambda given=given: world.call("grant.enact", grant=grant.to_json(), approvals=given)
        )
        assert isinstance(error, QuorumError)
    wider = grant.to_json() | {"max_runs": 1000}
    error = raised(lambda: world.call("grant.enact", grant=wider, approvals=approvals))
    assert isinstance(error, QuorumError)
    kinds = [leaf["k"] for _, leaf in world.desk.ledger.leaves(before)]
    assert "grant" not in kinds


def test_the_wrong_home_gets_nothing(world: World, made_world: World, tmp_path: Path) -> None:
    """A grant of one home's board, and an order for it, are nothing to another home."""
    from tests.world import found_world

    other = found_world(tmp_path / "other").start()
    try:
        key = SigningKey.generate()
        grant, approvals = other.grant(key)
        error = raised(
            lambda: world.call("grant.enact", grant=grant.to_json(), approvals=approvals)
        )
        assert isinstance(error, QuorumError)
        _, holder = other.pass_()
        assert isinstance(world.train(holder), SignInError)
        order = other.order("stop", "security")
        assert isinstance(raised(lambda: world.call("stop", **order)), DeniedError)
        assert not world.desk.trust.stopped
    finally:
        other.stop()
