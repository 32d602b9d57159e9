"""The records that are sent: alerts of a home, by way of its keeper, or of a file that a replay wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from safehold.errors import InvalidError, MissingError
from safehold.incident.export.finding import ALERT, INCIDENT

if TYPE_CHECKING:
    from safehold.keeper.client import KeeperClient

LARGEST: Final = 64 << 20  # bytes of a file
MOST: Final = 10_000  # alerts that a keeper tells at once
Records = list[tuple[str, dict[str, Any]]]


def read_keeper(client: KeeperClient) -> tuple[Records, frozenset[str]]:
    """Return the newest alerts and all incidents of a home, and every name that may stand in a sentence.

    Raises:
        DeniedError: Who asks may not see alerts.
    """
    # what comes while it is read is left for the next time: a target that had the newer one would pass the older over
    stop = client.call("status")["ledger"]["size"]
    alerts = client.call("alert.list", limit=MOST)["alerts"]
    incidents = client.call("incident.list")["incidents"]
    known = client.call("principal.list")["principals"]
    names = {str(one[key]) for one in known for key in ("id", "name") if one.get(key)}
    records = [(ALERT, dict(one)) for one in alerts] + [(INCIDENT, dict(one)) for one in incidents]
    return [one for one in records if one[1]["entry"] < stop], frozenset(names)


def read_file(path: Path) -> tuple[Records, frozenset[str]]:
    """Return alerts from what a replay wrote, a list, or lines of JSON, and every name in them.

    Raises:
        MissingError: There is no such file.
        InvalidError: It is no such file.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InvalidError("too large for a file of alerts", file=path.name, rule="export.file")
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise MissingError(f"{path.name} cannot be read", rule="export.file") from error
    except UnicodeDecodeError as error:
        raise InvalidError("not text", file=path.name, rule="export.file") from error
    try:
        found = json.loads(text) if text.startswith("[") else [*map(json.loads, text.splitlines())]
    except ValueError as error:
        raise InvalidError("not lines of JSON", file=path.name, rule="export.file") from error
    if len(found) == 1 and isinstance(found[0], dict) and isinstance(found[0].get("alerts"), list):
        found = found[0]["alerts"]  # as a replay prints them with --json
    if not all(isinstance(one, dict) for one in found):
        raise InvalidError("not alerts", file=path.name, rule="export.file")
    names = {str(one.get("principal", "")) for one in found}
    return [(ALERT, one) for one in found], frozenset(names - {""})
