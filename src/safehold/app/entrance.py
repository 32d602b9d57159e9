"""Workloads on other machines: the entrance they come in by, and one question asked through it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safehold.access.identity import Bundle
from safehold.clock import SystemClock
from safehold.errors import InvalidError
from safehold.keeper.client import KeeperClient
from safehold.keeper.distant import DistantLine
from safehold.keeper.entrance import Entrance
from safehold.keeper.signed import line_with_key
from safehold.signing import SigningKey


def open_entrance(
    client: KeeperClient,
    key: SigningKey,
    *,
    domain: str,
    bundle: Path,
    bind: str,
    certificate: Path,
    certificate_key: Path,
) -> Entrance:
    """Return the entrance of a home, not yet serving.

    Raises:
        SignInError: Nobody is enrolled with this key.
        InvalidError: Bundle, certificate or address cannot be used.
    """
    own = line_with_key(client, key)
    own.call("session.show")
    return Entrance(
        client,
        own,
        bundle=_bundle(domain, bundle),
        bind=bind,
        certificate=str(certificate),
        key=str(certificate_key),
        clock=SystemClock(),
        leads=client.leads,
    )


def ask_from_afar(
    verb: str,
    arguments: str,
    *,
    at: str,
    server: str,
    domain: str,
    bundle: Path,
    certificate: Path,
    certificate_key: Path,
) -> dict[str, Any]:
    """Ask a keeper for one thing through its entrance, signed in as a workload.

    Raises:
        InvalidError: The arguments are not a JSON object, or a file cannot be used.
        SafeholdError: Whatever the keeper or its entrance refused.
    """
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise InvalidError("not JSON", rule="entrance.arguments") from error
    if not isinstance(given, dict):
        raise InvalidError("not a JSON object", rule="entrance.arguments")
    line = DistantLine(
        *at.split(","),
        server=server,
        bundle=_bundle(domain, bundle),
        certificate=certificate,
        key=certificate_key,
    )
    return line.signed().call(verb, **given)


def _bundle(domain: str, file: Path) -> Bundle:
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise InvalidError("not JSON", file=file.name, rule="spiffe.bundle") from error
    return Bundle.read(domain, document)
