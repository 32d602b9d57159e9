"""What the public record says to anybody: its head, its witnesses, how the promises stood over time, and counts.

It is read from the published files of the ledger, so nobody need be signed in, and whoever doubts the page can read
the same files. The head is checked against the trust policy each time it changed; entries
are read as they stand, a bounded number a look, and what is not read yet is said.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from safehold import canonical
from safehold.assurance.evidence.history import Point, point_of
from safehold.canonical import unb64
from safehold.charter import Charter
from safehold.clock import SECOND_US, Clock
from safehold.errors import InvalidError, MissingError, TamperedError, UnavailableError
from safehold.keeper.announced import DEPLOYMENT
from safehold.keeper.signed import Line
from safehold.ledger.published import read_checkpoint, read_row
from safehold.ledger.tile import unpack_entries
from safehold.ledger.tree import WIDTH
from safehold_verify import VerificationError
from safehold_verify.head import Head, open_head
from safehold_verify.policy import parse_policy

EVERY_US: Final = 2 * SECOND_US
MOST_BUNDLES: Final = 400  # read in one look: about 100,000 entries
MOST_POINTS: Final = 400  # remembered of one promise


@dataclass(slots=True)
class Shown:
    """What the record said when it was read last.

    Args:
        head: The newest head that the policy accepts.
        read: Entries read.
        counts: Entries of each kind.
        states: Of kinds that say a state in public: how many of each.
        promises: How each stood over time, oldest first.
        scenarios: The newest result of each scenario of the drill: entry, moment, status.
        rules: Refusals by rule.
        charters: Versions of the charter: entry, moment, version, direction.
        stops: Stops and resumptions: entry, moment, kind.
        trouble: Why the newest state is not shown, if it is not.
    """

    head: Head | None = None
    read: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    states: Counter[tuple[str, str]] = field(default_factory=Counter)
    promises: dict[str, list[Point]] = field(default_factory=dict)
    scenarios: dict[str, tuple[int, int, str]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    charters: list[tuple[int, int, int, str]] = field(default_factory=list)
    stops: list[tuple[int, int, str]] = field(default_factory=list)
    trouble: str = ""


class PublishedKeeper:
    """The published files of a home's ledger, as its keeper hands them out.

    Args:
        line: To the keeper.
    """

    def __init__(self, line: Line) -> None:
        self._line = line

    def read(self, name: str, limit: int) -> bytes:
        """Return a file; see ``ledger.published.Published``."""
        data = unb64(str(self._line.call("public.file", name=name)["data"]))
        if len(data) > limit:
            raise TamperedError(f"{name} is too long", rule="portal.record")
        return data


class PublicRecord:
    """Reads the public record of a home, and goes on from where it was.

    Args:
        line: To its keeper; what is asked there anybody may ask.
        clock: Tells when it was read last.
    """

    def __init__(self, line: Line, clock: Clock) -> None:
        self._line = line
        self._clock = clock
        self._lock = threading.Lock()
        self._log = PublishedKeeper(line)
        self._shown = Shown()
        self._at_us = 0

    def look(self) -> Shown:
        """Return what the record says, read again if the last look is some seconds old."""
        with self._lock:
            now = self._clock.now_us()
            if self._at_us == 0 or now - self._at_us >= EVERY_US:
                self._at_us = now
                self._read()
            return self._shown

    def home(self) -> dict[str, Any]:
        """Return origin, trust policy and charter of the home."""
        return self._line.call("public.home")

    def charter(self) -> Charter | None:
        """Return the charter in force; none before there is one."""
        tree = self.home()["charter"]
        return None if tree is None else Charter.from_json(tree)

    def _read(self) -> None:
        shown = self._shown
        try:
            policy = parse_policy(str(self.home()["policy"]).encode())
            head = open_head(read_checkpoint(self._log), policy, "checkpoint")[1]
            if shown.head is not None and head.size < shown.head.size:
                shown.trouble = "the record is shorter than it was"
                return
            shown.head, shown.trouble = head, ""
            for _ in range(MOST_BUNDLES):
                if shown.read >= head.size:
                    return
                number, skip = divmod(shown.read, WIDTH)
                bundle = read_row(self._log, ("entries", number), head.size)
                for data in list(unpack_entries(bundle))[skip:]:
                    self._take(shown.read, data)
                    shown.read += 1
        except (
            VerificationError,
            MissingError,
            UnavailableError,
            InvalidError,
            TamperedError,
        ) as error:
            shown.trouble = (
                error.message if isinstance(error, VerificationError) else str(error.message)
            )

    def _take(self, index: int, data: bytes) -> None:
        match canonical.decode(data):
            case {"k": str(kind), "t": int(at_ms), "pub": dict(facts)}:
                pass
            case {"k": str(kind), "t": int(at_ms)}:
                facts = {}
            case _:
                raise InvalidError("an entry cannot be read", rule="portal.record")
        shown = self._shown
        shown.counts[kind] += 1
        state = str(facts.get("state", ""))
        if state:
            shown.states[kind, state] += 1
        match kind:
            case "milestone":
                points = shown.promises.setdefault(str(facts["promise"]), [])
                points.append(point_of(index, at_ms, facts))
                del points[:-MOST_POINTS]
            case "drill":
                scenario = str(facts.get("scenario", ""))
                # what the plain lake and the controls came to is no result of this home
                if scenario and facts.get("of") == DEPLOYMENT and "level" not in facts:
                    shown.scenarios[scenario] = (index, at_ms, state)
            case "refusal":
                shown.rules[str(facts.get("rule", ""))] += 1
            case "charter":
                version, direction = int(facts["version"]), str(facts.get("direction", ""))
                shown.charters.append((index, at_ms, version, direction))
            case "stop" | "resume":
                shown.stops.append((index, at_ms, kind))
            case _:
                pass


__all__ = ["PublicRecord", "Shown"]
