"""How a request stands, in the keeper's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

FINAL = frozenset({"denied", "lapsed", "revoked", "ended"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One request and the grant that came of it, as the keeper last said.

    Args:
        state: ``requested``, ``approved``, ``open``, ``denied``, ``lapsed``, ``revoked`` or ``ended``.
        decisions: What each seat said, ``approve`` or ``deny``.
        agreed: How many different people approved.
        needed: How many must.
        runs: Runs that were begun under the grant.
        of: Runs that it covers.
        ends_us: When it ends, microseconds; None before it has begun.
        entry: Index of the leaf of the request.
    """

    state: str
    decisions: Mapping[str, str]
    agreed: int
    needed: int
    runs: int
    of: int
    ends_us: int | None
    entry: int

    @classmethod
    def read(cls, request: Mapping[str, Any], grants: list[dict[str, Any]]) -> Standing:
        """Read the answers of ``request.show`` and ``grant.list``."""
        grant = next((one for one in grants if one["id"] == request["request"]), None)
        match request["state"]:
            case "denied":
                state = "denied"
            case "expired":
                state = "lapsed"
            case "enacted" if grant is not None and grant["revoked"]:
                state = "revoked"
            case "enacted" if grant is not None and grant["closed"]:
                state = "ended"
            case "enacted":
                state = "open"
            case _:
                enough = request["agreed"] >= request["needed"]
                state = "approved" if enough else "requested"
        return cls(
            state=state,
            decisions=dict(request["decisions"]),
            agreed=request["agreed"],
            needed=request["needed"],
            runs=0 if grant is None else grant["runs"],
            of=request["grant"]["max_runs"],
            ends_us=None if grant is None else grant["expires_us"],
            entry=request["entry"],
        )

    @property
    def ends(self) -> datetime | None:
        """When the grant ends, in UTC."""
        return None if self.ends_us is None else datetime.fromtimestamp(self.ends_us / 1e6, UTC)

    def seats(self, said: str) -> list[str]:
        """Return the seats that said something, sorted."""
        return sorted(seat for seat, word in self.decisions.items() if word == said)

    def steps(self) -> Iterator[tuple[str, bool, bool]]:
        """Yield the steps of its life: words, whether it is past, and whether it ended badly there."""
        yield f"requested, entry {self.entry}", True, False
        against = self.seats("deny")
        if against:
            yield f"denied by {', '.join(against)}", False, True
            return
        if self.state == "lapsed":
            yield "lapsed: not approved within a day", False, True
            return
        names = ", ".join(self.seats("approve"))
        agreed = self.state != "requested"
        yield (
            (f"approved by {names}" if agreed else f"{self.agreed} of {self.needed} approvals"),
            agreed,
            False,
        )
        yield f"used {self.runs} of {self.of} runs", self.runs > 0, False
        ends = "when it is opened" if self.ends is None else f"{self.ends:%Y-%m-%d %H:%M} UTC"
        match self.state:
            case "revoked":
                yield "revoked", False, True
            case "ended":
                yield f"ended; was to end at {ends}", True, False
            case _:
                yield (
                    f"its time begins {ends}" if self.ends is None else f"ends at {ends}",
                    False,
                    False,
                )
