"""The release record of an artifact: one page of all that is known of it, and of what is not.

Everything on it is a fact of the ledger, of the signed statement about the artifact, or of its sealed record; nothing
is about a person. Whole numbers and words only, so that it has one canonical form whose hash a leaf can name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from safehold.errors import DeniedError, MissingError, ShreddedError, TamperedError
from safehold.keeper.models import MODEL_FILE, Models

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

VERSION: Final = "safehold.release/1"
LIMITS: Final = (
    "an attack that found little found little at this size; its power says how much it would have seen",
    "epsilon and delta bound what the model tells of any one person among those it was trained on; they are not zero",
    "a scan finds text; it does not find what was encrypted, or spread over low bits",
    "root on the keeper's machine could have read what the keeper opened while it ran",
)


class Cards:
    """Writes release records.

    Args:
        desk: What the keeper works with.
        models: The artifacts.
    """

    def __init__(self, desk: Desk, models: Models) -> None:
        self._desk = desk
        self._models = models

    def write(self, name: str) -> dict[str, Any]:
        """Return the release record of an artifact, checked against its sealed file.

        Raises:
            MissingError: There is none of that id.
            TamperedError: The file, or the statement about it, does not hold; it lies in quarantine then.
            ShreddedError: Its time is over, or it was deleted.
        """
        models, desk = self._models, self._desk
        record = models.find(name)
        body = models.read(name)
        shelf, charter = models.shelf, desk.trust.charter()
        now = shelf.standing(name)
        card: dict[str, Any] = {
            "v": VERSION,
            "home": desk.home.id,
            "artifact": name,
            "purpose": record["purpose"],
            "files": {MODEL_FILE: record["sha256"]},
            "size": len(body),
            "state": now.state or "unknown",
            "reason": now.reason,
            "history": shelf.history(name),
            "gates": [whole(one) for one in shelf.gates(name, charter.gates)],
            "scan": self._scan(name),
            "signed_by": models.key.public.text(),
            "files_signed_by": models.point.public.pem.decode(),
            "charter_in_force": desk.trust.digest().hex(),
            "pulls": shelf.pulls(name),
            "limits": list(LIMITS),
        }
        if "provenance" in record:
            card |= self._origin(name, record, body)
        else:
            card["origin"] = "brought from outside: nobody here can say what it was made from"
        return card

    def _origin(self, name: str, record: Mapping[str, Any], body: bytes) -> dict[str, Any]:
        statement = self._models.check(name, body)
        build = statement["predicate"]["buildDefinition"]
        metrics = orjson.loads(record["metrics"])
        intent = int(record["intent"])
        found: dict[str, Any] = {
            "origin": "trained in this home",
            "recipe": build["externalParameters"]["recipe"],
            "parameters": {
                key: value for key, value in build["externalParameters"].items() if key != "recipe"
            },
            "materials": {
                one["name"]: one["digest"]["sha256"] for one in build["resolvedDependencies"]
            },
            "sandbox": statement["predicate"]["runDetails"]["builder"]["id"],
            "trained": {
                "begun": statement["predicate"]["runDetails"]["metadata"]["startedOn"],
                "finished": statement["predicate"]["runDetails"]["metadata"]["finishedOn"],
                "intent": intent,
                **self._grant(intent),
            },
            "privacy": _privacy(metrics),
            "figures": {
                key: round(value * 1e6)
                for key, value in metrics.items()
                if key in ("top1", "macro_f1", "top1_error") and isinstance(value, int | float)
            },
        }
        try:
            found["label"] = self._desk.lineage.label(name).to_record()
        except (MissingError, DeniedError, TamperedError):
            found["label"] = {}
        return found

    def _grant(self, intent: int) -> dict[str, Any]:
        for _, leaf in self._desk.ledger.leaves(intent, intent + 1):
            return {"grant_entry": leaf["ref"]} if "ref" in leaf else {}
        return {}

    def _scan(self, name: str) -> dict[str, Any]:
        history = self._models.shelf.history(name)
        if not history:
            return {}
        first = history[0]["entry"]
        try:
            detail = self._desk.ledger.detail(first).get("detail", {})
        except (ShreddedError, MissingError):
            detail = {}
        return {
            "entry": first,
            **{key: detail[key] for key in ("findings", "passages") if key in detail},
        }


def whole(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return figures of a gate with shares as millionths, so that they have one canonical form."""
    return {
        name: round(value * 1e6) if isinstance(value, float) else value
        for name, value in found.items()
    }


def _privacy(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return epsilon and delta as they were charged, and as both accountants count them; millionths and 10^-12.

    ``audit`` says how the one-run audit of the trainer ended, in the sandbox of this training.
    """
    said: dict[str, Any] = {
        name: metrics[name]
        for name in (
            "unit",
            "adjacency",
            "epsilon_micro",
            "delta_e12",
            "people",
            "trained",
            "audit",
        )
        if name in metrics
    }
    for name in ("epsilon_rdp", "epsilon_pld", "noise_multiplier"):
        if isinstance(metrics.get(name), int | float):
            said[f"{name}_micro"] = round(metrics[name] * 1e6)
    return said
