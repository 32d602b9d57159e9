"""Evidence as OSCAL 1.2.1 (NIST, JSON): a catalogue, a profile, a component, a plan and the results.

Holds: every evidence link of the results is the path of an inclusion proof beside them; every reference between the
files resolves. The state ``not-measured`` is none of OSCAL: it is written as ``not-satisfied`` with the reason
``other`` and a property that says so. Identifiers are UUIDs of version 5 over what they name, so the same evidence
gives the same files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from safehold.assurance.control import NOT_MEASURED, SATISFIED

OSCAL: Final = "1.2.1"
NAMESPACE: Final = UUID("5b9f4c6e-6a2b-4e0f-9d3c-7f1e2a8b5c40")  # made for this format
OWN: Final = "urn:safehold:evidence"
FILES: Final = ("catalog", "profile", "component-definition", "assessment-plan", "assessment-results")  # fmt: skip
_PLAN: Final = "the probes of the control catalogue are carried out on the running home, and their leaves are proved"


def write(claims: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the five files by name, without ``.json``."""
    writer = _Writer(claims)
    return {
        "catalog": writer.catalog(),
        "profile": writer.profile(),
        "component-definition": writer.component(),
        "assessment-plan": writer.plan(),
        "assessment-results": writer.results(),
    }


class _Writer:
    def __init__(self, claims: Mapping[str, Any]) -> None:
        self._claims = claims
        self._rows: Sequence[Mapping[str, Any]] = claims["rows"]
        self._seed = f"{claims['home']}/{claims['size']}/{claims['at_ms']}"
        self._at = datetime.fromtimestamp(claims["at_ms"] / 1000, UTC).isoformat()

    def catalog(self) -> dict[str, Any]:
        groups = [
            {
                "id": f"fw-{name}",
                "title": self._claims["frameworks"][name],
                "controls": [self._control(row) for row in self._rows if row["framework"] == name],
            }
            for name in dict.fromkeys(row["framework"] for row in self._rows)
        ]
        return {
            "catalog": {
                "uuid": self._id("catalog"),
                "metadata": self._metadata(
                    "Safehold: obligations", remarks=self._claims["legal_text"]
                ),
                "groups": groups,
            }
        }

    def _control(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": row["id"],
            "title": f"{row['clause']}: {row['demands']}",
            "props": [_prop("clause", row["clause"]), _prop("mode", row["mode"])],
            "parts": [
                {"id": f"{row['id']}_smt", "name": "statement", "prose": row["demands"]},
                {
                    "id": f"{row['id']}_obj",
                    "name": "assessment-objective",
                    "prose": row["evidence"],
                },
            ],
        }

    def profile(self) -> dict[str, Any]:
        return {
            "profile": {
                "uuid": self._id("profile"),
                "metadata": self._metadata("Safehold: what is evidenced"),
                "imports": [{"href": "catalog.json", "include-all": {}}],
                "merge": {"as-is": True},
            }
        }

    def component(self) -> dict[str, Any]:
        says: Mapping[str, str] = self._claims["controls"]
        needs = [
            {
                "uuid": self._id("requirement", row["id"]),
                "control-id": row["id"],
                "description": " ".join(f"{one}: {says[one]}." for one in row["controls"]),
                "props": [_prop("safehold-control", one) for one in row["controls"]],
            }
            for row in self._rows
        ]
        return {
            "component-definition": {
                "uuid": self._id("components"),
                "metadata": self._metadata("Safehold: controls"),
                "components": [
                    {
                        "uuid": self._id("component"),
                        "type": "software",
                        "title": "Safehold",
                        "description": "A zero-trust pipeline for training AI on how people work.",
                        "props": [_prop("build", self._claims["build"])],
                        "control-implementations": [
                            {
                                "uuid": self._id("implementation"),
                                "source": "profile.json",
                                "description": "Which controls answer which obligation.",
                                "implemented-requirements": needs,
                            }
                        ],
                    }
                ],
            }
        }

    def plan(self) -> dict[str, Any]:
        charter = self._claims["charter"]
        told = "no charter is in force"
        if charter is not None:
            told = f"charter {charter['id']}, version {charter['version']}"
        resource = self._id("system")
        return {
            "assessment-plan": {
                "uuid": self._id("plan"),
                "metadata": self._metadata("Safehold: how it is assessed"),
                "import-ssp": {
                    "href": f"#{resource}",
                    "remarks": "The signed charter describes the system; there is no other plan.",
                },
                "reviewed-controls": self._reviewed(),
                "assessment-subjects": [
                    {
                        "type": "component",
                        "description": f"The home {self._claims['home']}: {told}.",
                        "include-all": {},
                    }
                ],
                "back-matter": {
                    "resources": [
                        {
                            "uuid": resource,
                            "title": "The signed charter",
                            "rlinks": [
                                {"href": "../charter.json", "media-type": "application/json"}
                            ],
                        }
                    ]
                },
            }
        }

    def results(self) -> dict[str, Any]:
        probes: Mapping[str, Mapping[str, Any]] = self._claims["probes"]
        return {
            "assessment-results": {
                "uuid": self._id("results"),
                "metadata": self._metadata("Safehold: evidence"),
                "import-ap": {"href": "assessment-plan.json"},
                "results": [
                    {
                        "uuid": self._id("result"),
                        "title": "Live evidence",
                        "description": f"By probes: {_PLAN}.",
                        "start": self._at,
                        "end": self._at,
                        "props": [
                            _prop("log-size", str(self._claims["size"])),
                            _prop("log-root", self._claims["root"]),
                        ],
                        "reviewed-controls": self._reviewed(),
                        "observations": [
                            self._observe(name, one) for name, one in sorted(probes.items())
                        ],
                        "findings": [self._find(row) for row in self._rows],
                        "remarks": " ".join([*self._claims["limits"], *self._claims["gaps"]]),
                    }
                ],
            }
        }

    def _observe(self, name: str, probe: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {
            "uuid": self._id("observation", name),
            "title": name,
            "description": probe["reason"],
            "props": [_prop("probe", name), _prop("state", probe["state"])],
            "methods": ["TEST"],
            "collected": self._at,
        }
        if probe["figure_micro"] is not None:
            figure = f"{probe['figure_micro'] / 1e6:g} {probe['unit']}".strip()
            found["props"].append(_prop("figure", figure))
        if probe["shown"]:
            found["relevant-evidence"] = [
                {
                    "href": f"../proofs/{one['leaf']:010}.tlog-proof",
                    "description": f"Inclusion proof of entry {one['leaf']}, of kind {one['kind']}.",
                }
                for one in probe["shown"]
            ]
        return found

    def _find(self, row: Mapping[str, Any]) -> dict[str, Any]:
        state = row["state"]
        status = {"state": SATISFIED if state == SATISFIED else "not-satisfied"}
        status["reason"] = {SATISFIED: "pass", NOT_MEASURED: "other"}.get(state, "fail")
        return {
            "uuid": self._id("finding", row["id"]),
            "title": row["clause"],
            "description": row["reason"] or "No probe has said anything.",
            "props": [_prop("state", state), _prop("mode", row["mode"])],
            "target": {
                "type": "objective-id",
                "target-id": f"{row['id']}_obj",
                "status": status,
            },
            "related-observations": [
                {"observation-uuid": self._id("observation", one)} for one in row["probes"]
            ],
            **({"remarks": " ".join(row["limits"])} if row["limits"] else {}),
        }

    def _reviewed(self) -> dict[str, Any]:
        return {
            "control-selections": [
                {"include-controls": [{"control-id": row["id"]} for row in self._rows]}
            ]
        }

    def _metadata(self, title: str, **more: str) -> dict[str, Any]:
        return {
            "title": title,
            "last-modified": self._at,
            "version": str(self._claims["build"]),
            "oscal-version": OSCAL,
            **more,
        }

    def _id(self, *names: str) -> str:
        return str(uuid5(NAMESPACE, "/".join((self._seed, *names))))


def _prop(name: str, value: str) -> dict[str, str]:
    return {"name": name, "ns": OWN, "value": value}
