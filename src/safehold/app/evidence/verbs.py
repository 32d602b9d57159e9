"""The verbs about evidence: for whoever operates the home, and for auditors; they read, and measure promises anew."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any, Final

from safehold.app.evidence.archive import pack
from safehold.app.evidence.bundle import Bundle
from safehold.app.evidence.gather import gather
from safehold.assurance.control import count, shipped, stand
from safehold.assurance.evidence import history
from safehold.assurance.milestone import measure_all
from safehold.assurance.probe import judge
from safehold.errors import DeniedError, InvalidError, UnavailableError
from safehold.keeper.caller import caller
from safehold.keeper.server import Report, Verb
from safehold.keeper.verbs import Verbs

OPERATE: Final = "operate"
VERIFY: Final = "verify"
AUDIT: Final = "audit"  # the stage in which an auditor works; employees verify what is their own


def controls(verbs: Verbs, *, framework: str | None = None, anew: bool = False) -> dict[str, Any]:
    """Return how every obligation stands now: rows, probes, counts and limits.

    Args:
        verbs: The keeper.
        framework: Id of the only framework wanted.
        anew: Measure every promise first, and what no promise measures.

    Raises:
        MissingError: There is no such framework.
    """
    catalogue = shipped()
    if anew and verbs.desk.trust.digest():
        measure_all(verbs)
    said = judge(gather(verbs, anew=anew))
    rows = stand(catalogue, said, framework=framework)
    named = {probe for one in rows for probe in one.row.probes}
    return {
        "frameworks": {
            name: one.title
            for name, one in catalogue.frameworks.items()
            if framework in (None, name)
        },
        "controls": [one.to_json() for one in rows],
        "probes": {name: one.to_json() for name, one in said.items() if name in named},
        "counts": count(rows),
        "limits": list(catalogue.limits),
    }


class EvidenceVerbs:
    """The verbs.

    Args:
        verbs: The keeper.
    """

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "evidence.controls": self._controls,
            "evidence.history": self._history,
            "evidence.build": self._build,
        }

    def _controls(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        self._require_auditor()
        framework = arguments.get("framework")
        if framework is not None and not isinstance(framework, str):
            raise InvalidError("not a framework", field="framework", rule="evidence.framework")
        return controls(self._verbs, framework=framework, anew=arguments.get("measure") is True)

    def _history(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        self._require_auditor()
        past = history.fold(self._verbs.desk.ledger.leaves())
        return {"promises": history.listing(past), "svg": history.draw(past) if past else ""}

    def _build(
        self, _arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        self._require_auditor()
        if len(descriptors) != 1 or not stat.S_ISREG(os.fstat(descriptors[0]).st_mode):
            raise InvalidError(
                "one open file comes along, into which the bundle is written", rule="evidence.file"
            )
        report({"title": "measuring and proving"})
        files, said = Bundle(self._verbs).build()
        data = pack(files)
        try:
            os.ftruncate(descriptors[0], 0)
            done = 0
            while done < len(data):
                done += os.pwrite(descriptors[0], data[done:], done)
            os.fsync(descriptors[0])
        except OSError as error:
            raise UnavailableError("the bundle cannot be written", rule="evidence.file") from error
        return {**said, "bytes": len(data)}

    def _require_auditor(self) -> None:
        """Pass if whoever calls operates the home, or audits it; a caller who proved nothing the door has judged.

        Raises:
            DeniedError: They only verify what is their own.
        """
        who, trust = caller(), self._verbs.desk.trust
        if not who.proved or not trust.digest():
            return
        role = trust.charter().who_may.get(who.role)
        may: Mapping[str, bool] = {
            OPERATE: role is not None and OPERATE in role.do,
            AUDIT: role is not None and VERIFY in role.do and AUDIT in role.stages,
        }
        if not any(may.values()):
            raise DeniedError(
                "evidence is for whoever operates this home and for its auditors",
                rule="evidence.role",
                fix="safehold charter show",
            )


__all__ = ["EvidenceVerbs", "controls"]
