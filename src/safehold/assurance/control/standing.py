"""How every obligation stands, from what its probes said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from safehold.assurance.control.catalogue import Catalogue, Row
from safehold.assurance.control.verdict import SATISFIED, STATES, Verdict, worst
from safehold.errors import MissingError


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one row stands.

    Args:
        row: The row.
        state: The worst of what its probes said.
        reason: Why, in one sentence: that of the first probe which decides it.
        because: Ids of the probes that keep it from being satisfied.
    """

    row: Row
    state: str
    reason: str
    because: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as canonical JSON values."""
        return {
            **self.row.to_json(),
            "state": self.state,
            "reason": self.reason,
            "because": list(self.because),
        }


def stand(
    catalogue: Catalogue, verdicts: Mapping[str, Verdict], *, framework: str | None = None
) -> list[Standing]:
    """Return how every row of a catalogue stands, or those of one framework.

    Args:
        catalogue: The rows.
        verdicts: What each probe said, by id.
        framework: Id of the only framework wanted.

    Raises:
        MissingError: There is no such framework, or a probe that said nothing.
    """
    if framework is not None and framework not in catalogue.frameworks:
        raise MissingError(
            "no such framework",
            rule="evidence.framework",
            fix=f"one of {', '.join(catalogue.frameworks)}",
        )
    return [
        _stand(row, verdicts)
        for row in catalogue.rows
        if framework is None or row.framework == framework
    ]


def _stand(row: Row, verdicts: Mapping[str, Verdict]) -> Standing:
    missing = [one for one in row.probes if one not in verdicts]
    if missing:
        raise MissingError(f"the probe {missing[0]} said nothing", rule="evidence.probe")
    said = [(one, verdicts[one]) for one in row.probes]
    state = worst([verdict.state for _, verdict in said])
    because = tuple(one for one, verdict in said if verdict.state != SATISFIED)
    first = next((verdict for _, verdict in said if verdict.state == state), None)
    return Standing(
        row=row,
        state=state,
        reason="" if first is None else first.reason,
        because=because,
    )


def count(standings: Iterable[Standing]) -> dict[str, dict[str, int]]:
    """Return how many rows of each framework stand in each state."""
    found: dict[str, dict[str, int]] = {}
    for one in standings:
        row = found.setdefault(one.row.framework, dict.fromkeys(STATES, 0))
        row[one.state] += 1
    return found
