"""The lineage as OpenLineage events (specification 2-0-2), for tools that draw and search lineage.

One ``COMPLETE`` event for everything that was derived: its run, what went in, what came out. Facets of our own begin
with ``safehold_`` and name the schema that describes them; those that OpenLineage has are used as they are. Nothing in
it is about one person: ids are opaque, and numbers of people are those that may be told anyway.

Source: https://openlineage.io/spec/2-0-2/OpenLineage.json, custom facets as in its section on naming.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from safehold.clock import date_of, moment_of

SPEC: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
TYPE_SPEC: Final = "https://openlineage.io/spec/facets/1-0-0/DatasetTypeDatasetFacet.json#/$defs/DatasetTypeDatasetFacet"
PRODUCER: Final = "https://safehold.dev/openlineage"
FACETS: Final = (
    "https://safehold.dev/openlineage/1-0-0/facets.json"  # its text is in facets.json here
)
LABEL_SPEC: Final = f"{FACETS}#/$defs/LabelDatasetFacet"
RELEASE_SPEC: Final = f"{FACETS}#/$defs/ReleaseDatasetFacet"
ENTRY_SPEC: Final = f"{FACETS}#/$defs/EntryRunFacet"
SOURCE: Final = "source"


def to_openlineage(nodes: Sequence[Mapping[str, Any]], *, home: str) -> list[dict[str, Any]]:
    """Return an event for everything derived, oldest first.

    Args:
        nodes: As ``dataset lineage --json`` shows them.
        home: Opaque id of the home, which names the namespace.
    """
    known = {node["id"]: node for node in nodes}
    space = f"safehold://{home}"
    made = [node for node in nodes if node["kind"] != SOURCE and "label" in node]
    return [
        _event(node, known, space)
        for node in sorted(made, key=lambda one: (one["created_us"], one["run"]))
    ]


def _event(
    node: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]], space: str
) -> dict[str, Any]:
    job = node["purpose"] or "unstated"
    return {
        "eventType": "COMPLETE",
        "eventTime": moment_of(node["created_us"]),
        "producer": PRODUCER,
        "schemaURL": SPEC,
        "run": {
            "runId": str(_uuid(f"{space}/{node['id']}")),
            "facets": {"safehold_entry": {**_base(ENTRY_SPEC), "intent": node["run"]}},
        },
        "job": {"namespace": space, "name": f"{job}.{node['kind']}"},
        "inputs": _datasets((known[one] for one in node["parents"] if one in known), space),
        "outputs": _datasets([node], space),
    }


def _datasets(nodes: Iterable[Mapping[str, Any]], space: str) -> list[dict[str, Any]]:
    return [{"namespace": space, "name": node["id"], "facets": _facets(node)} for node in nodes]


def _facets(node: Mapping[str, Any]) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "datasetType": {**_base(TYPE_SPEC), "datasetType": str(node["kind"]).upper()}
    }
    label = node.get("label")
    if label is not None:
        ends = {"first_day": label["first_day"], "last_day": label["last_day"]}
        facets["safehold_label"] = {
            **_base(LABEL_SPEC),
            **{
                name: label[name]
                for name in (
                    "people",
                    "streams",
                    "categories",
                    "purposes",
                    "jurisdictions",
                    "sensitivity",
                )
            },
            "expires": date_of(label["expires"]),
            **{name: date_of(day) for name, day in ends.items()},
            "status": node["status"],
            **({"fewer_than": label["fewer_than"]} if "fewer_than" in label else {}),
        }
    if node.get("release"):
        facets["safehold_release"] = {
            **_base(RELEASE_SPEC),
            "unit": "person",
            "epsilon": node["release"]["epsilon_micro"] / 1e6,
            "delta": node["release"]["delta_e12"] / 1e12,
        }
    return facets


def _base(schema: str) -> dict[str, str]:
    return {"_producer": PRODUCER, "_schemaURL": schema}


def _uuid(name: str) -> UUID:
    """Return a UUID of version 8 (RFC 9562) from a name: the same run has the same id in every export."""
    value = bytearray(sha256(name.encode()).digest()[:16])
    value[6] = (value[6] & 0x0F) | 0x80
    value[8] = (value[8] & 0x3F) | 0x80
    return UUID(bytes=bytes(value))
