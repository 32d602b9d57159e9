"""S20: who touched my data? After some uses and some refusals each person asks.

Who is in which use is known here without the ledger: from who had paused, objected or left when it happened. What
each person is given is compared with that, entry by entry, after it was verified offline against the receipt they had
from before.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from safehold.app.drill.company import FIGURES, PURPOSE, Company, draft_figures
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import original, replace
from safehold.app.query import use_query
from safehold.assurance.drill.outcome import Exposure, Findings
from safehold.errors import SafeholdError
from safehold.keeper import wire
from safehold.keeper.client import KeeperClient
from safehold.privacy.query import write_query
from safehold.signing import SigningKey
from safehold_verify import VerificationError
from safehold_verify.package import verify_package

TEXT: Final = write_query("SELECT x AS v FROM pointer", {"release": "people", "epsilon": 0.1})
USE: Final = "access.intent"
LONGEST_S: Final = 1.0  # for one person: of waiting, or of work where a machine is busy elsewhere
_UCRED: Final = struct.Struct("3i")
FEW: Final = 6  # who ask in the short form, besides those three
OBJECTS, PAUSES, LEAVES = "emp-00010", "emp-00011", "emp-00012"
Truth = dict[int, frozenset[str]]  # by the entry of a use, everybody in it


def attempt(place: Place) -> Findings:
    """Let everybody ask."""
    return Findings(live=_ask_all(place.company("s20"), (), few=place.quick))


def control(place: Place) -> Findings:
    """The same where a use names half of its people."""
    off = (f"{__name__}:without_names",)
    return Findings(live=_ask_all(place.company("s20-control"), off, few=True))


def without_names() -> None:
    """Let large sets of people be written down by half."""
    real = original("safehold.keeper.desk:Desk._subjects")

    def half(self: Any, people: list[str]) -> Any:
        return real(self, people if len(people) < 10 else people[: len(people) // 2])

    replace("safehold.keeper.desk:Desk._subjects", half)


def lake(place: Place) -> Findings:
    """A lake's own log: who read which table. Whose rows lay in it nobody wrote down."""
    folder = place.bin("s20-lake")
    people = [f"emp-{number:05d}" for number in range(60)]
    pq.write_table(pa.table({"person": people}), folder / "pointer.parquet")
    log, uses = folder / "access.log", 4
    for number in range(uses):
        read = pq.ParquetFile(folder / "pointer.parquet").read().num_rows
        with log.open("a", encoding="utf-8") as out:
            out.write(f"engineer-{number} read pointer.parquet: {read} rows\n")
    text = log.read_text("utf-8")
    missing = sum(uses for person in people if person not in text)
    return Findings(live=Exposure(people=0, records=0, segments=0, missing=missing))


def _ask_all(company: Company, off: tuple[str, ...], *, few: bool) -> Exposure:
    asking = [OBJECTS, PAUSES, LEAVES, *list(company.people)[:FEW]] if few else list(company.people)
    folder = company.folder / "told"
    folder.mkdir()
    wrong: list[str] = []
    missing = false = unverified = 0
    longest = dearest = 0.0
    with company.keeper(off=off) as client:
        receipts = {name: company.ask(client, name, "people.receipt")["receipt"] for name in asking}
        truth, keeper = _use(company, client), _keeper(company)
        client.call("ledger.close-epoch")
        for name in asking:
            receipt, mine = (
                receipts[name].encode(),
                {at for at, who in truth.items() if name in who},
            )
            began, spent = time.monotonic(), _spent(keeper)
            file = folder / f"{name}.json"
            file.write_text(company.ask(client, name, "people.trail")["package"], "utf-8")
            told = _told(file, company.home.policy_file, receipt)
            longest = max(longest, time.monotonic() - began)
            dearest = max(dearest, _spent(keeper) - spent)
            if told is None:
                unverified += 1
                continue
            missing += len(mine - told)
            false += len(told - mine)
    if false:
        wrong.append(f"{false} uses are told to people who were not in them")
    if unverified:
        wrong.append(f"what {unverified} people were given does not verify")
    if min(longest, dearest) > LONGEST_S:
        wrong.append(f"somebody waited {longest:.2f} s, of which {dearest:.2f} s were work")
    return Exposure(
        people=0, records=0, segments=0, canaries=0, missing=missing, wrong=tuple(wrong),
        told={
            "asked": len(asking), "uses": len(truth), "accesses": sum(map(len, truth.values())),
            "false": false, "longest_s": round(longest, 3), "work_s": round(dearest, 3),
        },
    )  # fmt: skip


def _keeper(company: Company) -> int:
    """Return the process id of the company's keeper, as the kernel names it."""
    with wire.dial(company.home.socket) as link:
        raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(raw)[0])


def _spent(keeper: int) -> float:
    """Return the seconds of work that the keeper and this process have done so far."""
    fields = Path(f"/proc/{keeper}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + time.process_time()


def _told(file: Path, policy: Path, receipt: bytes) -> set[int] | None:
    """Return the uses in a package, or nothing if it does not verify."""
    with suppress(VerificationError):
        report = verify_package(file, policy, receipt=receipt)
        return {use.index for use in report.uses if use.kind == USE}
    return None


def _use(company: Company, client: KeeperClient) -> Truth:
    """Use data as it is used, try what is refused, and return who must have been in what."""
    everybody = frozenset(company.people)
    built = client.call("feature", purpose=PURPOSE)["dataset"]
    truth: Truth = {int(built.rpartition(":")[2]): everybody}
    key = SigningKey.generate()
    grant = draft_figures(company.charter, key, TEXT, runs=5)
    holder = company.permit(client, grant, key)

    def ask() -> int:
        return int(use_query(client, grant, holder, TEXT, lambda _: None)["intent"])

    truth[ask()] = everybody
    company.choose(client, PAUSES, "pause")
    truth[ask()] = everybody - {PAUSES}
    company.choose(client, PAUSES, "resume")
    company.choose(client, OBJECTS, "object", purposes=[FIGURES], text="a drill")
    company.choose(client, LEAVES, "withdraw")
    truth[ask()] = everybody - {OBJECTS, LEAVES}
    stranger = SigningKey.generate()
    other = draft_figures(company.charter, stranger, TEXT, requester="mallory")
    for refused in (
        lambda: use_query(client, other, holder, TEXT + " ", lambda _: None),
        lambda: client.call("grant.enact", grant=other.to_json(), approvals=[]),
        lambda: client.call("train", purpose=PURPOSE, token="", nonce="", proof=""),
    ):
        with suppress(SafeholdError):
            refused()
    return truth


__all__ = ["attempt", "control", "lake", "without_names"]
