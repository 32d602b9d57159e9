"""People who have rights in a home with two purposes: what they chose, their leases, and a day of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.keeper_desk import Bench
from tests.voices import (
    STREAMS,
    enrol,
    found_voices,
    strict,
)
from tests.world import PURPOSE

from safehold.access.proof import prove_device
from safehold.canonical import b64, unb64
from safehold.keeper.messages import obtain_message
from safehold.signing import SigningKey

ANA = "ana"
OTHERS = ("bo", "cy")
KEYS: dict[str, SigningKey] = {}  # of the people of the home that each test has a copy of
SECOND = "check_tools"


def two_purposes() -> Any:
    """The tests' charter with a second purpose over pointers alone."""

    def two(purposes: dict[str, Any]) -> dict[str, Any]:
        second = {
            **purposes[PURPOSE],
            "sources": ["pointer"],
            "releases": ["model_weights_dp", "dp_aggregate"],
        }
        return {**purposes, SECOND: second}

    return strict(purposes=two)


def found_rights(path: Path) -> Bench:
    """A home where somebody takes part, beside two others, with a day of rows."""
    bench = found_voices(path, two_purposes()).start()
    voices = enrol(bench, ANA, *OTHERS)
    for one in voices.values():
        one.choose("consent", streams=STREAMS)
    bench.take(ANA, *OTHERS)
    KEYS.update({name: one.key for name, one in voices.items()})
    bench.stop()
    return bench


def people_in(bench: Bench, purpose: str = PURPOSE) -> int:
    """Return how many people take part in a purpose now."""
    return bench.call("feature", purpose=purpose)["people"]


def lease_of(bench: Bench, device: SigningKey, person: str = ANA) -> dict[str, Any]:
    """Ask for a lease, as a device of somebody's does."""
    nonce = unb64(bench.call("nonce")["nonce"])
    return bench.call(
        "lease.obtain",
        person=person,
        device=device.public.text(),
        nonce=b64(nonce),
        proof=b64(prove_device(device, nonce, obtain_message(person))),
    )
