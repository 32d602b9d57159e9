"""The release record of an artifact as one readable page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def told(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the page."""
    yield f"{record['artifact']} for {record['purpose']}: {record['state']} ({record['reason']})"
    for name, digest in record["files"].items():
        yield f"  {name}  sha256 {digest}  {record['size']} bytes"
    yield ""
    yield f"Made: {record['origin']}"
    if label := record.get("label"):
        yield (
            f"  from {', '.join(label['streams'])} of {label['people']} people"
            f" in {', '.join(label['jurisdictions'])}, for {', '.join(label['purposes'])}"
        )
    if "recipe" in record:
        trained = record["trained"]
        yield f"  recipe {record['recipe']} in {record['sandbox']}, {trained['begun']} to {trained['finished']}"
        grant = (
            f", under the grant of entry {trained['grant_entry']}"
            if "grant_entry" in trained
            else ""
        )
        yield f"  intent: entry {trained['intent']}{grant}"
        for name, digest in record["materials"].items():
            yield f"  material {name}  sha256 {digest}"
        yield ""
        yield from _privacy(record["privacy"])
    yield ""
    yield "Gates of the charter in force"
    if not record["gates"]:
        yield "  none: it promises no attack before a release"
    for one in record["gates"]:
        yield f"  {one['gate']} ({one['measure']} {one['must_be']}): {one['state']}{_figures(one)}"
    scan = record["scan"]
    yield f"Scan: {scan.get('findings', 'no')} findings"
    yield ""
    yield f"Signed by {record['signed_by']} (Ed25519), and over its files by a key on P-256"
    yield "History"
    for one in record["history"]:
        yield f"  entry {one['entry']}: {one['state']} ({one['reason']})"
    yield f"Pulled {len(record['pulls'])} times" + "".join(
        f"; entry {one['entry']}" for one in record["pulls"]
    )
    yield ""
    yield "What this does not show"
    for line in record["limits"]:
        yield f"  {line}"


def _privacy(said: Mapping[str, Any]) -> Iterator[str]:
    if "epsilon_micro" not in said:
        yield "Privacy: nothing bounds what it tells of a person"
        return
    yield (
        f"Privacy: epsilon {said['epsilon_micro'] / 1e6:g}, delta {said.get('delta_e12', 0) / 1e12:g},"
        f" for each {said.get('unit', 'person')}"
    )
    counted = [
        f"{name.upper()} {said[f'epsilon_{name}_micro'] / 1e6:g}"
        for name in ("rdp", "pld")
        if f"epsilon_{name}_micro" in said
    ]
    if counted:
        yield f"  counted by two accountants: {', '.join(counted)}"


def _figures(one: Mapping[str, Any]) -> str:
    if "upper" not in one:
        return ""
    found = f": {one['micro'] / 1e6:.3f}, at most {one['upper'] / 1e6:.3f}"
    if "detectable" in one:
        found += f"; {one['detectable'] / 1e6:.3f} would have been seen"
    return f"{found} (entry {one['entry']})"
