"""What the keeper takes under a lease, and what neither side takes for a lease or a mark."""

from __future__ import annotations

from typing import Any

import pytest
from tests.ingest_job import NOW_US

from safehold.access.envelope import seal_envelope
from safehold.access.gap import MARK_DOMAIN, read_mark
from safehold.access.keystore import MemoryStore
from safehold.access.lease import DOMAIN, LONGEST_US, Lease, Lessor, read_lease
from safehold.access.record import open_record, sign_record
from safehold.canonical import unb64
from safehold.clock import FixedClock
from safehold.errors import DeniedError, InvalidError
from safehold.signing import SigningKey

KEEPER, DEVICE, OTHER = (SigningKey(letter * 32) for letter in (b"k", b"d", b"o"))


@pytest.fixture
def lessor() -> Lessor:
    return Lessor(KEEPER, store=MemoryStore(), clock=FixedClock(NOW_US))


@pytest.fixture
def signed(lessor: Lessor) -> bytes:
    return lessor.grant(
        person="ann", device=DEVICE.public, charter=bytes(32), streams={"key": "00" * 32}
    )


def envelope(signed: bytes, *, device: SigningKey = DEVICE, **changes: Any) -> bytes:
    lease: Lease = read_lease(signed, keeper=KEEPER.public)
    header = {
        "lease": lease.id, "number": 0, "stream": "key", "rows": 1, "sealed_us": NOW_US, **changes,
    }  # fmt: skip
    return seal_envelope(header, b"rows", to=unb64(lease.sealing), device=device)


def test_what_its_device_sealed_in_time_is_taken(lessor: Lessor, signed: bytes) -> None:
    assert lessor.receive(envelope(signed), device=DEVICE.public)[2] == b"rows"


@pytest.mark.parametrize(
    ("device", "changes", "rule"),
    [
        (OTHER, {}, "lease.device"),
        (DEVICE, {"stream": "chat"}, "lease.stream"),
        (DEVICE, {"sealed_us": NOW_US + LONGEST_US}, "lease.time"),
        (DEVICE, {"sealed_us": NOW_US - 60_000_000}, "lease.time"),
        (DEVICE, {"lease": "lea_0"}, "lease.dead"),
    ],
)
def test_what_the_lease_does_not_cover_is_not_taken(
    lessor: Lessor, signed: bytes, device: SigningKey, changes: dict[str, Any], rule: str
) -> None:
    """Every signature and seal holds."""
    with pytest.raises(DeniedError) as caught:
        lessor.receive(envelope(signed, device=device, **changes), device=device.public)
    assert caught.value.rule == rule


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"more": 1},
        {"streams": ["key"]},
        {"streams": {"nonsense": "00"}},
        {"silences": "none"},
        {"silences": [[1]]},
        {"apps": 5},
        {"apps": {}},
        {"apps": {"key": None, "chat": None}},
        {"apps": {"key": "editor"}},
        {"apps": {"key": [1]}},
        {"sealing": "AAAA"},
        {"until_us": NOW_US + LONGEST_US + 1},
        {"until_us": NOW_US},
    ],
)
def test_what_the_keeper_signed_and_is_no_lease(signed: bytes, changes: dict[str, Any]) -> None:
    value = open_record(signed, domain=DOMAIN, key=KEEPER.public)
    with pytest.raises(InvalidError):
        read_lease(
            sign_record({**value, **changes}, domain=DOMAIN, key=KEEPER), keeper=KEEPER.public
        )


@pytest.mark.parametrize("apps", [None, (), ("crm", "editor")])
def test_a_limit_of_one_stream_says_nothing_of_another(
    lessor: Lessor, apps: tuple[str, ...] | None
) -> None:
    signed = lessor.grant(
        person="ann", device=DEVICE.public, charter=bytes(32), streams={"key": "00" * 32, "focus": "11" * 32},
        apps={"key": apps, "focus": ("mail",)},
    )  # fmt: skip
    assert read_lease(signed, keeper=KEEPER.public).apps == {"key": apps, "focus": ("mail",)}


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2}, {"more": 1}, {"at_us": "1"}, {"event_us": None}, {"positions": []},
        {"positions": {"nonsense": 1}}, {"positions": {"key": -1}}, {"positions": {"key": "1"}},
    ],
)  # fmt: skip
def test_what_a_device_signed_and_is_no_mark(changes: dict[str, Any]) -> None:
    value = {"v": 1, "at_us": 5, "event_us": 4, "positions": {"key": 1}}
    good = sign_record(value, domain=MARK_DOMAIN, key=DEVICE)
    assert read_mark(good, device=DEVICE.public).positions == {"key": 1}
    with pytest.raises(InvalidError):
        read_mark(
            sign_record({**value, **changes}, domain=MARK_DOMAIN, key=DEVICE), device=DEVICE.public
        )
