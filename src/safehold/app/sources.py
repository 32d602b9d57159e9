"""What the command line does with sources: devices, the names that are masked, and gap records."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import orjson

from safehold.access.gap import verify_gap
from safehold.errors import (
    InvalidError,
    MissingError,
    TamperedError,
)
from safehold.keeper.client import KeeperClient
from safehold.settings import Home
from safehold.signing import SigningKey, VerifyKey

PUBLIC = ".pub"
PROOF = ("record", "keeper", "devices")


def add_device(
    client: KeeperClient, *, person: str, device: Path, evidence: str | None = None
) -> dict[str, Any]:
    """Enrol a device for a person; a key that does not exist yet is made.

    Args:
        client: The line to the keeper.
        person: Whom it records.
        device: Key file of the device, or of its public half, which is all the keeper needs.
        evidence: Where it is recorded that this device is theirs.

    Raises:
        DeniedError: The key stands for somebody else, or was removed.
    """
    made = not device.exists()
    if made:
        if device.suffix == PUBLIC:
            raise MissingError(
                f"no key file {device.name}",
                rule="signing.key",
                fix="make the key on the device, and bring its public half here",
            )
        _make_key(device)
    key = read_public(device)
    answer = client.call("source.add", person=person, device=key.text(), evidence=evidence or "")
    return {**answer, "key_made": made}


def remove_device(client: KeeperClient, *, person: str, device: str) -> dict[str, Any]:
    """Remove a device for good; it is named by a key file, or as ``source devices`` lists it.

    Raises:
        MissingError: The person has no such device.
    """
    if Path(device).exists():
        keys = [read_public(Path(device)).text()]
    else:
        listed = client.call("source.list", person=person)["devices"]
        keys = [one["key"] for one in listed if one["device"] == device]
    if len(keys) != 1:
        raise MissingError(
            "this person has no such device", rule="source.device", fix="safehold source devices"
        )
    return client.call("source.remove", person=person, device=keys[0])


def read_public(path: Path) -> VerifyKey:
    """Return the public key in a key file of either half."""
    try:
        return VerifyKey.from_text(path.read_text("ascii").strip())
    except (InvalidError, OSError, UnicodeDecodeError):
        return SigningKey.read(path).public


def read_device(device: Path) -> SigningKey:
    """Return a device's key.

    Raises:
        MissingError: There is no such key file.
    """
    if not device.exists():
        raise MissingError(
            f"no key file {device.name}", rule="signing.key", fix=how_to_enrol(device)
        )
    return SigningKey.read(device)


def how_to_enrol(device: Path) -> str:
    """Return the command that enrols a device."""
    return f"safehold source add --person PERSON --device {shlex.quote(str(device))}"


def _make_key(path: Path) -> None:
    key = SigningKey.generate()
    try:
        key.write(path)
        path.with_name(path.name + PUBLIC).write_text(key.public.text() + "\n", "ascii")
    except OSError as error:
        raise InvalidError(
            "the key file cannot be written", file=path.name, rule="signing.key"
        ) from error


def names(home: Path, tier: str | None) -> dict[str, Any]:
    """Return which names a home masks when data comes in; set it first if a tier is given.

    Raises:
        InvalidError: There is no such tier.
        UnavailableError: It is not installed.
    """
    from safehold.keeper.names import choose_names, chosen_names

    place = Home.open(home)
    if tier is not None:
        choose_names(place, tier)
    return {"names": chosen_names(place)}


def write_gap(
    client: KeeperClient, *, person: str, out: Path | None, stream: str | None = None
) -> dict[str, Any]:
    """Fetch a signed gap record, of one stream that was contained if it is named, and write it where asked."""
    named: dict[str, Any] = {} if stream is None else {"stream": stream}
    answer = client.call("gap", person=person, **named)
    if out is not None:
        proof = {name: answer[name] for name in PROOF}
        out.write_bytes(orjson.dumps(proof) + b"\n")
    return answer


def check_gap(home: Path, file: Path) -> dict[str, Any]:
    """Verify a gap record: signatures, times, and that the counts join up.

    Raises:
        TamperedError: It does not hold.
    """
    pinned = Home.open(home).keeper_key
    try:
        answer = orjson.loads(file.read_bytes())
        record, keeper = answer["record"].encode(), VerifyKey.from_text(answer["keeper"])
        devices = [VerifyKey.from_text(one) for one in answer["devices"]]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise InvalidError("not a gap record", file=file.name, rule="gap.shape") from error
    if set(answer) != set(PROOF):  # nothing in the file that no signature covers
        raise InvalidError("not a gap record", file=file.name, rule="gap.shape")
    # a record that names its own key proves nothing: the key is taken from outside the home
    if not pinned.exists() or pinned.read_text("ascii").strip() != keeper.text():
        raise TamperedError("another keeper signed this", rule="gap.keeper")
    gap = verify_gap(record, keeper=keeper, devices=devices)
    return {
        "verified": True,
        "from_us": gap.from_us,
        "to_us": gap.to_us,
        "reason": gap.reason,
        "streams": list(gap.streams),
        "devices": gap.devices,
        "absent": gap.absent,
        "ledger": [gap.before.size, gap.after.size],
    }
